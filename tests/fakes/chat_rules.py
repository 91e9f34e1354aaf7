"""What real Chat Completions servers refuse, for the fake upstream: each rule is one that some server has."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROLES = {"system", "user", "assistant", "tool"}
PARTS = {"text", "image_url", "file", "input_audio"}


@dataclass(frozen=True, slots=True)
class Rules:
    """`strict`: one system message, first, and no role `developer`, as most models' templates have it.

    `reasoning`: a message with calls must carry `reasoning_content`, as DeepSeek has it.
    """

    api_key: str = ""
    strict: bool = True
    reasoning: bool = False


class Refused(Exception):
    def __init__(self, message: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def as_object(self) -> dict[str, Any]:
        error = {"message": str(self), "type": "invalid_request_error", "param": None, "code": self.code}
        return {"error": error}


def check(headers: Mapping[str, str], content: bytes, rules: Rules) -> dict[str, Any]:
    """The request's body. Raises Refused."""
    if rules.api_key and headers.get("authorization") != f"Bearer {rules.api_key}":
        raise Refused(f"Incorrect API key provided: {headers.get('authorization', '')}", 401, "invalid_api_key")
    try:
        body = json.loads(content)
    except ValueError:
        raise Refused("We could not parse the JSON body of your request") from None
    _need(isinstance(body, dict) and isinstance(body.get("model"), str) and body["model"], "you must provide a model")
    _need(body.get("stream") is True, "this server only streams")
    messages = body.get("messages")
    _need(isinstance(messages, list) and messages, "'messages' must be a non-empty array")
    for index, message in enumerate(messages):
        _message(index, message, rules)
    _pairs(messages)
    _tools(body)
    return body


def _need(condition: object, message: str) -> None:
    if not condition:
        raise Refused(message)


def _message(index: int, message: dict[str, Any], rules: Rules) -> None:
    where, role, content = f"messages[{index}]", message.get("role"), message.get("content")
    roles = ROLES if rules.strict else ROLES | {"developer"}
    _need(role in roles, f"{where}.role: unknown variant `{role}`, expected one of {sorted(roles)}")
    if rules.strict and role == "system":
        _need(index == 0, "System message must be at the beginning.")
    if role != "assistant":
        _need(isinstance(content, str | list), f"{where}.content: missing")
    else:
        _need(content or message.get("tool_calls"), f"{where}: an assistant message needs content or tool calls")
    if isinstance(content, list):
        _need(role == "user" and content, f"{where}.content: must be a string")
        for part in content:
            _need(part.get("type") in PARTS, f"{where}.content: unknown part {part.get('type')}")
            _need(part.get(part["type"]) is not None, f"{where}.content: a part is empty")
    for call in message.get("tool_calls", ()):
        _call(where, call)
    if rules.reasoning and message.get("tool_calls"):
        _need("reasoning_content" in message, f"Missing `reasoning_content` field in the assistant message at {index}")


def _call(where: str, call: dict[str, Any]) -> None:
    function = call.get("function") or {}
    _need(call.get("id") and call.get("type") == "function", f"{where}.tool_calls: an id and a type are required")
    _need(function.get("name"), f"{where}.tool_calls: the function's name is empty")
    try:
        arguments = json.loads(function.get("arguments"))
    except (TypeError, ValueError):
        arguments = None
    _need(isinstance(arguments, dict), f"{where}.tool_calls: the arguments are not a JSON object")


def _pairs(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            _need(
                call_id in waiting,
                f"messages[{index}]: messages with role 'tool' must follow a message with 'tool_calls' of that id",
            )
            waiting.remove(call_id)
            continue
        _need(not waiting, f"An assistant message with 'tool_calls' must be followed by tool messages: {waiting}")
        waiting = [call["id"] for call in message.get("tool_calls", ())]
    _need(not waiting, f"An assistant message with 'tool_calls' must be followed by tool messages: {waiting}")


def _tools(body: dict[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        _need("tool_choice" not in body, "'tool_choice' is only allowed when 'tools' are specified")
        _need("parallel_tool_calls" not in body, "'parallel_tool_calls' is only allowed when 'tools' are specified")
        return
    _need(tools, "[] is too short - 'tools'")
    names: list[str] = []
    for tool in tools:
        function = tool.get("function") or {}
        _need(tool.get("type") == "function" and function.get("name"), "tools: a function needs a name")
        _need(isinstance(function.get("description", ""), str), "tools: a description must be a string")
        _need(isinstance(function.get("parameters", {}), dict), "tools: parameters must be an object")
        names.append(function["name"])
    _need(len(names) == len(set(names)), "tools: names must be unique")
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        _need(choice.get("function", {}).get("name") in names, "tool_choice: names no tool")
    else:
        _need(choice in ("none", "auto", "required"), "tool_choice: unknown")

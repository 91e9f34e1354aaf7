"""What real Chat Completions servers refuse, for the fake upstream: each rule is one that some server has."""

import json
import re
from collections.abc import Mapping

from tests.fakes.vendor_rules import check_vendor
from tests.fakes.wire import Body, Rules, is_signed, need

DIALECT = "chat_completions"
UNSIGNED = "skip_thought_signature_validator"
ROLES = {"system", "user", "assistant", "tool"}
PARTS = {"text", "image_url", "file", "input_audio"}


def check(headers: Mapping[str, str], body: Body, rules: Rules) -> None:
    """Raises Refused.

    The strict have one system message, first, and no role `developer`, as most models' templates do. With the
    rule `reasoning`, a message with calls must carry `reasoning_content`, as DeepSeek has it.
    """
    key = headers.get("authorization", "")
    need(not rules.api_key or key == f"Bearer {rules.api_key}", f"Incorrect API key: {key}", 401, "invalid_api_key")
    need(isinstance(body.get("model"), str) and body["model"], "you must provide a model")
    need(body.get("stream") is True, "this server only streams")
    messages = body.get("messages")
    need(isinstance(messages, list) and messages, "'messages' must be a non-empty array")
    for index, message in enumerate(body["messages"]):
        _message(index, message, rules)
    _pairs(body["messages"])
    _tools(body)
    check_vendor(body, rules.vendor)


def _message(index: int, message: Body, rules: Rules) -> None:
    where, role, content = f"messages[{index}]", message.get("role"), message.get("content")
    roles = ROLES if rules.strict else ROLES | {"developer"}
    need(role in roles, f"{where}.role: unknown variant `{role}`, expected one of {sorted(roles)}")
    if rules.strict and role == "system":
        need(index == 0, "System message must be at the beginning.")
    if role != "assistant":
        need(isinstance(content, str | list), f"{where}.content: missing")
    else:
        need(content or message.get("tool_calls"), f"{where}: an assistant message needs content or tool calls")
    if isinstance(content, list):
        need(role == "user" and content, f"{where}.content: must be a string")
        for part in content:
            need(part.get("type") in PARTS, f"{where}.content: unknown part {part.get('type')}")
            need(part.get(part["type"]) is not None, f"{where}.content: a part is empty")
    for call in message.get("tool_calls", ()):
        _call(where, call)
    if rules.reasoning and message.get("tool_calls"):
        need("reasoning_content" in message, f"Missing `reasoning_content` field in the assistant message at {index}")


def _call(where: str, call: Body) -> None:
    function = call.get("function") or {}
    need(call.get("id") and call.get("type") == "function", f"{where}.tool_calls: an id and a type are required")
    need(function.get("name"), f"{where}.tool_calls: the function's name is empty")
    try:
        arguments = json.loads(function.get("arguments"))
    except (TypeError, ValueError):
        arguments = None
    need(isinstance(arguments, dict), f"{where}.tool_calls: the arguments are not a JSON object")
    need(len(call["id"]) <= 40, f"Invalid '{where}.tool_calls[0].id': string too long.")  # openclaw/openclaw#875
    need(re.fullmatch("[a-zA-Z0-9_-]{1,64}", function["name"]), f"{where}: the function's name is too long or unfit")
    if (extra := call.get("extra_content")) is not None:
        signature = extra["google"]["thought_signature"]
        known = signature == UNSIGNED or is_signed(signature, DIALECT, call["id"], function["name"])
        need(known, "Thought signature is not valid")


def _pairs(messages: list[Body]) -> None:
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            need(
                call_id in waiting,
                f"messages[{index}]: messages with role 'tool' must follow a message with 'tool_calls' of that id",
            )
            waiting.remove(call_id)
            continue
        need(not waiting, f"An assistant message with 'tool_calls' must be followed by tool messages: {waiting}")
        waiting = [call["id"] for call in message.get("tool_calls", ())]
    need(not waiting, f"An assistant message with 'tool_calls' must be followed by tool messages: {waiting}")


def _tools(body: Body) -> None:
    tools = body.get("tools")
    if tools is None:
        need("tool_choice" not in body, "'tool_choice' is only allowed when 'tools' are specified")
        need("parallel_tool_calls" not in body, "'parallel_tool_calls' is only allowed when 'tools' are specified")
        return
    need(tools, "[] is too short - 'tools'")
    names: list[str] = []
    for tool in tools:
        function = tool.get("function") or {}
        need(tool.get("type") == "function" and function.get("name"), "tools: a function needs a name")
        need(isinstance(function.get("description", ""), str), "tools: a description must be a string")
        need(isinstance(function.get("parameters", {}), dict), "tools: parameters must be an object")
        names.append(function["name"])
    need(len(names) == len(set(names)), "tools: names must be unique")
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        need(choice.get("function", {}).get("name") in names, "tool_choice: names no tool")
    else:
        need(choice in ("none", "auto", "required"), "tool_choice: unknown")

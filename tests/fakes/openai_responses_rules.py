"""What OpenAI's Responses API refuses, for the fake upstream, in its own words."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.fakes.vendor_rules import check_vendor
from tests.fakes.wire import Body, Rules, is_signed, need

DIALECT = "openai_responses"
PARAMETERS = {
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
}
UPSTREAM = {"web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp"}
CALLS = {"function_call": "function call", "custom_tool_call": "custom tool call"}
OUTPUTS = {f"{kind}_output": kind for kind in CALLS}
# An item's fields, and what its id begins with.
ITEMS: dict[str, tuple[set[str], str]] = {
    "message": ({"role", "content", "phase", "status"}, "msg"),
    "reasoning": ({"summary", "content", "encrypted_content"}, "rs"),
    "function_call": ({"call_id", "name", "namespace", "arguments", "status"}, "fc"),
    "function_call_output": ({"call_id", "output", "status"}, "fc"),
    "custom_tool_call": ({"call_id", "name", "input"}, "ctc"),
    "custom_tool_call_output": ({"call_id", "output"}, "ctco"),
    "web_search_call": ({"action", "status"}, "ws"),
    "file_search_call": ({"queries", "results", "status"}, "fs"),
    "code_interpreter_call": ({"code", "container_id", "outputs", "status"}, "ci"),
    "image_generation_call": ({"result", "status"}, "ig"),
    "mcp_list_tools": ({"server_label", "tools", "error"}, "mcpl"),
    "mcp_call": (
        {"server_label", "name", "arguments", "output", "error", "status", "approval_request_id"},
        "mcp",
    ),
    "mcp_approval_request": ({"server_label", "name", "arguments"}, "mcpr"),
    "mcp_approval_response": ({"approval_request_id", "approve", "reason"}, "mcpr"),
    "compaction": ({"encrypted_content"}, "cmp"),
    # The types of the SDK, `response_input_item_param`: neither needs an id.
    "tool_search_call": ({"arguments", "call_id", "execution", "status"}, "tsc"),
    "tool_search_output": ({"tools", "call_id", "execution", "status"}, "tso"),
}
MADE = {"message", *CALLS, *(kind for kind in ITEMS if kind.startswith(("web_", "file_", "code_", "image_", "mcp_")))}
PARTS: dict[str, set[str]] = {
    "input_text": {"text"},
    "input_image": {"image_url", "file_id", "detail"},
    "input_file": {"filename", "file_data", "file_url", "file_id"},
}
THOUGHT = re.compile(r"_(rs[0-9a-f]{12})$")
"""The end of a call's id that tells which reasoning led to it."""


def reasons(model: str) -> bool:
    return not model.startswith(("gpt-4", "gpt-3", "chatgpt-"))


def check(headers: Mapping[str, str], body: Body, rules: Rules) -> None:
    """Raises Refused. With the rule `reasoning`, a call must come with the reasoning that led to it.

    OpenAI knows that by the items' ids, which nobody need send; here the call's id tells.
    """
    key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("api-key", "")
    need(not rules.api_key or key == rules.api_key, f"Incorrect API key provided: {key}", 401, "invalid_api_key")
    for name in body:
        need(name in PARAMETERS, f"Unknown parameter: '{name}'.", code="unknown_parameter")
    need(isinstance(body.get("model"), str) and body["model"], "Missing required parameter: 'model'.")
    need(body.get("stream") is True, "this server only streams")
    need(body.get("store") is False, "this server stores nothing: its clients have no business here otherwise")
    _settings(body)
    _tools(body)
    _input(body["input"] if isinstance(body.get("input"), list) else [], rules)
    check_vendor(body, rules.vendor)


def _settings(body: Body) -> None:
    model, limit = body["model"], body.get("max_output_tokens")
    where = "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16"
    need(limit is None or limit >= 16, f"{where}, but got {limit} instead.", code="integer_below_min_value")
    fixed = re.match(r"o\d|gpt-5(-mini|-nano)?(-20\d\d.*)?(!|$)", model)
    for name in ("temperature", "top_p"):
        need(not fixed or name not in body, f"Unsupported parameter: '{name}' is not supported with this model.")
    if not reasons(model):
        asked = "reasoning.encrypted_content" in body.get("include", ())
        need(not asked, "Encrypted content is not supported with this model.")
        need("reasoning" not in body, "Unsupported parameter: 'reasoning.effort' is not supported with this model.")
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        need(form.get("name") and form.get("schema") is not None, "Missing required parameter: 'text.format.name'.")


def _name(value: Any, where: str) -> None:
    need(isinstance(value, str) and value, f"Missing required parameter: '{where}'.", code="missing_required_parameter")
    long = (
        f"Invalid '{where}': string too long. Expected a string with maximum length 64, but got {len(value)} instead."
    )
    need(len(value) <= 64, long, code="string_above_max_length")
    pattern = f"Invalid '{where}': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
    need(where.endswith("call_id") or re.fullmatch(r"[a-zA-Z0-9_-]+", value), pattern, code="invalid_value")


def _tools(body: Body) -> None:
    names: list[str] = []
    for index, tool in enumerate(body.get("tools", ())):
        if tool["type"] in UPSTREAM:
            continue
        need(tool["type"] in ("function", "custom"), f"Invalid value: '{tool['type']}'.", code="invalid_value")
        _name(tool.get("name"), f"tools[{index}].name")
        names.append(tool["name"])
        if tool["type"] == "function":
            _schema(tool)
    need(len(names) == len(set(names)), "Tool names must be unique.")
    choice = body.get("tool_choice", "auto")
    need("tools" in body or choice in ("auto", "none"), "Tool choice must be specified with 'tools' parameter.")
    if isinstance(choice, dict) and choice["type"] in ("function", "custom"):
        offered = {(tool["type"], tool.get("name")) for tool in body["tools"]}
        known = (choice["type"], choice["name"]) in offered
        need(known, f"Tool choice '{choice['type']}' not found in 'tools' parameter.")


def _schema(tool: Body) -> None:
    where, schema = f"Invalid schema for function '{tool['name']}'", tool.get("parameters")
    # https://github.com/langchain-ai/langchainjs/issues/9804
    root = "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level"
    combines = {"oneOf", "anyOf", "allOf", "enum", "not"} & (schema or {}).keys()
    need(isinstance(schema, dict) and schema.get("type") == "object" and not combines, f"{where}: {root}")
    # https://github.com/smallmain/vscode-unify-chat-provider/issues/162
    odd = [each for each in schema.get("properties", {}).values() if not isinstance(each, dict | bool)]
    need(not odd, f"{where}: {odd} is not of type 'object', 'boolean'")
    if tool.get("strict", True):
        closed = schema.get("additionalProperties") is False
        need(closed, f"{where}: In context=(), 'additionalProperties' is required to be supplied and to be false.")
        every = sorted(schema.get("required", ())) == sorted(schema.get("properties", {}))
        need(every, f"{where}: In context=(), 'required' is required to be an array including every key in properties.")


def _input(items: list[Body], rules: Rules) -> None:
    need(items, "Missing required parameter: 'input'.", code="missing_required_parameter")
    seen: set[str] = set()
    for index, item in enumerate(items):
        kind = item.get("type", "message")
        need(kind in ITEMS, f"Invalid value: '{kind}'.", code="invalid_value")
        fields, prefix = ITEMS[kind]
        for name in item:
            need(
                name in {*fields, "type", "id"},
                f"Unknown parameter: 'input[{index}].{name}'.",
                code="unknown_parameter",
            )
        if item_id := item.get("id"):
            wrong = f"Invalid 'input[{index}].id': '{item_id}'. Expected an ID that begins with '{prefix}'."
            need(item_id.startswith(prefix), wrong, code="invalid_value")
            need(
                item_id not in seen, f"Duplicate item found with id {item_id}. Remove duplicate items from your input."
            )
            seen.add(item_id)
        _item(index, item, items[index + 1] if index + 1 < len(items) else {})
    _pairs(items, rules)


def _item(index: int, item: Body, following: Body) -> None:
    where = f"input[{index}]"
    match item.get("type", "message"):
        case "message":
            need(item.get("role") in ("user", "assistant", "system", "developer"), f"Invalid value: '{where}.role'.")
            parts = item.get("content")
            need(isinstance(parts, str | list), f"Missing required parameter: '{where}.content'.")
            _parts(parts, f"{where}.content", said=item["role"] == "assistant")
        case "reasoning":
            _reasoning(item, following)
        case "compaction":
            signature, _, facts = item["encrypted_content"].partition(".")
            read = is_signed(signature, DIALECT, facts)
            need(read, "The encrypted content could not be verified.", code="invalid_encrypted_content")
        case "function_call":
            _name(item.get("name"), f"{where}.name")
            _name(item.get("call_id"), f"{where}.call_id")
            need(isinstance(item.get("arguments"), str), f"Invalid type for '{where}.arguments': expected a string.")
        case "function_call_output" | "custom_tool_call_output":
            output = item.get("output")
            need(isinstance(output, str | list), f"Missing required parameter: '{where}.output'.")
            _parts(output, f"{where}.output", said=False)
        case _:
            pass


def _parts(parts: str | list[Body], where: str, *, said: bool) -> None:
    for index, part in enumerate(parts if isinstance(parts, list) else ()):
        at, kind = f"{where}[{index}]", part.get("type")
        if said:
            supported = "Supported values are: 'output_text' and 'refusal'."
            need(kind in ("output_text", "refusal"), f"Invalid value: '{kind}'. {supported}", code="invalid_value")
            continue
        need(kind in PARTS, f"Invalid value: '{kind}'. Supported values are: {sorted(PARTS)}.", code="invalid_value")
        for name in part:
            need(name in {*PARTS[kind], "type"}, f"Unknown parameter: '{at}.{name}'.", code="unknown_parameter")
        if kind == "input_image" and "image_url" in part:
            need(
                re.match(r"https?:|data:image/", part["image_url"]), f"Invalid '{at}.image_url'. Expected a valid URL."
            )
        if "file_data" in part:
            need(
                part["file_data"].startswith("data:"), f"Invalid '{at}.file_data'. Expected a base64-encoded data URL."
            )
            need(part.get("filename"), f"Missing required parameter: '{at}.filename'.")


def _reasoning(item: Body, following: Body) -> None:
    item_id, state = item.get("id"), item.get("encrypted_content")
    stored = "Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove it."
    need(state, f"Item with id '{item_id}' not found. {stored}", 404)
    need("summary" in item, "Missing required parameter: 'summary'.", code="missing_required_parameter")
    need(not item.get("content"), "Invalid 'content': array too long. Expected an array with maximum length 0.")
    signature, _, owner = state.rpartition(".")
    said = json.dumps([part["text"] for part in item["summary"]])
    whole = is_signed(signature, DIALECT, owner, said)
    broken = f"The encrypted content for item {item_id} could not be verified. Reason: Encrypted content"
    code = "invalid_encrypted_content"
    need(whole, f"{broken} could not be decrypted or parsed.", code=code)
    need(item_id in (None, owner), f"{broken} item_id did not match the target item id.", code=code)
    made = following.get("type", "message") in MADE | {"reasoning"} and following.get("role") in (None, "assistant")
    lost = f"Item '{owner}' of type 'reasoning' was provided without its required following item."
    need(following and made, lost)


def _pairs(items: list[Body], rules: Rules) -> None:
    waiting: dict[str, str] = {}
    thoughts: set[str] = set()
    for item in items:
        kind, call_id = item.get("type", "message"), item.get("call_id", "")
        if kind == "reasoning":
            thoughts.add(item["encrypted_content"].rpartition(".")[2])
        elif kind in CALLS:
            need(call_id not in waiting, f"Duplicate call_id {call_id}.")
            waiting[call_id] = kind
            thought = THOUGHT.search(call_id)
            owner = f"rs_{thought[1][2:]}" if thought else ""
            lost = f"Item of type '{kind}' was provided without its required 'reasoning' item: '{owner}'."
            need(not rules.reasoning or not thought or owner in thoughts, lost)
        elif kind in OUTPUTS:
            named = CALLS[OUTPUTS[kind]]
            need(
                waiting.pop(call_id, "") == OUTPUTS[kind],
                f"No tool call found for {named} output with call_id {call_id}.",
            )
    for call_id, kind in waiting.items():
        need(False, f"No tool output found for {CALLS[kind]} {call_id}.")

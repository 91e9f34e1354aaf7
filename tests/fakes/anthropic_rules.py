"""What the Messages API refuses, in its own words, for the fake upstream.

Sources, at platform.claude.com/docs: "Errors", "Troubleshooting thinking", "Handle tool calls", "Preserved thinking",
"Mid-conversation system messages" (limitations), "Structured outputs", the migration guides; and what issues of the
vendor's clients quote (of circular references: egonSchiele/agency-lang, issue 487).
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.wire import Body, Rules, is_signed, mark, need, sign

DIALECT = "anthropic"
THOUGHT_CALL = "toolu_thought_"
"""Begins the id of a call that the fake made after thinking."""
BINDING = "thinking-binding-controls-2026-08-01"
OLDEST, NEWEST = "2023-06-01", "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
FIELDS = {
    *("model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "thinking", "output_config"),
    *("temperature", "top_p", "top_k", "metadata", "service_tier", "stop_sequences", "cache_control", "container"),
    *("context_management", "inference_geo", "mcp_servers"),
}
BLOCKS: dict[str, tuple[set[str], set[str]]] = {
    "text": ({"user", "assistant", "system"}, {"text", "citations", "cache_control"}),
    "image": ({"user"}, {"source", "cache_control"}),
    "document": ({"user"}, {"source", "title", "context", "citations", "cache_control"}),
    "thinking": ({"assistant"}, {"thinking", "signature"}),
    "redacted_thinking": ({"assistant"}, {"data"}),
    "tool_use": ({"assistant"}, {"id", "name", "input", "cache_control"}),
    "server_tool_use": ({"assistant"}, {"id", "name", "input", "cache_control"}),
    "web_search_tool_result": ({"assistant"}, {"tool_use_id", "content", "cache_control"}),
    "tool_result": ({"user"}, {"tool_use_id", "content", "is_error", "cache_control"}),
}
UNSUPPORTED = {"minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems", "oneOf", "not"}
USE_ADAPTIVE = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'


@dataclass(frozen=True)
class Model:
    """A row of the tables. `refused`: types of thinking. `on`: thinks by default. `efforts` by their first letters."""

    refused: str = ""
    on: bool = False
    forced: bool = True
    bound: bool = False
    late_system: bool = False
    sampling: bool = False
    prefill: bool = False
    shown: bool = False
    efforts: str = "lmhxm"
    limit: int = 128_000


OLDER = Model("adaptive between_tools", sampling=True, prefill=True, shown=True, efforts="", limit=64_000)
MODELS = {
    "claude-fable-5-1": Model("enabled disabled between_tools", True, forced=False, bound=True, late_system=True),
    "claude-opus-5-5": Model("enabled disabled between_tools", True, forced=False, bound=True, late_system=True),
    "claude-sonnet-5-5": Model("enabled disabled", True, forced=False, bound=True, late_system=True),
    "claude-haiku-5-5": Model("enabled between_tools", True, bound=True, late_system=True),
    "claude-fable-5": Model("enabled disabled between_tools", True, late_system=True),
    "claude-opus-5": Model("enabled between_tools", True, late_system=True),
    "claude-sonnet-5": Model("enabled between_tools", True),
    "claude-opus-4-8": Model("enabled between_tools", late_system=True),
    "claude-opus-4-7": Model("enabled between_tools"),
    "claude-opus-4-6": Model("between_tools", sampling=True, shown=True, efforts="lmhm"),
    "claude-sonnet-4-6": Model("between_tools", sampling=True, shown=True, efforts="lmhm"),
}


def model_of(body: Body) -> Model:
    """By its name up to a directive; one that isn't known has the rules of Claude 4.5."""
    return MODELS.get(str(body.get("model")).partition("!")[0], OLDER)


def thinks(body: Body) -> bool:
    kind = body.get("thinking", {}).get("type")
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    return not forced and (kind in ("adaptive", "enabled") or (kind is None and model_of(body).on))


def check(headers: Mapping[str, str], body: Body, rules: Rules) -> None:
    """Raises Refused. With the rule `reasoning`, a call that was made after thinking must come back after it."""
    key = headers.get("x-api-key", "")
    need(not rules.api_key or key == rules.api_key, "invalid x-api-key", 401)
    version = headers.get("anthropic-version", OLDEST)  # the real one requires it
    need(version in (OLDEST, NEWEST), f"anthropic-version: {version!r} is not a valid version")
    for name in SAMPLING if version == NEWEST else ():
        need(name not in body, f"{name}: Extra inputs are not permitted")
    for name in ("model", "max_tokens", "messages"):
        need(body.get(name), f"{name}: Field required")
    for name in body:
        need(name in FIELDS, f"{name}: Extra inputs are not permitted")
    need(body.get("stream") is True, "this server only streams")
    limit = model_of(body).limit
    need(
        body["max_tokens"] <= limit,
        f"max_tokens: {body['max_tokens']} > {limit}, which is the maximum allowed number of output tokens",
    )
    _messages(body)
    _pairs(body["messages"])
    _tools(body)
    _thinking(headers, body)
    _settings(body)
    _thoughts(headers, body, rules)
    marks = json.dumps(body).count('"cache_control"')
    need(marks <= 4, f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


def blocks_of(content: str | list[Body]) -> list[Body]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def prefix(body: Body, message: int, block: int = 0) -> str:
    """A digest of all that a thinking block at this place is bound to: marks of caching and thinking are not."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value if not _is_thinking(each)]
        if not isinstance(value, dict):
            return value
        return {name: plain(each) for name, each in value.items() if name != "cache_control"}

    before: list[Any] = copy.deepcopy(body["messages"][:message])
    if message < len(body["messages"]):
        partly = body["messages"][message]
        before.append({**partly, "content": blocks_of(partly["content"])[:block]})
    else:
        before.append({"role": "assistant", "content": []})
    bound = plain([body.get("system"), body.get("tools"), before])
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()


def signature_of(text: str, place: str) -> str:
    """A signature of the text, and one of the text where it is, which tells what of both was changed."""
    return sign(DIALECT, text) + sign(DIALECT, text, place).removeprefix(mark(DIALECT))


def _is_thinking(block: Any) -> bool:
    return isinstance(block, dict) and str(block.get("type")).endswith("thinking")


def _messages(body: Body) -> None:
    messages, model = body["messages"], model_of(body)
    need(messages[0]["role"] == "user", 'messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        role = message.get("role")
        need(role in ("user", "assistant", "system"), f'messages.{index}.role: Input should be "user" or "assistant"')
        need(set(message) == {"role", "content"}, f"messages.{index}: Extra inputs are not permitted")
        need(message["content"], f"messages.{index}: all messages must have non-empty content")
        if role == "system":
            need(model.late_system, "role 'system' is not supported on this model")
            need(
                messages[index - 1]["role"] == "user"
                and (index + 1 == len(messages) or messages[index + 1]["role"] == "assistant"),
                f"messages.{index}: a system message must follow a user message and precede an assistant message",
            )
        for place, block in enumerate(blocks_of(message["content"])):
            _block(f"messages.{index}.content.{place}", role, block)
    if messages[-1]["role"] == "assistant":
        need(
            model.prefill,
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        )
    system = body.get("system", "x")
    need(system, "system: text content blocks must be non-empty")
    for place, block in enumerate(blocks_of(system)):
        _block(f"system.{place}", "system", block)


def _block(where: str, role: str, block: Body) -> None:
    kind = block.get("type")
    need(kind in BLOCKS, f"{where}.type: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    roles, names = BLOCKS[str(kind)]
    need(role in roles, f"{where}: `{kind}` blocks can not be in `{role}` messages")
    for name in block:
        need(name in names | {"type"}, f"{where}.{kind}.{name}: Extra inputs are not permitted")
    match kind:
        case "text":
            need(block["text"], "messages: text content blocks must be non-empty")
            need(block["text"].strip(), "messages: text content blocks must contain non-whitespace text")
        case "tool_use":
            pattern = "^[a-zA-Z0-9_-]+$"
            need(re.match(pattern, block["id"]), f"{where}.tool_use.id: String should match pattern '{pattern}'")
            need(0 < len(block["name"]) <= 200, f"{where}.tool_use.name: String should have at most 200 characters")
            need(isinstance(block["input"], dict), f"{where}.tool_use.input: Input should be an object")
        case "tool_result":
            for place, inner in enumerate(blocks_of(block.get("content", []))):
                need(
                    inner.get("type") in ("text", "image", "document"), f"{where}.tool_result.content.{place}: unknown"
                )
                _block(f"{where}.tool_result.content.{place}", "user", inner)
        case "image" | "document":
            _source(f"{where}.{kind}.source", str(kind), block["source"])
        case _:
            pass


def _source(where: str, kind: str, source: Body) -> None:
    if source.get("type") == "url":
        need(re.match(r"https?://", source["url"]), f"{where}.url: Only HTTPS URLs are supported")
    elif kind == "image":
        types = ("image/jpeg", "image/png", "image/gif", "image/webp")
        need(source.get("media_type") in types, f"{where}.base64.media_type: Input should be one of {types}")
    else:
        types = {"base64": "application/pdf", "text": "text/plain"}
        need(
            types.get(source.get("type", "")) == source.get("media_type"),
            f"{where}.media_type: Input should be {types}",
        )


def _pairs(messages: list[Body]) -> None:
    seen: set[str] = set()
    for index, message in enumerate(messages):
        blocks = blocks_of(message["content"])
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        searches = [block["id"] for block in blocks if block["type"] == "server_tool_use"]
        found = [block["tool_use_id"] for block in blocks if block["type"] == "web_search_tool_result"]
        need(searches == found, f"messages.{index}: `web_search` tool use was found without a `web_search_tool_result`")
        need(len({*calls}) == len(calls) and not seen & {*calls}, f"messages.{index}: `tool_use` ids must be unique")
        seen |= {*calls}
        before = blocks_of(messages[index - 1]["content"]) if index else []
        asked = [block["id"] for block in before if block["type"] == "tool_use"]
        for result in results:
            need(
                result in asked,
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
            )
        first = [block["type"] for block in blocks[: len(asked)]]
        need(
            sorted(asked) == sorted(results) and first == ["tool_result"] * len(asked),
            f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(asked)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message.",
        )
    need(
        all(block["type"] != "tool_use" for block in blocks_of(messages[-1]["content"])),
        f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after",
    )


def _tools(body: Body) -> None:
    tools, choice = body.get("tools", []), body.get("tool_choice")
    pattern = "^[a-zA-Z0-9_-]{1,128}$"
    for index, tool in enumerate(tools):
        if tool.get("type", "custom").startswith("web_search"):
            continue
        where = f"tools.{index}.custom"
        need(re.match(pattern, tool.get("name", "")), f"{where}.name: String should match pattern '{pattern}'")
        need(tool.get("input_schema", {}).get("type") == "object", f"{where}.input_schema.type: Field required")
        # https://github.com/anthropics/claude-code/issues/40075
        combines = {"oneOf", "allOf", "anyOf"} & tool.get("input_schema", {}).keys()
        need(
            not combines, f"{where}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        )
        for name in tool:
            known = {"name", "description", "input_schema", "strict", "cache_control", "type"}
            need(name in known, f"{where}.{name}: Extra inputs are not permitted")
        need(isinstance(tool.get("description", ""), str), f"{where}.description: Input should be a valid string")
        if tool.get("strict"):
            check_subset(f"{where}.input_schema", tool["input_schema"])
    names = [tool["name"] for tool in tools]
    need(len(names) == len(set(names)), "tools: Tool names must be unique.")
    if choice is None:
        return
    need(tools, "tool_choice may only be specified while providing tools")
    if choice["type"] in ("any", "tool"):
        need(model_of(body).forced, 'tool_choice: type "tool" and "any" are not supported for this model.')
        manual = body.get("thinking", {}).get("type") == "enabled"
        need(not manual, "Thinking may not be enabled when tool_choice forces tool use.")
    if choice["type"] == "tool":
        need(choice["name"] in names, f"tool_choice.tool.name: Tool '{choice['name']}' not found in provided tools")


def _thinking(headers: Mapping[str, str], body: Body) -> None:
    asked = body.get("thinking")
    if asked is None:
        return
    kind = asked.get("type")
    refused = model_of(body).refused.split()
    if kind == "adaptive":
        need(kind not in refused, "adaptive thinking is not supported on this model")
    need(kind not in refused, f'"thinking.type.{kind}" is not supported for this model. {USE_ADAPTIVE}')
    for name in asked:
        known = {"type"} | {"enabled": {"budget_tokens", "display"}, "adaptive": {"display"}}.get(kind, set())
        if BINDING in headers.get("anthropic-beta", ""):
            known.add("block_binding")
        need(name in known, f"thinking.{kind}.{name}: Extra inputs are not permitted")
    if kind == "enabled":
        budget = asked.get("budget_tokens", 0)
        need(budget >= 1024, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        need(body["max_tokens"] > budget, "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _settings(body: Body) -> None:
    model, config = model_of(body), body.get("output_config", {})
    if effort := config.get("effort"):
        need(model.efforts, "This model does not support the effort parameter.")
        need(effort[0] in model.efforts, f"output_config.effort: '{effort}' is not supported on this model")
        off = body.get("thinking", {}).get("type") in ("disabled", "between_tools") and effort in ("xhigh", "max")
        need(not off, "thinking can't be disabled at this effort")
    if form := config.get("format"):
        need(set(form) == {"type", "schema"}, "output_config.format: Extra inputs are not permitted")
        check_subset("output_config.format.schema", form["schema"])
    temperature, top_p = body.get("temperature"), body.get("top_p")
    need(temperature is None or 0 <= temperature <= 1, "temperature: range: 0..1")
    need(model.sampling or temperature in (None, 1), "`temperature` is deprecated for this model.")
    need(model.sampling or top_p in (None, 0.99), "`top_p` is deprecated for this model.")
    need(temperature is None or top_p is None, "`temperature` and `top_p` cannot both be specified for this model.")
    if thinks(body):
        need(temperature in (None, 1), "`temperature` may only be set to 1 when thinking is enabled.")
        need(top_p is None or top_p >= 0.95, "`top_p` must be greater than or equal to 0.95 or unset.")


def check_subset(where: str, schema: Any) -> None:
    for inner in _schemas(schema):
        kind = inner.get("type")
        if kind == "object":
            need(
                inner.get("additionalProperties") is False,
                f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false",
            )
        for name in UNSUPPORTED & set(inner):
            need(False, f"{where}: For '{kind}' type, property '{name}' is not supported")
        parts = inner.get("allOf", [])
        need(not any("$ref" in part for part in parts), f"{where}: allOf with $ref is not supported")
        values = [*inner.get("enum", []), inner.get("const")]
        need(not any(isinstance(value, dict | list) for value in values), f"{where}: enum: no complex types")
        need(inner.get("$ref", "#").startswith("#"), f"{where}: external $ref is not supported")
    names = {f"#/$defs/{name}": inner for name, inner in schema.get("$defs", {}).items()}
    for start in ("#", *names):
        need(start not in _reached(start, {"#": schema, **names}), f"{where}: Circular reference detected: {start}")


def _reached(start: str, names: Body) -> set[str]:
    reached: set[str] = set()
    new = {start}
    while new:
        new = {inner["$ref"] for ref in new for inner in _schemas(names.get(ref)) if "$ref" in inner} - reached
        reached |= new
    return reached


def _schemas(schema: Any) -> Iterator[Body]:
    if not isinstance(schema, dict):
        return
    yield schema
    for name in ("properties", "$defs", "definitions"):
        for inner in schema.get(name, {}).values():
            yield from _schemas(inner)
    for name in ("anyOf", "allOf"):
        for inner in schema.get(name, []):
            yield from _schemas(inner)
    yield from _schemas(schema.get("items"))


def _thoughts(headers: Mapping[str, str], body: Body, rules: Rules) -> None:
    model, messages = model_of(body), body["messages"]
    drop = body.get("thinking", {}).get("block_binding", {}).get("prefix_mismatch_behavior") == "drop_block"
    for index, message in enumerate(messages):
        for place, block in enumerate(blocks_of(message["content"])):
            where = f"messages.{index}.content.{place}"
            if not _is_thinking(block):
                continue
            text, signature = block.get("thinking", "redacted"), block.get("signature") or block.get("data") or ""
            middle = len(sign(DIALECT))
            need(
                is_signed(signature[:middle], DIALECT, text),
                f"{where}: Invalid `signature` in `thinking` block",
            )
            if model.bound and not drop:
                need(
                    signature == signature_of(text, prefix(body, index, place)),
                    f"{where}: Invalid `signature` in `thinking` block. The block is bound to a different conversation."
                    ' Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to "drop_block".',
                )
    if body.get("thinking", {}).get("type") == "enabled":
        _begins_with_thinking(messages)
    if rules.reasoning and thinks(body):
        for index, message in enumerate(messages):
            kinds = [block["type"] for block in blocks_of(message["content"])]
            lost = any(block.get("id", "").startswith(THOUGHT_CALL) for block in blocks_of(message["content"]))
            need(
                not lost or kinds[0].endswith("thinking"),
                f"messages.{index}.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message "
                "cannot be modified. These blocks must remain as they were in the original response.",
            )


def _begins_with_thinking(messages: list[Body]) -> None:
    """Of the turn whose results are sent now: all since the user's last words."""
    turn = len(messages)
    for index in range(len(messages) - 1, -1, -1):
        blocks = blocks_of(messages[index]["content"])
        if messages[index]["role"] == "user" and not any(block["type"] == "tool_result" for block in blocks):
            break
        turn = index
    if turn >= len(messages) - 1:
        return
    first = blocks_of(messages[turn]["content"])[0]["type"]
    need(
        first.endswith("thinking"),
        f"messages.{turn}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost "
        "set of `tool_use` and `tool_result` blocks).",
    )

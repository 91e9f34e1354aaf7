"""Checks against the official Open Responses schema, 2026-04-24, which llm-comply carries.

The schema knows the standard items and tools only; the specification lets an implementor add his own under a
slug. Those are checked for what it asks of them, and then left out: the rest is held to the schema in full.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any, get_args

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from openresponses.schema.events import ToolProgress
from openresponses.schema.items import CLIENT_CALLS, CLIENT_OUTPUTS, KEPT_ITEMS, UPSTREAM_ITEMS
from openresponses.schema.server_items import OURS

Json = dict[str, Any]

SLUGGED = re.compile(r"^[a-z][a-z0-9_-]*:[a-zA-Z0-9_-]+$")
OPENAI_ITEMS = {"custom_tool_call", "custom_tool_call_output", "tool_search_output", "agent_message"}
OPENAI_ITEMS |= {*CLIENT_CALLS, *CLIENT_OUTPUTS, *KEPT_ITEMS, *UPSTREAM_ITEMS, *OURS}
WITHOUT_STATUS = {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response"}
"""Items that have none at OpenAI (`openai.types.responses.response_output_item`)."""
OPENAI_TOOLS = {"custom", "namespace", "file_search", "code_interpreter", "image_generation", "mcp"}
OPENAI_TOOLS |= {
    "local_shell",
    "shell",
    "apply_patch",
    "computer",
    "computer_use",
    "computer_use_preview",
    "tool_search",
}
UPSTREAM_EVENTS = {*get_args(ToolProgress.model_fields["type"].annotation), "response.compaction.compacting"}
OPENAI_EVENTS = {
    "response.reasoning_text.delta": "response.reasoning.delta",
    "response.reasoning_text.done": "response.reasoning.done",
}
_LIFECYCLE = ("created", "queued", "in_progress", "completed", "failed", "incomplete")
RESPONSE_EVENTS = {f"response.{name}" for name in _LIFECYCLE}
OUR_FIELDS = {"serverless:cost"}
OPENAI_FIELDS = {"conversation", "prompt"}
"""Of a response whose request names one (`Response` in openai-python). One that doesn't leaves them out."""
_STAND_IN = {"type": "compaction", "id": "x", "encrypted_content": ""}


def check_response(response: Json) -> None:
    """Raises AssertionError where `response` is not a ResponseResource."""
    known = set(_document()["components"]["schemas"]["ResponseResource"]["properties"]) | OPENAI_FIELDS | OUR_FIELDS
    assert set(response) <= known, f"response: fields that the schema doesn't know: {sorted(set(response) - known)}"
    _check(_standard_response(response), "ResponseResource")


def check_request(request: Json) -> None:
    """Raises AssertionError where `request` is not a CreateResponseBody, or has fields that it doesn't know."""
    known = set(_document()["components"]["schemas"]["CreateResponseBody"]["properties"])
    assert set(request) <= known, f"request: fields that the schema doesn't know: {sorted(set(request) - known)}"
    _check(request, "CreateResponseBody")


def check_compacted(compacted: Json) -> None:
    """Raises AssertionError where `compacted` is not a CompactResource."""
    known = set(_document()["components"]["schemas"]["CompactResource"]["properties"])
    assert set(compacted) == known | OUR_FIELDS, f"compaction: {sorted(set(compacted) ^ known)}"
    for item in compacted["output"]:
        check_item(item)
    standard = [item for item in compacted["output"] if not _is_extension(item, OPENAI_ITEMS)]
    _check({**compacted, "output": standard}, "CompactResource")


def check_item(item: Json) -> None:
    if _is_extension(item, OPENAI_ITEMS):
        check_extension(item)
    else:
        _check(item, "ItemField")


def check_event(event: Json, *, openai_names: bool = False) -> None:
    """`openai_names`: the reasoning events may carry the names that OpenAI's own clients know."""
    kind = OPENAI_EVENTS.get(event["type"], event["type"]) if openai_names else event["type"]
    if kind in UPSTREAM_EVENTS:
        assert {"sequence_number": int, "output_index": int, "item_id": str}.items() <= {
            name: type(value) for name, value in event.items()
        }.items(), f"event: {kind} doesn't say what it is about"
        if kind.startswith(("response.mcp_", "response.web_search_")) and not event["item_id"].startswith("ext_"):
            _openai_types()[kind].model_validate(event, strict=True)
        return
    assert kind in event_schemas(), f"event: the schema knows no type {kind!r}"
    event = {**event, "type": kind}
    if kind in RESPONSE_EVENTS:
        check_response(event["response"])
        event["response"] = _standard_response(event["response"])
    elif "item" in event:
        check_item(event["item"])
        event["item"] = _STAND_IN if _is_extension(event["item"], OPENAI_ITEMS) else event["item"]
    _check(event, event_schemas()[kind])


def check_frame(frame: Json) -> None:
    """Of a socket: an event, or the error that a message gets in place of a stream."""
    if frame["type"] == "error":
        _check(frame, "WebSocketErrorEvent")
        assert frame["error"]["message"], "an error without a message"
    else:
        check_event(frame)


def check_extension(item: Json) -> None:
    """What the specification asks of an implementor's own item, and what OpenAI's SDK knows of those that this server
    makes as OpenAI's does."""
    kind = item.get("type")
    if kind in OURS and not str(item.get("id")).startswith("ext_"):
        _openai_types()[str(kind)].model_validate(item, strict=True)
    for field in ("id",) if kind in WITHOUT_STATUS else ("id", "status"):
        value = item.get(field)
        assert isinstance(value, str), f"item {kind}: no {field}"
        assert value, f"item {kind}: an empty {field}"
    named = kind in OPENAI_ITEMS or SLUGGED.match(str(kind))
    assert named or item["id"].startswith("ext_"), f"item {kind}: its type has no slug"


@cache
def _openai_types() -> dict[str, Any]:
    """The SDK's types of items and events, by what each is called on the wire."""
    from openai.types.responses import ResponseItem, ResponseStreamEvent

    kinds = [kind for union in (ResponseItem, ResponseStreamEvent) for kind in get_args(get_args(union)[0])]
    return {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in kinds}


@cache
def event_schemas() -> dict[str, str]:
    """Event type -> its schema's name, by the schema's own `type` enum."""
    return {
        schema["properties"]["type"]["enum"][0]: name
        for name, schema in _document()["components"]["schemas"].items()
        if name.endswith("StreamingEvent")
    }


def _is_extension(value: Json, openai: set[str]) -> bool:
    """An item with such an id was made by a provider, and may be of a type that nobody here knows."""
    made = str(value.get("id")).startswith("ext_")
    return made or ":" in str(value.get("type")) or value.get("type") in openai


def _standard_response(response: Json) -> Json:
    """The response without extensions, which have been checked."""
    response = dict(response)
    for item in response.get("output") or []:
        if _is_extension(item, OPENAI_ITEMS):
            check_extension(item)
    for tool in response.get("tools") or []:
        kind = tool.get("type")
        assert ":" not in str(kind) or SLUGGED.match(kind), f"tool {kind}: its type has no slug"
    for field, openai in (("output", OPENAI_ITEMS), ("tools", OPENAI_TOOLS)):
        if isinstance(response.get(field), list):
            response[field] = [each for each in response[field] if not _is_extension(each, openai)]
    choice = response.get("tool_choice")
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            tools = [each for each in choice["tools"] if not _is_extension(each, OPENAI_TOOLS)]
            response["tool_choice"] = {**choice, "tools": tools}
        elif _is_extension(choice, OPENAI_TOOLS) or choice.get("type", "").startswith("web_search"):
            response["tool_choice"] = "auto"
    return response


def _cited(value: Any) -> Any:
    """`value` with a citation of the standard in the place of each that only OpenAI has, of files."""
    if isinstance(value, list):
        return [_cited(each) for each in value]
    if not isinstance(value, dict):
        return value
    if str(value.get("type")).endswith("file_citation") or value.get("type") == "file_path":
        return {"type": "url_citation", "url": "", "title": "", "start_index": 0, "end_index": 0}
    return {name: _cited(each) if name not in ("arguments", "metadata") else each for name, each in value.items()}


def _check(value: Json, schema: str) -> None:
    errors = list(_validator(schema).iter_errors(_cited(value)))
    if errors:
        worst = best_match(errors)
        where = "/".join(str(step) for step in worst.absolute_path) or "(top)"
        shown = json.dumps(value, ensure_ascii=False)
        raise AssertionError(f"{schema}: at {where}: {worst.message[:500]}\n{len(errors)} error(s) in {shown[:2000]}")


@cache
def _document() -> Json:
    return json.loads((resources.files("llm_comply") / "specs" / "openresponses.json").read_text())


@cache
def _validator(schema: str) -> Draft202012Validator:
    registry = Registry().with_resource("spec:", Resource.from_contents(_document(), default_specification=DRAFT202012))
    return Draft202012Validator({"$ref": f"spec:#/components/schemas/{schema}"}, registry=registry)

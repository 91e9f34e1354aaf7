"""State between turns: what a reasoning item carries of a message and of its calls, as JSON of our own. Pure.

Vendors put their state on the message or on a call, in fields of their own. It is kept as it came, and goes back as it
came: only which fields they are is known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from ...schema.base import JsonObject
from .._shared.facts import Source
from .._shared.json import fields, objects, text

_READ = "2026-11"
_LITELLM = Source("https://docs.litellm.ai/docs/reasoning_content", _READ)
_COPILOT = Source("https://github.com/anomalyco/opencode/pull/8900", _READ)
_OPENROUTER = Source("https://openrouter.ai/docs/guides/best-practices/reasoning-tokens", _READ)
_GEMINI = Source("https://ai.google.dev/gemini-api/docs/thought-signatures", _READ)
MESSAGE: Mapping[str, Source] = {
    "reasoning_details": _OPENROUTER,  # MiniMax and Snowflake have it, too
    "thinking_blocks": _LITELLM,
    "reasoning_text": _COPILOT,
    "reasoning_opaque": _COPILOT,
    "extra_content": _GEMINI,
}
CALL: Mapping[str, Source] = {"extra_content": _GEMINI, "provider_specific_fields": _LITELLM}
PARTS: Mapping[str, Source] = {
    "thinking": Source("https://docs.mistral.ai/inference/conversations/reasoning", _READ),
    "reasoning": Source("https://docs.databricks.com/aws/en/machine-learning/model-serving/query-reason-models", _READ),
}
"""Types of parts in a message's `content` that are no text."""
_GROWING = ("text", "summary", "thinking")
"""Fields of a block that a stream sends in pieces. Encrypted ones come whole."""


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CallState(_Kept):
    """`id` is the call's in its item; empty where the engine made one. `name` is the tool's on the wire."""

    id: str
    name: str
    fields: JsonObject


class State(_Kept):
    """`text` is reasoning that goes back in a field of its own, `message` the fields of the message, `calls` those of
    its calls. `after`: it came after so many calls of its turn.
    """

    text: str = ""
    message: JsonObject = {}
    calls: tuple[CallState, ...] = ()
    after: int = 0

    @property
    def reasons(self) -> bool:
        """Whether the message's own fields have the reasoning."""
        return bool(self.message.keys() & {"reasoning_details", "thinking_blocks", "reasoning_text", "content"})


def state_of(data: str | None) -> State | None:
    """None for what isn't ours."""
    try:
        return State.model_validate_json(data) if data else None
    except ValidationError:
        return None


def message_fields(delta: JsonObject) -> JsonObject:
    """What there is of state in a message, or in a piece of one. A file that was read is not read again if its
    annotation comes back ("PDF Inputs", OpenRouter).
    """
    found: JsonObject = {name: value for name in MESSAGE if (value := delta.get(name))}
    if files := [each for each in objects(delta.get("annotations")) if each.get("type") == "file"]:
        found["annotations"] = [*files]
    if parts := [part for part in objects(delta.get("content")) if text(part.get("type")) in PARTS]:
        found["content"] = [*parts]
    return found


def call_fields(call: JsonObject) -> JsonObject:
    found: JsonObject = {name: value for name in CALL if (value := call.get(name))}
    function: JsonObject = {name: value for name in CALL if (value := fields(call.get("function")).get(name))}
    if function:
        found["function"] = function
    return found


def merged(known: JsonObject, more: JsonObject) -> JsonObject:
    """`known` with a further piece of the same message or call."""
    grown = Grown(known)
    grown.add(more)
    return grown.fields()


class Grown:
    """The fields of one message or call, of the pieces that come of it. Texts and lists grow; an object comes whole.

    Texts are joined once, at the end: a stream has many pieces.
    """

    def __init__(self, first: JsonObject | None = None) -> None:
        self._fields: dict[str, Any] = {name: _opened(value) for name, value in (first or {}).items()}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def add(self, more: JsonObject) -> None:
        for name, value in more.items():
            self._fields[name] = _joined(self._fields.get(name), value)

    def fields(self) -> JsonObject:
        return {name: _closed(value) for name, value in self._fields.items()}


@dataclass(slots=True)
class _Words:
    pieces: list[str]


def _opened(value: JsonValue) -> Any:
    match value:
        case str():
            return _Words([value])
        case dict():
            return {**value}
        case list():
            return [_opened_block(block) for block in value]
        case _:
            return value


def _opened_block(block: JsonValue) -> Any:
    if not isinstance(block, dict):
        return block
    return {name: _opened(value) if name in _GROWING else value for name, value in block.items()}


def _closed(value: Any) -> JsonValue:
    match value:
        case _Words():
            return "".join(value.pieces)
        case dict():
            fields = cast("dict[str, Any]", value)
            return {name: _closed(each) for name, each in fields.items()}
        case list():
            return [_closed(each) for each in cast("list[Any]", value)]
        case _:
            return value


def _joined(known: Any, more: JsonValue) -> Any:
    match known, more:
        case _Words(), str():
            known.pieces.append(more)
        case dict(), dict():
            cast("dict[str, Any]", known).update(more)
        case list(), list():
            for block in more:
                _append(cast("list[Any]", known), block)
        case _:
            return _opened(more)
    return cast("Any", known)


def _append(blocks: list[Any], block: JsonValue) -> None:
    last = blocks[-1] if blocks else None
    if isinstance(last, dict) and isinstance(block, dict) and _goes_on(fields := cast("dict[str, Any]", last), block):
        grown = {name: _joined(fields.get(name), block[name]) for name in _GROWING if name in block}
        fields.update({name: value for name, value in block.items() if value} | grown)
    else:
        blocks.append(_opened_block(block))


def _goes_on(last: JsonObject, block: JsonObject) -> bool:
    """Whether `block` is a further piece of `last`. A signature ends a block that has no index."""
    same = all(last.get(name) == block.get(name) for name in ("type", "index"))
    same = same and (last.get("id") == block.get("id") or not (last.get("id") and block.get("id")))
    grows = "data" not in last and any(name in block for name in (*_GROWING, "signature"))
    ended = "index" not in last and (last.get("signature") or last.get("closed"))
    return same and grows and not ended

"""Characters outside of the Basic Multilingual Plane that a provider cut in two: `\\ud83d`, then `\\ude00`.

JSON can hold half of a surrogate pair, but no output of ours can: UTF-8 has none. A half that ends a delta is held
back and joined with the block's next one. A half that stays alone becomes U+FFFD. A number that JSON doesn't have, in
what is kept as it came, becomes null.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import TypeVar

from pydantic import BaseModel, JsonValue

from . import deltas as d
from .errors import StreamViolation

_Said = d.Text | d.Refusal | d.Reasoning
_M = TypeVar("_M", bound=BaseModel)
LONE = "\ufffd"
MAX_DEPTH = 64
"""How deeply what is kept as it came may be nested: it is nested in values of ours, and pydantic reads 200 levels."""


def whole(text: str) -> str:
    """`text` with its pairs joined, and U+FFFD for each half that is alone."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Halves:
    """The halves held back, by block. `joined` gives a delta without a half, `left` what a block still holds as it
    closes.
    """

    def __init__(self) -> None:
        self._held: dict[d.Key, _Said | d.ToolCall] = {}

    def joined(self, delta: d.Delta) -> Sequence[d.Delta]:
        match delta:
            case d.Text() | d.Refusal() | d.Reasoning():
                return self._joined(delta, delta.text)
            case d.ToolCall():
                if not delta.call_id.isascii():
                    delta = replace(delta, call_id=whole(delta.call_id))
                return self._joined(delta, delta.arguments)
            case d.Opaque():
                return [replace(delta, data=whole(delta.data))]
            case d.Annotation():
                return [replace(delta, annotation=_whole_model(delta.annotation))]
            case d.Whole():
                return [d.Whole(_whole_model(delta.item))]
            case d.Progress():
                item, event = delta.item, delta.event
                return [d.Progress(delta.key, item and _whole_model(item), event and _whole_model(event))]
            case _:
                return [delta]

    def left(self, key: d.Key) -> list[d.Delta]:
        held = self._held.pop(key, None)
        return [_with(held, LONE)] if held else []

    def _joined(self, delta: _Said | d.ToolCall, text: str) -> Sequence[d.Delta]:
        """A half of another kind, or of another part of the summary, is alone."""
        if not self._held and text.isascii():
            return (delta,)
        held, alone = self._held.get(delta.key), list[d.Delta]()
        if held and text:
            if _place(held) == _place(delta):
                text = _text(self._held.pop(delta.key)) + text
            else:
                alone = self.left(delta.key)
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[delta.key] = _with(delta, text[-1])
            text = text[:-1]
        return [*alone, _with(delta, whole(text))]


def _place(delta: _Said | d.ToolCall) -> tuple[type, int | None]:
    return type(delta), delta.summary if isinstance(delta, d.Reasoning) else None


def _text(delta: _Said | d.ToolCall) -> str:
    return delta.arguments if isinstance(delta, d.ToolCall) else delta.text


def _with(delta: _Said | d.ToolCall, text: str) -> _Said | d.ToolCall:
    return replace(delta, arguments=text) if isinstance(delta, d.ToolCall) else replace(delta, text=text)


def _whole_model(model: _M) -> _M:
    value = model.model_dump()
    mended = whole_value(value)
    return model if mended == value else model.model_validate(mended)


def whole_value(value: JsonValue, levels: int = MAX_DEPTH) -> JsonValue:
    """As `whole`, in all of it. Raises StreamViolation if it is nested too deeply."""
    if levels < 0:
        raise StreamViolation(f"The provider sent an item with more than {MAX_DEPTH} levels of values in values")
    match value:
        case str():
            return whole(value)
        case float() if not isfinite(value):
            return None
        case list():
            return [whole_value(each, levels - 1) for each in value]
        case dict():
            return {whole(name): whole_value(each, levels - 1) for name, each in value.items()}
        case _:
            return value

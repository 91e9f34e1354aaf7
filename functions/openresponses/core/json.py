"""Reading JSON that a model or a client wrote: whatever is in it, it is read, or it is no JSON. Knows no wire."""

import json

from pydantic import JsonValue
from pydantic_core import from_json

from ..schema.base import JsonObject

DEPTH = 200
"""Levels of lists and objects. The quick parser takes no more, and what writes them again takes 255."""


def loads(data: str | bytes, *, numbers_only: bool = False) -> JsonValue:
    """Raises ValueError. Half of a surrogate pair stays as it is: its other half may come with the next event.
    `numbers_only`: a number that JSON doesn't have is null.

    The quick parser knows no halves, and not all that the other takes; what both take means the same.
    """
    try:
        return from_json(data, allow_inf_nan=not numbers_only)
    except (ValueError, TypeError):
        pass
    try:
        value = json.loads(data, parse_constant=_nothing if numbers_only else None)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not _fits(value, DEPTH):
        raise ValueError("nested too deeply")
    return value


def _nothing(_constant: str) -> None:
    return None


def object_of(text: str) -> JsonObject | None:
    """None for anything but an object of JSON, which has no NaN, and no number too large for one. No text is `{}`."""
    try:
        value = loads(text or "{}")
        json.dumps(value, allow_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _fits(value: JsonValue, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_fits(each, depth - 1) for each in inside)

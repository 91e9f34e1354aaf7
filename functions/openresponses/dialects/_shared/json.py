"""Reading and writing vendors' JSON: values of unknown shape, narrowed without trust."""

import json
from collections.abc import Iterable

from pydantic import JsonValue
from pydantic_core import from_json

from ...core.surrogates import whole
from ...schema.base import JsonObject

MAX_DEPTH = 200
"""How deeply a vendor's values may be nested, as the quick parser has it. What is kept of them may be less."""
MAX_COUNT = 2**40
"""Sums of such counts are still integers that every JSON parser reads alike (RFC 8259, section 6)."""


def dumps(value: JsonValue) -> bytes:
    """UTF-8, which has no half of a surrogate pair: one becomes U+FFFD."""
    return whole(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def loads(data: str | bytes) -> JsonValue:
    """Raises ValueError. Half of a surrogate pair stays as it is: its other half may come with the next event. A number
    that JSON doesn't have is null.

    The quick parser knows no halves, and not all that the other takes; what both take means the same.
    """
    try:
        return from_json(data, allow_inf_nan=False)
    except (ValueError, TypeError):
        pass
    try:
        value = json.loads(data, parse_constant=_nothing)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _is_deep(value):
        raise ValueError("nested too deeply")
    return value


def _nothing(_constant: str) -> None:
    return None


def _is_deep(value: JsonValue) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [each for holder in level for each in _held(holder)]
    return bool(level)


def _held(value: JsonValue) -> Iterable[JsonValue]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def text(value: JsonValue) -> str:
    """The string, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def fields(value: JsonValue) -> JsonObject:
    """The object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: JsonValue) -> list[JsonObject]:
    """The objects of an array; none for anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def count(value: JsonValue) -> int:
    """A number of things, `MAX_COUNT` at most, or zero for anything else."""
    return int(min(value, MAX_COUNT)) if isinstance(value, int | float) and value > 0 else 0

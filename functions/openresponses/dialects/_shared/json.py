"""Reading and writing vendors' JSON: values of unknown shape, narrowed without trust."""

import json
from math import isfinite

from pydantic import JsonValue
from pydantic_core import from_json

from ...core.surrogates import whole
from ...schema.base import JsonObject


def dumps(value: JsonValue) -> bytes:
    """UTF-8, which has no half of a surrogate pair: one becomes U+FFFD."""
    return whole(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def loads(data: str | bytes) -> JsonValue:
    """Raises ValueError. Half of a surrogate pair stays as it is: its other half may come with the next event.

    The quick parser knows no halves, and not all that the other takes; what both take means the same.
    """
    try:
        return from_json(data)
    except (ValueError, TypeError):
        pass
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


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
    """A number of things, or zero for anything else."""
    return int(value) if isinstance(value, int | float) and isfinite(value) and value > 0 else 0

"""Reading and writing vendors' JSON: values of unknown shape, narrowed without trust."""

import json
from math import isfinite

from pydantic import JsonValue

from ...core.json import loads as loads
from ...core.surrogates import whole
from ...schema.base import JsonObject


def dumps(value: JsonValue) -> bytes:
    """UTF-8, which has no half of a surrogate pair: one becomes U+FFFD."""
    return whole(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


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

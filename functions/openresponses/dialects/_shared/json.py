"""Reading and writing vendors' JSON: values of unknown shape, narrowed without trust."""

import json

from pydantic import JsonValue

from ...core.json import loads as json_of
from ...core.surrogates import whole
from ...schema.base import JsonObject

MAX_COUNT = 2**40
"""Sums of such counts are still integers that every JSON parser reads alike (RFC 8259, section 6)."""


def dumps(value: JsonValue) -> bytes:
    """UTF-8, which has no half of a surrogate pair: one becomes U+FFFD."""
    return whole(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def loads(data: str | bytes) -> JsonValue:
    """As `core.json.loads`, but a number that JSON doesn't have is null."""
    return json_of(data, numbers_only=True)


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

"""What a body may cost before it is understood: a parsed value takes far more memory than its text. No field is known.

A request's other limits are those of its fields: see `schema.limits`.
"""

import re
from collections.abc import Iterable
from math import isfinite

from pydantic import JsonValue

from ..core.errors import BodyTooLarge, RequestError
from .problems import written

VALUES, BYTES_OF_VALUE = 32_768, 64
"""Values of a body, and one more for so many bytes. Each takes 260 bytes at most, as a name in a tool's parameters."""
OBJECTS, BYTES_OF_OBJECT = 4_608, 256
"""Objects among them. Each takes 2,200 bytes at most, as an item of the input."""
MAX_DEPTH = 100
"""Levels of lists and objects. What is stored nests a body deeper, and has to be parsed again: the parser takes 200."""
_MARKS = re.compile(rb'[\[{,]|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""What begins a value, and strings, in which the same characters begin nothing."""


def refuse_costly(body: bytes) -> None:
    """Raises BodyTooLarge for more values than a body of its size may have. What is no JSON is counted too."""
    most_values, most_objects = VALUES + len(body) // BYTES_OF_VALUE, OBJECTS + len(body) // BYTES_OF_OBJECT
    objects = body.count(b"{")
    if objects <= most_objects and objects + body.count(b"[") + body.count(b",") <= most_values:
        return  # even with what stands in strings
    objects = values = 0
    for mark in _MARKS.finditer(body):
        begins = body[mark.start()]
        objects += begins == _OBJECT
        values += begins != _STRING
        if objects > most_objects:
            raise BodyTooLarge(f"A body of {len(body)} bytes has at most {most_objects} objects")
        if values > most_values:
            raise BodyTooLarge(f"A body of {len(body)} bytes has at most {most_values} values")


_OBJECT, _STRING = b'{"'


def refuse_unspeakable(body: dict[str, JsonValue]) -> None:
    """Raises RequestError, with the place, for a number that JSON doesn't have, or for a value that nests too deeply.

    The parser takes NaN, and makes an infinity of 1e400. Neither can be sent on.
    """
    if found := _first_fault(body, 1):
        path, why = found
        place = written(path[::-1])
        raise RequestError(f"{place!r} {why}", param=place)


def _first_fault(value: dict[str, JsonValue] | list[JsonValue], depth: int) -> tuple[list[str | int], str] | None:
    """Its steps, the last first, and what is wrong there."""
    if depth > MAX_DEPTH:
        return [], f"is nested more than {MAX_DEPTH} levels deep"
    each: Iterable[tuple[str | int, JsonValue]] = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in each:
        if isinstance(inner, dict | list):
            if found := _first_fault(inner, depth + 1):
                found[0].append(step)
                return found
        elif isinstance(inner, float) and not isfinite(inner):
            return [step], "must be a number that JSON has, and neither NaN nor too large"
    return None

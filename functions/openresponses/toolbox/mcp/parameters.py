"""Arguments that a server wants in headers too, where a proxy can read them: `x-mcp-header` in a tool's schema.

Source: 2026-07-28, basic/transports/streamable-http, "Custom Headers from Tool Parameters".
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from ...schema.base import JsonObject

Mirrored = dict[str, list[str]]
"""The end of a header's name -> the properties that lead to its value."""
_KEY = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_TYPES = ("string", "integer", "boolean")
_DATA = ("default", "examples", "const", "enum")
_BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")


def mirrored(schema: JsonObject) -> Mirrored:
    """Raises ValueError for a schema that asks for it where it must not: such a tool is left out."""
    found: Mirrored = {}
    for path, place in _places(schema, []):
        if _KEY not in place:
            continue
        name = place[_KEY]
        if not path or not isinstance(name, str) or not _TOKEN.fullmatch(name) or place.get("type") not in _TYPES:
            raise ValueError(f"{_KEY} stands where it must not, or names no header")
        if name.lower() in map(str.lower, found):
            raise ValueError(f"{_KEY} names a header twice")
        found[name] = path
    return found


def without_marks(schema: JsonObject) -> JsonObject:
    """The schema as a model is shown it."""

    def strip(value: JsonValue, *, named: bool) -> JsonValue:
        if isinstance(value, list):
            return [strip(each, named=False) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            key: each if key in _DATA and not named else strip(each, named=not named and key in _BY_NAME)
            for key, each in value.items()
            if named or key != _KEY
        }

    stripped = strip(schema, named=False)
    return stripped if isinstance(stripped, dict) else {}


def headers_of(mirror: Mapping[str, Sequence[str]], arguments: JsonObject) -> dict[str, str]:
    """The headers of a call. A value that is not there, null, or no primitive has none."""
    found: dict[str, str] = {}
    for name, path in mirror.items():
        value: JsonValue = arguments
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, bool):
            found[f"mcp-param-{name.lower()}"] = str(value).lower()
        elif isinstance(value, str | int | float):
            found[f"mcp-param-{name.lower()}"] = encoded(str(value))
    return found


def encoded(text: str) -> str:
    """`text` as a header's value: in base64 if it would not arrive as it is."""
    marked = text.startswith("=?base64?") and text.endswith("?=")
    if _PLAIN.fullmatch(text) and text == text.strip() and not marked:
        return text
    return f"=?base64?{b64encode(text.encode(errors='replace')).decode()}?="


def _places(schema: JsonValue, path: list[str] | None) -> Iterator[tuple[list[str] | None, JsonObject]]:
    """Each schema in a schema, and the properties that lead to it; None where more than properties does."""
    if isinstance(schema, list):
        for each in schema:
            yield from _places(each, None)
    if not isinstance(schema, dict):
        return
    yield path, schema
    for key, value in schema.items():
        if key in _BY_NAME and isinstance(value, dict):
            for name, each in value.items():
                yield from _places(each, [*path, name] if key == "properties" and path is not None else None)
        elif key not in _DATA:
            yield from _places(value, None)

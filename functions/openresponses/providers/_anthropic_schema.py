"""JSON Schema, in the subset that constrained decoding takes: a keyword outside of it is a 400.

Source: "Structured outputs", "JSON Schema limitations". What a keyword asked for is told in the description, as the
vendor's SDKs do. A map (`additionalProperties` with a schema) stays as it is: there is no such thing in the subset,
and the provider says so better than an object would that must stay empty.
"""

import json

from pydantic import JsonValue

from ..schema.base import JsonObject
from ._json import fields

_KEPT = ("type", "enum", "const", "default", "description", "required", "$ref", "pattern")
_MAPS = ("properties", "$defs", "definitions")
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DROPPED = ("title", "$schema", "$id", "examples", "deprecated", "readOnly", "writeOnly")
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def constrained(schema: JsonValue) -> JsonObject:
    made: JsonObject = {}
    told: list[str] = []
    for name, value in fields(schema).items():
        if name in _KEPT or (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1)):
            made[name] = value
        elif name in _MAPS:
            made[name] = {each: constrained(inner) for each, inner in fields(value).items()}
        elif name in _LISTS and isinstance(value, list):
            made[_LISTS[name]] = [constrained(each) for each in value]
        elif name == "items":
            made[name] = constrained(value)
        elif name not in (*_DROPPED, "additionalProperties"):
            told.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    if told:
        made["description"] = " ".join([*filter(None, [str(made.get("description") or "")]), f"({'; '.join(told)})"])
    if made.get("type") == "object" or "properties" in made:
        more = fields(schema).get("additionalProperties")
        made["additionalProperties"] = more if isinstance(more, dict) else False
    return made

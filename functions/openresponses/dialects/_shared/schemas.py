"""JSON schemas that a model is held to, in the subset that Anthropic's API takes, and Amazon Bedrock too.

Sources: "Structured outputs" at platform.claude.com/docs, and "Get validated JSON results from models" in the user
guide of Amazon Bedrock, which refuses at once what isn't in it, whatever the model.
"""

import json

from pydantic import JsonValue

from ...schema.base import JsonObject
from .json import fields

_KEPT = ("type", "enum", "const", "default", "description", "required", "$ref", "pattern")
_MAPS = ("properties", "$defs", "definitions")
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DROPPED = ("title", "$schema", "$id", "examples", "deprecated", "readOnly", "writeOnly")
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def constrained(schema: JsonValue) -> JsonObject:
    """The schema in the subset that can be enforced: what can't be is told in its description."""
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

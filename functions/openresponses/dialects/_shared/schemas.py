"""JSON schemas that a model is held to, in the subset that Anthropic's API takes, and Amazon Bedrock too.

Sources: "Structured outputs" at platform.claude.com/docs, and "Get validated JSON results from models" in the user
guide of Amazon Bedrock, which refuses at once what isn't in it, whatever the model (both read in November 2026).
"""

import json
import re

from pydantic import JsonValue

from ...schema.base import JsonObject
from .json import fields, objects, text

_KEPT = ("type", "enum", "const", "default", "description", "required", "$ref")
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf")
_DROPPED = ("title", "$schema", "$id", "examples", "deprecated", "readOnly", "writeOnly")
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_UNKNOWN_TO_PATTERNS = re.compile(r"\(\?[=!<]|\\[1-9bB]")
"""Looking around, references to groups, and ends of words."""


def enforceable(schema: JsonObject) -> bool:
    """Whether a model can be held to the schema as a whole. If not, it can only be told of it.

    What can't be: a schema that refers to itself or elsewhere, values that are no scalars, `allOf` with a `$ref`,
    several choices at once, and an object whose properties have no names yet: closed, it would always be empty.
    """
    passed: set[str] = set()

    def can_be(rules: JsonObject, refs: tuple[str, ...]) -> bool:
        """`refs` led here."""
        if not (_is_plain(rules) and all(can_be(inner, refs) for inner in _inside(rules))):
            return False
        ref = text(rules.get("$ref"))
        if ref and ref not in passed:
            if ref in refs or not ref.startswith("#") or not can_be(referred(ref, schema), (*refs, ref)):
                return False
            passed.add(ref)
        return True

    try:
        return can_be(schema, ())
    except RecursionError:  # references that lead to references, without end
        return False


def referred(ref: str, root: JsonObject) -> JsonObject:
    """What a `$ref` within the schema `root` names; empty where nothing is there."""
    found: JsonValue = root
    for name in ref.removeprefix("#").split("/")[1:]:
        found = fields(found).get(name.replace("~1", "/").replace("~0", "~"))
    return fields(found)


def constrained(schema: JsonValue) -> JsonObject:
    """The schema in the subset that can be enforced: what can't be is told in its description."""
    made: JsonObject = {}
    told: list[str] = []
    for name, value in fields(schema).items():
        if name in _KEPT or _is_known(name, value):
            made[name] = value
        elif name in _MAPS:
            made[name] = {each: constrained(inner) for each, inner in fields(value).items()}
        elif name in _LISTS and isinstance(value, list):
            made["allOf" if name == "allOf" and len(value) > 1 else "anyOf"] = [constrained(each) for each in value]
        elif name == "items":
            made[name] = constrained(value)
        elif name not in (*_DROPPED, "additionalProperties"):
            told.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    if told:
        made["description"] = " ".join([*filter(None, [str(made.get("description") or "")]), f"({'; '.join(told)})"])
    if made.get("type") == "object" or "properties" in made:
        made["additionalProperties"] = False
    return made


def _is_known(name: str, value: JsonValue) -> bool:
    """Of keywords that some values of can be enforced."""
    match name, value:
        case "format", str():
            return value in _FORMATS
        case "pattern", str():
            return not _UNKNOWN_TO_PATTERNS.search(value)
        case _:
            return name == "minItems" and value in (0, 1)


def _is_plain(rules: JsonObject) -> bool:
    """Without what can't be enforced, but for what is inside of it."""
    values = rules.get("enum")
    listed = [*(values if isinstance(values, list) else []), rules.get("const")]
    parts = objects(rules.get("allOf"))
    more = rules.get("additionalProperties")
    named = "properties" in rules or more is False or rules.get("type") != "object"
    return (
        named
        and not (isinstance(more, dict) and more)
        and not any(isinstance(value, dict | list) for value in listed)
        and not (len(parts) > 1 and any("$ref" in part for part in parts))
        and sum(name in rules for name in _LISTS) <= 1
    )


def _inside(rules: JsonObject) -> list[JsonObject]:
    maps = [fields(rules.get(name)).values() for name in _MAPS]
    return [
        *(fields(inner) for each in maps for inner in each),
        *(inner for name in _LISTS for inner in objects(rules.get(name))),
        *([fields(rules["items"])] if "items" in rules else []),
    ]

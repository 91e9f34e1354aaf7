"""JSON Schema to the part of it that Gemini knows. Pure.

Source: Gemini API, "Structured outputs" (JSON schema support) and `GenerationConfig.responseJsonSchema`: the keywords
that are kept here. Others are ignored there, so what they say goes into the description, for the model to read;
what no words can say shortly (`not`, `if`, `patternProperties`) is left out, which allows more than was asked.
"""

import json
from typing import cast

from pydantic import JsonValue

from ..schema.base import JsonObject
from ._json import fields, objects

_KEPT = ("description", "required", "minItems", "maxItems", "minimum", "maximum", "propertyOrdering", "$id", "$anchor")
_TOLD = ("pattern", "minLength", "maxLength", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "default")
_FORMATS = ("date-time", "date", "time")
_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Unsayable(ValueError):
    """Names the part of a schema that Gemini can't be told."""


def translated(schema: JsonObject) -> JsonObject:
    """Raises Unsayable for a reference to another document, and for `allOf` with more than one reference."""
    schema = _merged(schema)
    if "$ref" in schema:
        return _reference(schema)
    sent: JsonObject = {name: schema[name] for name in _KEPT if name in schema}
    if kind := _type(schema):
        sent["type"] = kind
    if values := _values(schema):
        sent["enum"] = values
    if "properties" in schema:
        sent["properties"] = _each(fields(schema["properties"]))
    if (more := schema.get("additionalProperties")) is not None:
        sent["additionalProperties"] = translated(more) if isinstance(more, dict) else more
    items = schema.get("items")
    if prefix := objects(schema.get("prefixItems")) or objects(items):
        sent["prefixItems"] = [translated(each) for each in prefix]
    if isinstance(items, dict):
        sent["items"] = translated(items)
    if options := objects(schema.get("anyOf")) or objects(schema.get("oneOf")):
        sent["anyOf"] = [translated(each) for each in options]
    return sent | _told(schema) | _definitions(schema)


def _reference(schema: JsonObject) -> JsonObject:
    """Nothing else may be beside a `$ref` but what begins with a `$`, too."""
    target = schema["$ref"]
    if not isinstance(target, str) or not target.startswith("#"):
        raise Unsayable(f"the reference {target!r}")
    return {"$ref": target.replace("#/definitions/", "#/$defs/", 1)} | _definitions(schema)


def _definitions(schema: JsonObject) -> JsonObject:
    definitions = fields(schema.get("definitions")) | fields(schema.get("$defs"))
    return {"$defs": _each(definitions)} if definitions else {}


def _each(schemas: JsonObject) -> JsonObject:
    return {name: translated(fields(schema)) for name, schema in schemas.items()}


def _merged(schema: JsonObject) -> JsonObject:
    """`allOf` is not known: its schemas become one."""
    merged = {name: value for name, value in schema.items() if name != "allOf"}
    parts = objects(schema.get("allOf"))
    for part in parts:
        part = _merged(part)
        if "$ref" in part and len(parts) > 1:
            raise Unsayable("'allOf' with references")
        both = {
            "properties": fields(merged.get("properties")) | fields(part.get("properties")),
            "required": [*_list(merged.get("required")), *_list(part.get("required"))],
        }
        merged |= part | {name: value for name, value in both.items() if value}
    return merged


def _type(schema: JsonObject) -> JsonValue:
    """A type, or a list of them. `nullable` is OpenAPI's; the type of constants may go without saying."""
    kind = schema.get("type") or [_TYPES[type(value)] for value in _constants(schema) if type(value) in _TYPES]
    kinds = list(dict.fromkeys(map(str, kind if isinstance(kind, list) else [kind])))
    if kinds and schema.get("nullable") is True and "null" not in kinds:
        kinds.append("null")
    return cast("list[JsonValue]", kinds) if len(kinds) > 1 else kinds[0] if kinds else None


def _values(schema: JsonObject) -> list[JsonValue]:
    """`const` is not known, and an `enum` only of strings and numbers; that null is allowed, the type says."""
    values: list[JsonValue] = [value for value in _constants(schema) if value is not None]
    said = all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values)
    return values if said else []


def _constants(schema: JsonObject) -> list[JsonValue]:
    return [schema["const"]] if "const" in schema else _list(schema.get("enum"))


def _told(schema: JsonObject) -> JsonObject:
    told: JsonObject = {name: schema[name] for name in _TOLD if name in schema}
    kind = schema.get("format")
    if kind in _FORMATS:
        known: JsonObject = {"format": kind}
    else:
        known, told = {}, ({"format": kind} if kind else {}) | told
    if not told:
        return known
    words = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in told.items())
    return known | {"description": f"{schema.get('description') or ''} ({words})".strip()}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []

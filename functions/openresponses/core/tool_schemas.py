"""The schema of an MCP server's tool, as every vendor takes one. Pure.

MCP takes any schema of an object (SEP-2106, since 2026-07-28). OpenAI and Anthropic refuse one whose root combines
others, and with it the whole request, so that one tool of a server would end each of its conversations
(anthropics/claude-code#40075, langchain-ai/langchainjs#9804, makenotion/notion-mcp-server#340). A client can mend its
own functions; it can't mend a server's tools. What is left out of the schema is told in the description.
"""

import json

from pydantic import JsonValue

from ..schema.base import JsonObject
from .run import OfferedTool

_COMBINING = ("allOf", "anyOf", "oneOf")
_LEFT_OUT = (*_COMBINING, "$ref", "enum", "const", "not", "if", "then", "else", "dependentSchemas")
_MOST_TOLD = 4_000
"""Characters of a schema that a description tells. A longer one would be most of the prompt."""


def with_plain_schema(tool: OfferedTool) -> OfferedTool:
    """The tool, with a schema that every vendor takes."""
    if tool.kind != "mcp" or _is_plain(schema := tool.parameters or {}):
        return tool
    return tool.model_copy(update={"parameters": plain(schema), "description": with_schema_told(tool)})


def with_schema_told(tool: OfferedTool) -> str:
    """The tool's description, with its schema."""
    schema = json.dumps(tool.parameters or {}, ensure_ascii=False)
    told = f"The arguments must fit this JSON schema: {schema}" if len(schema) <= _MOST_TOLD else ""
    return "\n\n".join(filter(None, (tool.description, told)))


def plain(schema: JsonObject) -> JsonObject:
    """An object's schema with all properties that the root and what it combines have."""
    root = _resolved(schema, schema)
    combined = {name: [_resolved(each, schema) for each in _objects(root.get(name))] for name in _COMBINING}
    properties: JsonObject = {}
    for part in (*(part for parts in combined.values() for part in parts), root):
        properties |= _schemas(part.get("properties"))
    required = [
        name for part in (root, *combined["allOf"]) for name in _list(part.get("required")) if name in properties
    ]
    kept = {name: value for name, value in root.items() if name not in (*_LEFT_OUT, "required")}
    made: JsonObject = {**kept, "type": "object", "properties": properties}
    if required:
        made["required"] = [*dict.fromkeys(map(str, required))]
    return made


def _is_plain(schema: JsonObject) -> bool:
    properties = schema.get("properties", {})
    return (
        schema.get("type") == "object"
        and not any(name in schema for name in _LEFT_OUT)
        and isinstance(properties, dict)
        and len(_schemas(properties)) == len(properties)
    )


def _resolved(part: JsonObject, whole: JsonObject) -> JsonObject:
    """What a `$ref` within `whole` leads to, with what stands beside it."""
    seen = set[str]()
    while isinstance(ref := part.get("$ref"), str) and ref not in seen:
        seen.add(ref)
        found: JsonValue = whole
        for name in ref.removeprefix("#").split("/")[1:] if ref.startswith("#") else [""]:
            step = name.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, dict) else None
        beside = {name: value for name, value in part.items() if name != "$ref"}
        part = {**(found if isinstance(found, dict) else {}), **beside}
    return part


def _schemas(value: JsonValue) -> JsonObject:
    """The properties that have a schema: an object, or a word for all or nothing."""
    return (
        {name: each for name, each in value.items() if isinstance(each, dict | bool)} if isinstance(value, dict) else {}
    )


def _objects(value: JsonValue) -> list[JsonObject]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []

"""Tools, the choice among them, and what the answer must look like, for Gemini. Pure.

Sources: Gemini API, "Function calling", "Structured outputs", "Combine built-in tools and function calling".
"""

import json
from typing import cast
from urllib.parse import quote

from pydantic import JsonValue

from ...core.errors import RequestError
from ...core.run import OfferedTool
from ...core.tool_schemas import with_schema_told
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import JsonObjectFormat, JsonSchemaFormat
from .._shared.json import fields, objects
from .._shared.naming import Naming
from .._shared.tools import free_text_schema, refuse_upstream_tools
from .messages import tool_names
from .models import GeminiModel

_KEPT = ("description", "required", "minItems", "maxItems", "minimum", "maximum", "propertyOrdering", "$id", "$anchor")
_DESCRIBED = ("pattern", "minLength", "maxLength", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "default")
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
    return sent | _described(schema) | _definitions(schema)


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
    properties, required = dict(fields(schema.get("properties"))), [*_list(schema.get("required"))]
    for part in parts:
        part = _merged(part)
        if "$ref" in part and len(parts) > 1:
            raise Unsayable("'allOf' with references")
        merged |= part
        properties |= fields(part.get("properties"))
        required += _list(part.get("required"))
    if parts and properties:
        merged["properties"] = properties
    if parts and required:
        merged["required"] = required
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


def _described(schema: JsonObject) -> JsonObject:
    told: JsonObject = {name: schema[name] for name in _DESCRIBED if name in schema}
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


_SAYS_SOMETHING = ("properties", "additionalProperties", "anyOf", "oneOf", "allOf", "$ref")
GOOGLES = {"code_interpreter": "codeExecution", "web_search": "googleSearch"}


def model_path(model: str) -> str:
    """`models/<model>`; a name with a collection keeps it: `tunedModels/...`, `publishers/google/models/...`.

    Raises RequestError for a name that would lead elsewhere.
    """
    segments = model.split("/") if "/" in model else ["models", model]
    if any(segment in ("", ".", "..") for segment in segments):
        raise RequestError("This is not a model's name", param="model")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def tools(turn: Turn, model: GeminiModel, *, mixes_tools: bool) -> JsonObject:
    """Nothing at all without tools. Raises RequestError for a tool that Gemini can't be offered."""
    names = tool_names(turn.tools)
    functions = [_function(tool, names) for tool in turn.tools]
    googles = _googles(turn, mixable=not functions or (model.is_3 and mixes_tools))
    config: JsonObject = {}
    if turn.must_call:
        config["functionCallingConfig"] = {"mode": "ANY", "allowedFunctionNames": [names.wire(turn.must_call)]}
    elif turn.tool_choice == "required":
        config["functionCallingConfig"] = {"mode": "ANY"}
    elif functions and all(tool.strict for tool in turn.tools):
        config["functionCallingConfig"] = {"mode": "VALIDATED"}
    if functions and googles:
        config["includeServerSideToolInvocations"] = True
    body: JsonObject = {}
    if functions:
        body["tools"] = [{"functionDeclarations": [*functions]}, *googles]
    elif googles:
        body["tools"] = [*googles]
    if config:
        body["toolConfig"] = config
    return body


def told_format(turn: Turn, model: GeminiModel) -> JsonObjectFormat | JsonSchemaFormat | None:
    """The format of the answer, where the model refuses one beside tools."""
    form = turn.request.text.format if turn.request.text else None
    beside_tools = not model.is_3 and (turn.tools or turn.upstream_tools)
    return form if beside_tools and isinstance(form, JsonObjectFormat | JsonSchemaFormat) else None


def response_format(turn: Turn) -> JsonObject:
    """Raises RequestError for a schema that Gemini can't be told."""
    match turn.request.text.format if turn.request.text else None:
        case JsonObjectFormat():
            return {"responseMimeType": "application/json"}
        case JsonSchemaFormat() as form:
            try:
                schema = translated(form.schema_)
            except Unsayable as error:
                raise _unsayable(error, "The schema of the answer", "text.format.schema") from None
            if form.description and "description" not in schema and "$ref" not in schema:
                schema["description"] = form.description
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case _:
            return {}


def _googles(turn: Turn, *, mixable: bool) -> list[JsonObject]:
    """The tools that Google runs. Only Gemini 3 takes them beside functions, and so far not on Vertex.

    None can be forced. A search that must not leave OpenAI's cache is left out.
    """
    if turn.tool_choice == "required" and not turn.tools:
        raise RequestError("This model's provider can't be made to use its own tools", param="tool_choice")
    return [
        {GOOGLES.get(tool.type, "googleSearch"): {}}
        for tool in refuse_upstream_tools(turn, GOOGLES if mixable else ())
        if tool.__pydantic_extra__.get("external_web_access") is not False
    ]


def _function(tool: OfferedTool, names: Naming) -> JsonObject:
    """A function without parameters has no schema: some models refuse one without properties."""
    function: JsonObject = {"name": names.wire(tool.name)}
    if tool.description:
        function["description"] = tool.description
    schema = free_text_schema(tool) if tool.kind == "custom" else tool.parameters
    if schema and schema.get("type", "object") != "object":
        raise RequestError(f"The parameters of the tool {tool.name!r} are no object's schema", param="tools")
    if schema and any(schema.get(name) for name in _SAYS_SOMETHING):
        try:
            sent = translated(schema)
        except Unsayable as error:
            if tool.kind != "mcp":  # a client can mend its own functions
                raise _unsayable(error, f"The parameters of the tool {tool.name!r}", "tools") from None
            return function | {"description": with_schema_told(tool)}
        function["parametersJsonSchema"] = sent if "$ref" in sent else sent | {"type": "object"}
    return function


def _unsayable(error: Unsayable, what: str, param: str) -> RequestError:
    return RequestError(f"{what} can't be sent to this model's provider: {error}", param=param)

"""Tools, the choice among them, and what the answer must look like, for Gemini. Pure.

Sources: Gemini API, "Function calling", "Structured outputs", "Combine built-in tools and function calling".
"""

from ..core.errors import RequestError
from ..core.run import OfferedTool
from ..core.turn import Turn
from ..schema.base import JsonObject
from ..schema.request import JsonObjectFormat, JsonSchemaFormat
from ._custom_tools import free_text_schema
from ._gemini_names import function_name
from ._gemini_options import GeminiModel
from ._gemini_schema import Unsayable, translated
from ._upstream_tools import refuse_upstream_tools

_SAYS_SOMETHING = ("properties", "additionalProperties", "anyOf", "oneOf", "allOf", "$ref")
_GOOGLES = {"code_interpreter": "codeExecution", "web_search": "googleSearch"}


def tools(turn: Turn, model: GeminiModel, *, vertex: bool) -> JsonObject:
    """Nothing at all without tools. Raises RequestError for a tool that Gemini can't be offered."""
    functions = [_function(tool) for tool in turn.tools]
    googles = _googles(turn, mixable=not functions or (model.is_3 and not vertex))
    config: JsonObject = {}
    if turn.must_call:
        config["functionCallingConfig"] = {"mode": "ANY", "allowedFunctionNames": [function_name(turn.must_call)]}
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


def response_format(turn: Turn) -> JsonObject:
    """Raises RequestError for a schema that Gemini can't be told."""
    match turn.request.text.format if turn.request.text else None:
        case JsonObjectFormat():
            return {"responseMimeType": "application/json"}
        case JsonSchemaFormat() as form:
            schema = _translated(form.schema_, "The schema of the answer", "text.format.schema")
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
        {_GOOGLES.get(tool.type, "googleSearch"): {}}
        for tool in refuse_upstream_tools(turn, _GOOGLES if mixable else ())
        if tool.__pydantic_extra__.get("external_web_access") is not False
    ]


def _function(tool: OfferedTool) -> JsonObject:
    """A function without parameters has no schema: some models refuse one without properties."""
    function: JsonObject = {"name": function_name(tool.name)}
    if tool.description:
        function["description"] = tool.description
    schema = free_text_schema(tool) if tool.kind == "custom" else tool.parameters
    if schema and schema.get("type", "object") != "object":
        raise RequestError(f"The parameters of the tool {tool.name!r} are no object's schema", param="tools")
    if schema and any(schema.get(name) for name in _SAYS_SOMETHING):
        sent = _translated(schema, f"The parameters of the tool {tool.name!r}", "tools")
        function["parametersJsonSchema"] = sent if "$ref" in sent else sent | {"type": "object"}
    return function


def _translated(schema: JsonObject, what: str, param: str) -> JsonObject:
    try:
        return translated(schema)
    except Unsayable as error:
        raise RequestError(f"{what} can't be sent to this model's provider: {error}", param=param) from None

"""Tools and the choice among them, for Chat Completions. Pure.

Source: the API reference of OpenAI, "Create chat completion", `tools` and `tool_choice`.
"""

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from .._shared.naming import Naming, tool_names
from .._shared.tools import free_text_schema


def tools(turn: Turn) -> JsonObject:
    """Nothing at all without tools: servers refuse an empty list, and a choice among nothing."""
    if not turn.tools:
        return {}
    names = tool_names(turn.tools)
    body: JsonObject = {"tools": [{"type": "function", "function": _function(tool, names)} for tool in turn.tools]}
    if turn.must_call:
        body["tool_choice"] = {"type": "function", "function": {"name": names.wire(turn.must_call)}}
    elif turn.tool_choice == "required":
        body["tool_choice"] = "required"
    if turn.request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = turn.request.parallel_tool_calls
    return body


def _function(tool: OfferedTool, names: Naming) -> JsonObject:
    custom = tool.kind == "custom"
    parameters = free_text_schema(tool) if custom else tool.parameters or {"type": "object", "properties": {}}
    function: JsonObject = {"name": names.wire(tool.name), "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None and not custom:
        function["strict"] = tool.strict
    return function

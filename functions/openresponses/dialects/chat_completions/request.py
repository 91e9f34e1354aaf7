"""Tools and the choice among them, for Chat Completions. Pure.

Source: the API reference of OpenAI, "Create chat completion", `tools` and `tool_choice`.
"""

from collections.abc import Sequence

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from .._shared.naming import Naming, tool_names
from .._shared.tools import free_text_schema
from .models import ChatOptions


def tools(turn: Turn, options: ChatOptions) -> JsonObject:
    """Nothing at all without tools: servers refuse an empty list, and a choice among nothing."""
    if not turn.tools:
        return {}
    names = tool_names(turn.tools)
    offered = [_function(tool, names) for tool in _strict(turn, options)]
    body: JsonObject = {"tools": [{"type": "function", "function": function} for function in offered]}
    if turn.must_call:
        body["tool_choice"] = {"type": "function", "function": {"name": names.wire(turn.must_call)}}
    elif turn.tool_choice == "required":
        body["tool_choice"] = "required"
    if turn.request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = turn.request.parallel_tool_calls
    return body


def _strict(turn: Turn, options: ChatOptions) -> Sequence[OfferedTool]:
    """A custom tool is not strict: its schema is ours, and any text fits it."""
    mixed = any(tool.strict for tool in turn.tools) and not all(
        tool.strict and tool.kind != "custom" for tool in turn.tools
    )
    if options.strict_tools == "never" or (options.strict_tools == "all_or_none" and mixed):
        return [tool.model_copy(update={"strict": None}) for tool in turn.tools]
    return turn.tools


def _function(tool: OfferedTool, names: Naming) -> JsonObject:
    custom = tool.kind == "custom"
    parameters = free_text_schema(tool) if custom else tool.parameters or {"type": "object", "properties": {}}
    function: JsonObject = {"name": names.wire(tool.name), "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None and not custom:
        function["strict"] = tool.strict
    return function

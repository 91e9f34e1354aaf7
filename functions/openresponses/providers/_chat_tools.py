"""Tools and the choice among them, for Chat Completions. Pure.

Source: the API reference of OpenAI, "Create chat completion", `tools` and `tool_choice`.
"""

from ..core.run import OfferedTool
from ..core.turn import Turn
from ..schema.base import JsonObject


def tools(turn: Turn) -> JsonObject:
    """Nothing at all without tools: servers refuse an empty list, and a choice among nothing."""
    if not turn.tools:
        return {}
    body: JsonObject = {"tools": [{"type": "function", "function": _function(tool)} for tool in turn.tools]}
    if turn.must_call:
        body["tool_choice"] = {"type": "function", "function": {"name": turn.must_call}}
    elif turn.tool_choice == "required":
        body["tool_choice"] = "required"
    if turn.request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = turn.request.parallel_tool_calls
    return body


def _function(tool: OfferedTool) -> JsonObject:
    if tool.kind == "custom":
        return _custom(tool)
    function: JsonObject = {"name": tool.name, "parameters": tool.parameters or {"type": "object", "properties": {}}}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _custom(tool: OfferedTool) -> JsonObject:
    """A custom tool's `parameters` are its format: free text, or a grammar that only words can convey here."""
    hint = "The whole input, as free text."
    form = tool.parameters or {}
    if form.get("type") == "grammar":
        hint = f"The whole input, as text that follows this {form.get('syntax')} grammar:\n{form.get('definition')}"
    function: JsonObject = {
        "name": tool.name,
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string", "description": hint}},
            "required": ["input"],
            "additionalProperties": False,
        },
    }
    if tool.description:
        function["description"] = tool.description
    return function

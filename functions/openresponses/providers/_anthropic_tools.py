"""Tools and the choice among them, for the Messages API. Pure.

Source: "Define tools" and "Strict tool use" at platform.claude.com/docs.
"""

from ..core.run import OfferedTool
from ..core.turn import Turn
from ..schema.base import JsonObject
from ._anthropic_models import Profile
from ._anthropic_names import wire_name
from ._anthropic_schema import constrained

MAX_STRICT = 20


def tools(turn: Turn, profile: Profile, *, strict: bool) -> JsonObject:
    """Nothing at all without tools, whatever the messages hold: the API takes that since February 2025."""
    if not turn.tools:
        return {}
    strict = strict and sum(tool.strict is True for tool in turn.tools) <= MAX_STRICT
    body: JsonObject = {"tools": [_tool(tool, strict=strict and tool.strict is True) for tool in turn.tools]}
    choice: JsonObject = {"type": "auto"}
    if turn.tool_choice == "required" and profile.forced_calls:
        choice = {"type": "tool", "name": wire_name(turn.must_call)} if turn.must_call else {"type": "any"}
    if turn.request.parallel_tool_calls is False:
        choice["disable_parallel_tool_use"] = True
    return body if choice == {"type": "auto"} else {**body, "tool_choice": choice}


def order(turn: Turn, profile: Profile) -> str | None:
    """What is left of a forced call where the model takes none: to be told ("Forced tool use is not supported")."""
    if turn.tool_choice != "required" or profile.forced_calls:
        return None
    which = f"the tool `{wire_name(turn.must_call)}`" if turn.must_call else "one of your tools"
    return f"Call {which} now, before you say anything."


def _tool(tool: OfferedTool, *, strict: bool) -> JsonObject:
    made: JsonObject = {"name": wire_name(tool.name), "input_schema": _schema(tool)}
    if tool.description:
        made["description"] = tool.description
    if strict and tool.kind != "custom":
        made |= {"strict": True, "input_schema": constrained(_schema(tool))}
    return made


def _schema(tool: OfferedTool) -> JsonObject:
    if tool.kind == "custom":
        return _free_text(tool.parameters or {})
    return {"type": "object", "properties": {}, **(tool.parameters or {})}


def _free_text(form: JsonObject) -> JsonObject:
    """A custom tool's `parameters` are its format: free text, or a grammar that only words can convey here."""
    hint = "The whole input, as free text."
    if form.get("type") == "grammar":
        hint = f"The whole input, as text that follows this {form.get('syntax')} grammar:\n{form.get('definition')}"
    properties: JsonObject = {"input": {"type": "string", "description": hint}}
    return {"type": "object", "properties": properties, "required": ["input"], "additionalProperties": False}

"""Tools and the choice among them, for the Responses API. Pure.

Sources: the Open Responses schema, `CreateResponseBody.tools`; the API reference of OpenAI, "Create a model
response", for custom tools and those that it runs itself.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.tools import NamedToolChoice, UpstreamTool
from .._shared.naming import Naming
from .._shared.options import LOGPROBS, wants_logprobs
from .._shared.tools import free_text_schema
from .models import ResponsesOptions


def tools(turn: Turn, upstream: Sequence[UpstreamTool], options: ResponsesOptions, names: Naming) -> JsonObject:
    """Nothing at all without tools: servers refuse a choice among nothing. `upstream` are those that it runs."""
    offered: list[JsonValue] = [_tool(tool, options, names) for tool in turn.tools]
    offered += [tool.model_dump(mode="json") for tool in upstream]
    if not offered:
        return {}
    body: JsonObject = {"tools": offered}
    if turn.tool_choice == "required":
        body["tool_choice"] = _choice(turn, options, names)
    if turn.request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = turn.request.parallel_tool_calls
    if upstream and turn.request.max_tool_calls is not None:
        body["max_tool_calls"] = turn.request.max_tool_calls
    return body


def include(turn: Turn, upstream: Sequence[UpstreamTool], options: ResponsesOptions) -> list[JsonValue]:
    """What the request wants to see of the calls that the provider runs, logprobs, and reasoning to send back."""
    request = turn.request
    wanted: list[JsonValue] = [name for name in request.include or () if upstream and "_call." in name]
    if wants_logprobs(request):
        wanted.append(LOGPROBS)
    if options.asks_for_encrypted_reasoning():
        wanted.append("reasoning.encrypted_content")
    return wanted


def _choice(turn: Turn, options: ResponsesOptions, names: Naming) -> JsonValue:
    if not turn.must_call:
        return "required"
    choice = turn.request.tool_choice
    if not turn.tools and isinstance(choice, NamedToolChoice):
        return choice.model_dump(mode="json")
    custom = options.custom_tools and any(tool.kind == "custom" for tool in turn.tools)
    return {"type": "custom" if custom else "function", "name": names.wire(turn.must_call)}


def _tool(tool: OfferedTool, options: ResponsesOptions, names: Naming) -> JsonObject:
    """`strict` is said always: OpenAI's default is to enforce it, and few schemas can be enforced."""
    if tool.kind == "custom":
        return _custom(tool, options, names)
    function: JsonObject = {
        "type": "function",
        "name": names.wire(tool.name),
        "parameters": tool.parameters or {"type": "object", "properties": {}},
        "strict": tool.strict is True,
    }
    return function | ({"description": tool.description} if tool.description else {})


def _custom(tool: OfferedTool, options: ResponsesOptions, names: Naming) -> JsonObject:
    """A custom tool's `parameters` are its format."""
    described: JsonObject = {"name": names.wire(tool.name)}
    if tool.description:
        described["description"] = tool.description
    if options.custom_tools:
        return {"type": "custom", **described, **({"format": tool.parameters} if tool.parameters else {})}
    return {"type": "function", **described, "parameters": free_text_schema(tool), "strict": False}

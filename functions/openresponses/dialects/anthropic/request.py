"""Tools and the choice among them, for the Messages API. Pure.

Source: "Define tools", "Strict tool use" and "Web search tool" at platform.claude.com/docs.
"""

from pydantic import JsonValue

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.tools import UpstreamTool
from .._shared.json import fields
from .._shared.naming import Naming
from .._shared.schemas import constrained, enforceable
from .._shared.tools import free_text_schema, refuse_upstream_tools
from .messages import tool_names
from .models import AnthropicOptions, Profile

MAX_STRICT = 20
WEB_SEARCH = "web_search"


def tools(turn: Turn, profile: Profile, options: AnthropicOptions) -> JsonObject:
    """Nothing at all without tools, whatever the messages hold: the API takes that since February 2025.

    Raises RequestError for a tool that the vendor would have to run, and doesn't.
    """
    strict = options.strict_tools and sum(tool.strict is True for tool in turn.tools) <= MAX_STRICT
    names = tool_names(turn.tools)
    offered: list[JsonValue] = [_tool(tool, names, strict=strict and tool.strict is True) for tool in turn.tools]
    searches = [
        tool for tool in refuse_upstream_tools(turn, (WEB_SEARCH,) if options.web_search else ()) if _live(tool)
    ]
    if searches and all(tool.name != WEB_SEARCH for tool in turn.tools):
        offered.append(_web_search(searches[0]))
    if not offered:
        return {}
    body: JsonObject = {"tools": offered}
    choice: JsonObject = {"type": "auto"}
    if turn.tool_choice == "required" and profile.forced_calls:
        choice = {"type": "tool", "name": _must_call(turn.must_call, names)} if turn.must_call else {"type": "any"}
    if turn.request.parallel_tool_calls is False:
        choice["disable_parallel_tool_use"] = True
    return body if choice == {"type": "auto"} else {**body, "tool_choice": choice}


def order(turn: Turn, profile: Profile) -> str | None:
    """What is left of a forced call where the model takes none: to be told ("Forced tool use is not supported")."""
    if turn.tool_choice != "required" or profile.forced_calls:
        return None
    which = (
        f"the tool `{_must_call(turn.must_call, tool_names(turn.tools))}`" if turn.must_call else "one of your tools"
    )
    return f"Call {which} now, before you say anything."


def _live(tool: UpstreamTool) -> bool:
    """A search that must not leave OpenAI's cache is left out."""
    return tool.__pydantic_extra__.get("external_web_access") is not False


def _must_call(name: str, names: Naming) -> str:
    """The only tool of the vendor's that can be chosen is its search."""
    return WEB_SEARCH if name.startswith("upstream:") else names.wire(name)


def _web_search(tool: UpstreamTool) -> JsonObject:
    asked = fields(tool.model_dump(mode="json"))
    domains = fields(asked.get("filters")).get("allowed_domains")
    place = {name: value for name, value in fields(asked.get("user_location")).items() if value is not None}
    limits: JsonObject = {
        "allowed_domains": domains,
        "user_location": {**place, "type": "approximate"} if place else None,
    }
    chosen = {name: value for name, value in limits.items() if value}
    return {"type": "web_search_20250305", "name": WEB_SEARCH, **chosen}


def _tool(tool: OfferedTool, names: Naming, *, strict: bool) -> JsonObject:
    made: JsonObject = {"name": names.wire(tool.name), "input_schema": _schema(tool)}
    if tool.description:
        made["description"] = tool.description
    if strict and tool.kind != "custom" and enforceable(_schema(tool)):
        made |= {"strict": True, "input_schema": constrained(_schema(tool))}
    return made


def _schema(tool: OfferedTool) -> JsonObject:
    if tool.kind == "custom":
        return free_text_schema(tool)
    return {"type": "object", "properties": {}, **(tool.parameters or {})}

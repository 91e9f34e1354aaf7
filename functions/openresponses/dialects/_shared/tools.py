"""Tools, as far as all dialects agree on them."""

from collections.abc import Collection
from urllib.parse import parse_qsl

from ...core.errors import RequestError
from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.tools import UpstreamTool


def free_text_schema(tool: OfferedTool) -> JsonObject:
    """A custom tool's `parameters` are its format: free text, or a grammar that only words can convey here."""
    hint = "The whole input, as free text."
    form = tool.parameters or {}
    if form.get("type") == "grammar":
        hint = f"The whole input, as text that follows this {form.get('syntax')} grammar:\n{form.get('definition')}"
    return {
        "type": "object",
        "properties": {"input": {"type": "string", "description": hint}},
        "required": ["input"],
        "additionalProperties": False,
    }


def secrets_of(tool: UpstreamTool) -> list[str]:
    """What a client gave for an MCP server to trust it, the longest first: a URL may hold a key, too. Shorter words are
    no secrets, and occur in any text.
    """
    fields = tool.__pydantic_extra__
    tail = str(fields.get("server_url") or "").partition("://")[2].partition("/")[2]
    headers = fields.get("headers")
    values = [tail, *(value for _, value in parse_qsl(tail.partition("?")[2])), str(fields.get("authorization") or "")]
    values += [str(value) for value in (headers.values() if isinstance(headers, dict) else ())]
    words = {part for value in values for part in (value, value.partition(" ")[2])}  # without its scheme, as `Bearer`
    return sorted((word for word in words if len(word) > 5), key=len, reverse=True)


def refuse_upstream_tools(turn: Turn, hosted: Collection[str] = ()) -> tuple[UpstreamTool, ...]:
    """Those that the provider can run: `hosted` are their types, `web_search` for all versions of it.

    Raises RequestError for any other. Web search is a permission, so it is ignored, unless it must be used.
    """
    offered: list[UpstreamTool] = []
    for tool in turn.upstream_tools:
        kind = "web_search" if tool.type.startswith("web_search") else tool.type
        if kind in hosted:
            offered.append(tool)
        elif kind != "web_search":
            raise RequestError(
                f"This model's provider doesn't run the tool {tool.type!r}", param="tools", code="unsupported_tool"
            )
    if turn.tool_choice == "required" and not turn.tools and not offered:
        raise RequestError("'tool_choice' needs a tool that this model's provider doesn't run", param="tool_choice")
    return tuple(offered)

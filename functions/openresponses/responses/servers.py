"""Which MCP servers a request may name: by their labels, where its key is limited to some, and by their addresses."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ..core.errors import RequestError, UnknownServer
from ..core.patterns import allows
from ..core.settings import Settings
from ..schema.items import Item, ToolSearchOutput
from ..schema.tools import McpTool, Tool

ELSEWHERE = ("connector_id", "tunnel_id")
"""How a request names a server that OpenAI alone can reach."""


def check_servers(
    tools: Iterable[tuple[str, Tool]],
    items: Iterable[Item],
    settings: Settings,
    allowed: Sequence[str] = (),
    *,
    here: bool = True,
) -> None:
    """Raises RequestError, which names the field, for a server that may not be named so.

    `tools` come after their paths in the request; searches among `items` found others. `allowed` are patterns of
    labels: a key that has them may use those servers of the deployment, and no other server. `here`: this server
    connects to them, and not the request's provider.
    """
    found = (("input", tool) for item in items if isinstance(item, ToolSearchOutput) for tool in item.tools)
    for param, tool in (*tools, *found):
        if not isinstance(tool, McpTool):
            continue
        if allowed:
            _check_key(tool, param, allowed)
        if tool.server_url:
            try:
                _check(tool.server_url, settings, here)
            except ValueError as error:
                raise RequestError(f"'server_url' {error}", param=f"{param}.server_url") from None


def _check_key(tool: McpTool, param: str, allowed: Sequence[str]) -> None:
    own = {"server_url": tool.server_url, **{name: tool.__pydantic_extra__.get(name) for name in ELSEWHERE}}
    if name := next((name for name, value in own.items() if value is not None), None):
        what = f"This key may use no MCP server but the deployment's: leave out {name!r}"
        raise RequestError(what, param=f"{param}.{name}", code="mcp_server_not_allowed")
    if not allows(allowed, tool.server_label):
        raise UnknownServer(tool.server_label, f"{param}.server_label")


def _check(url: str, settings: Settings, here: bool) -> None:
    if not settings.mcp_hosts:
        raise ValueError("is not taken: this deployment lets no request name an MCP server by its address")
    if not here and "*" in settings.mcp_hosts:
        return
    from ..transport.guard import Guard, host_of  # few requests name a server

    host = Guard(settings.loopback).check(url) if here else host_of(url)
    if not any(fnmatchcase(host, pattern) for pattern in settings.mcp_hosts):
        raise ValueError("leads to a host that this deployment does not allow")

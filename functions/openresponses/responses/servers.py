"""Which MCP servers a request may name by their addresses."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ..core.errors import RequestError
from ..schema.items import Item, ToolSearchOutput
from ..schema.tools import McpTool, Tool
from ..transport.guard import Guard, host_of


def check_servers(
    tools: Iterable[tuple[str, Tool]], items: Iterable[Item], hosts: Sequence[str], guard: Guard | None
) -> None:
    """Raises RequestError, which names the field, for a server that may not be named by its address.

    `tools` come after their paths in the request; searches among `items` found others. `hosts` are patterns of those
    that the deployment allows. `guard` judges what this server connects to: None where the provider does that.
    """
    found = (("input", tool) for item in items if isinstance(item, ToolSearchOutput) for tool in item.tools)
    for param, tool in (*tools, *found):
        if isinstance(tool, McpTool) and tool.server_url:
            try:
                _check(tool.server_url, hosts, guard)
            except ValueError as error:
                raise RequestError(f"'server_url' {error}", param=f"{param}.server_url") from None


def _check(url: str, hosts: Sequence[str], guard: Guard | None) -> None:
    if not hosts:
        raise ValueError("is not taken: this deployment lets no request name an MCP server by its address")
    if guard is None and "*" in hosts:
        return
    host = guard.check(url) if guard else host_of(url)
    if not any(fnmatchcase(host, pattern) for pattern in hosts):
        raise ValueError("leads to a host that this deployment does not allow")

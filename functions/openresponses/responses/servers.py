"""Which MCP servers a request may name: by their labels, where its key is limited to some, and by their addresses."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ..client_keys import allows
from ..core.errors import RequestError, UnknownServer
from ..schema.items import Item, ToolSearchOutput
from ..schema.tools import McpTool, Tool
from ..transport.guard import Guard, host_of

ELSEWHERE = ("connector_id", "tunnel_id")
"""How a request names a server that OpenAI alone can reach."""


def check_servers(
    tools: Iterable[tuple[str, Tool]],
    items: Iterable[Item],
    hosts: Sequence[str],
    guard: Guard | None,
    allowed: Sequence[str] = (),
) -> None:
    """Raises RequestError, which names the field, for a server that may not be named so.

    `tools` come after their paths in the request; searches among `items` found others. `hosts` are patterns of those
    that the deployment allows. `guard` judges what this server connects to: None where the provider does that.
    `allowed` are patterns of labels: a key that has them may use those servers of the deployment, and no other server.
    """
    found = (("input", tool) for item in items if isinstance(item, ToolSearchOutput) for tool in item.tools)
    for param, tool in (*tools, *found):
        if not isinstance(tool, McpTool):
            continue
        if allowed:
            _check_key(tool, param, allowed)
        if tool.server_url:
            try:
                _check(tool.server_url, hosts, guard)
            except ValueError as error:
                raise RequestError(f"'server_url' {error}", param=f"{param}.server_url") from None


def _check_key(tool: McpTool, param: str, allowed: Sequence[str]) -> None:
    own = {"server_url": tool.server_url, **{name: tool.__pydantic_extra__.get(name) for name in ELSEWHERE}}
    if name := next((name for name, value in own.items() if value is not None), None):
        what = f"This key may use no MCP server but the deployment's: leave out {name!r}"
        raise RequestError(what, param=f"{param}.{name}", code="mcp_server_not_allowed")
    if not allows(allowed, tool.server_label):
        raise UnknownServer(tool.server_label, f"{param}.server_label")


def _check(url: str, hosts: Sequence[str], guard: Guard | None) -> None:
    if not hosts:
        raise ValueError("is not taken: this deployment lets no request name an MCP server by its address")
    if guard is None and "*" in hosts:
        return
    host = guard.check(url) if guard else host_of(url)
    if not any(fnmatchcase(host, pattern) for pattern in hosts):
        raise ValueError("leads to a host that this deployment does not allow")

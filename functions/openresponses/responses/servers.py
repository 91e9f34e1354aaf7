"""Which MCP servers a client key may use."""

from collections.abc import Iterable, Sequence

from ..client_keys import allows
from ..core.errors import RequestError, UnknownServer
from ..schema.tools import McpTool, Tool

ELSEWHERE = ("connector_id", "tunnel_id")
"""How a request names a server that OpenAI alone can reach."""
_OWN = ("server_url", *ELSEWHERE)


def refuse_servers(tools: Iterable[tuple[str, Tool]], allowed: Sequence[str]) -> None:
    """Raises RequestError for an MCP server that a key may not use, which is limited to servers of the deployment whose
    labels `allowed` has as patterns. No patterns are no limit. Each tool comes after its path in the request.
    """
    if not allowed:
        return
    for param, tool in tools:
        if not isinstance(tool, McpTool):
            continue
        given = tool.model_dump(include={*_OWN})
        if own := next((name for name in _OWN if given.get(name) is not None), None):
            raise RequestError(
                f"This key may use no MCP server but the deployment's: leave out {own!r}",
                param=f"{param}.{own}",
                code="mcp_server_not_allowed",
            )
        if not allows(allowed, tool.server_label):
            raise UnknownServer(tool.server_label, f"{param}.server_label")

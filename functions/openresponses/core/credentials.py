"""Where a request may say what an MCP server trusts it by: not in what is stored as it is."""

from collections.abc import Iterable

from ..schema.tools import McpTool, Tool
from .errors import RequestError


def refuse_credentials(tools: Iterable[Tool], param: str) -> None:
    """Raises RequestError for credentials in a list of tools, which is at `param`."""
    for index, tool in enumerate(tools):
        if isinstance(tool, McpTool) and (tool.headers or tool.authorization):
            raise RequestError(
                f"This is stored as it is, so the credentials of the MCP server {tool.server_label!r} can't be here",
                param=f"{param}[{index}].{'headers' if tool.headers else 'authorization'}",
            )

"""What a request may do with the tools of an MCP server. Pure.

The operator's word and the request's are both kept: a request may narrow the tools, and may ask for more approvals. It
loosens neither. What a server says of its tools (`annotations`) counts for the request's filters alone: the operator's
are names, so that no server, and no client that brings a listing of its own, talks itself past them.
"""

from ...schema.server_items import ListedTool
from ...schema.tools import ApprovalFilter, McpTool, ToolFilter
from .servers import ConfiguredServer


def allowed(tool: ListedTool, asked: McpTool, server: ConfiguredServer | None = None) -> bool:
    """Whether the model is offered `tool`. `server` is the one of the deployment that `asked` names."""
    if server and server.allow and tool.name not in server.allow:
        return False
    match asked.allowed_tools:
        case None:
            return True
        case ToolFilter() as those:
            return _among(tool, those)
        case names:
            return tool.name in names


def needs_approval(tool: ListedTool, asked: McpTool, server: ConfiguredServer | None = None) -> bool:
    """Whether the client has to approve each call of `tool`.

    Where nobody says anything, it does. A server of the deployment that wants no approval needs none, unless the
    request asks for it.
    """
    if server and server.approval == "always":
        return True
    match asked.require_approval:
        case None:
            return server is None
        case ApprovalFilter() as wanted:
            exempt = wanted.never is not None and _among(tool, wanted.never)
            return not exempt or (wanted.always is not None and _among(tool, wanted.always))
        case word:
            return word == "always"


def _among(tool: ListedTool, those: ToolFilter) -> bool:
    """A filter that says nothing has no tool."""
    if those.tool_names is None and those.read_only is None:
        return False
    reads = (tool.annotations or {}).get("readOnlyHint") is True
    named = those.tool_names is None or tool.name in those.tool_names
    return named and (those.read_only is None or those.read_only == reads)

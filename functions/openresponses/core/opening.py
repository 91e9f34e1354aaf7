"""What a response tells before the model says anything: the tools of MCP servers that were listed for it, and the calls
that its request approved. Pure.

It is computed from the run, and from what its output has already: who takes over from a worker that died tells what is
missing. The calls then run as those of the model do.
"""

from collections.abc import Iterator

from ..schema import events as ev
from ..schema.server_items import ListedTool, McpCall, McpListTools
from .ids import item_ids
from .run import Approved, McpServer, Run
from .server_calls import begun


def unopened(run: Run) -> tuple[list[McpServer], list[Approved]]:
    """The servers and the approved calls that the output lacks."""
    if not (run.servers or run.approved):
        return [], []
    told = run.settled()
    labels = {item.server_label for item in told if isinstance(item, McpListTools)}
    begun_for = {item.approval_request_id for item in told if isinstance(item, McpCall)}
    servers = [server for server in run.servers if server.listed and server.label not in labels]
    return servers, [call for call in run.approved if call.request_id not in begun_for]


def only_opened(run: Run) -> bool:
    """Whether nothing has begun yet but the response: no turn of the model, and no call."""
    return all(
        isinstance(item, McpListTools)
        or (isinstance(item, McpCall) and item.status == "in_progress" and item.id not in run.tried)
        for item in run.response.output
    )


def opening(run: Run) -> Iterator[ev.Event]:
    """The events that the output lacks."""
    servers, approved = unopened(run)
    new_id, first = item_ids(run.response.id), len(run.response.output)
    for index, server in enumerate(servers, first):
        yield from _listing(run, server, new_id("mcpl", index), index)
    for index, call in enumerate(approved, first + len(servers)):
        yield from begun(_call(call, new_id("mcp", index)), index)


def _listing(run: Run, server: McpServer, item_id: str, index: int) -> Iterator[ev.Event]:
    tools = [
        ListedTool(
            name=tool.wire_name,
            description=tool.description,
            input_schema=tool.parameters or {},
            annotations=tool.annotations,
        )
        for tool in run.tools
        if tool.kind == "mcp" and tool.server_label == server.label
    ]
    item = McpListTools(id=item_id, server_label=server.label)
    about: dict[str, str | int] = {"item_id": item_id, "output_index": index}
    yield ev.OutputItemAdded(output_index=index, item=item)
    yield ev.ToolProgress.model_validate({"type": "response.mcp_list_tools.in_progress", **about})
    yield ev.ToolProgress.model_validate({"type": "response.mcp_list_tools.completed", **about})
    listed = {"tools": tools, "narrowed": server.narrowed or None}
    yield ev.OutputItemDone(output_index=index, item=item.model_copy(update=listed))


def _call(approved: Approved, item_id: str) -> McpCall:
    return McpCall(
        id=item_id,
        server_label=approved.server_label,
        name=approved.name,
        arguments=approved.arguments,
        approval_request_id=approved.request_id,
        status="in_progress",
    )

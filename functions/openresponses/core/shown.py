"""What a model is shown of the calls that this server runs, and of what belongs to them. Pure.

Dialects know one form of such a call, `HostedToolCall`: its name, its arguments and its output. A call that needed an
approval is shown where the model made it, with the output of the call that was made later. So the model's own turn
stays as it was, and so does the begin of the prompt.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..schema.content import InputPart
from ..schema.items import ExtensionItem, Item
from ..schema.server_items import (
    HostedToolCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    WebSearchCall,
)
from .citations import told
from .client_tools import shown_to_model
from .run import OfferedTool
from .server_calls import SHOWN_MCP, SHOWN_SEARCH, arguments_of, error_text, fitted_name, mcp_name

CUT_OFF = "The call was cut off. Its outcome is unknown: it may have had its effect."
NOT_APPROVED = "This call needs the user's approval, which was not given. The call was not made."
REFUSED = "The user did not approve this call. The call was not made."
NOT_MADE = "The user approved this call, but it was not made."
_OURS = frozenset({McpListTools, McpCall, McpApprovalRequest, McpApprovalResponse, WebSearchCall})
_MAX_CALL_ID = 256
_Output: TypeAlias = str | list[InputPart] | None


class Shown(NamedTuple):
    """`places` are the indexes that the items had among all. Some were hidden."""

    items: list[Item]
    places: Sequence[int]


def shown(items: Sequence[Item], tools: Sequence[OfferedTool], numbers: Mapping[str, int]) -> Shown:
    """`items` as every dialect knows them. `tools` say what the model knows a tool by now; `numbers` are those of the
    sources.
    """
    if not any(type(item) in _OURS for item in items):  # as in nearly all turns
        return Shown([*map(shown_to_model, items)], range(len(items)))
    conversation = _Conversation(items, tools, numbers)
    made = [(place, each) for place, item in enumerate(items) if (each := conversation.shown(item)) is not None]
    return Shown([each for _, each in made], [place for place, _ in made])


class _Conversation:
    def __init__(self, items: Sequence[Item], tools: Sequence[OfferedTool], numbers: Mapping[str, int]) -> None:
        self._numbers = numbers
        self._names = {(tool.server_label, tool.wire_name): tool.name for tool in tools if tool.kind == "mcp"}
        self._searches = {tool.wire_name: tool.name for tool in tools if tool.kind == "search"}
        self._requests = {item.id for item in items if isinstance(item, McpApprovalRequest)}
        calls = [item for item in reversed(items) if isinstance(item, McpCall)]
        calls.sort(key=lambda call: call.status != "incomplete")  # one that never began may have been approved again
        self._made = {call.approval_request_id: call for call in calls}
        self._answers = {item.approval_request_id: item for item in items if isinstance(item, McpApprovalResponse)}

    def shown(self, item: Item) -> Item | None:
        """None for what no model is shown."""
        match item:
            case McpListTools():
                return None
            case McpApprovalResponse():
                return _upstreams(item) if item.approval_request_id.startswith("ext_") else None
            case McpApprovalRequest():
                status, output = self._answer(item)
                return self._call(item, status, output)
            case McpCall():
                return None if item.approval_request_id in self._requests else self._call(item, *_result(item))
            case WebSearchCall():
                unknown = item.results is None and item.error is None and item.status == "completed"
                return None if unknown else self._search(item)
            case _:
                return shown_to_model(item)

    def _answer(self, request: McpApprovalRequest) -> tuple[str, _Output]:
        made, answer = self._made.get(request.id), self._answers.get(request.id)
        if made is not None:
            return _result(made)
        if answer is None:
            return "failed", NOT_APPROVED
        if answer.approve:
            return "failed", NOT_MADE
        return "failed", f"{REFUSED} Their reason: {answer.reason}" if answer.reason else REFUSED

    def _call(self, item: McpCall | McpApprovalRequest, status: str, output: _Output) -> HostedToolCall:
        known = self._names.get((item.server_label, item.name))
        return _hosted(item, SHOWN_MCP, known or mcp_name(item.server_label, item.name), item.arguments, status, output)

    def _search(self, item: WebSearchCall) -> HostedToolCall:
        known = self._searches.get(item.name, item.name)
        output = item.error or told(item, self._numbers) or _without_output(item.status)
        arguments = json.dumps(arguments_of(item), ensure_ascii=False)
        return _hosted(item, SHOWN_SEARCH, known, arguments, item.status, output)


def _result(call: McpCall) -> tuple[str, _Output]:
    if call.content:
        return call.status, [*call.content]
    output = error_text(call.error) if call.error is not None else call.output
    return call.status, output or _without_output(call.status)


def _without_output(status: str) -> str | None:
    return CUT_OFF if status == "incomplete" else None


def _hosted(
    item: McpCall | McpApprovalRequest | WebSearchCall,
    kind: str,
    name: str,
    arguments: str,
    status: str,
    output: _Output,
) -> HostedToolCall:
    known = status if status in ("completed", "incomplete", "failed") else "in_progress"
    request_id = item.approval_request_id if isinstance(item, McpCall) else None
    call_id = (item.call_id or request_id or item.id)[:_MAX_CALL_ID] or kind
    return HostedToolCall.model_validate(
        {
            "type": kind,
            "id": item.id,
            "call_id": call_id,
            "name": fitted_name(name),
            "arguments": arguments,
            "status": known,
            "output": output,
        }
    )


def _upstreams(item: McpApprovalResponse) -> ExtensionItem:
    """The answer to a request of a provider that runs the server itself."""
    return ExtensionItem.model_validate(item.model_dump())

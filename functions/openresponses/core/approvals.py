"""Which calls a request approves, and what proves that a request for approval is what it was. Pure.

The id of a request for approval is `mcpr_`, the token of its response (32 hex digits), its index (4), when it was made
(8, Unix seconds), its server (16) and a message authentication code (32). The code is of all that stands before it, and
of the server's label, the tool's name and the arguments, for one tenant. So the id proves what was to be approved, also
where nothing is stored, and nobody else can make one.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from ..schema.items import InputItem, Item
from ..schema.limits import MAX_APPROVALS
from ..schema.server_items import McpApprovalRequest, McpApprovalResponse, McpCall
from .blocks import NewRequestId
from .errors import ApprovalSpent, RequestError
from .ports import Mark
from .run import Approved, McpServer, OfferedTool, Run

DAY = 86_400
"""Seconds for which a request can be approved. It is known as long that it was."""
_TIME, _SERVER, _CODE = 8, 16, 32
_ID = re.compile(rf"mcpr_[0-9a-f]+([0-9a-f]{{{_TIME}}})([0-9a-f]{{{_SERVER}}})([0-9a-f]{{{_CODE}}})")
_MADE = ("completed", "failed")


def request_ids(mark: Mark, servers: Sequence[McpServer], now: float) -> NewRequestId:
    """Makes the ids of a turn's requests for approval."""
    places = {server.label: _place(mark, server) for server in servers}

    def new_request_id(item_id: str, tool: OfferedTool, arguments: str) -> str:
        label = tool.server_label or ""
        begin = f"{item_id}{int(now):0{_TIME}x}{places[label]}"
        return begin + _code(mark, begin, label, tool.wire_name, arguments)

    return new_request_id


def _place(mark: Mark, server: McpServer) -> str:
    """Of the URL, or of whatever server the operator has under the label."""
    return mark(json.dumps(["server", server.configured, "" if server.configured else server.url]))[:_SERVER]


def _code(mark: Mark, begin: str, label: str, name: str, arguments: str) -> str:
    return mark(json.dumps(["request", begin, label, name, arguments]))[:_CODE]


@dataclass(frozen=True, slots=True)
class Approvable:
    """What a request approves calls of. Each of `marks` proves an id; `now` is in Unix seconds."""

    marks: Sequence[Mark]
    servers: Sequence[McpServer]
    tools: Sequence[OfferedTool]
    now: float

    def check(self, request: McpApprovalRequest, index: int) -> None:
        """Raises RequestError if the call can't be approved. `index` is of the answer in the input."""
        label, found = request.server_label, _ID.fullmatch(request.id)
        marks = [mark for mark in self.marks if found and _is_made(mark, request, found[3])]
        if found is None or not marks:
            raise refusal(index, "altered", "It was altered, or is not this server's, or not yours")
        if self.now - int(found[1], 16) >= DAY:
            raise refusal(index, "expired", "It is older than a day: the model must ask again")
        server = next((each for each in self.servers if each.label == label), None)
        if server is None:
            raise refusal(index, "server_missing", f"'tools' has no MCP server {label!r}, whose tool it would call")
        if not any(compare_digest(_place(mark, server), found[2]) for mark in marks):
            raise refusal(index, "server_changed", f"{label!r} was another server when the model asked")
        if not any(each.server_label == label and each.wire_name == request.name for each in self.tools):
            raise refusal(index, "tool_missing", f"The request allows no tool {request.name!r} of {label!r}")


def _is_made(mark: Mark, request: McpApprovalRequest, code: str) -> bool:
    made = _code(mark, request.id[:-_CODE], request.server_label, request.name, request.arguments)
    return compare_digest(made, code)


def approved_calls(
    given: Sequence[InputItem], before: Sequence[Item], own: Sequence[Item], approvable: Approvable
) -> list[Approved]:
    """The calls that the input `given` approves, in its order. Raises RequestError.

    `own` are the items of the input, with those that it refers to; `before` are those that it goes on from. An answer
    that comes with its call is history: a client that keeps the conversation itself sends all of it each time.
    """
    answers = dict(_answers(given))
    if not answers:
        return []
    requests = {item.id: item for item in (*before, *own) if isinstance(item, McpApprovalRequest)}
    history = {item.approval_request_id for item in own if isinstance(item, McpCall)}
    answered = _answered(before)
    approved = list[Approved]()
    for request_id, (index, approve) in answers.items():
        request = requests.get(request_id)
        if request is None:
            raise refusal(index, "not_found", "No request for approval before it has this id")
        if request_id in history:
            continue
        if request_id in answered:
            raise refusal(index, "answered", "An earlier request answered it")
        if not approve:
            continue
        approvable.check(request, index)
        if len(approved) == MAX_APPROVALS:
            raise refusal(index, "too_many", f"A request approves at most {MAX_APPROVALS} calls")
        call = {"server_label": request.server_label, "name": request.name, "arguments": request.arguments}
        approved.append(Approved(request_id=request_id, index=index, **call))
    return approved


def _answers(given: Sequence[InputItem]) -> Iterator[tuple[str, tuple[int, bool]]]:
    """(id of the request, (index, approve)) of each answer. Raises RequestError for a second one."""
    seen = set[str]()
    for index, item in enumerate(given):
        if not isinstance(item, McpApprovalResponse):
            continue
        if item.approval_request_id in seen:
            raise refusal(index, "answered", "The input answers it twice")
        seen.add(item.approval_request_id)
        yield item.approval_request_id, (index, item.approve)


def _answered(before: Sequence[Item]) -> Collection[str | None]:
    """The requests that were refused, or whose calls were made."""
    refused = {
        item.approval_request_id for item in before if isinstance(item, McpApprovalResponse) and not item.approve
    }
    made = {item.approval_request_id for item in before if isinstance(item, McpCall) and item.status in _MADE}
    return refused | made


def refusal(index: int, code: str, message: str) -> RequestError:
    """An answer to a request for approval that is refused."""
    return RequestError(message, param=_param(index), code=f"approval_{code}")


def spent_already(index: int) -> ApprovalSpent:
    return ApprovalSpent("This approval was used already: each one is for one call", param=_param(index))


def _param(index: int) -> str:
    return f"input[{index}].approval_request_id"


def unused(run: Run) -> list[str]:
    """The requests that the run's client approved, and whose calls never began."""
    begun = {
        item.approval_request_id
        for item in run.response.output
        if isinstance(item, McpCall) and (item.id in run.tried or item.status in _MADE)
    }
    return [each.request_id for each in run.approved if each.request_id not in begun]

"""What one response took, made once where it ends, and what each call of a tool took. Knows no limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic_core import to_json

from ..schema.items import (
    AgentMessage,
    ClientCallOutput,
    CustomToolCallOutput,
    FunctionCallOutput,
    Item,
    Message,
    ToolSearchOutput,
)
from ..schema.response import ResponseStatus, Usage
from ..schema.server_items import HostedToolCall, McpApprovalRequest, McpApprovalResponse, McpCall, ServerCall
from ..schema.timeline import CallEntry
from .bill import Bill, Cost, cost_of, day_of
from .errors import KitError
from .run import Run


@dataclass(frozen=True, slots=True)
class Account:
    """One response that is over.

    `model` is the one that the request names, `target` the one that answered last (`provider/model`), None if none did.
    `reason` says why it is incomplete; `error` is the code of its failure. `turns` and `tool_calls` leave dead turns
    out; `usage` and `cost` have theirs too. `cost` is None if it is unknown. `seconds` have passed since the response
    was created. `retries` and `fallbacks` are as its timeline counts them. `kept` is false if it failed before its
    client saw any of it: the client got an HTTP error, and nothing is stored.
    """

    response_id: str
    key_id: str
    model: str
    target: str | None
    status: ResponseStatus
    reason: str | None
    error: str | None
    turns: int
    tool_calls: int
    usage: Usage
    seconds: float
    cost: Cost | None = Cost()
    kept: bool = True
    retries: int = 0
    fallbacks: int = 0


def account_of(run: Run, now: float, failure: Exception | None = None) -> Account:
    """The account of a response that is over. `failure` is what ended it, if its run doesn't say so."""
    response = run.response
    error = response.error.code if response.error else None
    return Account(
        response_id=response.id,
        key_id=run.key_id,
        model=run.request.model,
        target=run.served,
        status="failed" if failure else response.status,
        reason=response.incomplete_details.reason if response.incomplete_details else None,
        error=code_of(failure) if failure else error,
        turns=run.turns,
        tool_calls=len(run.calls()),
        usage=run.used(),
        seconds=now - (run.created or response.created_at),
        cost=cost_of(run.by_target),
        kept=failure is None,
        retries=run.timeline.retries,
        fallbacks=run.timeline.fallbacks,
    )


def bill_of(run: Run, now: float) -> Bill:
    """The bill of a response that ends `now`, in Unix seconds."""
    spent = run.spent()
    return Bill(
        response_id=run.response.id,
        key_id=run.key_id,
        day=day_of(now),
        used=run.by_target,
        hold=run.hold,
        spent_tokens=spent.tokens,
        spent_pico=spent.pico,
    )


CallOutcome: TypeAlias = Literal["completed", "failed", "unknown", "refused"]
"""`unknown`: the call was begun, and nobody knows whether it was made. `refused`: the user did not approve it."""


@dataclass(frozen=True, slots=True)
class CallAccount:
    """One call of a tool, without what was said: its arguments and its output are counted in bytes.

    `call_id` is the id of its item. `server` is the label of an MCP server, and `host` where that is, unless it is one
    of the deployment (`configured`). `seconds` have passed since it was begun, if this
    worker has begun it. `approved_by` is the id
    of the client key that brought the approval, or `policy` where none was needed; None if there was none.
    """

    response_id: str
    key_id: str
    call_id: str
    kind: Literal["hosted", "mcp", "search"]
    tool: str
    outcome: CallOutcome
    seconds: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    approved_by: str | None = None
    server: str | None = None
    host: str | None = None
    configured: bool = False


def call_account_of(
    run: Run, call: ServerCall, outcome: CallOutcome, seconds: float | None = None, output: str = ""
) -> CallAccount:
    """The account of a call of `run` that is over."""
    said = call.arguments if isinstance(call, HostedToolCall | McpCall) else to_json(call.action).decode()
    label = call.server_label if isinstance(call, McpCall) else None
    server = next((each for each in run.servers if each.label == label), None)
    return CallAccount(
        response_id=run.response.id,
        key_id=run.key_id,
        call_id=call.id,
        kind="mcp" if isinstance(call, McpCall) else "hosted" if isinstance(call, HostedToolCall) else "search",
        tool=call.name,
        outcome=outcome,
        seconds=seconds,
        bytes_in=len(said.encode(errors="replace")),
        bytes_out=len(output.encode(errors="replace")),
        approved_by=run.key_id if isinstance(call, McpCall) and call.approval_request_id else "policy",
        server=label,
        host=urlsplit(server.url).hostname if server and not server.configured else None,
        configured=server is not None and server.configured,
    )


def call_entry_of(account: CallAccount, began: float) -> CallEntry:
    """The timeline's entry of a call that was made. `began` is in Unix seconds."""
    return CallEntry(
        item_id=account.call_id,
        tool=account.tool,
        kind=account.kind,
        server=account.server,
        began_at=began,
        seconds=account.seconds,
        outcome="unknown" if account.outcome == "refused" else account.outcome,
    )


def refused_calls(run: Run) -> Iterator[CallAccount]:
    """The calls that this request's user did not approve. A client that keeps the conversation itself sends what was
    refused earlier, too: the model has said something since.
    """
    requests: dict[str, McpApprovalRequest] | None = None
    for item in takewhile(_is_clients, reversed(run.context[run.inherited :])):
        if not isinstance(item, McpApprovalResponse) or item.approve:
            continue
        requests = requests or {each.id: each for each in run.context if isinstance(each, McpApprovalRequest)}
        if request := requests.get(item.approval_request_id):
            call = McpCall(
                id=request.id,
                server_label=request.server_label,
                name=request.name,
                arguments=request.arguments,
                approval_request_id=request.id,
            )
            yield call_account_of(run, call, "refused")


def abandoned_calls(run: Run) -> Iterator[CallAccount]:
    """The calls that waited for their answers when their response was cancelled or failed."""
    if run.response.status in ("cancelled", "failed"):
        for item in run.settled():
            if isinstance(item, HostedToolCall) and item.status == "incomplete" and run.patience(item) is not None:
                yield call_account_of(run, item, "unknown")


def _is_clients(item: Item) -> bool:
    """Whether a client has made it, and no model and no server."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return isinstance(item, _OF_CLIENTS)


_OF_CLIENTS = (
    McpApprovalResponse,
    FunctionCallOutput,
    CustomToolCallOutput,
    ClientCallOutput,
    ToolSearchOutput,
    AgentMessage,
)


def code_of(error: Exception) -> str:
    """The code that a client gets for `error`. A bug has the general one."""
    return error.code if isinstance(error, KitError) else KitError.code

"""What happens next, decided from the run alone."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..schema.base import SLUG
from ..schema.items import ClientCall, Compaction, CustomToolCall, FunctionCall
from ..schema.response import ResponseError
from ..schema.server_items import McpApprovalRequest, ServerCall
from .compaction import due
from .opening import unopened
from .run import Run, tokens_left


@dataclass(frozen=True, slots=True)
class Think:
    """Ask the model for its next turn."""


@dataclass(frozen=True, slots=True)
class Open:
    """Tell what needs no model: the tools of MCP servers, and the calls that the request approved."""


@dataclass(frozen=True, slots=True)
class Act:
    """Run these calls."""

    calls: tuple[ServerCall, ...]


@dataclass(frozen=True, slots=True)
class Park:
    """Wait for the answers of these calls: the state machine does, in nobody's time."""

    calls: tuple[ServerCall, ...]


@dataclass(frozen=True, slots=True)
class Compact:
    """Ask the model for a summary of the conversation, which takes its place."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The response is over. `reason` explains `incomplete`, in words with `message`; `error` explains `failed`."""

    status: Literal["completed", "incomplete", "failed", "cancelled"]
    reason: str | None = None
    message: str | None = None
    error: ResponseError | None = None


Step: TypeAlias = Open | Think | Act | Compact | Park | Stop
MAX_REFUSED_TURNS = 2
"""Turns in a row in which the model calls nothing but what it may not call."""
_OF_THE_CLIENT = FunctionCall | CustomToolCall | ClientCall | McpApprovalRequest
"""Calls that wait for the client: the model goes on in another response."""
UNKNOWN_TOOL = f"{SLUG}:unknown_tool"
BUDGET = f"{SLUG}:budget"
"""A limit of the key, or of its tenant, leaves nothing for another turn, or left too little for the last one."""
CALL_CUT_OFF = f"{SLUG}:call_cut_off"


def next_step(run: Run) -> Step:
    """The one decision of the loop. A budget that ends stops the run as incomplete, never as completed."""
    if not run.generate:
        return Stop("completed")
    if run.compacts:
        return Stop("completed") if any(isinstance(item, Compaction) for item in run.settled()) else Compact()
    if run.turns == 0 and any(unopened(run)):
        return Open()
    if run.finish == "length" and run.lowered:
        return Stop("incomplete", BUDGET, f"A limit left {run.cap} tokens for the last turn")
    if run.finish == "length":
        return Stop("incomplete", "max_output_tokens")
    if run.finish == "content_filter":
        return Stop("incomplete", "content_filter")
    last = run.calls(run.turn_start) if run.turns else []
    if cut := next((call for call in last if call.status == "incomplete"), None):
        return Stop("incomplete", CALL_CUT_OFF, f"The provider cut off the arguments of the call of {cut.name!r}")
    if run.refused_turns >= MAX_REFUSED_TURNS:
        names = ", ".join(sorted({repr(call.name) for call in last}))
        return Stop("incomplete", UNKNOWN_TOOL, f"The model insists on a tool that it may not call: {names}")
    limit = run.request.max_tool_calls
    if limit is not None and len(run.calls()) > limit:
        return Stop("incomplete", "max_tool_calls")
    if pending := run.pending():
        at_once = tuple(call for call in pending if run.patience(call) is None)
        return Act(at_once) if at_once else Park(pending)
    if run.turns == 0:
        return _think(run)
    if not last or any(isinstance(call, _OF_THE_CLIENT) for call in last):
        return Stop("completed")
    if run.turns >= run.max_turns:
        return Stop("incomplete", "max_turns")
    if tokens_left(run) == 0:
        return Stop("incomplete", "max_output_tokens")
    return _think(run)


def _think(run: Run) -> Think | Compact:
    return Compact() if due(run) else Think()

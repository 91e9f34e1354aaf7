"""The state machine's functions, one handler a task."""

import os

from ..responses.worker import TurnResult
from .runner import TaskEvent, perform, workers_from

_worker = workers_from(os.environ)


class TurnEvent(TaskEvent):
    generation: int
    attempt: int


class NextState(TurnResult):
    """The next state's input. It names the tenant, since a state gets nothing but the output of the state before."""

    tenant: str


def turn(event: TurnEvent, context: object) -> NextState:
    """One turn of a response. Raises ProviderError or StorageUnavailable: the turn can be retried."""
    work = _worker(event["tenant"]).turn(event["response_id"], event["generation"], event["attempt"])
    return {"tenant": event["tenant"], **perform("turn", event, work, _turn_fields)}


def _turn_fields(result: TurnResult) -> dict[str, object]:
    return {"generation": result["generation"], "step": result["step"], "tool_calls": len(result["calls"])}


class ToolEvent(TaskEvent):
    item_id: str


def tool(event: ToolEvent, context: object) -> None:
    """One tool call. Raises StorageUnavailable: the call can be retried. A tool's own failure is its output."""
    work = _worker(event["tenant"]).tool(event["response_id"], event["item_id"])
    perform("tool", event, work, lambda _: {"item_id": event["item_id"]})


class SettleEvent(TaskEvent):
    error: str
    cause: str


def settle(event: SettleEvent, context: object) -> None:
    """End a response that the state machine gave up. Raises StorageUnavailable: the task can be retried."""
    work = _worker(event["tenant"]).settle(event["response_id"], event["error"], event["cause"])
    perform("settle", event, work, lambda _: {"gave_up": event["error"]})

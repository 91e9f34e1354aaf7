"""The state machine's functions, one handler a task."""

import os

from ..responses.worker import TurnResult
from .runner import TaskEvent, perform, workers_from

_worker = workers_from(os.environ)


class TurnEvent(TaskEvent):
    generation: int
    attempt: int


class TurnAnswer(TurnResult):
    """The next state: it must name the tenant again, since a state's input is what the one before answered."""

    tenant: str


def turn(event: TurnEvent, context: object) -> TurnAnswer:
    """One turn of a response. Raises ProviderError, StorageUnavailable: the turn can be retried."""
    work = _worker(event["tenant"]).turn(event["response_id"], event["generation"], event["attempt"])
    return {"tenant": event["tenant"], **perform("turn", event, work, _turn_fields)}


def _turn_fields(result: TurnResult) -> dict[str, object]:
    return {"generation": result["generation"], "step": result["step"], "tool_calls": len(result["calls"])}


class ToolEvent(TaskEvent):
    item_id: str


def tool(event: ToolEvent, context: object) -> None:
    """One tool call. Raises StorageUnavailable: the call can be retried. What a tool fails with is its output."""
    work = _worker(event["tenant"]).tool(event["response_id"], event["item_id"])
    perform("tool", event, work, lambda _: {"item_id": event["item_id"]})


class SettleEvent(TaskEvent):
    error: str
    cause: str


def settle(event: SettleEvent, context: object) -> None:
    """The end of a response that the state machine gave up. Raises StorageUnavailable: it can be retried."""
    work = _worker(event["tenant"]).settle(event["response_id"], event["error"], event["cause"])
    perform("settle", event, work, lambda _: {"gave_up": event["error"]})

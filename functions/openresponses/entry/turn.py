"""The Turn function: one turn of a response that the state machine goes on with."""

import os

from ..core.worker import TurnResult
from .tasks import TaskEvent, perform, workers_from

_worker = workers_from(os.environ)


class TurnEvent(TaskEvent):
    generation: int
    attempt: int


class TurnAnswer(TurnResult):
    """The next state: it must name the tenant again, since a state's input is what the one before answered."""

    tenant: str


def handler(event: TurnEvent, context: object) -> TurnAnswer:
    """Raises ProviderError, StorageUnavailable: the turn can be retried."""
    work = _worker(event["tenant"]).turn(event["response_id"], event["generation"], event["attempt"])
    return {"tenant": event["tenant"], **perform("turn", event, work, _told)}


def _told(result: TurnResult) -> dict[str, object]:
    return {"generation": result["generation"], "step": result["step"], "tool_calls": len(result["calls"])}

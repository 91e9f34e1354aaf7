"""The Turn function: one turn of a response that the state machine goes on with."""

import os
from typing import TypedDict

from ..core.worker import TurnResult
from .tasks import perform, worker_from

_worker = worker_from(os.environ)


class TurnEvent(TypedDict):
    response_id: str
    generation: int
    attempt: int


def handler(event: TurnEvent, context: object) -> TurnResult:
    """Raises ProviderError, StorageUnavailable: the turn can be retried."""
    work = _worker.turn(event["response_id"], event["generation"], event["attempt"])
    return perform("turn", event["response_id"], work, _told)


def _told(result: TurnResult) -> dict[str, object]:
    return {"generation": result["generation"], "step": result["step"], "tool_calls": len(result["calls"])}

"""The state machine's function."""

import os
import time
from typing import NotRequired, Protocol

from ..responses.worker import WorkResult
from .local_aws import use_local_aws
from .runner import TaskEvent, perform, workers_from

use_local_aws(os.environ)
_worker = workers_from(os.environ)
MARGIN_SECONDS = 10.0
"""What a task keeps of its time, at most, to close items, write the log and answer."""


class WorkEvent(TaskEvent):
    """With `error` and `cause`, the response is to be ended: the state machine gave it up."""

    generation: int
    attempt: NotRequired[int]
    error: NotRequired[str]
    cause: NotRequired[str]


class Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


class NextState(WorkResult):
    """The next state's input. It names the tenant, since a state gets nothing but the output of the state before."""

    tenant: str


def work(event: WorkEvent, context: Context) -> NextState | None:
    """Turn after turn of a response, or its end. Raises ProviderError or StorageUnavailable: it can be retried."""
    worker, response_id, generation = _worker(event["tenant"]), event["response_id"], event["generation"]
    if "error" in event:
        ending = worker.settle(response_id, event["error"], event.get("cause", ""))
        return perform("settle", event, ending, lambda _: {"gave_up": event.get("error")})
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.time() + left - min(MARGIN_SECONDS, left / 10)
    working = worker.work(response_id, generation, ends, event.get("attempt", 0))
    return {"tenant": event["tenant"], **perform("work", event, working, _fields)}


def _fields(result: WorkResult) -> dict[str, object]:
    return {"generation": result["generation"], "step": result["step"], "turns": result["turns"]}

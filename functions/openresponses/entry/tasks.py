"""The state machine's function."""

import os
import time
from typing import NotRequired, Protocol

from pydantic import JsonValue

from ..core.answers import answered, failed
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


class CallEvent(TaskEvent):
    """About a call that waits, by its item's id: with a `task_token` it is to be asked for; else somebody answered with
    `answer`, or it failed with `error` and `cause`.
    """

    call: str
    task_token: NotRequired[str]
    answer: NotRequired[JsonValue]
    error: NotRequired[str]
    cause: NotRequired[str]


class AnsweredAtOnce(Exception):
    """Nobody has to be waited for: the tool failed at once, and the worker has kept what it said."""


class Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


class NextState(WorkResult):
    """The next state's input. It names the tenant, since a state gets nothing but the output of the state before."""

    tenant: str


def work(event: WorkEvent | CallEvent, context: Context) -> NextState | None:
    """Turn after turn of a response, or its end; or what becomes of a call that waits.

    Raises ProviderError or StorageUnavailable: it can be retried.
    """
    if "call" in event:
        _attend(event)
        return None
    worker, response_id, generation = _worker(event["tenant"]), event["response_id"], event["generation"]
    if "error" in event:
        ending = worker.settle(response_id, event["error"], event.get("cause", ""))
        return perform("settle", event, ending, lambda _: {"gave_up": event.get("error")})
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.time() + left - min(MARGIN_SECONDS, left / 10)
    working = worker.work(response_id, generation, ends, event.get("attempt", 0))
    return {"tenant": event["tenant"], **perform("work", event, working, _fields)}


def _attend(event: CallEvent) -> None:
    """Raises StorageUnavailable, and AnsweredAtOnce."""
    worker, response_id, call = _worker(event["tenant"]), event["response_id"], event["call"]
    if "task_token" in event:
        if not perform("ask", event, worker.ask(response_id, call, event["task_token"])):
            raise AnsweredAtOnce
    elif "error" in event:
        perform("fail", event, worker.answer(response_id, failed(call, event["error"], event.get("cause", ""))))
    else:
        perform("answer", event, worker.answer(response_id, answered(call, event.get("answer"))))


def _fields(result: WorkResult) -> dict[str, object]:
    parked: dict[str, object] = {"parked": len(result["calls"])} if result["calls"] else {}
    return {"generation": result["generation"], "step": result["step"], "turns": result["turns"], **parked}

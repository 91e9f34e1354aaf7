"""The Settle function: the end of a response that the state machine gave up."""

import os

from .tasks import TaskEvent, perform, workers_from

_worker = workers_from(os.environ)


class SettleEvent(TaskEvent):
    error: str
    cause: str


def handler(event: SettleEvent, context: object) -> None:
    """Raises StorageUnavailable: it can be retried."""
    work = _worker(event["tenant"]).settle(event["response_id"], event["error"], event["cause"])
    perform("settle", event, work, lambda _: {"gave_up": event["error"]})

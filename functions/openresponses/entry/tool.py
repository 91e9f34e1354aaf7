"""The Tool function: one tool call of a response that the state machine goes on with."""

import os

from .tasks import TaskEvent, perform, workers_from

_worker = workers_from(os.environ)


class ToolEvent(TaskEvent):
    item_id: str


def handler(event: ToolEvent, context: object) -> None:
    """Raises StorageUnavailable: the call can be retried. What a tool fails with is its output."""
    work = _worker(event["tenant"]).tool(event["response_id"], event["item_id"])
    perform("tool", event, work, lambda _: {"item_id": event["item_id"]})

"""How a task of the state machine runs: on one event loop for the life of the sandbox, with one log line.

Step Functions retries by the class of an error, so our own errors pass as they are. The message of any other exception
may quote a conversation, so neither the execution's history nor the log gets it: the log has its place.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any, TypedDict, TypeVar

from .. import telemetry
from ..core.errors import KitError
from ..responses.worker import Worker
from .compose import Deployment

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")

T = TypeVar("T")


class Crashed(Exception):
    """A bug. The log has its place."""


_runner = asyncio.Runner()


def workers_from(environment: Mapping[str, str]) -> Callable[[str], Worker]:
    """Makes a worker for each tenant. Raises ValueError if the environment names no storage to work on."""
    if not environment.get("OPENRESPONSES_TABLE"):
        raise ValueError("OPENRESPONSES_TABLE: the state machine's function needs storage")
    deployment = Deployment(environment)
    return lambda tenant: Worker(deployment.ports(tenant), deployment.settings)


class TaskEvent(TypedDict):
    """The fields of every task's event."""

    tenant: str
    response_id: str


def perform(
    task: str, event: TaskEvent, work: Coroutine[Any, Any, T], fields: Callable[[T], dict[str, object]] = lambda _: {}
) -> T:
    """The result of `work`, and a log line with the result's `fields`. Raises KitError or Crashed."""
    began = perf_counter()
    line: dict[str, object] = {"tenant": event["tenant"], "response_id": event["response_id"]}
    try:
        result = _runner.run(work)
        line |= fields(result)
        return result
    except KitError as error:
        line["error"] = type(error).__name__
        raise
    except Exception as error:
        line["error"] = type(error).__name__
        telemetry.crashed(event["response_id"], error)
        raise Crashed(f"{type(error).__name__} in {task}") from None
    finally:
        telemetry.performed(task, (perf_counter() - began) * 1000, line)

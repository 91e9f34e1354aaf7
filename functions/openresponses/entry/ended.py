"""The function behind the table's stream, and of the state machine that delivers an event again.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

import asyncio
import os
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")

from .. import telemetry
from ..aws.clients import Refused
from ..core.errors import KitError
from ..webhooks.outbox import Expired, Outbox, Ports, Told
from .compose import Deployment
from .local_aws import use_local_aws


class Crashed(Exception):
    """A bug. The log has its place."""


def outbox_of(deployment: Deployment, machine: str) -> Outbox:
    """Raises ValueError if the environment names no storage."""
    clients = deployment.clients
    if clients is None:
        raise ValueError("OPENRESPONSES_TABLE: the function behind the stream needs storage")

    async def start(name: str, told: str) -> None:
        try:
            await clients.call("stepfunctions", "start_execution", stateMachineArn=machine, name=name, input=told)
        except Refused as refused:
            if refused.code != "ExecutionAlreadyExists":
                raise

    def ports_of(tenant: str) -> Ports:
        return Ports(deployment.meters(tenant), deployment.webhooks(tenant), start)

    return Outbox(ports_of, telemetry.crashed)


def handler(event: dict[str, Any], context: object) -> dict[str, Any] | None:
    """Records of the stream; or of the state machine one more try (`deliver`), or the end of them (`give_up`)."""
    if "Records" in event:
        records = event["Records"]
        again = _run("ended", {"records": len(records)}, _outbox.take(records))
        return {"batchItemFailures": [{"itemIdentifier": number} for number in again]}
    task = "deliver" if "deliver" in event else "give_up"
    told: Told = event[task]
    line: dict[str, object] = {"tenant": told["tenant"], "endpoint_id": told["endpoint_id"]}
    line |= {"response_id": told["ended"]["response_id"]}
    _run(task, line, _outbox.deliver(told) if task == "deliver" else _outbox.give_up(told))
    return None


def _run(task: str, line: dict[str, object], work: Coroutine[Any, Any, Any]) -> Any:
    """With one log line. Raises KitError, Expired and Crashed."""
    began = perf_counter()
    try:
        return _runner.run(work)
    except (KitError, Expired) as error:
        line["error"] = type(error).__name__
        raise
    except Exception as error:
        line["error"] = type(error).__name__
        telemetry.crashed(str(line.get("response_id", "")), error)
        raise Crashed(f"{type(error).__name__} in {task}") from None
    finally:
        telemetry.performed(task, (perf_counter() - began) * 1000, line)


use_local_aws(os.environ)
_runner = asyncio.Runner()
_outbox = outbox_of(Deployment(os.environ), os.environ.get("OPENRESPONSES_WEBHOOK_MACHINE_ARN", ""))

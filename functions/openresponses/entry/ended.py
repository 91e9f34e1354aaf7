"""What follows the end of a response. The table's stream brings each end at least once: here its bill is settled, if a
worker died before it did that, and its tenant's webhooks are told. An endpoint that does not take an event gets it
again from a state machine, whose tasks are this function's, too.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, NotRequired, TypedDict
from urllib.parse import unquote

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")

from .. import telemetry
from ..aws.clients import Refused
from ..core.bill import Bill
from ..core.errors import DeliveryFailed, KitError, StorageUnavailable
from ..core.storage import Meters
from ..webhooks.events import Ended
from ..webhooks.notify import Failed, WebhookPorts, give_up, notify, retry
from .compose import Deployment
from .local_aws import use_local_aws

LIFE_SECONDS = 72 * 3600
"""For so long an event is tried, as OpenAI does: https://developers.openai.com/api/docs/guides/webhooks"""
MAX_REASON = 300


class Expired(Exception):
    """The last try of an event. Its message says why it failed."""


class Crashed(Exception):
    """A bug. The log has its place."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Bound to one tenant. `start` starts an execution of the state machine, of this name and with this input; one of
    the same name that there has been is enough. It raises StorageUnavailable.
    """

    meters: Meters
    webhooks: WebhookPorts
    start: Callable[[str, str], Awaitable[None]]


class Told(TypedDict):
    """An event for one endpoint: all that the state machine knows of it. `failed` is what Step Functions adds.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    tenant: str
    endpoint_id: str
    ended: dict[str, Any]
    failed: NotRequired[dict[str, str]]


class Outbox:
    def __init__(self, ports_of: Callable[[str], Ports]) -> None:
        self._ports_of = ports_of

    async def take(self, records: list[dict[str, Any]]) -> list[str]:
        """The sequence numbers of the records that are to be brought again. One that a bug keeps from being told is
        not: it would hold up all that comes after it.
        """
        again = await asyncio.gather(*(self._take(each["dynamodb"]) for each in records))
        return [each["dynamodb"]["SequenceNumber"] for each, wanted in zip(records, again, strict=True) if wanted]

    async def _take(self, change: dict[str, Any]) -> bool:
        try:
            item = change["NewImage"]
            ports = self._ports_of(tenant := unquote(item["pk"]["S"].partition("/")[0]))
            bill = Bill.model_validate_json(item["owed"]["S"])
            ended = Ended(bill.response_id, item["status"]["S"], int(change["ApproximateCreationDateTime"]))
        except Exception as error:
            telemetry.crashed(str(change.get("SequenceNumber")), error)
            return False
        done = await asyncio.gather(
            ports.meters.settle(bill, stored=True), _tell(ports, tenant, ended), return_exceptions=True
        )
        failed = [each for each in done if isinstance(each, Exception)]
        for error in failed:
            if not isinstance(error, StorageUnavailable):
                telemetry.crashed(ended.response_id, error)
        return any(isinstance(each, StorageUnavailable) for each in failed)

    async def deliver(self, told: Told) -> None:
        """One more try. Raises DeliveryFailed or StorageUnavailable: there are more; Expired: there are none."""
        webhooks = self._ports_of(told["tenant"]).webhooks
        ended = Ended(**told["ended"])
        try:
            await retry(webhooks, ended, told["endpoint_id"])
        except DeliveryFailed as error:
            if webhooks.now() - ended.ended_at < LIFE_SECONDS:
                raise
            raise Expired(error.message) from None

    async def give_up(self, told: Told) -> None:
        """Raises StorageUnavailable."""
        ended = Ended(**told["ended"])
        webhooks = self._ports_of(told["tenant"]).webhooks
        await give_up(webhooks, ended, told["endpoint_id"], _reason(told.get("failed", {})))


async def _tell(ports: Ports, tenant: str, ended: Ended) -> None:
    for each in await notify(ports.webhooks, ended):
        await ports.start(*execution_of(tenant, ended, each))


def execution_of(tenant: str, ended: Ended, failed: Failed) -> tuple[str, str]:
    """Its name, and its input. An event that comes twice has the same name: it starts one execution."""
    told: Told = {"tenant": tenant, "endpoint_id": failed.endpoint_id, "ended": asdict(ended)}
    return f"{ended.response_id}-{failed.endpoint_id}", json.dumps(told)


def _reason(failed: dict[str, str]) -> str:
    """Of what Lambda told Step Functions: the words of our own errors, and only the name of another one."""
    error = failed.get("Error", "")
    if error in (Expired.__name__, DeliveryFailed.__name__, StorageUnavailable.__name__):
        try:
            return str(json.loads(failed["Cause"])["errorMessage"])[:MAX_REASON]
        except (ValueError, LookupError, TypeError):
            pass
    return error[:MAX_REASON] or "unknown"


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

    return Outbox(ports_of)


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

"""What follows the end of a response, which a record of the table's stream tells. Each record comes at least once, and
what fails for the moment comes again. Knows no AWS but the form of these records.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, NotRequired, TypedDict
from urllib.parse import unquote

from ..core.bill import Bill
from ..core.errors import DeliveryFailed, StorageUnavailable
from ..core.storage import Meters
from .events import Ended
from .notify import Failed, WebhookPorts, give_up, notify, retry

LIFE_SECONDS = 72 * 3600
"""For so long an event is tried, as OpenAI does: https://developers.openai.com/api/docs/guides/webhooks"""
MAX_REASON = 300


class Expired(Exception):
    """The last try of an event. Its message says why it failed."""


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
    """`ports_of` binds to a tenant. `crashed` is told of a bug, and of the response or the record."""

    def __init__(self, ports_of: Callable[[str], Ports], crashed: Callable[[str, Exception], None]) -> None:
        self._ports_of, self._crashed = ports_of, crashed

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
            self._crashed(str(change.get("SequenceNumber")), error)
            return False
        done = await asyncio.gather(_settle(ports.meters, bill), _tell(ports, tenant, ended), return_exceptions=True)
        failed = [each for each in done if isinstance(each, Exception)]
        for error in failed:
            if not isinstance(error, StorageUnavailable):
                self._crashed(ended.response_id, error)
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


async def _settle(meters: Meters, bill: Bill) -> None:
    if await meters.owes(bill.response_id):
        await meters.settle(bill, stored=True)


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

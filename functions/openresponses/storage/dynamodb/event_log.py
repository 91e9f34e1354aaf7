"""The event logs of responses, on DynamoDB and S3: an item for each batch."""

from contextlib import aclosing
from functools import cache

from pydantic import TypeAdapter

from ...core.errors import Superseded
from ...core.loading import MAX_LOG_READ
from ...core.records import Batch
from ...schema.events import Event
from .layout import LOG_END, LOG_START, TenantLayout, log_key
from .table import ABSENT, ConditionFailed, Item, Put, number, safe
from .values import Vanished

_MOST = 256
"""Batches of one read. Most have some tens of events."""


class DynamoEventLog:
    """A batch is one conditional write, of one unit per KB. `deletion` keeps the log of a deleted response closed:
    to check the record in a transaction instead would at least double the cost of every batch."""

    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def append(self, response_id: str, batch: Batch) -> None:
        await append(self._layout, response_id, batch)

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        layout = self._layout
        first = log_key(after_batch + 1)
        batches, size = list[Batch](), 0
        async with aclosing(layout.table.query(layout.pk(response_id), first, LOG_END, page=_MOST)) as items:
            async for item in items:
                if "events" not in item or not layout.alive(item):
                    continue
                try:
                    events = await layout.values.unpack(item["events"])
                except Vanished:  # the objects of a log are deleted only with their response
                    return []
                batches.append(Batch(int(item["sk"]["S"].removeprefix(LOG_START)), _events().validate_json(events)))
                size += len(events)
                if size >= MAX_LOG_READ or len(batches) == _MOST:
                    break
        return batches


async def append(layout: TenantLayout, response_id: str, batch: Batch, *more: Put) -> None:
    """Write the batch, and `more` with it: all or nothing. Raises Superseded if a condition does not hold."""
    item = await batch_item(layout, response_id, batch)
    try:
        if more:
            await layout.table.transact([Put(item, ABSENT), *more])
        else:
            await layout.table.put(item)
    except ConditionFailed:
        await layout.values.discard(item["events"])
        raise Superseded("Another worker writes this log, or the response is gone") from None


async def batch_item(layout: TenantLayout, response_id: str, batch: Batch) -> Item:
    """The item of a batch."""
    events = _events().dump_json(batch.events)
    item: Item = {
        **layout.key(response_id, log_key(batch.number)),
        "ttl": layout.ttl(layout.log_days),
        "events": await layout.values.pack("log", safe(response_id), f"{batch.number}", events),
    }
    if batch.events:
        item["first"] = number(batch.events[0].sequence_number)
        item["last"] = number(batch.events[-1].sequence_number)
    return item


@cache
def _events() -> TypeAdapter[list[Event]]:
    return TypeAdapter(list[Event])

"""Responses' event logs, on DynamoDB and S3: an item for each batch."""

from functools import cache

from pydantic import TypeAdapter

from ...core.errors import Superseded
from ...core.records import Batch
from ...schema.events import Event
from .layout import LOG_END, LOG_START, Shelf, log_key
from .table import ConditionFailed, Item, number, safe
from .values import Vanished


class DynamoEventLog:
    """A batch is one conditional write, of one unit per KB. That a deleted response's log stays closed is the work
    of `deletion`: checking the record in a transaction would make every batch cost twice as much and more."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def append(self, response_id: str, batch: Batch) -> None:
        shelf = self._shelf
        events = _events().dump_json(batch.events)
        value = await shelf.values.pack("log", safe(response_id), f"{batch.number}", events)
        item: Item = {
            **shelf.key(response_id, log_key(batch.number)),
            "ttl": shelf.ttl(shelf.log_days),
            "events": value,
        }
        if batch.events:
            item["first"] = number(batch.events[0].sequence_number)
            item["last"] = number(batch.events[-1].sequence_number)
        try:
            await shelf.table.put(item)
        except ConditionFailed:
            await shelf.values.discard(value)
            raise Superseded("Another worker writes this log, or the response is gone") from None

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        shelf = self._shelf
        first = log_key(after_batch + 1)
        items = await shelf.table.query(shelf.pk(response_id), first, LOG_END)
        kept = [item for item in items if "events" in item and shelf.alive(item)]
        try:
            values = await shelf.values.unpack_all([item["events"] for item in kept])
        except Vanished:  # objects of a log go only when their response goes
            return []
        numbers = [int(item["sk"]["S"].removeprefix(LOG_START)) for item in kept]
        return [Batch(n, _events().validate_json(value)) for n, value in zip(numbers, values, strict=True)]


@cache
def _events() -> TypeAdapter[list[Event]]:
    return TypeAdapter(list[Event])

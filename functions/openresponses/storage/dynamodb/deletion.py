"""Deleting a response while others may still write to it."""

from contextlib import suppress

from ...core.bill import Bill
from .chains import chain_of, delete_chunks
from .layout import DAY, DELETED, LOG_END, LOG_START, TenantLayout, log_key
from .meters import DynamoMeters
from .table import PRESENT, ConditionFailed, Item, number, safe
from .values import Vanished


async def delete(layout: TenantLayout, response_id: str) -> None:
    """Delete all that is stored of a response, once its bill is settled. The record goes last, so that a deletion that
    fails can be repeated.

    No writer succeeds afterwards. To renew, settle or save needs an item that is marked as deleted first and is gone
    later, and the writer of an output checks the mark after its write. A writer of the log only needs a free place for
    its batch, so a tombstone takes every place that one may still try.
    """
    record = layout.key(response_id, "record")
    try:
        left = await layout.table.update(record, {"status": {"S": DELETED}}, PRESENT, returns="ALL_NEW")
    except ConditionFailed:
        return
    if "owed" in left:
        await DynamoMeters(layout).settle(Bill.model_validate_json(left["owed"]["S"]), stored=True)
    await _close_log(layout, response_id)
    start = layout.key(response_id, "input")
    with suppress(Vanished):  # an earlier attempt got further than this
        await delete_chunks(layout, response_id, await chain_of(layout, await layout.table.get(start)))
    keys = [_key(item) async for item in layout.table.query(layout.pk(response_id), keys_only=True)]
    places = [key for key in keys if key["sk"]["S"].startswith(LOG_START)]
    others = [key for key in keys if key not in (record, start, *places)]
    await layout.table.write_all([_tombstone(layout, place) for place in places], others)
    # After the items: a writer that comes too late for its item deletes its own object, any other is listed here.
    await layout.values.delete_all(safe(response_id))
    await layout.table.write_all([], [start, record])


async def _close_log(layout: TenantLayout, response_id: str) -> None:
    """Take the place after the last batch. Numbers have no gaps, so no writer is further than that."""
    free = 0
    while True:
        async for item in layout.table.query(layout.pk(response_id), log_key(free), LOG_END, keys_only=True):
            free = int(item["sk"]["S"].removeprefix(LOG_START)) + 1
        try:
            await layout.table.put(_tombstone(layout, layout.key(response_id, log_key(free))))
        except ConditionFailed:  # a writer was faster: try the next place
            continue
        return


def _tombstone(layout: TenantLayout, key: Item) -> Item:
    """It outlives every writer: none runs for a day without reading the run, which is gone."""
    return {**key, "ttl": number(int(layout.now() + DAY))}


def _key(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}

"""Deleting a response while others may still write to it."""

from .layout import DAY, DELETED, LOG_END, LOG_START, Shelf, log_key
from .table import PRESENT, ConditionFailed, Item, number, safe


async def delete(shelf: Shelf, response_id: str) -> None:
    """Everything of it. The record goes last, so that a deletion that fails half-way can be asked for again.

    No writer comes after it: renewing, settling and saving need an item that is marked first and then gone,
    and an output's writer looks at the mark after its write. The log's writers only need their batch's place
    to be free, so every place that one may still try is taken by a tombstone.
    """
    record = shelf.key(response_id, "record")
    try:
        await shelf.table.update(record, {"status": {"S": DELETED}}, PRESENT)
    except ConditionFailed:
        return
    await _close_log(shelf, response_id)
    items = await shelf.table.query(shelf.pk(response_id), keys_only=True)
    start = shelf.key(response_id, "input")
    keys = [_key(item) for item in items]
    places = [key for key in keys if key["sk"]["S"].startswith(LOG_START)]
    others = [key for key in keys if key not in (record, start, *places)]
    await shelf.table.write_all([_tombstone(shelf, place) for place in places], others)
    # After the items: a writer that comes too late for its item deletes its own object, any other is listed here.
    await shelf.values.delete_all(safe(response_id))
    await shelf.table.write_all([], [start, record])


async def _close_log(shelf: Shelf, response_id: str) -> None:
    """Take the place after the last one. Numbers have no gaps: no writer can be further than this."""
    free = 0
    while True:
        items = await shelf.table.query(shelf.pk(response_id), log_key(free), LOG_END, keys_only=True)
        if items:
            free = int(items[-1]["sk"]["S"].removeprefix(LOG_START)) + 1
        try:
            await shelf.table.put(_tombstone(shelf, shelf.key(response_id, log_key(free))))
        except ConditionFailed:  # its writer was faster: the next place, then
            continue
        return


def _tombstone(shelf: Shelf, key: Item) -> Item:
    """It outlives any writer: none runs for a day without reading the run, which is gone."""
    return {**key, "ttl": number(int(shelf.now() + DAY))}


def _key(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}

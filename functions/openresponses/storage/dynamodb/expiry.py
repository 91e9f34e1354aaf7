"""Letting a response that waits for answers expire later, with all that it is made of, on DynamoDB and S3."""

import asyncio

from ...core.records import Record
from .chains import link_keys
from .layout import DAY, LOG_START, TenantLayout
from .table import ConditionFailed, Item, number
from .values import Kind

_VALUES = ("input", "response", "run", "events", "items", "output")
"""Attributes that hold a value, or say where it is in S3."""
_AFTERWARDS = 1.0
"""Days that what is before the response outlives the wait by: the model is asked again then."""


async def prolong(layout: TenantLayout, record: Record, seconds: float) -> None:
    """Its own items get the time that they would have if they were written at the end of the wait. What it goes on from
    outlives the wait.

    An object lives from when it was written, so it is written again: it outlives a wait of `response_days`. Those of
    the log go to where objects live that long.
    """
    response_id = record.response.id
    own = [item async for item in layout.table.query(layout.pk(response_id))]
    keys = [key for link in record.chain for key in link_keys(layout, link)]
    before = [*(await layout.table.get_all(keys)).values()]
    days: list[tuple[Item, float]] = [(item, _days(layout, item)) for item in own]
    days += [(item, _AFTERWARDS) for item in before]
    await asyncio.gather(*(_prolong(layout, item, seconds + each * DAY) for item, each in days))


def _days(layout: TenantLayout, item: Item) -> float:
    return layout.log_days if _is_log(item) else layout.response_days


def _is_log(item: Item) -> bool:
    return item["sk"]["S"].startswith(LOG_START)


async def _prolong(layout: TenantLayout, item: Item, seconds: float) -> None:
    """Nothing is done to what was deleted meanwhile, or replaced."""
    until = max(int(layout.now() + seconds), int(item["ttl"]["N"]))
    kind: Kind = "log" if _is_log(item) and layout.log_days >= layout.response_days else "response"
    there = {name: item[name] for name in _VALUES if "S" in item.get(name, {})}
    copies = {name: value for name, each in there.items() if (value := await layout.values.copied(each, kind))}
    same = " AND ".join(f"#{name} = :was_{name}" for name in ("ttl", *there))
    was = {f"was_{name}": item[name] for name in ("ttl", *there)}
    changes: Item = {"ttl": number(until), **copies}
    if all(item[name] == value for name, value in changes.items()):
        return
    try:
        await layout.table.update({"pk": item["pk"], "sk": item["sk"]}, changes, same, was)
        unused = [each for name, each in there.items() if copies.get(name, each) != each]
    except ConditionFailed as failed:  # another worker does the same, or it is being deleted
        unused = [each for name, each in copies.items() if failed.item.get(name) != each]
    await asyncio.gather(*map(layout.values.discard, unused))

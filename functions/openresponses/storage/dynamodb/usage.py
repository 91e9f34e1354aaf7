"""Counts of usage, on DynamoDB: a row for each key, day and target, in shards, so that those who settle seldom meet.

A key's rows of a month are side by side: whoever asks for one key reads no other's.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime

from ...core.bill import Bill
from ...core.storage import UsageRow
from ..usage_rows import rows_of, summed
from .layout import DAY, TenantLayout
from .table import Change, Item, number, safe

_SHARDS = 16
_DAYS = 400
"""Thirteen months, and some."""
_PLACE = ("day", "key_id", "target")
_COUNTS = tuple(each.name for each in fields(UsageRow) if each.name not in _PLACE)


def usage_changes(layout: TenantLayout, bill: Bill) -> list[Change]:
    """Whoever meets another one asks anew, for other shards."""
    return [_change(layout, row, random.randrange(_SHARDS)) for row in rows_of(bill)]


async def read_usage(layout: TenantLayout, first_day: str, last_day: str, key_id: str | None) -> list[UsageRow]:
    """The months are read side by side."""
    key = () if key_id is None else (f"{safe(key_id)}#{first_day}", f"{safe(key_id)}#{last_day}~")

    async def month(name: str) -> list[UsageRow]:
        pk = layout.usage_key(name, "")["pk"]["S"]
        return [_row(item) async for item in layout.table.query(pk, *key) if layout.alive(item)]

    found = await asyncio.gather(*map(month, _months(first_day, last_day)))
    return summed(row for rows in found for row in rows if first_day <= row.day <= last_day)


def _change(layout: TenantLayout, row: UsageRow, shard: int) -> Change:
    sk = f"{safe(row.key_id)}#{row.day}#{safe(row.target)}#{shard}"
    counts = {name: count for name in _COUNTS if (count := getattr(row, name))}
    ends = int(datetime.fromisoformat(row.day).replace(tzinfo=UTC).timestamp()) + _DAYS * DAY
    place: Item = {**{name: {"S": getattr(row, name)} for name in _PLACE}, "ttl": number(ends)}
    setting = ", ".join(f"#{name} = :{name}" for name in place)
    adding = ", ".join(f"#{name} :{name}" for name in counts)
    expression = f"SET {setting}" + (f" ADD {adding}" if adding else "")
    values = {**place, **{name: number(count) for name, count in counts.items()}}
    return Change(layout.usage_key(row.day[:7], sk), expression, values=values)


def _row(item: Item) -> UsageRow:
    counts = {name: int(item[name]["N"]) if name in item else 0 for name in _COUNTS}
    return UsageRow(day=item["day"]["S"], key_id=item["key_id"]["S"], target=item["target"]["S"], **counts)


def _months(first_day: str, last_day: str) -> Iterator[str]:
    year, month = int(first_day[:4]), int(first_day[5:7])
    while (name := f"{year:04d}-{month:02d}") <= last_day[:7]:
        yield name
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)

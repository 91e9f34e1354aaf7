"""What keys and tenants may take, and have taken, on DynamoDB.

Whoever holds writes one item, or two in a transaction; whoever settles makes one transaction. DynamoDB refuses a write
that meets a transaction at one item, and no SDK tries it again:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
So those who meet at a meter try again, each after a time of its own.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from ...core.bill import Bill
from ...core.errors import StorageUnavailable
from ...core.storage import DoesNotFit, Limits, Meter, UsageRow, Want
from ..meter_state import Kept, Open, most_running, rooms
from .layout import TenantLayout
from .limits import limits_change, pack_limits, unpack_limits
from .table import Change, ConditionFailed, Item, number
from .usage import read_usage, usage_changes

T = TypeVar("T")

_TRIES = 12
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.5
"""Seconds. A transaction of DynamoDB takes some milliseconds."""
_TIDIED = 100
"""Holds that one write removes: an expression has 4 KB."""


class DynamoMeters:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def read(self, key_id: str, now: float) -> tuple[Meter, Meter]:
        key, tenant = await self._kept(key_id)
        return key.meter(now), tenant.meter(now)

    async def limit(self, key_id: str | None, limits: Limits) -> None:
        await self._layout.table.apply(limits_change(self._layout.meter_key(key_id), limits))

    async def hold(self, want: Want, key: Limits, tenant: Limits) -> tuple[Meter, Meter]:
        limited = {id_: limits for id_, limits in ((want.key_id, key), (None, tenant)) if limits != Limits()}
        known = {id_: _supposed(want, limits) for id_, limits in limited.items()}

        async def attempt() -> tuple[Kept, Kept] | None:
            changes = [_holding(self._layout.meter_key(id_), want, kept) for id_, kept in known.items()]
            try:
                return await self._held(want, changes)
            except ConditionFailed:
                key, tenant = await self._kept(want.key_id)
                known.update({id_: key if id_ is not None else tenant for id_ in known})
            if all(kept.has(want.response_id, want.hold) for kept in known.values()):
                return key, tenant  # the answer to the last try was lost
            if not all(kept.fits(want, limited[id_]) for id_, kept in known.items()):
                raise DoesNotFit(key.meter(want.hold.at), tenant.meter(want.hold.at))
            await self._tidy(known, want.response_id, want.hold.at)
            return None

        key_kept, tenant_kept = await _again(attempt) if limited else (Kept(), Kept())
        return key_kept.meter(want.hold.at), tenant_kept.meter(want.hold.at)

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        """A first transaction whose answer was lost is not made again: the SDK sends it with the same token."""
        now = self._layout.now()
        paid = Change(self._layout.key(bill.response_id, "record"), "REMOVE #owed", "attribute_exists(#owed)")

        async def attempt() -> bool | None:
            changes = [paid] if stored else []
            if bill.hold:
                known = dict(zip((bill.key_id, None), await self._kept(bill.key_id), strict=True))
                held = {id_: kept for id_, kept in known.items() if bill.response_id in kept.holds}
                if not held and not stored:
                    return False
                await self._tidy(held, bill.response_id, now)
                changes += [_settling(self._layout.meter_key(id_), bill, kept, now) for id_, kept in held.items()]
            changes += usage_changes(self._layout, bill)
            try:
                if changes:
                    await self._layout.table.transact(changes)
            except ConditionFailed as failed:
                is_meter = "holds" in failed.item
                return None if is_meter else False
            return True

        return await _again(attempt)

    async def usage(self, first_day: str, last_day: str, key_id: str | None = None) -> list[UsageRow]:
        return await read_usage(self._layout, first_day, last_day, key_id)

    async def _kept(self, key_id: str) -> tuple[Kept, Kept]:
        keys = [self._layout.meter_key(each) for each in (key_id, None)]
        items = await self._layout.table.get_all(keys)
        key, tenant = (_unpacked(items.get((each["pk"]["S"], each["sk"]["S"]), {})) for each in keys)
        return key, tenant

    async def _held(self, want: Want, changes: Sequence[Change]) -> tuple[Kept, Kept]:
        """Both meters with it."""
        if len(changes) == 1:
            kept = _unpacked(await self._layout.table.apply(changes[0]))
            is_key = changes[0].key["sk"]["S"] == "key"
            return (kept, Kept()) if is_key else (Kept(), kept)
        reading = self._kept(want.key_id)
        written, found = await asyncio.gather(self._layout.table.transact(changes), reading, return_exceptions=True)
        if isinstance(written, BaseException):
            raise written
        if isinstance(found, BaseException):
            raise found
        for kept in found:
            if not kept.has(want.response_id, want.hold):  # it was read before
                kept.take(want)
        return found

    async def _tidy(self, known: Mapping[str | None, Kept], response_id: str, now: float) -> None:
        """Forget what dead workers hold, but for what this response does."""
        for id_, kept in known.items():
            if over := [each for each in kept.over(now) if each != response_id][:_TIDIED]:
                with suppress(ConditionFailed, StorageUnavailable):  # another one does the same
                    await self._layout.table.apply(_forgetting(self._layout.meter_key(id_), over, now))


async def _again(attempt: Callable[[], Awaitable[T | None]]) -> T:
    """What it says, once it says something. It is tried again where it met another one."""
    for number_ in range(_TRIES):
        try:
            if (done := await attempt()) is not None:
                return done
        except StorageUnavailable as error:
            if not error.nothing_done or number_ == _TRIES - 1:
                raise
            await asyncio.sleep(random.random() * min(_FIRST_WAIT * 2**number_, _LONGEST_WAIT))
    raise StorageUnavailable("Storage is busy: try again")


def _supposed(want: Want, limits: Limits) -> Kept:
    """The meter as its writer believes it to be: with what the response held before, and no other."""
    before = want.instead_of
    return Kept(limits, holds={want.response_id: Open(before.until, before.id)} if before else {})


def _holding(key: Item, want: Want, kept: Kept) -> Change:
    """Hold it, if nobody else's write has changed whether it may."""
    more = {name: count for name, count in kept.added_by(want).items() if count}
    names = {"mine": want.response_id}
    values: Item = {"limits": pack_limits(kept.limits), "mine": _packed(Open(want.hold.until, want.hold.id))}
    conditions = ["#limits = :limits"]
    if there := kept.holds.get(want.response_id):
        conditions.append("#holds.#mine[1] = :there")
        values["there"] = {"S": there.hold_id}
    else:
        conditions.append("attribute_not_exists(#holds.#mine) AND size(#holds) < :most")
        values["most"] = number(most_running(want, kept.limits))
    for n, (name, room) in enumerate(rooms(kept.limits, kept.added_by(want), want.hold.at).items()):
        names[f"limited{n}"], values[f"room{n}"] = name, number(room)
        none_yet = f"attribute_not_exists(#limited{n}) OR " if room >= 0 else ""
        conditions.append(f"({none_yet}#limited{n} <= :room{n})")
    added = _adding(more, names, values)
    return Change(key, f"SET #holds.#mine = :mine{added}", " AND ".join(conditions), values, names)


def _settling(key: Item, bill: Bill, kept: Kept, now: float) -> Change:
    stale = kept.stale(now)
    names = {"mine": bill.response_id, **{f"stale{n}": name for n, name in enumerate(stale)}}
    values: Item = {"there": {"S": kept.holds[bill.response_id].hold_id}}
    removed = ", ".join(["#holds.#mine", *(f"#stale{n}" for n in range(len(stale)))])
    more = {name: count for name, count in kept.corrected_by(bill).items() if name not in stale}
    expression = f"REMOVE {removed}{_adding(more, names, values)}"
    return Change(key, expression, "#holds.#mine[1] = :there", values, names)


def _forgetting(key: Item, over: Sequence[str], now: float) -> Change:
    """None of them, if one is gone or was renewed: then another worker was faster."""
    removed = ", ".join(f"#holds.#over{n}" for n in range(len(over)))
    condition = " AND ".join(f"#holds.#over{n}[0] <= :now" for n in range(len(over)))
    names = {f"over{n}": response_id for n, response_id in enumerate(over)}
    return Change(key, f"REMOVE {removed}", condition, {"now": number(now)}, names)


def _adding(more: Mapping[str, int], names: dict[str, str], values: Item) -> str:
    """The end of an expression. Its names and values go to the others."""
    parts: list[str] = []
    for n, (name, count) in enumerate(more.items()):
        names[f"count{n}"], values[f"count{n}"] = name, number(count)
        parts.append(f"#count{n} :count{n}")
    return f" ADD {', '.join(parts)}" if parts else ""


def _packed(hold: Open) -> Item:
    return {"L": [number(hold.until), {"S": hold.hold_id}]}


def _unpacked(item: Item) -> Kept:
    holds = {
        response_id: Open(float(each["L"][0]["N"]), each["L"][1]["S"])
        for response_id, each in item.get("holds", {"M": {}})["M"].items()
    }
    counts = {name: int(value["N"]) for name, value in item.items() if "#" in name}
    return Kept(unpack_limits(item), counts, holds)

"""What keys and tenants may take, and have taken, on DynamoDB.

A meter is one item, and no transaction touches it. DynamoDB refuses a write that meets a transaction at one item, and
all requests of a tenant meet at its meter. Plain writes wait for each other instead:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
So a hold is one conditional write of each meter. Its end is one, too, and happens once, since it needs the hold; it
comes before the one transaction that counts the usage and says that the bill is no more owed. Whoever repeats what a
dead worker has begun leaves out what is done.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ...core.bill import Bill
from ...core.errors import KitError, StorageUnavailable
from ...core.storage import DoesNotFit, Limits, Meter, UsageRow, Want
from ..meter_state import Kept, Open, most_running, rooms
from .layout import TenantLayout
from .limits import limits_change, pack_limits, unpack_limits
from .table import Change, ConditionFailed, Item, number
from .usage import read_usage, usage_changes

_TRIES = 12
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0
"""Seconds. A transaction of DynamoDB takes some milliseconds."""
_LOOKS = 5
"""How often a meter is looked at that changes meanwhile."""
_TIDIED = 100
"""Holds that one write removes: an expression has 4 KB."""


class _Refused(Exception):
    """The meter allows no hold."""

    def __init__(self, kept: Kept) -> None:
        super().__init__("the meter allows no hold")
        self.kept = kept


@dataclass(frozen=True, slots=True)
class _Held:
    """A hold was written. `before` is the meter as its condition told it, `after` as it is with the hold."""

    before: Kept
    after: Kept


class DynamoMeters:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def read(self, key_id: str, now: float) -> tuple[Meter, Meter]:
        key, tenant = await self._kept(key_id)
        return key.meter(now), tenant.meter(now)

    async def limit(self, key_id: str | None, limits: Limits) -> None:
        await self._layout.table.apply(limits_change(self._layout.meter_key(key_id), limits))

    async def hold(self, want: Want, key: Limits, tenant: Limits) -> tuple[Meter, Meter]:
        """Both meters at once. What one of them has allowed is undone where the other one refuses."""
        meters = self._layout.meter_key(want.key_id), self._layout.meter_key(None)
        holds = (self._hold(meter, want, limits) for meter, limits in zip(meters, (key, tenant), strict=True))
        found = await asyncio.gather(*holds, return_exceptions=True)
        failed = [each for each in found if isinstance(each, BaseException)]
        kept = [await self._left(*each, want, undo=bool(failed)) for each in zip(meters, found, strict=True)]
        if error := next((each for each in failed if not isinstance(each, _Refused)), None):
            raise error
        of_key, of_tenant = (each.meter(want.hold.at) for each in kept)
        if failed:
            raise DoesNotFit(of_key, of_tenant)
        return of_key, of_tenant

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        if bill.hold and not await self._give_back(bill) and not stored:
            return False
        paid = Change(self._layout.key(bill.response_id, "record"), "REMOVE #owed", "attribute_exists(#owed)")
        for attempt in range(_TRIES):
            changes = [*([paid] if stored else []), *usage_changes(self._layout, bill)]
            try:
                if changes:
                    await self._layout.table.transact(changes)
            except ConditionFailed:
                return False
            except StorageUnavailable as error:  # it met another one, at a row of usage
                if attempt == _TRIES - 1 or not error.nothing_done:
                    raise
                await asyncio.sleep(random.random() * min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT))
            else:
                return True
        raise AssertionError("the last attempt returns or raises")

    async def owes(self, response_id: str) -> bool:
        return "owed" in await self._layout.table.get(self._layout.key(response_id, "record"))

    async def usage(self, first_day: str, last_day: str, key_id: str | None = None) -> list[UsageRow]:
        return await read_usage(self._layout, first_day, last_day, key_id)

    async def _kept(self, key_id: str) -> tuple[Kept, Kept]:
        keys = [self._layout.meter_key(each) for each in (key_id, None)]
        items = await self._layout.table.get_all(keys)
        key, tenant = (_unpacked(items.get((each["pk"]["S"], each["sk"]["S"]), {})) for each in keys)
        return key, tenant

    async def _hold(self, meter: Item, want: Want, limits: Limits) -> _Held | None:
        """None if nothing is limited. Raises _Refused. A meter is first believed to be as the writer knows it."""
        if limits == Limits():
            return None
        believed = before = _supposed(want, limits)
        for _ in range(_LOOKS):
            try:
                after = _unpacked(await self._layout.table.apply(_holding(meter, want, before)))
            except ConditionFailed as failed:
                there = _unpacked(failed.item)
            else:
                return _Held(before, after)
            if there.has(want.response_id, want.hold):  # the answer to the last try was lost
                return _Held(believed, there)
            if not there.fits(want, limits):
                raise _Refused(there)
            await self._tidy(meter, there, want.response_id, want.hold.at)
            before = there
        raise StorageUnavailable("Storage is busy: try again")

    async def _left(self, meter: Item, found: _Held | BaseException | None, want: Want, *, undo: bool) -> Kept:
        """The meter, once everything is as it is to be."""
        if not isinstance(found, _Held):
            return found.kept if isinstance(found, _Refused) else Kept()
        if undo:
            with suppress(ConditionFailed, KitError):  # its time runs out
                return _unpacked(await self._layout.table.apply(_undoing(meter, want, found.before)))
        return found.after

    async def _give_back(self, bill: Bill) -> bool:
        """Whether this call did it: of several, the one that does the last of both meters."""
        now, done = self._layout.now(), False
        for id_, kept in zip((bill.key_id, None), await self._kept(bill.key_id), strict=True):
            if bill.response_id not in kept.holds:
                continue
            meter = self._layout.meter_key(id_)
            try:
                await self._layout.table.apply(_settling(meter, bill, kept, now))
                done = True
            except ConditionFailed:
                done = False
            await self._tidy(meter, kept, bill.response_id, now)
        return done

    async def _tidy(self, meter: Item, kept: Kept, response_id: str, now: float) -> None:
        """Forget what dead workers hold, but for what this response does."""
        if over := [each for each in kept.over(now) if each != response_id][:_TIDIED]:
            with suppress(ConditionFailed, StorageUnavailable):  # another one does the same
                await self._layout.table.apply(_forgetting(meter, over, now))


def _supposed(want: Want, limits: Limits) -> Kept:
    """The meter as its writer believes it to be: with what the response held before, and no other."""
    before = want.instead_of
    return Kept(limits, holds={want.response_id: Open(before.until, before.id)} if before else {})


def _holding(meter: Item, want: Want, kept: Kept) -> Change:
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
    return Change(meter, f"SET #holds.#mine = :mine{added}", " AND ".join(conditions), values, names)


def _undoing(meter: Item, want: Want, before: Kept) -> Change:
    names, values = {"mine": want.response_id}, {"mine": {"S": want.hold.id}}
    if there := before.holds.get(want.response_id):
        values["there"] = _packed(there)
    less = {name: -count for name, count in before.added_by(want).items() if count}
    expression = ("SET #holds.#mine = :there" if there else "REMOVE #holds.#mine") + _adding(less, names, values)
    return Change(meter, expression, "#holds.#mine[1] = :mine", values, names)


def _settling(meter: Item, bill: Bill, kept: Kept, now: float) -> Change:
    stale = kept.stale(now)
    names = {"mine": bill.response_id, **{f"stale{n}": name for n, name in enumerate(stale)}}
    values: Item = {"there": {"S": kept.holds[bill.response_id].hold_id}}
    removed = ", ".join(["#holds.#mine", *(f"#stale{n}" for n in range(len(stale)))])
    more = {name: count for name, count in kept.corrected_by(bill).items() if name not in stale}
    expression = f"REMOVE {removed}{_adding(more, names, values)}"
    return Change(meter, expression, "#holds.#mine[1] = :there", values, names)


def _forgetting(meter: Item, over: Sequence[str], now: float) -> Change:
    """None of them, if one is gone or was renewed: then another worker was faster."""
    removed = ", ".join(f"#holds.#over{n}" for n in range(len(over)))
    condition = " AND ".join(f"#holds.#over{n}[0] <= :now" for n in range(len(over)))
    names = {f"over{n}": response_id for n, response_id in enumerate(over)}
    return Change(meter, f"REMOVE {removed}", condition, {"now": number(now)}, names)


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

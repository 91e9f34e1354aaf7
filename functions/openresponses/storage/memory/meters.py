"""What keys and tenants may take, and have taken, in memory."""

from ...core.bill import Bill
from ...core.storage import DoesNotFit, Limits, Meter, UsageRow, Want
from ..meter_state import Kept
from ..usage_rows import rows_of, summed
from .shelf import Shelf


class MemoryMeters:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def read(self, key_id: str, now: float) -> tuple[Meter, Meter]:
        return self._kept(key_id).meter(now), self._kept(None).meter(now)

    async def limit(self, key_id: str | None, limits: Limits) -> None:
        self._kept(key_id).limits = limits

    async def hold(self, want: Want, key: Limits, tenant: Limits) -> tuple[Meter, Meter]:
        now, both = want.hold.at, (self._kept(want.key_id), self._kept(None))
        limited = [(kept, limits) for kept, limits in zip(both, (key, tenant), strict=True) if limits != Limits()]
        if not all(kept.has(want.response_id, want.hold) for kept, _ in limited):
            if not all(kept.fits(want, limits) for kept, limits in limited):
                raise DoesNotFit(*(kept.meter(now) for kept in both))
            for kept, _ in limited:
                kept.tidy(now)
                kept.take(want)
        of_key, of_tenant = (kept.meter(now) for kept in both)
        return of_key, of_tenant

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        both = (self._kept(bill.key_id), self._kept(None)) if bill.hold else ()
        holding = [kept for kept in both if bill.response_id in kept.holds]
        owed = self._shelf.pay(bill.response_id) if stored else bool(holding) or not bill.hold
        if not owed:
            return False
        for kept in holding:
            kept.settle(bill)
        self._shelf.usage = summed([*self._shelf.usage, *rows_of(bill)])
        return True

    async def owes(self, response_id: str) -> bool:
        entry = self._shelf.responses.get(response_id)
        return entry is not None and entry.owed is not None

    async def usage(self, first_day: str, last_day: str, key_id: str | None = None) -> list[UsageRow]:
        found = [row for row in self._shelf.usage if first_day <= row.day <= last_day]
        return [row for row in found if key_id in (None, row.key_id)]

    def _kept(self, key_id: str | None) -> Kept:
        return self._shelf.meters.setdefault(key_id, Kept())

"""The limits of one tenant and its keys, as the loop knows them: who has none costs one read in a minute."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from ..core.bill import Hold, taken_of
from ..core.errors import LimitReached, StorageUnavailable
from ..core.ports import Left, Models
from ..core.run import Run
from ..core.storage import DoesNotFit, Limits, Meter, Meters, Want
from ..core.turn import Turn

FRESH = 60.0
"""Seconds for which a sandbox need not ask again what the limits are."""
LEASE = 900.0
"""Seconds after which a turn's worker is dead, surely: the longest that a function runs
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
TRIES = 8
"""Each that fails tells what is left, so one fails again only where another response was faster."""
SETTLES = 0.3
"""Seconds that a response may still have its place after its last byte: its client asks for the next one at once."""
MAX_KNOWN = 4_096
NONE = Limits()


@dataclass(frozen=True, slots=True)
class Known:
    key: Limits
    tenant: Limits
    since: float

    @property
    def none(self) -> bool:
        return self.key == self.tenant == NONE


class TenantBudget:
    """`known` is what a sandbox knows of limits, by tenant and key: all tenants share it."""

    def __init__(
        self,
        meters: Meters,
        models: Models,
        now: Callable[[], float],
        new_id: Callable[[], str],
        known: dict[tuple[str, str], Known] | None = None,
        tenant: str = "",
    ) -> None:
        self._meters, self._models, self._now, self._new_id = meters, models, now, new_id
        self._known, self._tenant = {} if known is None else known, tenant

    async def hold(self, run: Run, made: Callable[[Run], Turn]) -> Left | None:
        now = self._now()
        if run.held == "next" and run.hold is not None and now < run.hold.until:
            return None
        known = await self._limits(run.key_id, now)
        if known.none:
            run.cap, run.lowered = None, False
            return None
        return await self._held(run, made(run), known, now)

    async def learn(self, key_id: str) -> None:
        with suppress(StorageUnavailable):  # who has to know asks again
            await self._limits(key_id, self._now())

    async def rest(self, run: Run) -> None:
        if run.hold is None:
            return
        now = self._now()
        known = await self._limits(run.key_id, now)
        want = self._want(run, Hold(id=self._new_id(), at=now, until=now))
        for _ in range(TRIES):
            try:
                await self._meters.hold(want, known.key, known.tenant)
            except DoesNotFit as found:
                known = self._learned(run.key_id, found.key, found.tenant, now)
            else:
                self._holds(run, want.hold)
                run.held = ""
                return

    async def _limits(self, key_id: str, now: float) -> Known:
        known = self._known.get((self._tenant, key_id))
        if known is not None and now < known.since + FRESH:
            return known
        try:
            key, tenant = await self._meters.read(key_id, now)
        except StorageUnavailable:
            if known is None:
                raise
            return known  # whether it still holds is asked with each write
        return self._learned(key_id, key, tenant, now)

    def _learned(self, key_id: str, key: Meter, tenant: Meter, now: float) -> Known:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        known = self._known[self._tenant, key_id] = Known(key.limits, tenant.limits, now)
        return known

    async def _held(self, run: Run, turn: Turn, known: Known, now: float) -> Left | None:
        from .policy import BUSY, demand_of, limits_money, planned  # who has no limit doesn't need it

        key, tenant = Meter(known.key), Meter(known.tenant)  # as if nothing were taken: who is right writes once
        demand, supposed, waited = demand_of(run, turn, ()), True, False
        for _ in range(TRIES):
            if not supposed and self._learned(run.key_id, key, tenant, now).none:
                run.cap, run.lowered = None, False
                return None
            if (limits_money(key.limits) or limits_money(tenant.limits)) and not demand.pricings:
                demand = replace(demand, pricings=await self._models.pricings(turn))
            try:
                plan = planned(demand, key, tenant, now)
            except LimitReached as refusal:
                if not supposed and (waited or refusal.retry_after != BUSY):
                    raise
                if not supposed:
                    waited = True
                    await asyncio.sleep(SETTLES)
                key, tenant, supposed = *await self._meters.read(run.key_id, now), False
                continue
            hold = Hold(id=self._new_id(), at=now, until=now + LEASE, tokens=plan.most.tokens, pico=plan.most.pico)
            want = self._want(run, hold, first=demand.first)
            try:
                key, tenant = await self._meters.hold(want, key.limits, tenant.limits)
            except DoesNotFit as found:
                key, tenant, supposed = found.key, found.tenant, False
            else:
                self._holds(run, hold)
                run.held, run.cap, run.lowered = "next", plan.cap, plan.lowered
                return Left(key, tenant, now)
        raise LimitReached("Too many requests of this key came at once: try again", retry_after=1.0)

    def _want(self, run: Run, hold: Hold, *, first: bool = False) -> Want:
        spent = run.spent()
        return Want(run.response.id, run.key_id, hold, first, run.hold, spent.tokens, spent.pico)

    def _holds(self, run: Run, hold: Hold) -> None:
        run.hold, run.counted = hold, taken_of(run.by_target)

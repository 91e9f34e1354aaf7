"""Meters beside a plain model of them: random walks of responses that hold, go on, die and end, while time passes, and
limits change.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from openresponses.core.bill import Bill, Cost, Hold, Used
from openresponses.core.storage import DoesNotFit, Limits, Meter, Storage, Want
from openresponses.schema.response import Usage
from tests.contract.storage_suite import BACKENDS, AwsBackend, MemoryBackend, opened, rid
from tests.contract.test_storage_meters import NONE, ended
from tests.sweeps import Sweep

BEGIN = datetime(2026, 11, 30, 23, 58, tzinfo=UTC).timestamp()
KEYS = ("one", "two")
CHANGES = [
    NONE,
    Limits(concurrent=2),
    Limits(requests_per_minute=3, tokens_per_minute=150),
    Limits(tokens_per_minute=120, pico_per_day=300, concurrent=3),
    Limits(pico_per_day=200, pico_per_month=260),
]


@dataclass
class Part:
    """One hold, and what is counted for it: what it held, until it is known what was used."""

    hold: Hold
    first: bool
    tokens: int
    pico: int
    open: bool = True

    def use(self, tokens: int, pico: int) -> None:
        self.tokens, self.pico = tokens, pico


@dataclass
class Model:
    """All that one key, or the tenant, ever held, by the id of the response."""

    limits: Limits = NONE
    parts: dict[str, list[Part]] = field(default_factory=dict[str, list[Part]])

    def opened(self, response_id: str) -> Part | None:
        return next((each for each in self.parts.get(response_id, []) if each.open), None)

    def meter(self, now: float) -> Meter:
        parts = [each for several in self.parts.values() for each in several]
        minute = [each for each in parts if each.hold.at // 60 == now // 60]
        day = [each for each in parts if _utc(each.hold.at).date() == _utc(now).date()]
        month = [
            each
            for each in parts
            if (_utc(each.hold.at).year, _utc(each.hold.at).month) == (_utc(now).year, _utc(now).month)
        ]
        return Meter(
            self.limits,
            sum(each.first for each in minute),
            sum(each.tokens for each in minute),
            sum(each.pico for each in day),
            sum(each.pico for each in month),
            sum(each.open and each.hold.until > now for each in parts),
        )

    def take(self, want: Want) -> None:
        if there := self.opened(want.response_id):
            there.open = False
            if want.instead_of and there.hold.id == want.instead_of.id:
                there.use(want.spent_tokens, want.spent_pico)
        part = Part(want.hold, want.first, want.hold.tokens, want.hold.pico)
        self.parts.setdefault(want.response_id, []).append(part)

    def allows(self, want: Want, limits: Limits) -> bool:
        """Whether nothing grows above a limit once it is taken. Who was let in once has a place."""
        trial, before = deepcopy(self), self.meter(want.hold.at)
        trial.take(want)
        after = trial.meter(want.hold.at)
        return (
            self.limits == limits
            and _within(before.requests, after.requests, limits.requests_per_minute)
            and _within(before.tokens, after.tokens, limits.tokens_per_minute)
            and _within(before.pico_today, after.pico_today, limits.pico_per_day)
            and _within(before.pico_this_month, after.pico_this_month, limits.pico_per_month)
            and (not want.first or _within(before.running, after.running, limits.concurrent))
        )

    def settle(self, bill: Bill) -> None:
        if there := self.opened(bill.response_id):
            there.open = False
            if bill.hold and there.hold.id == bill.hold.id:
                there.use(bill.spent_tokens, bill.spent_pico)


def _within(before: int, after: int, most: int | None) -> bool:
    return most is None or after <= most or after <= before


def _utc(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


@dataclass
class Running:
    """A response in the making, as its worker knows it."""

    n: int
    key: str
    hold: Hold
    stored: bool
    tokens: int = 0
    pico: int = 0
    rests: bool = False

    def spend(self, drawn: random.Random) -> None:
        self.rests = False
        self.tokens, self.pico = drawn.randrange(self.hold.tokens + 1), drawn.randrange(self.hold.pico + 1)


class Walk:
    def __init__(self, storage: Storage, seed: str, clock: AwsBackend | None) -> None:
        self._storage, self._drawn, self._clock = storage, random.Random(seed), clock
        self._now, self._n = BEGIN + self._drawn.randrange(90), 0
        self._models: dict[str | None, Model] = {id_: Model() for id_ in (*KEYS, None)}
        self._running: list[Running] = []
        self._usage: dict[tuple[str, str], list[int]] = {}
        self.passed = self.refused = 0

    async def step(self) -> None:
        actions = [self._begin] * 5 + [self._limit, self._wait, self._leap]
        if self._running:
            actions += [
                self._go_on,
                self._go_on,
                self._die_and_go_on,
                self._end,
                self._end,
                self._end,
                self._rest,
                self._vanish,
            ]
        await self._drawn.choice(actions)()
        if self._clock:
            self._clock.time = self._now
        for key in KEYS:
            of_key, of_tenant = await self._storage.meters.read(key, self._now)
            assert (of_key, of_tenant) == (self._models[key].meter(self._now), self._models[None].meter(self._now))

    async def check_usage(self) -> None:
        rows = await self._storage.meters.usage("2026-11-01", "2027-12-31")
        assert {(each.day, each.key_id): [each.requests, each.input_tokens, each.pico] for each in rows} == self._usage

    def _new_hold(self) -> Hold:
        self._n += 1
        seconds = self._drawn.choice([30, 300, 900])
        tokens, pico = self._drawn.randrange(60), self._drawn.randrange(90)
        return Hold(id=f"h{self._n}", at=self._now, until=self._now + seconds, tokens=tokens, pico=pico)

    async def _hold(self, want: Want) -> bool:
        key, tenant = self._models[want.key_id], self._models[None]
        limited = [each for each in (key, tenant) if each.limits != NONE]
        if not limited:  # nobody asks
            return False
        fits = all(each.allows(want, each.limits) for each in limited)
        try:
            found = await self._storage.meters.hold(want, key.limits, tenant.limits)
        except DoesNotFit as refused:
            assert not fits
            found = (refused.key, refused.tenant)
            self.refused += 1
        else:
            assert fits
            for each in limited:
                each.take(want)
            self.passed += 1
        for meter, model in zip(found, (key, tenant), strict=True):
            assert model not in limited or meter == model.meter(self._now)
        return fits

    async def _begin(self) -> None:
        held, key = self._new_hold(), self._drawn.choice(KEYS)
        if await self._hold(Want(rid(self._n), key, held, first=True)):
            self._running.append(Running(self._n, key, held, stored=self._drawn.random() < 0.3))
            self._running[-1].spend(self._drawn)

    async def _go_on(self) -> None:
        if running := self._alive():
            held = self._new_hold()
            if await self._hold(self._next(running, held)):
                running.hold = held
                running.spend(self._drawn)

    async def _die_and_go_on(self) -> None:
        """The next turn is held, and then its worker dies before it has saved that."""
        if running := self._alive():
            await self._hold(self._next(running, self._new_hold()))
            if running in self._running and self._drawn.random() < 0.7:
                held = self._new_hold()
                if await self._hold(self._next(running, held)):
                    running.hold = held
                    running.spend(self._drawn)

    def _next(self, running: Running, held: Hold) -> Want:
        return Want(rid(running.n), running.key, held, False, running.hold, running.tokens, running.pico)

    async def _rest(self) -> None:
        """It waits, and holds nothing meanwhile: what it holds is over at once. Only what is stored waits."""
        running = self._alive()
        if running and running.stored:
            held = Hold(id=f"rest{self._n}", at=self._now, until=self._now)
            if await self._hold(self._next(running, held)):
                running.hold, running.tokens, running.pico, running.rests = held, 0, 0, True

    async def _end(self) -> None:
        if running := self._alive():
            self._running.remove(running)
            used = Used(target="a/m", turns=1, usage=Usage(input_tokens=running.tokens), cost=Cost(output=running.pico))
            day = _utc(self._now).strftime("%Y-%m-%d")
            counted = {"used": [used], "spent_tokens": running.tokens, "spent_pico": running.pico}
            bill = Bill(response_id=rid(running.n), key_id=running.key, day=day, hold=running.hold, **counted)
            holds = any(self._models[id_].opened(rid(running.n)) for id_ in (running.key, None))
            if running.stored:
                await ended(self._storage, running.n, bill)
            assert await self._storage.meters.settle(bill, stored=running.stored) is (running.stored or holds)
            assert not await self._storage.meters.settle(bill, stored=running.stored)
            if running.stored or holds:
                row = self._usage.setdefault((day, running.key), [0, 0, 0])
                row[:] = [a + b for a, b in zip(row, (1, running.tokens, running.pico), strict=True)]
            for id_ in (running.key, None):
                self._models[id_].settle(bill)

    async def _vanish(self) -> None:
        self._running.remove(self._drawn.choice(self._running))

    async def _limit(self) -> None:
        id_, limits = self._drawn.choice([*KEYS, None]), self._drawn.choice(CHANGES)
        await self._storage.meters.limit(id_, limits)
        self._models[id_].limits = limits

    async def _wait(self) -> None:
        self._now += self._drawn.choice([1, 20, 61])

    async def _leap(self) -> None:
        """To about the next midnight, or half an hour."""
        midnight = (self._now // 86_400 + 1) * 86_400
        self._now = self._drawn.choice([midnight - 1, midnight, self._now + 1_800])

    def _alive(self) -> Running | None:
        """Whose time is not over: its worker is not taken for dead, nor may be."""
        self._running = [each for each in self._running if each.hold.until > self._now or each.rests]
        return self._drawn.choice(self._running) if self._running else None


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


async def test_meters_are_what_the_model_says(backend: MemoryBackend | AwsBackend, sweep: Sweep) -> None:
    memory = isinstance(backend, MemoryBackend)
    passed = refused = 0
    for seed in sweep.sample(range(200 if memory else 10), 12 if memory else 1):
        walk = Walk(backend.storage(f"tenant-{seed}"), f"{seed}", None if memory else backend)
        for _ in range(150 if memory else 60):
            await walk.step()
        await walk.check_usage()
        passed, refused = passed + walk.passed, refused + walk.refused
    print(f"{passed} holds, {refused} refused")
    assert passed > 0
    assert refused > 0 or not memory

"""Meters: one suite, on memory and on AWS as emulators play it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest

from openresponses.core.bill import Bill, Cost, Hold, Used
from openresponses.core.errors import Superseded
from openresponses.core.storage import DoesNotFit, Limits, Meter, Meters, Storage, UsageRow, Want
from openresponses.schema.response import Usage
from tests.contract.storage_suite import (
    BACKENDS,
    AwsBackend,
    MemoryBackend,
    new_record,
    new_response,
    new_run,
    opened,
    rid,
)

NONE = Limits()
NOON = datetime(2026, 11, 27, 12, 0, 30, tzinfo=UTC).timestamp()
SMALL = Limits(requests_per_minute=3, tokens_per_minute=1_000, pico_per_day=100, pico_per_month=150, concurrent=2)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        if isinstance(backend, AwsBackend):
            backend.time = NOON
        yield backend


@pytest.fixture
def storage(backend: MemoryBackend | AwsBackend) -> Storage:
    return backend.storage()


@pytest.fixture
def meters(storage: Storage) -> Meters:
    return storage.meters


def hold(name: str, tokens: int = 10, pico: int = 1, at: float = NOON, seconds: float = 900.0) -> Hold:
    return Hold(id=name, at=at, until=at + seconds, tokens=tokens, pico=pico)


def want(n: int, held: Hold, before: Hold | None = None, tokens: int = 0, pico: int = 0) -> Want:
    first = before is None
    return Want(rid(n), "key", held, first=first, instead_of=before, spent_tokens=tokens, spent_pico=pico)


def used(target: str = "offline/demo", tokens: int = 7, pico: int | None = 2, turns: int = 1) -> Used:
    usage = Usage.model_validate(
        {
            "input_tokens": tokens - 3,
            "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": tokens,
        }
    )
    return Used(target=target, turns=turns, usage=usage, cost=Cost(output=pico or 0), unpriced=int(pico is None))


def bill(n: int, held: Hold | None = None, *, day: str = "2026-11-27", key: str = "key", **more: Any) -> Bill:
    """Of a response whose only turn took 7 tokens and 2 picodollars."""
    took = {"used": [used()], "spent_tokens": 7, "spent_pico": 2, **more}
    return Bill(response_id=rid(n), key_id=key, day=day, hold=held, **took)


def row(day: str = "2026-11-27", key: str = "key", target: str = "offline/demo", **more: int) -> UsageRow:
    counts = {
        "requests": 1,
        "turns": 1,
        "input_tokens": 4,
        "cached_tokens": 1,
        "cache_write_tokens": 2,
        "output_tokens": 3,
        "reasoning_tokens": 2,
        "pico": 2,
        "unpriced": 0,
    }
    return UsageRow(day, key, target, **{**counts, **more})


async def ended(storage: Storage, n: int, owed: Bill) -> None:
    await storage.store.create(new_record(n), new_run(n))
    await storage.store.settle(new_response(n, status="completed"), [], bill=owed)


async def test_a_meter_that_nobody_set_limits_nothing(meters: Meters) -> None:
    assert await meters.read("key", NOON) == (Meter(), Meter())


async def test_limits_come_back_as_they_were_set(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    await meters.limit(None, Limits(pico_per_month=10**18))
    assert await meters.read("key", NOON) == (Meter(SMALL), Meter(Limits(pico_per_month=10**18)))
    assert await meters.read("other", NOON) == (Meter(), Meter(Limits(pico_per_month=10**18)))
    await meters.limit("key", NONE)
    assert (await meters.read("key", NOON))[0] == Meter()


async def test_what_is_held_is_counted_until_it_is_settled(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    held = hold("a", tokens=600, pico=90)
    after = await meters.hold(want(1, held), SMALL, NONE)
    assert after == (Meter(SMALL, 1, 600, 90, 90, 1), Meter())
    assert await meters.read("key", NOON) == after
    assert await meters.settle(bill(1, held), stored=False)
    assert await meters.read("key", NOON) == (Meter(SMALL, 1, 7, 2, 2, 0), Meter())


async def test_of_the_key_and_its_tenant_both_hold_or_none(meters: Meters) -> None:
    large, small = Limits(tokens_per_minute=10_000), Limits(tokens_per_minute=1_000)
    await meters.limit("key", large)
    await meters.limit(None, small)
    after = await meters.hold(want(1, hold("a", tokens=600)), large, small)
    assert after == (Meter(large, 1, 600, 1, 1, 1), Meter(small, 1, 600, 1, 1, 1))
    with pytest.raises(DoesNotFit) as refused:
        await meters.hold(want(2, hold("b", tokens=600)), large, small)
    assert (refused.value.key, refused.value.tenant) == after == await meters.read("key", NOON)
    assert await meters.settle(bill(1, hold("a", tokens=600)), stored=False)
    assert await meters.read("key", NOON) == (Meter(large, 1, 7, 2, 2, 0), Meter(small, 1, 7, 2, 2, 0))


async def test_keys_of_a_tenant_share_its_limits(meters: Meters) -> None:
    limits = Limits(concurrent=1)
    await meters.limit(None, limits)
    held = hold("a")
    await meters.hold(Want(rid(1), "one", held, first=True), NONE, limits)
    with pytest.raises(DoesNotFit) as refused:
        await meters.hold(Want(rid(2), "two", hold("b"), first=True), NONE, limits)
    assert (refused.value.key, refused.value.tenant.running) == (Meter(), 1)


@pytest.mark.parametrize(
    ("limits", "wants"),
    [
        (Limits(requests_per_minute=2), [hold("a"), hold("b"), hold("c")]),
        (Limits(tokens_per_minute=100), [hold("a", tokens=60), hold("b", tokens=40), hold("c", tokens=1)]),
        (Limits(pico_per_day=10), [hold("a", pico=6), hold("b", pico=4), hold("c", pico=1)]),
        (Limits(pico_per_month=10), [hold("a", pico=6), hold("b", pico=4), hold("c", pico=1)]),
        (Limits(concurrent=2), [hold("a"), hold("b"), hold("c")]),
        (Limits(tokens_per_minute=100), [hold("a", tokens=101)]),
        (Limits(requests_per_minute=0), [hold("a")]),
        (Limits(concurrent=0), [hold("a")]),
    ],
)
async def test_the_first_one_that_does_not_fit_holds_nothing(meters: Meters, limits: Limits, wants: list[Hold]) -> None:
    await meters.limit("key", limits)
    for n, held in enumerate(wants[:-1]):
        await meters.hold(want(n, held), limits, NONE)
    before = await meters.read("key", NOON)
    with pytest.raises(DoesNotFit):
        await meters.hold(want(9, wants[-1]), limits, NONE)
    assert await meters.read("key", NOON) == before


async def test_limits_that_changed_meanwhile_are_told_and_hold_nothing(meters: Meters) -> None:
    more = Limits(tokens_per_minute=5_000)
    await meters.limit("key", more)
    with pytest.raises(DoesNotFit) as refused:
        await meters.hold(want(1, hold("a")), SMALL, NONE)
    assert (refused.value.key, refused.value.tenant) == (Meter(more), Meter())
    assert (await meters.hold(want(1, hold("a")), more, NONE))[0].running == 1
    await meters.limit("key", NONE)
    with pytest.raises(DoesNotFit) as refused:
        await meters.hold(want(2, hold("b")), more, NONE)
    assert refused.value.key == Meter(NONE, 1, 10, 1, 1, 1)
    assert await meters.settle(bill(1, hold("a")), stored=False)
    assert (await meters.read("key", NOON))[0] == Meter(NONE, 1, 7, 2, 2, 0)


async def test_a_lower_limit_lets_no_more_pass_and_what_runs_goes_on(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    for n in (1, 2):
        await meters.hold(want(n, hold("a", tokens=10)), SMALL, NONE)
    lower = Limits(requests_per_minute=1, tokens_per_minute=500, concurrent=1)
    await meters.limit("key", lower)
    with pytest.raises(DoesNotFit):
        await meters.hold(want(3, hold("c")), lower, NONE)
    after = await meters.hold(want(1, hold("b", tokens=100), hold("a"), tokens=4, pico=1), lower, NONE)
    assert after[0] == Meter(lower, 2, 114, 3, 3, 2)


async def test_the_next_turn_settles_the_one_before_in_the_same_write(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    first, second = hold("a", tokens=600, pico=50), hold("b", tokens=900, pico=60)
    await meters.hold(want(1, first), SMALL, NONE)
    with pytest.raises(DoesNotFit):
        await meters.hold(want(1, second, first, tokens=101, pico=5), SMALL, NONE)
    after = await meters.hold(want(1, second, first, tokens=100, pico=5), SMALL, NONE)
    assert after[0] == Meter(SMALL, 1, 1_000, 65, 65, 1)
    assert await meters.settle(bill(1, second), stored=False)
    assert (await meters.read("key", NOON))[0] == Meter(SMALL, 1, 107, 7, 7, 0)


async def test_to_hold_the_same_again_changes_nothing(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    await meters.limit(None, SMALL)
    once = await meters.hold(want(1, hold("a")), SMALL, SMALL)
    assert await meters.hold(want(1, hold("a")), SMALL, SMALL) == once
    next_turn = want(1, hold("b"), hold("a"), tokens=3, pico=1)
    once = await meters.hold(next_turn, SMALL, SMALL)
    assert await meters.hold(next_turn, SMALL, SMALL) == once == await meters.read("key", NOON)


async def test_what_a_dead_turn_held_stays_spent_when_another_worker_takes_it_again(meters: Meters) -> None:
    """It was held after the run was saved: the run knows the hold before it."""
    await meters.limit("key", SMALL)
    await meters.hold(want(1, hold("a", tokens=100)), SMALL, NONE)
    await meters.hold(want(1, hold("b", tokens=200), hold("a", tokens=100), tokens=7), SMALL, NONE)
    again = want(1, hold("c", tokens=300), hold("a", tokens=100), tokens=7)
    after = await meters.hold(again, SMALL, NONE)
    assert (after[0].tokens, after[0].running, after[0].requests) == (507, 1, 1)
    assert await meters.settle(bill(1, hold("c", tokens=300)), stored=False)
    assert (await meters.read("key", NOON))[0].tokens == 214


async def test_a_response_gives_back_what_it_holds_also_if_its_worker_knew_another_hold(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    await meters.hold(want(1, hold("a", tokens=100)), SMALL, NONE)
    await meters.hold(want(1, hold("b", tokens=200), hold("a", tokens=100), tokens=7), SMALL, NONE)
    assert await meters.settle(bill(1, hold("a", tokens=100)), stored=False)
    assert (await meters.read("key", NOON))[0] == Meter(SMALL, 1, 207, 1, 1, 0)


async def test_a_hold_whose_time_is_over_gives_its_place_back_and_stays_spent(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    for n in (1, 2):
        await meters.hold(want(n, hold(f"h{n}", seconds=60)), SMALL, NONE)
    at = NOON + 59
    with pytest.raises(DoesNotFit):
        await meters.hold(want(3, hold("c", at=at)), SMALL, NONE)
    at = NOON + 60
    assert (await meters.read("key", at))[0].running == 0
    after = await meters.hold(want(3, hold("c", at=at)), SMALL, NONE)
    assert after[0] == Meter(SMALL, 1, 10, 3, 3, 1)


async def test_a_response_that_ends_late_is_billed_all_the_same(storage: Storage) -> None:
    meters, held = storage.meters, hold("a", seconds=60)
    await meters.limit("key", Limits(concurrent=1))
    await meters.hold(want(1, held), Limits(concurrent=1), NONE)
    await ended(storage, 1, bill(1, held))
    await meters.hold(want(2, hold("b", at=NOON + 60)), Limits(concurrent=1), NONE)
    assert await meters.settle(bill(1, held), stored=True)
    assert (await meters.read("key", NOON + 60))[0].running == 1
    assert await meters.usage("2026-11-27", "2026-11-27") == [row()]


@pytest.mark.parametrize(
    ("at", "later", "left"),
    [
        ("2026-11-27T12:00:59", "2026-11-27T12:01:00", Meter(SMALL, 1, 10, 92, 92, 2)),
        ("2026-11-27T23:59:59", "2026-11-28T00:00:00", Meter(SMALL, 1, 10, 1, 92, 2)),
        ("2026-11-30T23:59:59", "2026-12-01T00:00:00", Meter(SMALL, 1, 10, 1, 1, 2)),
        ("2026-12-31T23:59:59", "2027-01-01T00:00:00", Meter(SMALL, 1, 10, 1, 1, 2)),
    ],
)
async def test_minutes_days_and_months_begin_anew(
    backend: MemoryBackend | AwsBackend, meters: Meters, at: str, later: str, left: Meter
) -> None:
    before, after = (datetime.fromisoformat(each).replace(tzinfo=UTC).timestamp() for each in (at, later))
    await meters.limit("key", SMALL)
    await meters.hold(want(1, hold("a", tokens=990, pico=91, at=before)), SMALL, NONE)
    now = await meters.hold(want(2, hold("b", at=after)), SMALL, NONE)
    assert now[0] == left
    if isinstance(backend, AwsBackend):
        backend.time = after
    assert await meters.settle(bill(1, hold("a", tokens=990, pico=91, at=before)), stored=False)
    today, this_month = (pico if pico == 1 else pico - 89 for pico in (left.pico_today, left.pico_this_month))
    assert (await meters.read("key", after))[0] == Meter(SMALL, 1, 10, today, this_month, 1)


async def test_a_bill_is_settled_once(storage: Storage) -> None:
    meters = storage.meters
    await meters.limit("key", SMALL)
    held = hold("a")
    await meters.hold(want(1, held), SMALL, NONE)
    await ended(storage, 1, bill(1, held))
    assert await meters.owes(rid(1))
    settled = await asyncio.gather(*(meters.settle(bill(1, held), stored=True) for _ in range(4)))
    assert sorted(settled) == [False, False, False, True]
    assert not await meters.owes(rid(1))
    assert not await meters.settle(bill(1, held), stored=True)
    assert (await meters.read("key", NOON))[0] == Meter(SMALL, 1, 7, 2, 2, 0)
    assert await meters.usage("2026-11-01", "2026-11-30") == [row()]


async def test_a_bill_that_is_not_owed_is_not_settled(storage: Storage) -> None:
    assert not await storage.meters.settle(bill(1), stored=True)
    await storage.store.create(new_record(1), new_run(1))
    assert not await storage.meters.settle(bill(1), stored=True)
    await storage.store.settle(new_response(1, status="completed"), [])
    assert not await storage.meters.settle(bill(1), stored=True)
    assert await storage.meters.usage("2026-11-01", "2026-11-30") == []


async def test_what_is_not_stored_is_settled_once_by_its_hold(meters: Meters) -> None:
    await meters.limit("key", SMALL)
    held = hold("a")
    await meters.hold(want(1, held), SMALL, NONE)
    settled = await asyncio.gather(*(meters.settle(bill(1, held), stored=False) for _ in range(4)))
    assert sorted(settled) == [False, False, False, True]
    assert await meters.usage("2026-11-27", "2026-11-27") == [row()]


async def test_what_held_nothing_is_counted_as_well(storage: Storage) -> None:
    await ended(storage, 1, bill(1))
    assert await storage.meters.settle(bill(1), stored=True)
    assert await storage.meters.settle(bill(2), stored=False)
    counts = astuple(row())[3:]
    assert await storage.meters.usage("2026-11-27", "2026-11-27") == [
        UsageRow("2026-11-27", "key", "offline/demo", *(2 * count for count in counts))
    ]


async def test_what_took_nothing_of_anybody_is_no_request(storage: Storage) -> None:
    meters = storage.meters
    await meters.limit("key", SMALL)
    await meters.hold(want(1, hold("a")), SMALL, NONE)
    nothing: dict[str, Any] = {"used": [], "spent_tokens": 0, "spent_pico": 0}
    assert await meters.settle(bill(1, hold("a"), **nothing), stored=False)
    await ended(storage, 2, bill(2, **nothing))
    assert await meters.settle(bill(2, **nothing), stored=True)
    assert await meters.settle(bill(3, **nothing), stored=False)
    assert (await meters.read("key", NOON))[0] == Meter(SMALL, 1, 0, 0, 0, 0)
    assert await meters.usage("2026-11-27", "2026-11-27") == []


async def test_a_response_of_several_targets_is_one_request(meters: Meters) -> None:
    several = [used("a/m", turns=2), used("b/m", pico=None)]
    assert await meters.settle(bill(1, used=several), stored=False)
    rows = await meters.usage("2026-11-27", "2026-11-27")
    assert rows == [row(target="a/m", requests=0, turns=2), row(target="b/m", pico=0, unpriced=1)]


async def test_usage_is_told_by_day_key_and_target(meters: Meters) -> None:
    strange = "openrouter/~x#y/" + "é" * 200
    days = ["2025-12-31", "2026-01-01", "2026-11-26", "2026-11-27"]
    for n, (day, key) in enumerate((day, key) for day in days for key in ("a", "b#c", "")):
        await meters.settle(bill(n, day=day, key=key, used=[used(strange)]), stored=False)
    every = [row(day, key, strange) for day in days for key in ("", "a", "b#c")]
    assert await meters.usage("2025-12-31", "2026-11-27") == every
    assert await meters.usage("2025-12-31", "2026-11-27", "b#c") == [each for each in every if each.key_id == "b#c"]
    assert await meters.usage("2025-12-31", "2026-11-27", "") == [each for each in every if not each.key_id]
    assert await meters.usage("2026-01-01", "2026-11-26", "a") == [row(day, "a", strange) for day in days[1:3]]
    assert await meters.usage("2026-11-27", "2026-11-26") == []


async def test_another_tenant_has_meters_and_usage_of_its_own(backend: MemoryBackend | AwsBackend) -> None:
    ours, theirs = backend.storage("a").meters, backend.storage("b").meters
    await ours.limit("key", SMALL)
    await ours.limit(None, SMALL)
    await ours.hold(want(1, hold("a")), SMALL, SMALL)
    await ours.settle(bill(2), stored=False)
    assert await theirs.read("key", NOON) == (Meter(), Meter())
    assert not await theirs.settle(bill(1, hold("a")), stored=False)
    assert await theirs.usage("2026-11-01", "2026-11-30") == []


async def test_deleting_a_response_settles_its_bill(storage: Storage) -> None:
    meters, held = storage.meters, hold("a")
    await meters.limit("key", SMALL)
    await meters.hold(want(1, held), SMALL, NONE)
    await ended(storage, 1, bill(1, held))
    await storage.store.delete(rid(1))
    assert (await meters.read("key", NOON))[0] == Meter(SMALL, 1, 7, 2, 2, 0)
    assert await meters.usage("2026-11-27", "2026-11-27") == [row()]
    assert not await meters.settle(bill(1, held), stored=True)
    await ended(storage, 2, bill(2))
    await meters.settle(bill(2), stored=True)
    await storage.store.delete(rid(2))
    assert [each.requests for each in await meters.usage("2026-11-27", "2026-11-27")] == [2]


async def test_a_bill_is_owed_with_the_end_and_by_no_other_end(storage: Storage) -> None:
    await ended(storage, 1, bill(1))
    with pytest.raises(Superseded):
        await storage.store.settle(new_response(1, status="failed"), [], bill=bill(1, used=[used(pico=9)]))
    await storage.store.delete(rid(1))
    assert await storage.meters.usage("2026-11-27", "2026-11-27") == [row()]

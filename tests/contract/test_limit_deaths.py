"""Workers die at every call of their storage: what the vendor billed is counted, and no place is lost."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from openresponses.core.errors import KitError, StorageUnavailable
from openresponses.core.storage import Limits
from openresponses.schema.request import CreateResponse
from tests.contract.deaths import Life, Replaced, run_until_killed
from tests.contract.limited import LimitedHouse, Vendor, price, usd
from tests.contract.machine import House, Killed
from tests.contract.served import client_of
from tests.sweeps import Sweep
from tests.unit.kit import Json

TOOLS: Any = [{"type": "serverless:calculator"}]
LIMITS = Limits(requests_per_minute=50, tokens_per_minute=10**6, pico_per_day=usd(9), concurrent=1)
MOST = usd(0.06)
"""More than a turn holds here."""
KINDS: dict[str, Json] = {
    "plain": {},
    "stream": {"stream": True},
    "not stored": {"store": False},
    "queued": {"background": True},
    "with a key": {"headers": {"idempotency-key": "k"}},
    "queued with a key": {"background": True, "headers": {"idempotency-key": "k"}},
}
moments = pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])


def limited_house(vendor: Any, **more: Any) -> House:
    return LimitedHouse(vendor, LIMITS, **more)


async def post(house: House, headers: dict[str, str] | None = None, **more: Any) -> int:
    async with client_of(house) as client:
        body = {"model": "m", "input": "tools please", "tools": TOOLS, **more}
        return (await client.post("/responses", json=body, headers=headers)).status_code


async def judged(house: LimitedHouse, vendor: Vendor, deaths: int) -> None:
    """Nothing that was billed is lost, and nothing but what dead turns held is counted besides."""
    for response_id in [*house.shelf.responses]:
        await house.stored.retrieve(response_id)  # which revives it, if its worker is gone
    await house.idle()
    await house.paid()
    for response_id in [*house.shelf.responses]:
        assert (await house.stored.retrieve(response_id)).status == "completed"
    counted = (await house.meter()).pico_today
    assert vendor.billed <= counted <= vendor.billed + MOST * (deaths + vendor.untold)
    house.time += 901
    assert (await house.meter()).running == 0
    response, _ = await house.create(input="say something")
    assert response["status"] == "completed", "its place is free"
    assert (await house.meter()).running == 0


@moments
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    "error", [Killed(), StorageUnavailable("busy")], ids=["its worker is killed", "its storage is gone"]
)
def test_nothing_is_lost_when_the_first_worker_ends_at_any_call(
    sweep: Sweep, kind: Json, after: bool, error: BaseException
) -> None:
    whole = ended(Life(pace=1), kind)
    for number in sweep.sample(range(len(whole.life.calls)), 2):
        at = ended(Life(last=number, after=after, pace=1, error=error), kind)
        assert at.life.ended
        asyncio.run(rest(at))


def ended(life: Life, kind: Json) -> Replaced:
    """A house in which a request was made by a worker of that life."""
    at = Replaced(Vendor(life.last or 0), life, made=limited_house)  # type: ignore[arg-type]
    assert isinstance(at.house, LimitedHouse)
    asyncio.run(at.house.limited())
    run_until_killed(partial(post, at.worker, **kind), at.life)
    at.house.time += 60  # the worker's lease is over
    return at


async def rest(at: Replaced) -> None:
    await at.outlive()
    house = at.house
    assert isinstance(house, LimitedHouse)
    await judged(house, house.vendor, deaths=1)


@moments
def test_nothing_is_lost_when_a_worker_of_the_state_machine_dies_at_any_call(sweep: Sweep, after: bool) -> None:
    async def tried(number: int) -> None:
        vendor = Vendor(seed=number)
        house = await LimitedHouse(vendor, LIMITS).limited()
        lives = [Life(last=number, after=after), Life(last=number // 2, after=after)]
        waiting = [*lives]
        house.worker_ports = lambda: house.reached_by(waiting.pop().over(house.storage) if waiting else house.storage)
        await house.create(input="tools please", tools=TOOLS, background=True)
        await house.idle()
        await judged(house, vendor, deaths=sum(life.ended for life in lives))

    async def all_tried() -> None:
        for number in sweep.sample(range(30), 6):
            await tried(number)

    asyncio.run(all_tried())


async def test_a_dead_turn_stays_counted_as_it_was_held_and_its_place_is_given_back_with_its_lease() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, LIMITS).limited()
    run, _ = await house.new.accept(CreateResponse(model="m", input="say", store=False))
    await house.new.holdings.hold(run)
    held = await house.meter()
    assert (held.running, held.requests) == (1, 1)
    assert held.pico_today > usd(0.04)
    house.time += 899
    with pytest.raises(KitError):
        await house.create()
    house.time += 1
    await house.create()
    assert (await house.meter()).pico_today == held.pico_today + vendor.billed


async def test_a_provider_that_fails_again_and_again_takes_nothing_of_the_limits() -> None:
    house = await LimitedHouse(vendor := Vendor(), LIMITS).limited()
    await house.create(input="refuse it", background=True)
    await house.idle()
    assert len(vendor.turns) == 6
    meter = await house.meter()
    assert (meter.pico_today, meter.tokens, meter.running) == (0, 0, 0)


async def test_a_turn_that_breaks_counts_what_its_vendor_told() -> None:
    house = await LimitedHouse(vendor := Vendor(), LIMITS).limited()
    await house.create(input="fail it", background=True)
    await house.idle()
    assert len(vendor.books) == 6
    assert ((await house.meter()).pico_today, (await house.usage())[3]) == (vendor.billed, vendor.billed)
    assert price(vendor.books[0]).whole > 0


async def test_a_turn_that_is_cancelled_before_its_vendor_told_anything_stays_counted_as_held() -> None:
    house = await LimitedHouse(vendor := Vendor(), LIMITS, flush_seconds=0.01).limited()
    talking = asyncio.create_task(house.create(input="talk on"))
    while not vendor.turns or not house.shelf.responses:
        await asyncio.sleep(0.01)
    held = await house.meter()
    house.time += 2
    await house.stored.cancel(next(iter(house.shelf.responses)))
    await asyncio.wait([talking])
    meter = await house.meter()
    assert (meter.pico_today, meter.running) == (held.pico_today, 0)
    assert vendor.untold == 1


async def test_what_is_cancelled_while_it_waits_for_its_worker_gives_all_back() -> None:
    house = await LimitedHouse(vendor := Vendor(), LIMITS).limited()
    house._start = lambda *_: asyncio.sleep(0)  # type: ignore[method-assign]
    house.storage.launcher._on_start = house._start  # type: ignore[attr-defined]
    response, _ = await house.create(background=True)
    assert (await house.meter()).running == 1
    await house.stored.cancel(response["id"])
    meter = await house.meter()
    assert (meter.pico_today, meter.running, len(vendor.turns)) == (0, 0, 0)

"""Ten thousand responses of every kind: what was counted is what the vendor billed, to the picodollar."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from openresponses.core.errors import LimitReached, ProviderError
from openresponses.core.storage import Limits
from tests.contract.limited import LimitedHouse, Vendor, usd
from tests.sweeps import Sweep

REQUESTS, SAMPLE, AT_ONCE = 10_000, 240, 60
TOOLS: Any = [{"type": "serverless:calculator"}]
MOST = usd(0.06)
"""More than a turn holds here."""
KINDS: list[dict[str, Any]] = [
    {"input": "say it"},
    {"input": "say it", "stream": True},
    {"input": "say it", "store": False},
    {"input": "say it", "background": True},
    {"input": "tools, inline", "tools": TOOLS, "store": False, "stream": True},
    {"input": "tools, handed off", "tools": TOOLS},
    {"input": "tools, handed off", "tools": TOOLS, "stream": True},
    {"input": "tools, in the background", "tools": TOOLS, "background": True},
    {"input": "fail at once"},
    {"input": "fail in a stream", "stream": True},
    {"input": "fail for good", "background": True},
    {"input": "refuse", "store": False},
    {"input": "long, and cut off", "max_output_tokens": 300},
]
CANCELLED = 20
"""One of so many."""


@pytest.mark.timeout(600)
async def test_all_that_was_counted_is_what_was_billed(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    much = Limits(tokens_per_minute=10**12, pico_per_day=usd(10**6), pico_per_month=usd(10**7), concurrent=500)
    house = await LimitedHouse(vendor := Vendor(), much, much, inline_turns=1, flush_seconds=0.01).limited()
    numbers = sweep.sample(range(REQUESTS), SAMPLE)
    cancelled = [n for n in numbers if n % CANCELLED == 0]
    others, lost = [n for n in numbers if n % CANCELLED], 0

    async def make(number: int) -> None:
        with suppress(ProviderError):
            response, _ = await house.create(**KINDS[number % len(KINDS)])
            if number % 7 == 0 and house.shelf.responses.get(response["id"]):
                await house.stored.retrieve(response["id"])

    for start in range(0, len(others), AT_ONCE):
        await asyncio.gather(*map(make, others[start : start + AT_ONCE]))
        await house.idle()
        house.executions.clear()
        house.shelf.responses.clear()
    for number in cancelled:
        before, billed = (await house.meter()).pico_today, vendor.billed
        await cancel_amid(house, vendor, background=number % 3 == 0)
        more = (await house.meter()).pico_today - before - (vendor.billed - billed)
        assert 0 < more <= MOST, "a turn that was cut off stays counted as it was held"
        lost += more
        house.shelf.responses.clear()

    key, tenant = await house.storage.meters.read("key1", house.time)
    requests, read, said, pico = await house.usage()
    told = (sum(each.input_tokens for each in vendor.books), sum(each.output_tokens for each in vendor.books))
    with capsys.disabled():
        print(f"\nlimits: {len(numbers)} responses of {REQUESTS}, {len(vendor.turns)} turns, {vendor.untold} cut off")
    assert (read, said, pico) == (*told, vendor.billed)
    assert (key.pico_today, key.running) == (vendor.billed + lost, 0)
    assert (tenant.pico_today, tenant.pico_this_month, tenant.running) == (key.pico_today, key.pico_this_month, 0)
    assert key.pico_this_month == key.pico_today
    assert requests <= len(numbers)


async def cancel_amid(house: LimitedHouse, vendor: Vendor, *, background: bool) -> None:
    turns = len(vendor.turns)
    making = asyncio.create_task(house.create(input="talk on", background=background))
    while len(vendor.turns) == turns or not house.shelf.responses:
        await asyncio.sleep(0.002)
    house.time += 1.5
    await house.stored.cancel(next(iter(house.shelf.responses)))
    await asyncio.wait([making])
    await house.idle()
    house.executions.clear()


async def test_what_is_refused_costs_nothing() -> None:
    house = await LimitedHouse(vendor := Vendor(), Limits(pico_per_day=0)).limited()
    for kind in KINDS:
        with pytest.raises(LimitReached):
            await house.create(**kind)
    meter = await house.meter()
    assert (meter.pico_today, meter.running, vendor.turns, await house.usage()) == (0, 0, [], (0, 0, 0, 0))

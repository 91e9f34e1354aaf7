"""Many who hold and settle at once: no limit is ever passed, and every sum is exact."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple

import pytest

from openresponses.core.storage import MAX_RUNNING, DoesNotFit, Limits, Meter, Meters, UsageRow
from openresponses.storage.memory.storage import memory_storage
from tests.contract.meeting import Meeting
from tests.contract.storage_suite import BACKENDS, EMULATORS, TABLE, AwsBackend, MemoryBackend, opened, opened_aws, rid
from tests.contract.test_storage_meters import NONE, NOON, bill, ended, hold, row, used, want
from tests.sweeps import Sweep

CLIENTS = 50
DAY = ("2026-11-27", "2026-11-27")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        if isinstance(backend, AwsBackend):
            backend.time = NOON
        yield backend


def times(count: int, one: UsageRow) -> UsageRow:
    return UsageRow(*astuple(one)[:3], *(count * each for each in astuple(one)[3:]))


async def test_fifty_at_once_hold_no_more_than_there_is(backend: MemoryBackend | AwsBackend) -> None:
    """Of 1,000 of the key and 900 of the tenant, each wants 30."""
    meters = backend.storage().meters
    key, tenant = Limits(pico_per_day=1_000, concurrent=40), Limits(pico_per_month=900)
    await meters.limit("key", key)
    await meters.limit(None, tenant)
    holds = [hold(f"h{n}", pico=30) for n in range(CLIENTS)]
    asked = (meters.hold(want(n, held), key, tenant) for n, held in enumerate(holds))
    passed = [
        n for n, each in enumerate(await asyncio.gather(*asked, return_exceptions=True)) if isinstance(each, tuple)
    ]
    of_key, of_tenant = await meters.read("key", NOON)
    assert of_key.pico_today == of_tenant.pico_this_month == 30 * len(passed)
    assert of_key.running == of_tenant.running == of_key.requests == len(passed)
    assert len(passed) <= 30
    late = hold("late", pico=30)
    for n in range(len(passed), 30):  # who is refused while another one's hold is undone asks again
        await meters.hold(want(CLIENTS + n, late), key, tenant)
    with pytest.raises(DoesNotFit):
        await meters.hold(want(CLIENTS, late), key, tenant)
    assert all(await asyncio.gather(*(meters.settle(bill(n, holds[n]), stored=False) for n in passed)))
    of_key, of_tenant = await meters.read("key", NOON)
    assert of_key.pico_today == of_tenant.pico_this_month == 2 * len(passed) + 30 * (30 - len(passed))
    assert of_key.running == of_tenant.running == 30 - len(passed)
    assert await meters.usage(*DAY) == [times(len(passed), row())]


async def test_places_are_given_to_as_many_as_there_are(backend: MemoryBackend | AwsBackend) -> None:
    meters, limits = backend.storage().meters, Limits(concurrent=7)
    await meters.limit("key", limits)
    asked = (meters.hold(want(n, hold(f"h{n}")), limits, NONE) for n in range(30))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, tuple) for each in answers) == 7
    assert all(isinstance(each, tuple | DoesNotFit) for each in answers)


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_clients_that_meet_transactions_hold_at_once_and_settle_after_a_few_tries(emulator: str) -> None:
    """Neither emulator refuses what meets: `Meeting` does, as DynamoDB is documented to. Moto is slow."""
    clients = 16 if emulator == "moto" else CLIENTS
    with opened_aws(emulator) as backend:
        backend.time, meters, limits = NOON, backend.storage().meters, Limits(concurrent=clients)
        await meters.limit("key", limits)
        await meters.limit(None, limits)
        meeting = backend.aws.fault = Meeting(seconds=0.05)
        backend.aws._pool = ThreadPoolExecutor(clients)

        async def client(n: int) -> bool:
            held = hold(f"h{n}")
            await meters.hold(want(n, held), limits, limits)
            return await meters.settle(bill(n, held), stored=False)

        assert all(await asyncio.gather(*map(client, range(clients))))
        assert await meters.read("key", NOON) == (Meter(limits, clients, 7 * clients, 2 * clients, 2 * clients, 0),) * 2
        assert await meters.usage(*DAY) == [times(clients, row())]
        assert meeting.refused["UpdateItem"] == 0
        print(f"{clients} clients on {emulator}: {dict(meeting.made)}, refused {dict(meeting.refused)}")


@pytest.mark.ministack
async def test_a_meter_keeps_no_more_than_its_most_also_without_a_limit_of_places() -> None:
    """Its item has 400 KB, and each write pays for all of it. Moto takes seconds for such an item."""
    with opened_aws("ministack") as backend:
        backend.time, meters, limits = NOON, backend.storage().meters, Limits(pico_per_month=10**15)
        await meters.limit("key", limits)
        await meters.hold(want(0, hold("a" * 32, seconds=60)), limits, NONE)
        (item,) = backend.items()
        (open_,) = item["holds"]["M"].values()
        item["holds"]["M"] |= {rid(n): open_ for n in range(MAX_RUNNING)}
        backend.dynamodb.put_item(TableName=TABLE["TableName"], Item=item)
        assert sum(len(name) + 55 for name in item["holds"]["M"]) < 100_000
        with pytest.raises(DoesNotFit) as refused:
            await meters.hold(want(2_000, hold("b")), limits, NONE)
        assert refused.value.key.running == MAX_RUNNING
        backend.time = later = NOON + 60
        assert (await meters.hold(want(2_000, hold("b", at=later)), limits, NONE))[0].running == 1
        assert await meters.settle(bill(2_000, hold("b", at=later)), stored=False)
        assert len(backend.items()[0]["holds"]["M"]) == MAX_RUNNING - 200


@pytest.mark.parametrize("stored", [0, 200])
async def test_ten_thousand_ends_in_any_order_add_up_exactly(stored: int, sweep: Sweep) -> None:
    """Some are settled by several at once. A sample is 2,000."""
    drawn, many = random.Random(stored), stored or (10_000 if sweep.full else 2_000)
    storage, limits = memory_storage(), Limits(concurrent=10, pico_per_day=10**15)
    meters: Meters = storage.meters
    await meters.limit(None, limits)
    owed: Counter[str] = Counter()

    async def response(n: int) -> None:
        target, tokens, pico = drawn.choice(["a/m", "b/m", "c/m"]), drawn.randrange(5, 99), drawn.randrange(10**9)
        held = hold(f"h{n}", tokens=200, pico=10**9)
        for _ in range(drawn.randrange(4)):
            await asyncio.sleep(0)
        try:
            await meters.hold(want(n, held), NONE, limits)
        except DoesNotFit:
            return
        ends = bill(n, held, used=[used(target, tokens, pico)], spent_tokens=tokens, spent_pico=pico)
        if n < stored:
            await ended(storage, n, ends)
        for _ in range(drawn.randrange(4)):
            await asyncio.sleep(0)
        again = drawn.randrange(1, 4)
        settled = await asyncio.gather(*(meters.settle(ends, stored=n < stored) for _ in range(again)))
        assert settled.count(True) == 1
        owed.update({"requests": 1, "tokens": tokens, "pico": pico})

    for start in range(0, many, 50):
        await asyncio.gather(*map(response, range(start, start + 50)))
    rows = await meters.usage(*DAY)
    assert owed["requests"] > many / 10
    assert {
        "requests": sum(each.requests for each in rows),
        "tokens": sum(each.input_tokens + each.output_tokens for each in rows),
        "pico": sum(each.pico for each in rows),
    } == owed
    tenant = (await meters.read("key", NOON))[1]
    assert tenant == Meter(limits, owed["requests"], owed["tokens"], owed["pico"], owed["pico"], 0)


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_what_is_deleted_while_its_bill_is_settled_is_gone_all_the_same(emulator: str) -> None:
    """A client deletes a response as soon as it has the last byte of it: the record is in a transaction then."""
    with opened_aws(emulator) as backend:
        backend.time, storage = NOON, backend.storage()
        await ended(storage, 1, bill(1))
        backend.aws.fault = Meeting(seconds=0.03)
        backend.aws._pool = ThreadPoolExecutor(2)
        await asyncio.gather(storage.meters.settle(bill(1), stored=True), storage.store.delete(rid(1)))
        assert await storage.store.load([rid(1)]) == [None]
        assert await storage.meters.usage(*DAY) == [row()]

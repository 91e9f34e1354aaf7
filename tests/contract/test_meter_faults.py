"""AWS that fails, or loses its answer, at each call that holds or settles: and a worker that is killed there, before or
after the call. Whoever repeats it brings it to its end, and nothing counts twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.retries.standard import ExponentialBackoff

from openresponses.core.bill import Bill
from openresponses.core.storage import DoesNotFit, Limits, Meter, Storage, Want
from tests.contract.storage_suite import EMULATORS, AwsBackend, opened_aws, rid
from tests.contract.test_aws_faults import FAULTS, Operation, fails_for_good, fails_once
from tests.contract.test_storage_meters import NOON, bill, ended, hold, row
from tests.sweeps import Sweep

LIMITS, OF_TENANT = Limits(pico_per_day=10), Limits(pico_per_day=1_000)
HELD = hold("a")
DAY = ("2026-11-27", "2026-11-27")


@pytest.fixture(params=EMULATORS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsBackend]:
    """botocore waits between its attempts for seconds, at random."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)
    with opened_aws(request.param) as backend:
        backend.time = NOON
        yield backend


def bill_of(n: int) -> Bill:
    return bill(n, HELD, key=f"key{n}")


async def limited(storage: Storage, n: int) -> None:
    await storage.meters.limit(f"key{n}", LIMITS)
    await storage.meters.limit(None, OF_TENANT)


async def take(storage: Storage, n: int) -> None:
    await storage.meters.hold(Want(rid(n), f"key{n}", HELD, first=True), LIMITS, OF_TENANT)


async def is_held(storage: Storage, n: int) -> bool:
    key, _ = await storage.meters.read(f"key{n}", NOON)
    assert key in (Meter(LIMITS), Meter(LIMITS, 1, 10, 1, 1, 1))
    return key.running == 1


async def owed(storage: Storage, n: int) -> None:
    await limited(storage, n)
    await take(storage, n)
    await ended(storage, n, bill_of(n))


async def settle(storage: Storage, n: int) -> None:
    await storage.meters.settle(bill_of(n), stored=True)


async def is_settled(storage: Storage, n: int) -> bool:
    """What was held is given back before the usage is counted."""
    rows, (key, tenant) = await storage.meters.usage(*DAY, f"key{n}"), await storage.meters.read(f"key{n}", NOON)
    assert (rows, key) in (
        ([], Meter(LIMITS, 1, 10, 1, 1, 1)),
        ([], Meter(LIMITS, 1, 7, 2, 2, 0)),
        ([row(key=f"key{n}")], Meter(LIMITS, 1, 7, 2, 2, 0)),
    )
    assert not rows or tenant.running == 0
    return bool(rows)


async def is_deleted(storage: Storage, n: int) -> bool:
    settled, (record,) = await is_settled(storage, n), await storage.store.load([rid(n)])
    assert settled or record is not None
    return record is None


OPERATIONS = {
    "hold": Operation(limited, take, is_held),
    "settle": Operation(owed, settle, is_settled),
    "delete": Operation(owed, lambda s, n: s.store.delete(rid(n)), is_deleted),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_at_each_call_of_an_operation(backend: AwsBackend, sweep: Sweep, name: str, fault: str) -> None:
    operation, aws, storage = OPERATIONS[name], backend.aws, backend.storage()
    await operation.prepare(storage, 0)
    aws.forget()
    await operation.act(storage, 0)
    sites = len(aws.calls)
    for site in sweep.sample(range(sites), 1):
        await fails_once(aws, storage, operation, FAULTS[fault], site, 1 + 2 * site)
        await fails_for_good(aws, storage, operation, FAULTS[fault], site, 2 + 2 * site)
    print(f"{name} under {fault}: {sites} call sites")


async def test_a_hold_that_the_tenant_refuses_leaves_the_key_as_it_was(backend: AwsBackend) -> None:
    """Also that of the turn before, which is still to be settled."""
    meters = backend.storage().meters
    await meters.limit("key", LIMITS)
    await meters.limit(None, Limits(tokens_per_minute=15))
    first, second = hold("a", tokens=10), hold("b", tokens=12)
    await meters.hold(Want(rid(1), "key", first, first=True), LIMITS, Limits(tokens_per_minute=15))
    before = backend.items()
    turn = Want(rid(1), "key", second, instead_of=first, spent_tokens=4, spent_pico=1)
    with pytest.raises(DoesNotFit) as refused:
        await meters.hold(turn, LIMITS, Limits(tokens_per_minute=15))
    assert refused.value.key == Meter(LIMITS, 1, 10, 1, 1, 1)

    def plain(items: list[dict[str, object]]) -> list[dict[str, object]]:
        return sorted(({name: each[name] for name in each if name != "writer"} for each in items), key=str)

    assert plain(backend.items()) == plain(before)

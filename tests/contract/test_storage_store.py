"""Responses at rest: one suite, on memory and on AWS as moto plays it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from openresponses.core.errors import Cancelled, Superseded
from openresponses.core.storage import Storage
from tests.contract.storage_suite import (
    BACKENDS,
    AwsBackend,
    MemoryBackend,
    new_batch,
    new_record,
    new_response,
    new_run,
    opened,
    rid,
    text,
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


@pytest.fixture
def storage(backend: MemoryBackend | AwsBackend) -> Storage:
    return backend.storage()


async def test_a_record_comes_back_as_it_was(storage: Storage) -> None:
    record = new_record(1, said="hello")
    record.discarded = ["msg_a", "msg_b"]
    await storage.store.create(record, new_run(1))
    assert await storage.store.load([rid(1)]) == [record]


async def test_a_record_without_a_lease_comes_back_without_one(storage: Storage) -> None:
    await storage.store.create(new_record(1, lease=None), new_run(1))
    assert await storage.store.load([rid(1)]) == [new_record(1, lease=None)]


async def test_nothing_is_shared_with_what_was_given_or_returned(storage: Storage) -> None:
    record = new_record(1)
    await storage.store.create(record, new_run(1))
    record.input.clear()
    (loaded,) = await storage.store.load([rid(1)])
    assert loaded == new_record(1)
    loaded.input.clear()
    assert await storage.store.load([rid(1)]) == [new_record(1)]


@pytest.mark.parametrize("missing", [rid(9), "", "nope", "../x", "a/b", "x" * 5000, "key/é\u0000", "resp_#"])
async def test_an_id_that_stands_for_nothing_gives_nothing(storage: Storage, missing: str) -> None:
    await storage.store.create(new_record(1), new_run(1))
    assert await storage.store.load([missing, rid(1)]) == [None, new_record(1)]
    assert await storage.runs.load(missing) is None
    assert await storage.log.read(missing, -1) == []
    await storage.store.delete(missing)
    await storage.store.cancel(missing)
    assert await storage.store.load([rid(1)]) == [new_record(1)]


async def test_no_ids_give_no_records(storage: Storage) -> None:
    assert await storage.store.load([]) == []


async def test_two_hundred_records_come_in_the_order_asked_for_also_twice(storage: Storage) -> None:
    """Of 60 that are there: more than one batch. moto copies the whole table for each that is created."""
    records = {rid(n): new_record(n) for n in range(60)}
    for n, record in enumerate(records.values()):
        await storage.store.create(record, new_run(n))
    wanted = [rid(n * 7 % 90) for n in range(200)]
    assert await storage.store.load(wanted) == [records.get(each) for each in wanted]


async def test_an_id_is_taken_once(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    with pytest.raises(Superseded):
        await storage.store.create(new_record(1, asked="another"), new_run(1, said="another"))
    assert await storage.store.load([rid(1)]) == [new_record(1)]
    assert await storage.runs.load(rid(1)) == new_run(1)


async def test_renewing_replaces_the_lease_and_nothing_else(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    await storage.store.renew(rid(1), 1_700_000_060.5)
    assert await storage.store.load([rid(1)]) == [new_record(1, lease=1_700_000_060.5)]
    await storage.store.renew(rid(1), None)
    assert await storage.store.load([rid(1)]) == [new_record(1, lease=None)]


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
async def test_a_response_is_settled_once(storage: Storage, status: str) -> None:
    await storage.store.create(new_record(1), new_run(1))
    final = new_response(1, said="done", status=status)
    await storage.store.settle(final, ["msg_dead"])
    settled = new_record(1).model_copy(update={"response": final, "discarded": ["msg_dead"]})
    assert await storage.store.load([rid(1)]) == [settled]
    with pytest.raises(Superseded):
        await storage.store.settle(new_response(1, said="again", status="completed"), [])
    with pytest.raises(Superseded):
        await storage.store.renew(rid(1), 5.0)
    assert await storage.store.load([rid(1)]) == [settled]


async def test_a_queued_response_is_live(storage: Storage) -> None:
    record = new_record(1, lease=None)
    record.response.status = "queued"
    await storage.store.create(record, new_run(1))
    await storage.store.renew(rid(1), None)
    await storage.store.settle(new_response(1, status="completed"), [])
    (settled,) = await storage.store.load([rid(1)])
    assert settled is not None
    assert settled.response.status == "completed"


async def test_of_two_that_settle_at_once_one_wins(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    finals = [new_response(1, said=f"answer {n}", status="completed") for n in range(4)]
    outcomes = await asyncio.gather(*(storage.store.settle(each, []) for each in finals), return_exceptions=True)
    (winner,) = [final for final, outcome in zip(finals, outcomes, strict=True) if outcome is None]
    assert [type(each) for each in outcomes if each is not None] == [Superseded] * 3
    (record,) = await storage.store.load([rid(1)])
    assert record is not None
    assert record.response == winner


async def test_a_worker_hears_of_a_cancel_when_it_renews_and_may_still_settle(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    await storage.store.cancel(rid(1))
    await storage.store.cancel(rid(1))
    with pytest.raises(Cancelled):
        await storage.store.renew(rid(1), 5.0)
    assert await storage.store.load([rid(1)]) == [new_record(1)]
    await storage.log.append(rid(1), new_batch(0, "closing"))
    await storage.store.settle(new_response(1, status="cancelled"), [])
    with pytest.raises(Superseded):
        await storage.store.renew(rid(1), 5.0)


async def test_cancelling_one_that_is_over_changes_nothing(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    await storage.store.settle(new_response(1, status="completed"), [])
    before = await storage.store.load([rid(1)])
    await storage.store.cancel(rid(1))
    assert await storage.store.load([rid(1)]) == before


async def test_deleting_leaves_nothing_and_touches_no_other(storage: Storage) -> None:
    for n in (1, 2):
        await storage.store.create(new_record(n), new_run(n))
        for number in range(30):
            await storage.log.append(rid(n), new_batch(number, "x"))
    await storage.store.delete(rid(1))
    await storage.store.delete(rid(1))
    assert await storage.store.load([rid(1), rid(2)]) == [None, new_record(2)]
    assert await storage.runs.load(rid(1)) is None
    assert await storage.log.read(rid(1), -1) == []
    assert len(await storage.log.read(rid(2), -1)) == 30


@pytest.mark.parametrize("batches", [0, 1, 3])
async def test_a_writer_that_still_runs_brings_nothing_back(storage: Storage, batches: int) -> None:
    run = new_run(1)
    await storage.store.create(new_record(1), run)
    for number in range(batches):
        await storage.log.append(rid(1), new_batch(number, "x"))
    await storage.store.delete(rid(1))
    for number in range(batches + 1):  # what it would write next, and what one that fell behind would
        with pytest.raises(Superseded):
            await storage.log.append(rid(1), new_batch(number, "late"))
    with pytest.raises(Superseded):
        await storage.runs.save(run)
    with pytest.raises(Superseded):
        await storage.store.renew(rid(1), 5.0)
    with pytest.raises(Superseded):
        await storage.store.settle(new_response(1, status="completed"), [])
    await storage.store.cancel(rid(1))
    assert await storage.store.load([rid(1)]) == [None]
    assert await storage.runs.load(rid(1)) is None
    assert await storage.log.read(rid(1), -1) == []


@pytest.mark.parametrize("size", [400_000, 3_000_000])
async def test_values_of_any_size_come_back(storage: Storage, size: int) -> None:
    record = new_record(1, asked=text(size, 1), said=text(size, 2))
    await storage.store.create(record, new_run(1, said=text(size, 3)))
    assert await storage.store.load([rid(1)]) == [record]
    final = new_response(1, said=text(size, 4), status="completed")
    await storage.store.settle(final, [])
    assert await storage.store.load([rid(1)]) == [record.model_copy(update={"response": final})]


async def test_tenants_do_not_see_each_other(backend: MemoryBackend | AwsBackend) -> None:
    ours, theirs = backend.storage("a"), backend.storage("b")
    await ours.store.create(new_record(1), new_run(1))
    await ours.log.append(rid(1), new_batch(0, "x"))
    await theirs.store.delete(rid(1))
    await theirs.store.cancel(rid(1))
    assert await theirs.store.load([rid(1)]) == [None]
    assert await theirs.runs.load(rid(1)) is None
    assert await theirs.log.read(rid(1), -1) == []
    with pytest.raises(Superseded):
        await theirs.store.settle(new_response(1, status="failed"), [])
    await theirs.store.create(new_record(1, asked="mine"), new_run(1))
    assert await ours.store.load([rid(1)]) == [new_record(1)]
    assert await theirs.store.load([rid(1)]) == [new_record(1, asked="mine")]
    assert await ours.log.read(rid(1), -1) == [new_batch(0, "x")]

"""Runs and event logs: one suite, on memory and on AWS as moto plays it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from openresponses.core.errors import Superseded
from openresponses.core.records import Batch
from openresponses.core.run import Run
from openresponses.core.storage import Storage
from openresponses.schema.items import Message
from tests.contract.storage_suite import (
    BACKENDS,
    UNICODE,
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
async def storage(backend: MemoryBackend | AwsBackend) -> Storage:
    """Response 1 is there, in progress."""
    storage = backend.storage()
    await storage.store.create(new_record(1), new_run(1))
    return storage


async def loaded(storage: Storage) -> Run:
    run = await storage.runs.load(rid(1))
    assert run is not None
    return run


async def test_a_run_comes_back_without_its_context_and_its_items(storage: Storage) -> None:
    """They are in the records of its chain, and in its log."""
    run = new_run(2)
    run.response = new_response(2, said="made so far")
    run.context = [Message.model_validate({"id": "msg_in", "role": "user", "content": "secret"})]
    await storage.store.create(new_record(2), run)
    assert await storage.runs.load(rid(2)) == new_run(2)
    run.turns = 1
    await storage.runs.save(run)
    assert await storage.runs.load(rid(2)) == new_run(2).model_copy(update={"turns": 1, "version": 1})
    assert (len(run.context), len(run.response.output)) == (1, 1)


async def test_each_save_counts_one_version(storage: Storage) -> None:
    run = await loaded(storage)
    for turn in range(1, 4):
        run.turns, run.discarded = turn, [*run.discarded, f"msg_{turn}"]
        await storage.runs.save(run)
        assert run.version == turn
        assert await loaded(storage) == run


async def test_a_stale_run_is_not_saved(storage: Storage) -> None:
    ours, stale = await loaded(storage), await loaded(storage)
    ours.turns = 1
    await storage.runs.save(ours)
    stale.turns = 7
    with pytest.raises(Superseded):
        await storage.runs.save(stale)
    assert stale.version == 0
    assert await loaded(storage) == ours


async def test_of_runs_saved_at_once_one_wins(storage: Storage) -> None:
    runs = [new_run(1, said=f"run {n}") for n in range(4)]
    outcomes = await asyncio.gather(*map(storage.runs.save, runs), return_exceptions=True)
    (winner,) = [run for run, outcome in zip(runs, outcomes, strict=True) if outcome is None]
    assert [type(each) for each in outcomes if each is not None] == [Superseded] * 3
    assert await loaded(storage) == winner


async def test_a_run_that_is_nowhere_is_not_saved(storage: Storage) -> None:
    with pytest.raises(Superseded):
        await storage.runs.save(new_run(9))
    assert await storage.runs.load(rid(9)) is None


@pytest.mark.parametrize("size", [400_000, 3_000_000])
async def test_a_run_of_any_size_comes_back_and_shrinks_again(storage: Storage, size: int) -> None:
    run = await loaded(storage)
    for seed in (1, 2):
        run.request = new_run(1, said=text(size, seed)).request
        await storage.runs.save(run)
        assert await loaded(storage) == run
    run.request = new_run(1).request
    await storage.runs.save(run)
    assert await loaded(storage) == run


async def test_the_first_batch_is_there_as_soon_as_its_response(storage: Storage) -> None:
    first = new_batch(0, "first", UNICODE)
    await storage.store.create(new_record(2), new_run(2), first)
    assert await storage.log.read(rid(2), -1) == [first]
    with pytest.raises(Superseded):
        await storage.log.append(rid(2), new_batch(0, "late"))
    await storage.log.append(rid(2), new_batch(1, "next", first=2))
    assert [batch.number for batch in await storage.log.read(rid(2), -1)] == [0, 1]


async def test_a_log_is_read_in_order_from_any_batch(storage: Storage) -> None:
    batches = [new_batch(n, f"a{n}", UNICODE, first=2 * n) for n in range(12)]
    for batch in batches:
        await storage.log.append(rid(1), batch)
    for after in (-1, 0, 9, 11, 50):
        assert await storage.log.read(rid(1), after) == batches[after + 1 :]
    assert await storage.log.read(rid(2), -1) == []


async def test_a_batchs_number_is_written_once(storage: Storage) -> None:
    await storage.log.append(rid(1), new_batch(0, "first"))
    with pytest.raises(Superseded):
        await storage.log.append(rid(1), new_batch(0, "second"))
    with pytest.raises(Superseded):
        await storage.log.append(rid(1), new_batch(0, "first"))
    assert await storage.log.read(rid(1), -1) == [new_batch(0, "first")]


async def test_of_batches_written_at_once_one_wins(storage: Storage) -> None:
    batches = [new_batch(0, f"writer {n}") for n in range(4)]
    outcomes = await asyncio.gather(*(storage.log.append(rid(1), each) for each in batches), return_exceptions=True)
    (winner,) = [batch for batch, outcome in zip(batches, outcomes, strict=True) if outcome is None]
    assert [type(each) for each in outcomes if each is not None] == [Superseded] * 3
    assert await storage.log.read(rid(1), -1) == [winner]


async def test_an_empty_batch_is_a_fence_that_readers_see(storage: Storage) -> None:
    await storage.log.append(rid(1), Batch(0, []))
    with pytest.raises(Superseded):
        await storage.log.append(rid(1), new_batch(0, "late"))
    await storage.log.append(rid(1), new_batch(1, "on"))
    assert await storage.log.read(rid(1), -1) == [Batch(0, []), new_batch(1, "on")]


async def steps(storage: Storage) -> list[list[Batch]]:
    """The whole log, as it is read."""
    found = list[list[Batch]]()
    while read := await storage.log.read(rid(1), found[-1][-1].number if found else -1):
        found.append(read)
    return found


@pytest.mark.parametrize("size", [400_000, 3_000_000])
async def test_a_batch_of_any_size_comes_back(storage: Storage, size: int) -> None:
    batches = [new_batch(0, text(size, 1)), new_batch(1, "small", first=1), new_batch(2, text(size, 2), first=2)]
    for batch in batches:
        await storage.log.append(rid(1), batch)
    assert [batch for step in await steps(storage) for batch in step] == batches


async def test_a_long_log_is_read_in_steps(storage: Storage) -> None:
    """3.4 MB in items of 100 KB: more than one page of a query, and more than one read."""
    batches = [new_batch(n, text(130_000, n), first=n) for n in range(26)]
    for batch in batches:
        await storage.log.append(rid(1), batch)
    read = await steps(storage)
    assert [batch for step in read for batch in step] == batches
    assert [len(step) for step in read] == [17, 9], "one more than 2 MiB hold"


async def test_a_log_of_many_small_batches_is_read_in_few_steps(storage: Storage) -> None:
    batches = [new_batch(n, "x", first=n) for n in range(300)]
    for batch in batches:
        await storage.log.append(rid(1), batch)
    read = await steps(storage)
    assert [batch for step in read for batch in step] == batches
    assert len(read) <= 2

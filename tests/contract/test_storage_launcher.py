"""Executions and idempotency keys: one suite, on memory and on AWS as moto plays it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from openresponses.aws.clients import Aws
from openresponses.aws.launcher import StepFunctionsLauncher
from openresponses.core.errors import NotStarted, StorageUnavailable, Superseded
from openresponses.core.records import Claim
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from tests.contract.storage_suite import (
    BACKENDS,
    UNICODE,
    AwsBackend,
    MemoryBackend,
    claimed,
    new_batch,
    new_record,
    new_run,
    opened,
    rid,
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


async def test_an_execution_is_started_once_for_each_generation(backend: MemoryBackend | AwsBackend) -> None:
    backend.add_machine()
    launcher = backend.storage().launcher
    for generation in (0, 0, 1, 1, 0):
        await launcher.start(rid(1), generation)
    await launcher.start(rid(2), 0)
    assert sorted(backend.started()) == [(rid(1), 0), (rid(1), 1), (rid(2), 0)]


async def test_a_stopped_execution_is_not_started_again(backend: MemoryBackend | AwsBackend) -> None:
    backend.add_machine()
    launcher = backend.storage().launcher
    await launcher.start(rid(1), 0)
    await launcher.stop(rid(1), 0)
    await launcher.stop(rid(1), 0)
    await launcher.start(rid(1), 0)
    assert backend.started() == [(rid(1), 0)]


async def test_stopping_what_never_ran_is_harmless(backend: MemoryBackend | AwsBackend) -> None:
    backend.add_machine()
    await backend.storage().launcher.stop(rid(1), 3)
    assert backend.started() == []


class Busy(Aws):
    async def call(self, service: object, operation: str, /, **parameters: object) -> dict[str, Any]:
        raise StorageUnavailable("Storage is busy or failing: try again")


async def test_an_execution_that_can_not_start_now_is_told_apart_since_nothing_was_begun() -> None:
    with pytest.raises(NotStarted) as raised:
        await StepFunctionsLauncher(Busy("us-east-1"), "arn:of:machine", "acme").start(rid(1), 0)
    assert (raised.value.status, raised.value.code) == (503, "storage_unavailable")


async def test_memory_tells_of_each_start_once() -> None:
    told: list[tuple[str, int]] = []

    async def on_start(response_id: str, generation: int) -> None:
        told.append((response_id, generation))

    shelf = Shelf()
    launcher = memory_storage(shelf, on_start).launcher
    await launcher.start(rid(1), 0)
    await launcher.start(rid(1), 0)
    await launcher.stop(rid(1), 0)
    assert (told, shelf.started, shelf.stopped) == ([(rid(1), 0)], [(rid(1), 0)], [(rid(1), 0)])


async def test_a_key_stands_for_the_response_that_came_first(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    assert await claimed(storage, 1, UNICODE) == rid(1)
    assert await claimed(storage, 2, UNICODE) == rid(1)
    assert await claimed(storage, 3, "another key") == rid(3)
    assert await storage.store.load([rid(1), rid(2), rid(3)]) == [new_record(1), None, new_record(3)]
    assert [await storage.runs.load(rid(n)) for n in (1, 2)] == [new_run(1), None]
    record, run = new_record(4), new_run(4)
    held = await storage.store.create(record, run, new_batch(0, "x"), Claim(UNICODE, rid(4), "another body"))
    assert held == Claim(UNICODE, rid(1), "hash")
    assert await storage.log.read(rid(4), -1) == []


async def test_a_released_key_can_be_claimed_again(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    await storage.claims.release(Claim(UNICODE, rid(1), "hash"))  # nothing to release
    await claimed(storage, 1, UNICODE)
    await storage.claims.release(Claim(UNICODE, rid(2), "hash"))  # not the one that holds
    assert await claimed(storage, 2, UNICODE) == rid(1)
    await storage.claims.release(Claim(UNICODE, rid(1), "hash"))
    assert await claimed(storage, 2, UNICODE) == rid(2)


async def test_a_claim_takes_the_place_of_one_of_which_nothing_is_left(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    await claimed(storage, 1, "key")
    await storage.store.delete(rid(1))
    assert await claimed(storage, 2, "key", instead_of=9) == rid(1)
    taken = await asyncio.gather(*(claimed(storage, n, "key", instead_of=1) for n in range(2, 6)))
    assert len({*taken}) == 1
    assert await claimed(storage, 7, "key", instead_of=1) == taken[0]


async def test_of_claims_made_at_once_one_holds_for_all(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    held = await asyncio.gather(*(claimed(storage, n, "key") for n in range(8)))
    assert len({*held}) == 1
    assert [record.response.id for record in await storage.store.load([rid(n) for n in range(8)]) if record] == held[:1]


async def test_a_response_that_is_there_is_not_claimed_once_more(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    await storage.store.create(new_record(1), new_run(1))
    with pytest.raises(Superseded):
        await claimed(storage, 1, "key")
    assert await claimed(storage, 2, "key") == rid(2)


async def test_a_key_may_be_of_any_length(backend: MemoryBackend | AwsBackend) -> None:
    assert await claimed(backend.storage(), 1, "k" * 5000) == rid(1)


async def test_a_key_is_its_tenants_own(backend: MemoryBackend | AwsBackend) -> None:
    assert await claimed(backend.storage("a"), 1, "key") == rid(1)
    assert await claimed(backend.storage("b"), 2, "key") == rid(2)

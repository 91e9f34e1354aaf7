"""Executions and idempotency keys: one suite, on memory and on AWS as moto plays it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from openresponses.core.records import Claim
from openresponses.storage.memory import Shelf, memory_storage
from tests.contract.storage_suite import BACKENDS, UNICODE, MemoryBackend, MotoBackend, opened, rid


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | MotoBackend]:
    with opened(request.param) as backend:
        yield backend


async def test_an_execution_is_started_once_for_each_generation(backend: MemoryBackend | MotoBackend) -> None:
    backend.add_machine()
    launcher = backend.storage().launcher
    for generation in (0, 0, 1, 1, 0):
        await launcher.start(rid(1), generation)
    await launcher.start(rid(2), 0)
    assert sorted(backend.started()) == [(rid(1), 0), (rid(1), 1), (rid(2), 0)]


async def test_a_stopped_execution_is_not_started_again(backend: MemoryBackend | MotoBackend) -> None:
    backend.add_machine()
    launcher = backend.storage().launcher
    await launcher.start(rid(1), 0)
    await launcher.stop(rid(1), 0)
    await launcher.stop(rid(1), 0)
    await launcher.start(rid(1), 0)
    assert backend.started() == [(rid(1), 0)]


async def test_stopping_what_never_ran_is_harmless(backend: MemoryBackend | MotoBackend) -> None:
    backend.add_machine()
    await backend.storage().launcher.stop(rid(1), 3)
    assert backend.started() == []


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


async def test_the_first_claim_holds(backend: MemoryBackend | MotoBackend) -> None:
    claims = backend.storage().claims
    first, second = Claim(rid(1), "hash 1"), Claim(rid(2), "hash 2")
    assert await claims.claim(UNICODE, first) == first
    assert await claims.claim(UNICODE, second) == first
    assert await claims.claim(UNICODE, first) == first
    assert await claims.claim("another key", second) == second


async def test_a_released_key_can_be_claimed_again(backend: MemoryBackend | MotoBackend) -> None:
    claims = backend.storage().claims
    first, second = Claim(rid(1), "one"), Claim(rid(2), "two")
    await claims.release(UNICODE, first)  # nothing to release
    await claims.claim(UNICODE, first)
    await claims.release(UNICODE, second)  # not the one that holds
    assert await claims.claim(UNICODE, second) == first
    await claims.release(UNICODE, first)
    assert await claims.claim(UNICODE, second) == second


async def test_of_claims_made_at_once_one_holds_for_all(backend: MemoryBackend | MotoBackend) -> None:
    claims = backend.storage().claims
    held = await asyncio.gather(*(claims.claim("key", Claim(rid(n), "hash")) for n in range(8)))
    assert len({each.response_id for each in held}) == 1


async def test_a_key_may_be_of_any_length(backend: MemoryBackend | MotoBackend) -> None:
    claims = backend.storage().claims
    assert await claims.claim("k" * 5000, Claim(rid(1), "hash")) == Claim(rid(1), "hash")


async def test_a_key_is_its_tenants_own(backend: MemoryBackend | MotoBackend) -> None:
    ours, theirs = Claim(rid(1), "hash"), Claim(rid(2), "hash")
    assert await backend.storage("a").claims.claim("key", ours) == ours
    assert await backend.storage("b").claims.claim("key", theirs) == theirs

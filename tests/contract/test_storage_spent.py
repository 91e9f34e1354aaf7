"""Spent approvals: one suite, on memory and on AWS as emulators play it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from openresponses.core.storage import Spent
from openresponses.schema.limits import MAX_APPROVALS
from openresponses.storage.memory.spent import MemorySpent
from tests.contract.storage_suite import BACKENDS, AwsBackend, MemoryBackend, opened, opened_aws, rid

DAY = 86_400
A, B, C = "mcpr_a", "mcpr_b", "mcpr_c"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


@pytest.fixture
def spent(backend: MemoryBackend | AwsBackend) -> Spent:
    return backend.storage().spent


async def test_an_approval_is_spent_for_one_response(spent: Spent) -> None:
    assert await spent.spend([A], rid(1)) is None
    assert await spent.spend([A], rid(2)) == A
    assert await spent.spend([B], rid(2)) is None


async def test_to_spend_it_for_the_same_response_again_changes_nothing(spent: Spent) -> None:
    assert await spent.spend([A, B], rid(1)) is None
    assert await spent.spend([A, B], rid(1)) is None
    assert await spent.spend([B], rid(2)) == B


async def test_of_several_all_are_spent_or_none(spent: Spent) -> None:
    assert await spent.spend([B], rid(1)) is None
    assert await spent.spend([A, B, C], rid(2)) == B
    assert await spent.spend([A, C], rid(3)) is None


async def test_what_was_given_back_can_be_spent_again(spent: Spent) -> None:
    await spent.spend([A, B], rid(1))
    await spent.give_back([A], rid(1))
    await spent.give_back([A, C], rid(1))
    assert await spent.spend([A], rid(2)) is None
    assert await spent.spend([B], rid(2)) == B


async def test_only_the_response_that_it_was_spent_for_gives_it_back(spent: Spent) -> None:
    await spent.spend([A], rid(1))
    await spent.give_back([A], rid(2))
    assert await spent.spend([A], rid(2)) == A


async def test_nothing_is_spent_of_nothing(spent: Spent) -> None:
    assert await spent.spend([], rid(1)) is None
    await spent.give_back([], rid(1))


async def test_of_many_at_once_exactly_one_passes(spent: Spent) -> None:
    found = await asyncio.gather(*(spent.spend([A, B] if n % 2 else [B, A], rid(n)) for n in range(8)))
    assert found.count(None) == 1
    winner = found.index(None)
    assert await spent.spend([A, B], rid(winner)) is None


async def test_as_many_are_spent_as_a_request_may_have(spent: Spent) -> None:
    many = [f"mcpr_{n}" for n in range(MAX_APPROVALS)]
    assert await spent.spend(many, rid(1)) is None
    assert await spent.spend([many[-1]], rid(2)) == many[-1]


async def test_another_tenant_has_spent_nothing(backend: MemoryBackend | AwsBackend) -> None:
    assert await backend.storage("a").spent.spend([A], rid(1)) is None
    assert await backend.storage("b").spent.spend([A], rid(2)) is None


async def test_it_is_kept_for_a_day_on_aws() -> None:
    with opened_aws() as backend:
        spent = backend.storage().spent
        await spent.spend([A], rid(1))
        (item,) = backend.items()
        assert float(item["ttl"]["N"]) == backend.time + DAY
        assert A not in str(item)
        backend.time += DAY - 1
        assert await spent.spend([A], rid(2)) == A
        backend.time += 1
        assert await spent.spend([A], rid(2)) is None


async def test_it_is_kept_for_a_day_in_memory() -> None:
    time, kept = 0.0, dict[str, tuple[str, float]]()
    spent = MemorySpent(kept, lambda: time)
    await spent.spend([A], rid(1))
    time = DAY / 2
    await spent.spend([B], rid(1))
    time = DAY - 1
    assert await spent.spend([A], rid(2)) == A
    time = DAY
    assert await spent.spend([A], rid(2)) is None
    assert [*kept] == [B, A]

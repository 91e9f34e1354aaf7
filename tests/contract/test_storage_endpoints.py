"""Webhook endpoints and dead letters at rest: one suite, on memory and on AWS as emulators play it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from openresponses.core.storage import Endpoints
from openresponses.core.webhooks import MAX_ENDPOINTS, DeadLetter, Endpoint, Registered, SigningSecret
from openresponses.schema.limits import MAX_NAME, MAX_WEBHOOK_URL
from tests.contract.storage_suite import BACKENDS, UNICODE, AwsBackend, MemoryBackend, opened, opened_aws

DAY = 86_400


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


@pytest.fixture
def endpoints(backend: MemoryBackend | AwsBackend) -> Endpoints:
    return backend.storage().endpoints


def endpoint(n: int, **more: object) -> Endpoint:
    secrets = (SigningSecret("or1.new"), SigningSecret("or1.old", 1_700_000_900))
    made = Endpoint(
        f"we_{n}", UNICODE, f"https://{n}.test/é?a=b", ("response.failed",), secrets, "whsec_****abcd", 1, 2
    )
    return replace(made, **more)  # pyright: ignore[reportArgumentType]


def letter(n: int, *, at: int = 1_700_000_000, to: str = "we_1") -> DeadLetter:
    return DeadLetter(f"evt_{n:032x}", "response.failed", f"resp_{n:032x}", to, UNICODE, at, at + 3 * DAY)


async def test_endpoints_come_back_as_they_were(endpoints: Endpoints) -> None:
    assert await endpoints.load() == Registered((), 0)
    assert await endpoints.replace([endpoint(1), endpoint(2)], 0) is True
    assert await endpoints.load() == Registered((endpoint(1), endpoint(2)), 1)
    assert await endpoints.replace([], 1) is True
    assert await endpoints.load() == Registered((), 2)
    assert await endpoints.replace([endpoint(3)], 2) is True
    assert await endpoints.load() == Registered((endpoint(3),), 3)


@pytest.mark.parametrize("version", [0, 2, 7])
async def test_who_saw_an_older_version_changes_nothing(endpoints: Endpoints, version: int) -> None:
    await endpoints.replace([endpoint(1)], 0)
    assert await endpoints.replace([endpoint(2)], version) is False
    assert await endpoints.load() == Registered((endpoint(1),), 1)


async def test_of_several_changes_at_once_one_succeeds(endpoints: Endpoints) -> None:
    for version in (0, 1):
        done = await asyncio.gather(*(endpoints.replace([endpoint(n)], version) for n in range(6)))
        assert sorted(done) == [*[False] * 5, True]
        assert await endpoints.load() == Registered((endpoint(done.index(True)),), version + 1)


async def test_as_many_fit_as_there_may_be_with_the_longest_values(endpoints: Endpoints) -> None:
    sealed = (SigningSecret("x" * 200, 1_700_000_000),) * 3
    longest = endpoint(0, name="🙂" * MAX_NAME, url="🙂" * MAX_WEBHOOK_URL, secrets=sealed)
    many = tuple(replace(longest, id=f"we_{n:032x}") for n in range(MAX_ENDPOINTS))
    assert await endpoints.replace(many, 0) is True
    assert (await endpoints.load()).endpoints == many


async def test_dead_letters_are_listed_by_the_time_of_their_events(endpoints: Endpoints) -> None:
    for n in (2, 1, 3):
        await endpoints.keep_dead(letter(n, at=1_700_000_000 + n))
    assert await endpoints.dead(2) == [letter(n, at=1_700_000_000 + n) for n in (3, 2)]
    assert len(await endpoints.dead(9)) == 3
    assert await endpoints.load() == Registered((), 0)


async def test_a_letter_is_kept_once_for_each_endpoint(endpoints: Endpoints) -> None:
    await endpoints.keep_dead(letter(1))
    await endpoints.keep_dead(replace(letter(1), reason="another", given_up_at=9))
    await endpoints.keep_dead(letter(1, to="we_2"))
    assert await endpoints.dead(9) == [letter(1, to="we_2"), letter(1)]


async def test_tenants_do_not_see_each_others(backend: MemoryBackend | AwsBackend) -> None:
    ours, theirs = backend.storage("a").endpoints, backend.storage("b").endpoints
    await ours.replace([endpoint(1)], 0)
    await ours.keep_dead(letter(1))
    assert (await theirs.load(), await theirs.dead(9)) == (Registered((), 0), [])
    assert await theirs.replace([endpoint(2)], 0) is True
    assert await ours.load() == Registered((endpoint(1),), 1)


async def test_letters_expire_and_endpoints_do_not_and_a_read_is_one_call_on_aws() -> None:
    with opened_aws() as backend:
        endpoints = backend.storage().endpoints
        await endpoints.replace([endpoint(1)], 0)
        await endpoints.keep_dead(letter(1))
        assert [float(each["ttl"]["N"]) for each in backend.items() if "ttl" in each] == [backend.time + 30 * DAY]
        assert all("/" in each["pk"]["S"] for each in backend.items())  # what the functions' roles may read
        backend.time += 30 * DAY
        assert await endpoints.dead(9) == []
        backend.aws.forget()
        assert (await endpoints.load()).endpoints == (endpoint(1),)
        assert [each.operation for each in backend.aws.calls] == ["GetItem"]

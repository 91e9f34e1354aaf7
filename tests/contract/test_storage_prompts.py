"""Prompts at rest: one suite, on memory and on AWS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from openresponses.core.prompts import Prompt
from openresponses.core.storage import Prompts
from openresponses.schema.request import CreateResponse
from tests.contract.storage_suite import (
    BACKENDS,
    EMULATORS,
    UNICODE,
    AwsBackend,
    MemoryBackend,
    opened,
    opened_aws,
    text,
)

NAMES = ["greet", "a.b-c_d", "é/../x", "x" * 300, "newest", "version#0000000001"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


@pytest.fixture
def prompts(backend: MemoryBackend | AwsBackend) -> Prompts:
    return backend.storage().prompts


@pytest.fixture(params=EMULATORS)
def aws(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


def body(said: str = UNICODE) -> CreateResponse:
    said_first = [{"role": "user", "content": "{{name}}"}, {"role": "assistant", "content": said}]
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    return CreateResponse.model_validate(
        {"model": "m", "instructions": said, "input": said_first, "tools": [tool], "temperature": 0.25}
    )


async def newest(prompts: Prompts) -> list[tuple[str, int]]:
    return [(each.id, each.version) for each in await prompts.listed()]


@pytest.mark.parametrize("name", NAMES)
async def test_a_prompt_comes_back_as_it_was_in_each_of_its_versions(prompts: Prompts, name: str) -> None:
    for n in (1, 2, 3):
        assert (await prompts.add(name, body(f"{n}"))).version == n
    assert await prompts.find(name) == Prompt(3, body("3"))
    assert [await prompts.find(name, f"{n}") for n in (1, 2, 3)] == [Prompt(n, body(f"{n}")) for n in (1, 2, 3)]
    assert await newest(prompts) == [(name, 3)]


@pytest.mark.parametrize("version", ["0", "2", "01", "1.0", "-1", "", "newest", "x" * 256, "9" * 12, "²", "\u0661"])
async def test_what_is_no_version_is_not_found(prompts: Prompts, version: str) -> None:
    await prompts.add("greet", body())
    assert await prompts.find("greet", version) is None


async def test_what_was_never_there_is_not_found(prompts: Prompts) -> None:
    assert await prompts.find("greet") is None
    assert await prompts.find("", "1") is None
    assert await prompts.remove("greet") is False
    assert await prompts.listed() == []


async def test_all_are_listed_by_name(prompts: Prompts) -> None:
    for name in ("b", "a", "c", "a"):
        await prompts.add(name, body())
    assert await newest(prompts) == [("a", 2), ("b", 1), ("c", 1)]


async def test_a_number_is_given_once_also_after_a_removal(prompts: Prompts) -> None:
    await prompts.add("greet", body("1"))
    await prompts.add("greet", body("2"))
    await prompts.add("other", body())
    assert await prompts.remove("greet") is True
    assert await prompts.remove("greet") is False
    assert [await prompts.find("greet", version) for version in (None, "1", "2")] == [None] * 3
    assert await newest(prompts) == [("other", 1)]
    assert (await prompts.add("greet", body("3"))).version == 3
    assert [await prompts.find("greet", version) for version in ("1", "2", "3")] == [None, None, Prompt(3, body("3"))]


async def test_versions_that_are_added_at_once_are_all_kept(prompts: Prompts) -> None:
    made = await asyncio.gather(*(prompts.add("greet", body(f"{n}")) for n in range(3)))
    assert sorted(each.version for each in made) == [1, 2, 3]
    kept = {
        prompt.body.instructions
        for each in made
        if (prompt := await prompts.find("greet", f"{each.version}")) is not None
    }
    assert kept == {"0", "1", "2"}


async def test_tenants_do_not_see_each_others(backend: MemoryBackend | AwsBackend) -> None:
    ours, theirs = backend.storage("a").prompts, backend.storage("b").prompts
    await ours.add("greet", body())
    assert (await theirs.find("greet"), await theirs.listed(), await theirs.remove("greet")) == (None, [], False)
    assert await theirs.find("../../a/prompt/greet") is None
    assert await ours.find("greet") == Prompt(1, body())


async def test_a_large_one_comes_back_and_leaves_nothing(backend: MemoryBackend | AwsBackend) -> None:
    prompts = backend.storage().prompts
    large = [body(text(400_000, seed)) for seed in (1, 2)]
    for each in large:
        await prompts.add("greet", each)
    assert [await prompts.find("greet", version) for version in ("1", "2", None)] == [
        Prompt(1, large[0]),
        Prompt(2, large[1]),
        Prompt(2, large[1]),
    ]
    if isinstance(backend, AwsBackend):
        assert len(backend.objects()) == 3
        assert all(key.startswith("prompt/tenant/greet/") for key in backend.objects())
    assert await prompts.remove("greet")
    if isinstance(backend, AwsBackend):
        assert backend.objects() == []
        (left,) = backend.items()
        assert (left["sk"]["S"], left["version"]["N"]) == ("newest", "2")


async def test_none_expires_and_a_read_is_one_call(aws: AwsBackend) -> None:
    prompts = aws.storage().prompts
    await prompts.add("greet", body())
    assert [each for each in aws.items() if "ttl" in each] == []
    aws.time += 10 * 365 * 86_400
    aws.aws.forget()
    assert await prompts.find("greet") == Prompt(1, body())
    assert [each.operation for each in aws.aws.calls] == ["GetItem"]
    assert all("/" in each["pk"]["S"] for each in aws.items())  # what the functions' roles may read

"""What a response says when the one that it goes on from is deleted, on memory and on AWS as moto plays it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openresponses.core.errors import KitError, NotFound
from tests.contract.machine import House
from tests.contract.storage_suite import BACKENDS, opened
from tests.unit.cases import ANSWER
from tests.unit.kit import Script


@pytest.fixture(params=BACKENDS)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with opened(request.param) as backend:
        yield House(Script([ANSWER] * 4), storage=backend.storage())


async def made(house: House, previous: str | None = None) -> str:
    response, _ = await house.create(previous_response_id=previous)
    return response["id"]


async def listed(house: House, response_id: str) -> int:
    items, _ = await house.stored.input_items(response_id, limit=100, order="asc", after=None, before=None)
    return len(items)


def told(error: KitError) -> tuple[int, str, str | None, str]:
    return error.status, error.code, error.param, error.message


@pytest.mark.parametrize("deleted", [0, 1], ids=["a response far before it", "the response before it"])
async def test_a_response_outlives_those_that_it_goes_on_from(house: House, deleted: int) -> None:
    first = await made(house)
    second = await made(house, first)
    third = await made(house, second)
    assert await listed(house, third) == 5
    before, events = await house.stored.retrieve(third), await house.events(third)
    gone = (first, second)[deleted]
    await house.stored.delete(gone)

    assert await house.stored.retrieve(third) == before
    assert before.previous_response_id == second
    assert await house.events(third) == events
    assert await house.stored.cancel(third) == before
    why = f"The response {third!r} goes on from {gone!r}, which is gone"
    expected = (404, "previous_response_not_found", "previous_response_id", why)
    with pytest.raises(NotFound) as continued:
        await made(house, third)
    assert told(continued.value) == expected
    with pytest.raises(NotFound) as unlisted:
        await listed(house, third)
    assert told(unlisted.value) == expected
    with pytest.raises(NotFound) as missing:
        await made(house, gone)
    assert told(missing.value) == (*expected[:3], f"There is no response {gone!r}")
    if gone == second:
        assert await listed(house, first) == 1
    await house.stored.delete(third)
    with pytest.raises(NotFound):
        await house.stored.retrieve(third)


async def test_what_was_said_in_the_one_that_is_gone_cannot_be_referred_to(house: House) -> None:
    first = await made(house)
    item = (await house.stored.retrieve(first)).output[0].id
    await made(house, first)
    await house.stored.delete(first)
    with pytest.raises(NotFound) as missing:
        await house.create(input=[{"type": "item_reference", "id": item}])
    assert (missing.value.code, missing.value.param) == ("item_not_found", "input[0].id")

"""Idempotency keys: which response a request that is sent again gets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openresponses.core.errors import IdempotencyKeyReused, NotFound, ProviderUnavailable
from openresponses.responses.idempotency import PATIENCE, IdempotencyKey
from openresponses.schema.request import CreateResponse
from tests.contract.machine import House, Seen
from tests.unit.cases import ANSWER
from tests.unit.kit import Script

ASKED = CreateResponse.model_validate({"model": "m", "input": "hello"})
KEY = IdempotencyKey.of("key", b"body")


async def respond(house: House, key: IdempotencyKey) -> str:
    """The id of the response that the request got."""
    run, record = await house.new.accept(ASKED)
    response_id = await house.new.claim(key, run)
    if response_id == run.response.id:
        await house.new.respond(run, record, Seen(), seconds=None, committed=lambda: False, key=key)
    return response_id


async def test_the_same_request_gets_the_same_response() -> None:
    script = Script([ANSWER] * 2)
    house = House(script)
    first = await respond(house, KEY)
    assert await respond(house, KEY) == first
    assert len(script.asked) == len(house.ledger.accounts) == 1
    assert await respond(house, IdempotencyKey.of("another", b"body")) != first


async def test_another_request_may_not_use_the_key() -> None:
    house = House(Script([ANSWER]))
    await respond(house, KEY)
    with pytest.raises(IdempotencyKeyReused):
        await respond(house, IdempotencyKey.of("key", b"another body"))


async def test_a_request_of_which_nothing_came_gives_its_key_back() -> None:
    house = House(Script([[ProviderUnavailable("down")], ANSWER]))
    with pytest.raises(ProviderUnavailable):
        await respond(house, KEY)
    assert await respond(house, KEY) in house.shelf.responses


async def test_a_response_that_is_about_to_be_stored_is_waited_for() -> None:
    house = House(Script([ANSWER]))
    run, record = await house.new.accept(ASKED)
    assert await house.new.claim(KEY, run) == run.response.id
    again: asyncio.Task[Any] = asyncio.create_task(respond(house, KEY))
    await asyncio.sleep(0.05)
    assert not again.done()
    await house.new.respond(run, record, Seen(), seconds=None, committed=lambda: False, key=KEY)
    assert await again == run.response.id


async def test_a_response_that_does_not_appear_is_not_found() -> None:
    house = House(Script([ANSWER]))
    run, _ = await house.new.accept(ASKED)
    await house.new.claim(KEY, run)
    again: asyncio.Task[Any] = asyncio.create_task(respond(house, KEY))
    await asyncio.sleep(0.05)
    house.time += PATIENCE
    with pytest.raises(NotFound):
        await again

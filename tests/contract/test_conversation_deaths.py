"""Whoever holds a conversation dies, at every call of its storage: what it was to add is there once, or not at all, and
the conversation goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core.errors import ConversationLocked, StorageUnavailable
from openresponses.core.storage import Storage
from openresponses.core.turn import Turn
from openresponses.schema.items import Message
from tests.contract.deaths import Life, Replaced, run_until_killed
from tests.contract.machine import House, Killed
from tests.contract.storage_suite import opened_aws
from tests.contract.test_conversation_creates import ANSWER, HOSTED, TOOLS, conversation, kept, post
from tests.sweeps import Sweep
from tests.unit.kit import Json, Script

pytestmark = pytest.mark.usefixtures("hurry")
OF_ONE = ["Look", "serverless:calculator", "Sunny"]
kinds = pytest.mark.parametrize(
    "kind",
    [{}, {"stream": True}, {"background": True}, {"store": False}],
    ids=["plain", "stream", "queued", "not stored"],
)
moments = pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])


class Steady(Script):
    """Calls a tool, then answers, for each message of the user's. It waits between words."""

    def __init__(self) -> None:
        super().__init__([])

    async def stream(self, turn: Turn):  # type: ignore[override]
        kinds = [item.type for item in turn.items if item.type != "message" or item.role == "user"]
        for said in ANSWER if kinds[-1] == TOOLS[0]["type"] else HOSTED:
            await asyncio.sleep(0)
            assert not isinstance(said, BaseException)
            yield said


async def goes_on(house: House, name: str) -> None:
    """Ask as a client does that is told to try again: another response is added in the end."""
    for _ in range(200):
        try:
            response, _ = await house.create(input="next", conversation=name, tools=TOOLS)
        except ConversationLocked:
            await asyncio.sleep(0.01)
            house.time += 1
        else:
            assert response["status"] == "completed"
            return
    raise AssertionError("the conversation is locked for ever")


async def judged(at: Replaced, name: str, status: int | None) -> None:
    await at.outlive()
    await goes_on(at.house, name)
    await at.house.idle()
    words = await kept(at.house, name)
    assert words[-4:] == ["next", *OF_ONE]
    first = words[:-4]
    assert first in ([], ["hello", *OF_ONE]), f"after {at.life.calls}"
    if status == 200:
        assert first, "a client was told what is lost"
    for response_id in at.house.shelf.responses:
        stored = await at.house.stored.retrieve(response_id)
        assert stored.status == "completed"
    stored_ids = len(at.house.shelf.responses)
    assert stored_ids == 0 or len(words) >= 4 * stored_ids, "a response that completed is not in its conversation"


def asked_of(life: Life, key: str | None = None, **kind: Any) -> tuple[Replaced, str, int | None]:
    """Post to a worker that lives so: it, the conversation, and the status of an answer that is whole."""
    at = Replaced(Steady(), life)
    name = asyncio.run(conversation(at.house))
    seen: list[int] = []

    async def asked() -> None:
        seen.append((await post(at.worker, key=key, conversation=name, tools=TOOLS, **kind)).status_code)

    run_until_killed(asked, life)
    at.house.time += 60  # its lease is over
    whole = seen and not kind.get("stream") and not kind.get("background")
    return at, name, seen[0] if whole else None


@kinds
@moments
@pytest.mark.parametrize(
    "error", [Killed(), StorageUnavailable("busy")], ids=["its worker is killed", "its storage is gone"]
)
def test_a_holder_that_ends_at_any_call_of_its_storage(
    sweep: Sweep, kind: Json, after: bool, error: BaseException
) -> None:
    trials = [asked_of(Life(pace=1), **kind)]
    calls = [*trials[0][0].life.calls]
    for number in sweep.sample(range(len(calls)), 5):
        trials.append(asked_of(Life(last=number, after=after, pace=1, error=error), **kind))
        assert trials[-1][0].life.ended, f"nothing ended at {number} of {calls}"

    async def all_judged() -> None:
        await asyncio.gather(*(judged(*trial) for trial in trials))

    asyncio.run(all_judged())


@moments
@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}], ids=["plain", "stream", "queued"])
def test_the_same_request_again_adds_nothing_twice(sweep: Sweep, kind: Json, after: bool) -> None:
    """With its key, whatever became of the first: it gets one response, which is added once."""
    trials = [asked_of(Life(pace=1), "key", **kind)]
    calls = [*trials[0][0].life.calls]
    for number in sweep.sample(range(len(calls)), 5):
        trials.append(asked_of(Life(last=number, after=after, pace=1), "key", **kind))
        assert trials[-1][0].life.killed, f"nobody was killed at {number} of {calls}"

    async def again(at: Replaced, name: str) -> None:
        await at.outlive()
        for _ in range(2):
            answer = await post(at.house, key="key", conversation=name, tools=TOOLS, **kind)
            assert answer.status_code == 200, answer.text
        await at.house.idle()
        assert await kept(at.house, name) == ["hello", *OF_ONE], f"after {at.life.calls}"

    async def all_again() -> None:
        await asyncio.gather(*(again(at, name) for at, name, _ in trials))

    asyncio.run(all_again())


@moments
def test_a_holder_that_is_killed_in_dynamodb(sweep: Sweep, after: bool) -> None:
    def trial(storage: Storage, number: int | None) -> Replaced:
        at = Replaced(Steady(), Life(last=number, after=after), storage)
        name = asyncio.run(conversation(at.house, "once"))
        run_until_killed(lambda: post(at.worker, conversation=name, tools=TOOLS), at.life)
        at.house.time += 60

        async def judged() -> None:
            await at.outlive()
            await goes_on(at.house, name)
            await at.house.idle()
            words = await kept(at.house, name)
            assert words in (["once", "next", *OF_ONE], ["once", "hello", *OF_ONE, "next", *OF_ONE]), at.life.calls

        asyncio.run(judged())
        return at

    with opened_aws() as backend:
        calls = trial(backend.storage("whole"), None).life.calls
        for number in sweep.sample(range(len(calls)), 3):
            assert trial(backend.storage(f"tenant-{number}"), number).life.killed


@pytest.mark.parametrize("kind", [{}, {"background": True}], ids=["inline, handed off", "queued"])
def test_a_worker_of_the_state_machine_is_killed_at_any_call(sweep: Sweep, kind: Json) -> None:
    """Step Functions takes the task again: the context is the same items, and what is added is added once."""

    async def trial(life: Life) -> list[str]:
        """The calls of its workers, of which the first one has this life."""
        script = Steady()
        house = House(script, inline_turns=1)
        name = await conversation(house, "once")
        mortal = life.over(house.storage)
        ports = house.ports
        house.worker_ports = lambda: ports if life.ended else replace(ports, storage=mortal)
        await house.create(conversation=name, tools=TOOLS, **kind)
        await house.idle()
        assert await kept(house, name) == ["once", "hello", *OF_ONE], f"after {life.calls}"
        record = next(iter(house.shelf.responses))
        items, _ = await house.stored.input_items(record, limit=9, order="asc", after=None, before=None)
        assert [item.content[0].text for item in items if isinstance(item, Message)] == ["once", "hello"]  # type: ignore[union-attr]
        return life.calls

    async def all_tried() -> None:
        calls = await trial(Life())
        points = [(number, after) for number in range(len(calls)) for after in (False, True)]
        lives = [Life(*point) for point in sweep.sample(points, 12)]
        await asyncio.gather(*map(trial, lives))
        assert all(life.killed for life in lives), f"nobody was killed at some of {calls}"

    asyncio.run(all_tried())

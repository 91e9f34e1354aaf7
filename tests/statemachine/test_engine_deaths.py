"""Deaths between two writes that belong together: whoever tries again finds what was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openresponses.core.errors import StorageUnavailable
from openresponses.core.records import Batch
from openresponses.responses.stored import StoredResponses
from tests.contract.machine import LIFE, House, Killed
from tests.stream_checker import check_stream
from tests.unit.cases import ANSWER, STOP, call
from tests.unit.kit import Script

CLOCK: list[Any] = [{"type": "serverless:clock"}]


class Unlucky(House):
    """Its state machine can't be started the first time that each generation is to be."""

    def __init__(self, *args: Any, error: BaseException, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._error, self._tried = error, set[int]()

    async def _start(self, response_id: str, generation: int) -> None:
        if generation not in self._tried:
            self._tried.add(generation)
            self.shelf.started.pop()
            raise self._error
        await super()._start(response_id, generation)


@pytest.mark.parametrize("error", [Killed(), StorageUnavailable("busy")], ids=["killed", "busy"])
async def test_a_worker_that_dies_before_it_starts_the_next_execution(error: BaseException) -> None:
    """A worker never has the time for two turns, and an execution no room for two tasks."""
    little = {"turn_seconds": 2 * LIFE, "history_events": 1}
    house = Unlucky(Script([[*call("clock"), *STOP]] * 9 + [ANSWER]), error=error, max_turns=99, **little)
    house._tried.add(0)
    queued, _ = await house.create(tools=CLOCK, background=True)
    while not all(task.done() for task in house.executions):
        await house.idle()
    assert (await house.stored.retrieve(queued["id"])).status == "completed"
    check_stream(await house.events(queued["id"]))
    assert len(house.shelf.started) >= 10


async def test_a_response_that_was_not_handed_over_is_when_its_lease_is_over() -> None:
    house = Unlucky(Script([[*call("clock"), *STOP], ANSWER]), error=StorageUnavailable("busy"), inline_turns=1)
    with pytest.raises(StorageUnavailable):
        await house.create(tools=CLOCK, stream=True)
    [response_id] = house.shelf.responses
    assert (await house.stored.retrieve(response_id)).status == "in_progress"
    assert not house.executions
    house.time += 60
    check_stream(await house.events(response_id))
    await house.idle()
    assert (await house.stored.retrieve(response_id)).status == "completed"


async def test_a_log_that_is_closed_is_not_tried_for_ever() -> None:
    """A response that is deleted in part: its record is there, and no writer may come into its log any more."""
    house = Unlucky(Script([[*call("clock"), *STOP], ANSWER]), error=StorageUnavailable("busy"), inline_turns=1)
    with pytest.raises(StorageUnavailable):
        await house.create(tools=CLOCK, stream=True)
    [response_id] = house.shelf.responses

    class Closed:
        async def append(self, response_id: str, batch: Batch) -> None:
            await house.storage.log.append(response_id, Batch(0, []))  # taken

        async def read(self, response_id: str, after_batch: int) -> list[Batch]:
            return await house.storage.log.read(response_id, after_batch)

    house.time = 60.0
    stored = StoredResponses(replace(house.ports, storage=replace(house.storage, log=Closed())))
    assert (await stored.cancel(response_id)).status == "in_progress"

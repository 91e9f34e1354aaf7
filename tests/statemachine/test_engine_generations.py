"""What takes more tasks than one, and more retries than a task has, over the real state machine with its worker in this
process: a loop too long for one execution (Step Functions ends one at 25,000 events), and a provider that is often
throttled.

A plain run takes a tenth of the turns; `pytest -m sweep` takes all.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderThrottled
from openresponses.core.ports import Ports
from openresponses.core.settings import Settings
from openresponses.core.turn import Turn
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.responses.worker import HISTORY_PER_TASK, Worker
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.schema.server_items import HostedToolCall
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from tests.contract.machine import Seen
from tests.statemachine.machine import STATE_MACHINE, WORKER, Machine, target
from tests.stream_checker import check_stream
from tests.sweeps import Sweep
from tests.unit.kit import Json, Ledger, Models, Tools

TURNS = 1_500
TASKS = 15
LIFE = 900.0
"""Seconds that a worker has."""
EXECUTIONS = 3
RETRIES = 8
"""Of a task whose provider is throttled."""


class Loop:
    """Calls a tool so many times, then answers. A turn takes so many seconds of a clock that nothing else moves, and is
    throttled so many times before it is answered.
    """

    def __init__(self, turns: int, *, seconds: float = 0.0, throttled: int = 0) -> None:
        self._turns, self._seconds, self._throttled = turns, seconds, throttled
        self._refusals = throttled
        self.time = 0.0

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        if self._refusals:
            self._refusals -= 1
            raise ProviderThrottled("slow down")
        self._refusals = self._throttled
        self.time += self._seconds
        done = sum(isinstance(item, HostedToolCall) and item.output is not None for item in turn.items)
        if done < self._turns:
            yield d.ToolCall("call", name="clock")
            yield d.End("call")
        else:
            yield d.Text("text", f"{done} times")
            yield d.End("text")
        yield d.Finish("stop")

    async def aclose(self) -> None:
        """Nothing is open."""


class InProcess:
    """The worker of the state machine, on an event loop of its own: Step Functions calls it from threads."""

    def __init__(self, machine: Machine, loop: asyncio.AbstractEventLoop, model: Loop, **settings: Any) -> None:
        self._machine, self._loop = machine, loop
        storage = memory_storage(Shelf(), self._start)
        self.model, self.tools, self.settings = model, Tools(), replace(Settings(), **settings)
        ports = Ports(Models(model), self.tools, Ledger(), lambda: model.time, lambda: secrets.token_hex(16), storage)
        self._worker, self._new = Worker(ports, self.settings), NewResponses(ports, self.settings)
        self._stored = StoredResponses(ports)
        self.attempts: list[int] = []
        machine.functions[WORKER] = target(self._work)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self, response_id: str, generation: int) -> None:
        order = {"tenant": "default", "response_id": response_id, "generation": generation}
        await asyncio.to_thread(self._machine.begin, f"{STATE_MACHINE}Loop", order, f"{response_id}-{generation}")

    def _work(self, event: Json) -> object:
        assert "error" not in event, f"nothing is to be settled: {event}"
        self.attempts.append(event["attempt"])
        ends = self.model.time + LIFE
        done = self._do(self._worker.work(event["response_id"], event["generation"], ends, event["attempt"]))
        return {"tenant": event["tenant"], **done}

    async def _create(self) -> str:
        asked = {"model": "m", "input": "Go", "background": True, "tools": [{"type": "serverless:clock"}]}
        run, record = await self._new.accept(CreateResponse.model_validate(asked))
        await self._new.respond(run, record, Seen(), seconds=None, committed=lambda: False)
        return run.response.id

    def respond(self) -> tuple[Response, list[Json]]:
        """The response when it is over, and its events."""
        response_id, seen = self._do(self._create()), Seen()
        while any(each.status == "RUNNING" for each in self._machine.aws.executions()):
            time.sleep(0.05)
        self._do(self._stored.follow(response_id, -1, seen, seconds=None))
        return self._do(self._stored.retrieve(response_id)), seen.events


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def judged(made: InProcess, turns: int) -> str:
    """Asserts that the response is right, and returns its id."""
    final, events = made.respond()
    check_stream(events)
    assert final.status == "completed"
    assert len(final.output) == turns + 1
    assert all(item.status == "completed" for item in final.output)  # type: ignore[union-attr]
    assert len(made.tools.called) == len({call.id for call in made.tools.called}) == turns
    return final.id


@pytest.mark.timeout(600)
def test_a_long_loop_goes_on_from_task_to_task_and_from_execution_to_execution(
    machine: Machine, loop: asyncio.AbstractEventLoop, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = TURNS if sweep.full else TURNS // 10
    # No turn begins when less than the worst case of one is left.
    model = Loop(turns, seconds=(LIFE - Settings().turn_seconds) * TASKS / turns)
    made = InProcess(machine, loop, model, max_turns=turns + 1, history_events=TASKS // EXECUTIONS * HISTORY_PER_TASK)
    response_id = judged(made, turns)
    executions = {each.name: each for each in machine.aws.executions() if each.name.startswith(response_id)}
    lengths = [executions[f"{response_id}-{n}"].events for n in range(len(executions))]
    with capsys.disabled():
        print(f"\n{turns} turns: {len(made.attempts)} tasks, {len(lengths)} executions, of {lengths} events")
    assert len(lengths) == EXECUTIONS
    assert 0.8 * TASKS < len(made.attempts) <= TASKS
    assert {each.status for each in executions.values()} == {"SUCCEEDED"}
    assert max(lengths) < made.settings.history_events


def test_each_turn_of_a_throttled_provider_has_all_retries(machine: Machine, loop: asyncio.AbstractEventLoop) -> None:
    made = InProcess(machine, loop, Loop(4, throttled=RETRIES))
    judged(made, 4)
    assert made.attempts.count(RETRIES) == 5, "each turn was answered to its last retry"
    assert max(made.attempts) == RETRIES

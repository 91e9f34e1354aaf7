"""A loop too long for one task, and for one execution: Step Functions ends one at 25,000 events.

A plain run takes a tenth of the turns; `pytest -m sweep` takes all.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.ports import Ports
from openresponses.core.settings import Settings
from openresponses.core.turn import Turn
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.responses.worker import HISTORY_PER_TASK, Worker
from openresponses.schema.items import HostedToolCall
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory import Shelf, memory_storage
from tests.contract.machine import Seen
from tests.statemachine.machine import STATE_MACHINE, WORKER, Machine, target
from tests.sweeps import Sweep
from tests.unit.kit import Ledger, Models, Tools

TURNS = 1_500
TASKS = 15
LIFE = 900.0
"""Seconds that a worker has."""
EXECUTIONS = 3


class Loop:
    """Calls a tool so many times, then answers. A turn takes so many seconds of a clock that nothing else moves."""

    def __init__(self, turns: int, seconds: float) -> None:
        self._turns, self._seconds = turns, seconds
        self.time = 0.0

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
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


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Of the functions, which Step Functions calls from threads of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.timeout(600)
def test_a_long_loop_goes_on_from_execution_to_execution(
    machine: Machine, loop: asyncio.AbstractEventLoop, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    share = 1 if sweep.full else 10
    turns = TURNS // share

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    async def start(response_id: str, generation: int) -> None:
        order = {"tenant": "default", "response_id": response_id, "generation": generation}
        await asyncio.to_thread(machine.begin, f"{STATE_MACHINE}Loop", order, f"{response_id}-{generation}")

    storage = memory_storage(Shelf(), start)
    settings = replace(Settings(), max_turns=turns + 1, history_events=TASKS // EXECUTIONS * HISTORY_PER_TASK)
    # No turn begins when less than the worst case of one is left.
    model = Loop(turns, (LIFE - settings.turn_seconds) * TASKS / turns)
    ids = iter(f"{n:032x}" for n in range(1, 10))
    tools = Tools()
    ports = Ports(Models(model), tools, Ledger(), lambda: model.time, lambda: next(ids), storage)
    worker, new, stored = Worker(ports, settings), NewResponses(ports, settings), StoredResponses(ports)
    tasks = 0

    def work(event: dict[str, Any]) -> object:
        nonlocal tasks
        assert "error" not in event, f"nothing is to be settled: {event}"
        tasks += 1
        result = do(worker.work(event["response_id"], event["generation"], model.time + LIFE, event["attempt"]))
        return {"tenant": event["tenant"], **result}

    machine.functions[WORKER] = target(work)

    async def create() -> str:
        asked = {"model": "m", "input": "Go", "background": True, "tools": [{"type": "serverless:clock"}]}
        run, record = await new.accept(CreateResponse.model_validate(asked))
        await new.respond(run, record, Seen(), seconds=None, committed=lambda: False)
        return run.response.id

    response_id = do(create())
    while any(each.status == "RUNNING" for each in machine.aws.executions()):
        time.sleep(0.05)
    final = do(stored.retrieve(response_id))
    seen = Seen()
    do(stored.follow(response_id, -1, seen, seconds=None))

    executions = {each.name: each for each in machine.aws.executions()}
    lengths = [executions[f"{response_id}-{n}"].events for n in range(len(executions))]
    with capsys.disabled():
        print(f"\n{turns} turns: {tasks} tasks, {len(lengths)} executions, of {lengths} events")
    assert len(lengths) == EXECUTIONS
    assert 0.8 * TASKS < tasks <= TASKS
    assert {each.status for each in executions.values()} == {"SUCCEEDED"}
    assert max(lengths) < settings.history_events
    assert final.status == "completed"
    assert len(final.output) == turns + 1
    assert len(tools.called) == len({call.id for call in tools.called}) == turns
    assert [event["sequence_number"] for event in seen.events] == list(range(len(seen.events)))
    assert [n for n, event in enumerate(seen.events) if event["type"] == "response.completed"] == [len(seen.events) - 1]
    assert all(item.status == "completed" for item in final.output)  # type: ignore[union-attr]

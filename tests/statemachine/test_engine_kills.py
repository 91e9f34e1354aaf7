"""Workers die, responses do not: real sandboxes, killed with SIGKILL, under the real state machine, while a client
holds its stream.

A boundary is the moment at which event k of a response is in its log, and event k+1 is not. The events of a response
become durable in batches, wherever a batch happens to end; so, for each k, the batch that holds k is made to end with
it, which a worker whose timer came earlier would have done itself, and the worker is killed when that batch is written
and before it knows. This is every state in which a log can be found, from the last event that the API function writes
(before it there is no worker to kill) to the terminal one.

What a worker does between two events is killed as well: at each of its other calls to AWS, before and after it takes
effect. The worst of these is a tool that has acted and whose output is not in the log.

A plain run kills at a few of these points, drawn by its seed; `pytest -m sweep` kills at each (see tests/sweeps.py).

The tool is the example in the template, a Lambda function that keeps the token of each call that it acts on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.statemachine.engine_cloud import Deployment, Json, deployed
from tests.statemachine.engine_kills import OPENING, AtEvent, Point, Trial, calls
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("kills")  # or each worker has sandboxes of its own
TURNS = 10
TOOLS = [{"type": "serverless:counter"}]
CALLS = "".join(f'[[call counter {{"name": "COUNTER{n}", "by": 1}}]]' for n in range(2))
COMMON: Json = {
    "model": "offline/demo",
    "background": True,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "tools": TOOLS,
    "parallel_tool_calls": True,
}
LOOP: Json = {**COMMON, "input": f"[[turns {TURNS}]] {CALLS} [[words 6]]"}
THINKING: Json = {**COMMON, "input": f"[[turns 2]] {CALLS} [[words 3]]", "reasoning": {"summary": "auto"}}
SAMPLE = 2
GROUPS = ["events, even", "events, odd", "calls, before", "calls, after"]


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(parameters={"ExampleTool": "true"}) as deployment:
        yield deployment


def report(capsys: pytest.CaptureFixture[str], record_property: Any, what: str, trial: Trial) -> None:
    record_property("kills", trial.kills)
    record_property("losses", len(trial.losses))
    with capsys.disabled():
        print(f"\n{what}: {trial.kills} kills, {len(trial.losses)} losses")
    assert trial.losses == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("group", GROUPS)
async def test_a_loop_of_ten_turns_with_parallel_tools_outlives_its_workers(
    deployment: Deployment, sweep: Sweep, group: str, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    trial = Trial(deployment, LOOP, 2 * TURNS)
    reference = await trial.reference()
    trace = trial.killer.trace(reference.response_id)
    assert trace["call a tool"] == 2 * TURNS
    boundaries: list[Point] = [AtEvent(n) for n in range(OPENING, len(reference.events))]
    made = calls(trace)
    points = {
        "events, even": boundaries[0::2],
        "events, odd": boundaries[1::2],
        "calls, before": made[0::2],
        "calls, after": made[1::2],
    }[group]
    assert len(points) >= 20
    chosen = sweep.sample(points, SAMPLE)
    await trial.run(chosen, reference)
    report(capsys, record_property, f"ten turns, {group}", trial)
    assert trial.kills == len(chosen)


@pytest.mark.timeout(600)
async def test_a_turn_that_thinks_and_calls_two_tools_at_once_outlives_its_worker(
    deployment: Deployment, sweep: Sweep, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    trial = Trial(deployment, THINKING, 4)
    reference = await trial.reference()
    points: list[Point] = [AtEvent(n) for n in range(OPENING, len(reference.events))]
    assert len(points) > 30
    chosen = sweep.sample(points, SAMPLE)
    await trial.run(chosen, reference)
    report(capsys, record_property, "two turns with reasoning and parallel calls, events", trial)
    assert trial.kills == len(chosen)

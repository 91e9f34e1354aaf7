"""Workers die, responses do not: real sandboxes, killed with SIGKILL, under the real state machine.

A boundary is the moment at which event k of a response is in its log, and event k+1 is not. The events of a response
become durable in batches, wherever a batch happens to end; so, for each k, the batch that holds k is made to end with
it, which a worker whose timer came earlier would have done itself, and the worker is killed when that batch is written
and before it knows. This is every state in which a log can be found, from the last event that the API function writes
(before it there is no worker to kill) to the terminal one. At one of these boundaries a Tool worker is alive in place
of a Turn worker, namely after the last event of a turn.

What workers do between two events is killed as well: at each of their calls to AWS, before and after it takes effect.
The turns of a loop are alike, so of ten turns the first, one amid them and the last are taken for this; and of each
Tool worker the worst moment, when its tool has acted and it has not kept the answer.

A plain run kills at a few of these points, drawn by its seed; `pytest -m sweep` kills at each (see tests/sweeps.py).

The tool is the example in the template, a Lambda function that keeps the token of each call that it acts on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.statemachine.engine_cloud import Deployment, Json, deployed
from tests.statemachine.engine_kills import OPENING, ROLES, AtCall, AtEvent, Point, Trial
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("kills")  # or each worker has sandboxes of its own
TURNS = 10
TOOLS = [{"type": "serverless:counter"}]
COMMON: Json = {"model": "offline/demo", "background": True, "tools": TOOLS}
CALL = '[[call counter {"name": "COUNTER", "by": 1}]]'
LOOP: Json = {**COMMON, "input": f"[[turns {TURNS}]] {CALL} [[words 6]]"}
THINKING: Json = {
    **COMMON,
    "input": f"[[turns 2]] {CALL} {CALL.replace('COUNTER', 'COUNTERb')} [[words 3]]",
    "reasoning": {"summary": "auto"},
    "parallel_tool_calls": True,
}
SAMPLE = 2
GROUPS = ["events, even", "events, odd", "turn calls", "tool calls"]


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(parameters={"ExampleTool": "true"}) as deployment:
        yield deployment


def turn_calls(trace: list[tuple[str, str]]) -> list[Point]:
    """Each call of the first, the middle and the last turn."""
    calls = [operation for role, operation in trace if role == "TurnFunction"]
    starts = [n for n, pair in enumerate(pairwise(calls)) if pair == ("dynamodb:BatchGetItem", GET_RUN)]
    assert len(starts) == TURNS + 1, "a turn begins with its record and its run"
    ends = [*starts[1:], len(calls)]
    numbers = [n for turn in (0, TURNS // 2, TURNS) for n in range(starts[turn], ends[turn])]
    return [AtCall("TurnFunction", n, after) for n in numbers for after in (False, True)]


def tool_calls(trace: list[tuple[str, str]]) -> list[Point]:
    """Each call of one tool task amid the loop, and of the others the one that makes the tool act."""
    calls = [operation for role, operation in trace if role == "ToolFunction"]
    acts = [n for n, operation in enumerate(calls) if operation == "lambda:POST"]
    assert len(acts) == TURNS
    middle = TURNS // 2
    amid = range(acts[middle - 1] + 3, acts[middle] + 3)
    assert acts[middle] in amid
    points: list[Point] = [AtCall("ToolFunction", n, after) for n in amid for after in (False, True)]
    return points + [AtCall("ToolFunction", n, True) for n in acts if n != acts[middle]]


GET_RUN = "dynamodb:GetItem"


def report(capsys: pytest.CaptureFixture[str], record_property: Any, what: str, trial: Trial) -> None:
    record_property("kills", trial.kills)
    record_property("losses", len(trial.losses))
    with capsys.disabled():
        print(f"\n{what}: {trial.kills} kills, {len(trial.losses)} losses")
    assert trial.losses == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
async def test_a_loop_of_ten_turns_outlives_its_workers(
    deployment: Deployment, sweep: Sweep, group: str, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    trial = Trial(deployment, LOOP, TURNS)
    reference = await trial.reference()
    trace = trial.killer.traces[reference.response_id]
    assert {role for role, _ in trace} == {*ROLES}
    boundaries: list[Point] = [AtEvent(n) for n in range(OPENING, len(reference.events))]
    points = {
        "events, even": boundaries[0::2],
        "events, odd": boundaries[1::2],
        "turn calls": turn_calls(trace),
        "tool calls": tool_calls(trace),
    }[group]
    assert len(points) >= 15
    chosen = sweep.sample(points, SAMPLE)
    await trial.run(chosen, reference)
    report(capsys, record_property, f"ten turns, {group}", trial)
    assert trial.kills == len(chosen)


@pytest.mark.timeout(300)
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

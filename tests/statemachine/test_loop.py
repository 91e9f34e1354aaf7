"""The real state machine, executed; its functions are plain ones that follow a script."""

import json
import threading
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from openresponses_dev.local.sandbox.calls import FunctionError
from tests.statemachine.machine import TENANT, Machine, Script, definition, executor_threads, turn, until

RETRIED_TURN = [
    *("ProviderThrottled", "ProviderUnavailable", "ProviderTimeout", "StreamViolation", "StorageUnavailable"),
    *("Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"),
]
RETRIED_TOOL = ["StorageUnavailable", "Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"]
NOT_RETRIED = ["ProviderRejected", "ProviderMisconfigured", "ValueError", "Runtime.ImportModuleError"]


def item_ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["item_id"] for event in events]


def fails_first(error_type: str, *item_ids: str):
    """A tool that fails once for each of these calls."""
    left = Counter(item_ids)

    def tool(event: dict[str, Any]) -> None:
        if left[event["item_id"]] > 0:
            left[event["item_id"]] -= 1
            raise FunctionError(error_type, "once")

    return tool


def test_turns_and_tools_alternate_until_a_turn_stops(machine: Machine) -> None:
    script = Script(("act", "a", "b"), ("act", "c"), ("stop",))

    execution = machine.start(script, generation=3)
    ended = machine.finish(execution)

    response_id = script.turns[0]["response_id"]
    assert ended["status"] == "SUCCEEDED"
    assert script.turns == [{"tenant": TENANT, "response_id": response_id, "generation": 3, "attempt": 0}] * 3
    assert sorted(script.tools, key=lambda tool: tool["item_id"]) == [
        {"tenant": TENANT, "response_id": response_id, "item_id": item_id, "attempt": 0} for item_id in "abc"
    ]
    assert script.settled == []


def test_a_turn_that_wants_to_think_again_is_followed_by_another(machine: Machine) -> None:
    script = Script(("think",), ("think",), ("stop",))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.turns), script.tools, script.settled) == (3, [], [])


def test_a_renewed_response_goes_on_in_another_execution(machine: Machine) -> None:
    script = Script(("think",), ("renewed",))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.turns), script.settled) == (2, [])


@pytest.mark.parametrize("error_type", RETRIED_TURN)
def test_a_turn_that_may_succeed_later_is_tried_again(machine: Machine, error_type: str) -> None:
    script = Script(error_type, error_type, ("stop",))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert [event["attempt"] for event in script.turns] == [0, 1, 2]
    assert script.settled == []


@pytest.mark.parametrize("error_type", NOT_RETRIED)
def test_a_turn_that_would_fail_again_settles_the_response_at_once(machine: Machine, error_type: str) -> None:
    script = Script(("think",), error_type)

    ended = machine.run(script)

    cause = json.dumps({"errorType": error_type, "errorMessage": f"it was {error_type}"}, separators=(",", ":"))
    response_id = script.turns[0]["response_id"]
    assert script.settled == [
        {"tenant": TENANT, "response_id": response_id, "generation": 0, "error": error_type, "cause": cause}
    ]
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", error_type, cause)
    assert len(script.turns) == 2


def test_a_turn_that_never_succeeds_settles_the_response(machine: Machine) -> None:
    script = Script(*["Runtime.ExitError"] * 10)
    assert machine.run(script)["error"] == "Runtime.ExitError"
    assert (len(script.turns), len(script.settled)) == (4, 1)


def test_kinds_of_failure_do_not_use_up_each_others_attempts(machine: Machine) -> None:
    script = Script("Runtime.ExitError", *["ProviderThrottled"] * 8, *["Runtime.ExitError"] * 2, ("stop",))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.turns), script.settled) == (12, [])


@pytest.mark.parametrize("error_type", RETRIED_TOOL)
def test_a_tool_that_fails_is_tried_again_alone(machine: Machine, error_type: str) -> None:
    script = Script(("act", "a", "b", "c"), ("stop",), tool=fails_first(error_type, "b", "b"))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert Counter(item_ids(script.tools)) == {"a": 1, "b": 3, "c": 1}
    assert [event["attempt"] for event in script.tools if event["item_id"] == "b"] == [0, 1, 2]


@pytest.mark.parametrize("error_type", ["Sandbox.Timedout", "Superseded", "SomeBug"])
def test_a_tool_task_that_never_succeeds_is_the_next_turns_to_tell(machine: Machine, error_type: str) -> None:
    script = Script(("act", "a", "b"), ("stop",), tool=fails_first(error_type, *["b"] * 9))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert Counter(item_ids(script.tools))["b"] == (4 if error_type == "Sandbox.Timedout" else 1)
    assert (len(script.turns), script.settled) == (2, [])


def test_ten_tools_run_side_by_side(machine: Machine) -> None:
    inside, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def tool(_: dict[str, Any]) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == 10:
                full.set()
        assert full.wait(10), "not all of them came in"
        with lock:
            inside -= 1

    script = Script(("act", *(f"call_{i}" for i in range(25))), ("stop",), tool=tool)
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.tools), most) == (25, 10)


def test_a_superseded_turn_leaves_the_response_to_its_new_owner(machine: Machine) -> None:
    script = Script(("think",), "Superseded")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.turns), script.settled) == (2, [])


def test_a_response_that_is_over_already_is_not_settled_again(machine: Machine) -> None:
    def settle(_: dict[str, Any]) -> None:
        raise FunctionError("Superseded", "it is over")

    script = Script("ValueError", settle=settle)
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert len(script.settled) == 1


def test_settling_is_tried_again(machine: Machine) -> None:
    failures = iter(["StorageUnavailable", "Runtime.ExitError", "Sandbox.Timedout"])

    def settle(_: dict[str, Any]) -> None:
        if error_type := next(failures, None):
            raise FunctionError(error_type, "not yet")

    script = Script("ValueError", settle=settle)
    assert machine.run(script)["error"] == "ValueError"
    assert len(script.settled) == 4


def test_a_turn_above_its_time_is_tried_again(machine: Machine) -> None:
    """It really waits for its second: the limit is in whole seconds."""
    hung, release = threading.Event(), threading.Event()
    script = Script()

    def hang_first(event: dict[str, Any]) -> object:
        script.turns.append(event)
        if len(script.turns) == 1:
            hung.set()
            release.wait(20)
        return turn(event, "stop")

    script.turn = hang_first
    try:
        assert machine.run(script, arn=machine.create(definition(Turn=1)))["status"] == "SUCCEEDED"
        assert hung.is_set()
        assert [event["attempt"] for event in script.turns] == [0, 1]
    finally:
        release.set()


def test_a_stopped_execution_is_aborted_at_once_and_invokes_nothing_more(machine: Machine) -> None:
    started, release = threading.Event(), threading.Event()

    def tool(_: dict[str, Any]) -> None:
        started.set()
        release.wait(20)

    script = Script(("act", "a"), ("stop",), tool=tool)
    execution = machine.start(script)
    try:
        assert started.wait(20)
        machine.sfn.stop_execution(executionArn=execution, error="Cancelled", cause="by the client")
        stopped = machine.describe(execution)
    finally:
        release.set()
    until(lambda: not executor_threads())

    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Cancelled", "by the client")
    assert machine.describe(execution) | {"ResponseMetadata": None} == stopped | {"ResponseMetadata": None}
    assert (len(script.turns), len(script.tools), script.settled) == (1, 1, [])


def test_an_execution_starts_once_for_each_name(machine: Machine) -> None:
    release = threading.Event()
    script = Script()
    script.turn = lambda event: [script.turns.append(event), release.wait(20), turn(event, "stop")][-1]
    arn, given = (
        machine.sfn.list_state_machines()["stateMachines"][0]["stateMachineArn"],
        {"tenant": TENANT, "generation": 0},
    )
    given["response_id"] = "resp_once"
    machine.scripts["resp_once"] = script
    found: list[str] = []

    threads = [
        threading.Thread(target=lambda: found.append(machine.begin(arn, given, "resp_once-0"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    until(lambda: script.turns)
    with pytest.raises(machine.sfn.exceptions.ExecutionAlreadyExists):
        machine.begin(arn, {**given, "generation": 1}, "resp_once-0")
    release.set()
    machine.finish(found[0])
    assert (len(found), len(set(found)), len(script.turns)) == (8, 1, 1)
    # Once it has ended, the same name and input are refused as well: a launcher has to take this for success.
    with pytest.raises(machine.sfn.exceptions.ExecutionAlreadyExists):
        machine.begin(arn, given, "resp_once-0")


def test_states_hold_ids_only(machine: Machine) -> None:
    script = Script(("act", "a"), ("think",), "ValueError", tool=lambda _: {"secret": "x" * 1000})
    execution = machine.start(script)
    machine.finish(execution)

    entered = [event["stateEnteredEventDetails"] for event in machine.history(execution) if "Entered" in event["type"]]
    keys = {detail["name"]: set(json.loads(detail["input"])) for detail in entered if detail["name"] != "Turn"}
    assert keys == {
        "Step": {"tenant", "response_id", "generation", "step", "calls"},
        "Tools": {"tenant", "response_id", "generation", "step", "calls"},
        "Tool": {"tenant", "response_id", "item_id"},
        "Settle": {"tenant", "response_id", "generation", "step", "calls", "error"},
        "Failed": {"tenant", "response_id", "generation", "step", "calls", "error"},
    }
    assert all(len(detail["input"]) < 500 for detail in entered)


@pytest.mark.parametrize("calls", [0, 1, 5])
def test_how_many_events_a_turn_adds_to_the_history(machine: Machine, calls: int) -> None:
    """AWS ends an execution at 25,000 events, so the Turn function counts them. The kinds are the same on AWS:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """

    def events(turns: int) -> Counter[str]:
        step = ("act", *(f"call_{i}" for i in range(calls))) if calls else ("think",)
        script = Script(*[step] * turns, ("stop",))
        execution = machine.start(script)
        machine.finish(execution)
        return Counter(event["type"] for event in machine.history(execution))

    one, two, three = events(1), events(2), events(3)
    assert [execution.events for execution in machine.aws.executions()[:3]] == [n.total() for n in (three, two, one)]

    task = ("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited")
    choice = ("ChoiceStateEntered", "ChoiceStateExited")
    tools = ("MapStateEntered", "MapStateStarted", "MapStateSucceeded", "MapStateExited")
    tool = ("MapIterationStarted", *task, "MapIterationSucceeded")
    turn_and_tools = Counter([*task, *choice, *(tools if calls else ()), *tool * calls])
    assert two - one == three - two == turn_and_tools
    assert turn_and_tools.total() == 7 + (4 + 7 * calls if calls else 0)
    ends = ("ExecutionStarted", *task, *choice, "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded")
    assert one - turn_and_tools == Counter(ends)


def test_how_many_events_a_retry_and_a_failure_add_to_the_history(machine: Machine) -> None:
    def events(*turns: tuple[str, ...] | str) -> Counter[str]:
        execution = machine.start(Script(*turns))
        machine.finish(execution)
        return Counter(event["type"] for event in machine.history(execution))

    retried = [events(*["ProviderTimeout"] * failures, ("stop",)) for failures in (0, 1, 2)]
    assert [after - before for before, after in pairwise(retried)] == [
        Counter(["TaskScheduled", "TaskStarted", "TaskFailed"])
    ] * 2
    settled = events("ValueError")
    assert settled.total() == 1 + 5 + 5 + 2, settled

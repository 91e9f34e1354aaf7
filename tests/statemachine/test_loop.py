"""The real state machine, executed; its function is a plain one that follows a script."""

import json
import threading
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from openresponses_dev.local.sandbox.calls import FunctionError, Throttled
from tests.statemachine.machine import TENANT, Machine, Script, answer, definition, executor_threads, until

RETRIED = {  # and how often
    "ProviderThrottled": 8,
    **dict.fromkeys(("ProviderUnavailable", "ProviderTimeout", "StorageUnavailable", "Lambda.ServiceException"), 5),
    **dict.fromkeys(("StreamViolation", "TurnTimeout", "Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"), 3),
}
PATIENTLY = ["Lambda.TooManyRequestsException", "NotStarted"]
REFUSALS = 150
"""More than four minutes of them, at a minute each, and fewer than all."""
NOT_RETRIED = ["ProviderRejected", "ProviderMisconfigured", "ValueError", "Runtime.ImportModuleError"]


def test_a_worker_that_has_not_done_is_followed_by_another(machine: Machine) -> None:
    script = Script("again", "again", "over")
    assert machine.run(script, generation=3)["status"] == "SUCCEEDED"
    response_id = script.worked[0]["response_id"]
    assert script.worked == [{"tenant": TENANT, "response_id": response_id, "generation": 3, "attempt": 0}] * 3
    assert script.settled == []


def test_a_renewed_response_goes_on_in_another_execution(machine: Machine) -> None:
    script = Script("again", "renewed")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.worked), script.settled) == (2, [])


@pytest.mark.parametrize("error_type", [*RETRIED, *PATIENTLY])
def test_a_task_that_may_succeed_later_is_tried_again(machine: Machine, error_type: str) -> None:
    script = Script(error_type, error_type, "over")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert ([event["attempt"] for event in script.worked], script.settled) == ([0, 1, 2], [])


@pytest.mark.parametrize("error_type", NOT_RETRIED)
def test_a_task_that_would_fail_again_settles_the_response_at_once(machine: Machine, error_type: str) -> None:
    script = Script("again", error_type)

    ended = machine.run(script)

    cause = json.dumps({"errorType": error_type, "errorMessage": f"it was {error_type}"}, separators=(",", ":"))
    response_id = script.worked[0]["response_id"]
    assert script.settled == [
        {"tenant": TENANT, "response_id": response_id, "generation": 0, "error": error_type, "cause": cause}
    ]
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", error_type, cause)
    assert len(script.worked) == 2


@pytest.mark.parametrize("error_type", RETRIED)
def test_a_task_that_never_succeeds_settles_the_response(machine: Machine, error_type: str) -> None:
    script = Script(*[error_type] * 20)
    assert machine.run(script)["error"] == error_type
    assert (len(script.worked), len(script.settled)) == (1 + RETRIED[error_type], 1)


class Refused(Script):
    """Lambda has no sandbox for its first tasks: it begins none of them."""

    def __init__(self, *tasks: str, refusals: int = REFUSALS, settling: int = 0) -> None:
        super().__init__(*tasks)
        self.refusals = {"work": refusals, "settle": settling}

    def __call__(self, event: dict[str, Any]) -> object:
        task = "settle" if "error" in event else "work"
        if self.refusals[task]:
            self.refusals[task] -= 1
            raise Throttled
        return super().__call__(event)


def test_a_worker_that_lambda_refuses_is_waited_for_and_counts_how_often(machine: Machine) -> None:
    script = Refused("again", "over")
    execution = machine.start(script)
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert ([event["attempt"] for event in script.worked], script.settled) == ([REFUSALS, 0], [])
    # moto and AWS give a refused invocation the same name, as a public report has it, with the cause that AWS words:
    # https://github.com/HumanCellAtlas/data-store/issues/1118
    failed = {
        event["taskFailedEventDetails"]["error"]
        for event in machine.history(execution)
        if "taskFailedEventDetails" in event
    }
    assert failed == {"Lambda.TooManyRequestsException"}


def test_a_worker_that_lambda_refuses_does_not_use_up_the_attempts_of_a_failure(machine: Machine) -> None:
    script = Refused("ProviderThrottled", *["Runtime.ExitError"] * 3, "over", refusals=20)
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.worked), script.settled) == (5, [])


def test_the_end_of_a_response_is_waited_for_as_patiently(machine: Machine) -> None:
    script = Refused("ValueError", refusals=0, settling=REFUSALS)
    assert machine.run(script)["error"] == "ValueError"
    assert (len(script.worked), len(script.settled)) == (1, 1)


def test_a_next_execution_that_does_not_start_is_waited_for(machine: Machine) -> None:
    script = Script(*["NotStarted"] * REFUSALS, "renewed")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.worked), script.settled) == (REFUSALS + 1, [])


def test_kinds_of_failure_do_not_use_up_each_others_attempts(machine: Machine) -> None:
    script = Script("Runtime.ExitError", *["ProviderThrottled"] * 8, *["Runtime.ExitError"] * 2, "over")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.worked), script.settled) == (12, [])


def test_a_task_that_got_on_has_all_its_attempts_again(machine: Machine) -> None:
    script = Script(*[*["ProviderThrottled"] * 8, *["Runtime.ExitError"] * 3, "again"] * 3, "over")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert ([event["attempt"] for event in script.worked], script.settled) == ([*range(12)] * 3 + [0], [])


def test_a_superseded_worker_leaves_the_response_to_its_new_owner(machine: Machine) -> None:
    script = Script("again", "Superseded")
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (len(script.worked), script.settled) == (2, [])


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


def test_a_task_above_its_time_is_tried_again(machine: Machine) -> None:
    """It really waits for its second: the limit is in whole seconds."""
    release = threading.Event()

    class HangsFirst(Script):
        def work(self, event: dict[str, Any]) -> object:
            if len(self.worked) == 1:
                release.wait(20)
            return answer(event, "over")

    script = HangsFirst()
    try:
        assert machine.run(script, arn=machine.create(definition(Worker=1)))["status"] == "SUCCEEDED"
        assert len(script.worked) == 2
    finally:
        release.set()


class Held(Script):
    """Its first task waits until it is released."""

    def __init__(self, *tasks: str) -> None:
        super().__init__(*tasks)
        self.started, self.release = threading.Event(), threading.Event()

    def work(self, event: dict[str, Any]) -> object:
        self.started.set()
        self.release.wait(20)
        return super().work(event)


def test_a_stopped_execution_is_aborted_at_once_and_invokes_nothing_more(machine: Machine) -> None:
    script = Held("again")
    execution = machine.start(script)
    try:
        assert script.started.wait(20)
        machine.sfn.stop_execution(executionArn=execution, error="Cancelled", cause="by the client")
        stopped = machine.describe(execution)
    finally:
        script.release.set()
    until(lambda: not executor_threads())

    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Cancelled", "by the client")
    assert machine.describe(execution) | {"ResponseMetadata": None} == stopped | {"ResponseMetadata": None}
    assert (len(script.worked), script.settled) == (1, [])


def test_an_execution_starts_once_for_each_name(machine: Machine) -> None:
    machine.scripts["resp_once"] = script = Held("over")
    arn = machine.sfn.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    given = {"tenant": TENANT, "response_id": "resp_once", "generation": 0}
    found: list[str] = []

    threads = [
        threading.Thread(target=lambda: found.append(machine.begin(arn, given, "resp_once-0"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert script.started.wait(20)
    with pytest.raises(machine.sfn.exceptions.ExecutionAlreadyExists):
        machine.begin(arn, {**given, "generation": 1}, "resp_once-0")
    script.release.set()
    machine.finish(found[0])
    assert (len(found), len(set(found)), len(script.worked)) == (8, 1, 1)
    # Once it has ended, the same name and input are refused as well: a launcher has to take this for success.
    with pytest.raises(machine.sfn.exceptions.ExecutionAlreadyExists):
        machine.begin(arn, given, "resp_once-0")


def test_states_hold_ids_only(machine: Machine) -> None:
    execution = machine.start(Script("again", "ValueError"))
    machine.finish(execution)

    entered = [event["stateEnteredEventDetails"] for event in machine.history(execution) if "Entered" in event["type"]]
    keys = {detail["name"]: set(json.loads(detail["input"])) for detail in entered}
    assert keys == {
        "Work": {"tenant", "response_id", "generation", "step", "calls"},
        "Step": {"tenant", "response_id", "generation", "step", "calls"},
        "Settle": {"tenant", "response_id", "generation", "step", "calls", "error"},
        "Failed": {"tenant", "response_id", "generation", "step", "calls", "error"},
    }
    assert all(len(detail["input"]) < 500 for detail in entered)


def test_how_many_events_a_task_adds_to_the_history(machine: Machine) -> None:
    """AWS ends an execution at 25,000 events, so the worker counts them. The kinds are the same on AWS:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """

    def events(*tasks: str) -> Counter[str]:
        execution = machine.start(Script(*tasks))
        machine.finish(execution)
        return Counter(event["type"] for event in machine.history(execution))

    one, two, three = (events(*["again"] * n, "over") for n in range(3))
    assert [execution.events for execution in machine.aws.executions()[:3]] == [n.total() for n in (three, two, one)]
    task = Counter(["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"])
    task += Counter(["ChoiceStateEntered", "ChoiceStateExited"])
    assert two - one == three - two == task
    ends = ("ExecutionStarted", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded")
    assert one - task == Counter(ends)

    retried = [events(*["ProviderTimeout"] * failures, "over") for failures in (0, 1, 2)]
    assert [after - before for before, after in pairwise(retried)] == [
        Counter(["TaskScheduled", "TaskStarted", "TaskFailed"])
    ] * 2
    settled = events("ValueError")
    assert settled.total() == 1 + 5 + 5 + 2, settled

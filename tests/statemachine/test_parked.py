"""The state Park, executed: two calls that wait for their answers; the functions follow a script."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from openresponses_dev.local.sandbox.calls import FunctionError, Throttled
from tests.statemachine.machine import Machine, Script, answer, executor_threads, until

CALLS = ("htc_1", "htc_2")
Ask = Callable[[dict[str, Any]], None]


class Parked(Script):
    """Its first task parks these calls. `ask` is what becomes of a call that is asked for."""

    def __init__(self, *, seconds: int = 60, ask: Ask | None = None, then: tuple[str, ...] = ("over",)) -> None:
        super().__init__("park", *then)
        self.tokens: dict[str, list[str]] = {call: [] for call in CALLS}
        self.kept: list[dict[str, Any]] = []
        self._seconds, self._ask = seconds, ask

    def __call__(self, event: dict[str, Any]) -> object:
        if "task_token" in event:
            self.tokens[event["call"]].append(event["task_token"])
            return self._ask(event) if self._ask else {"ignored": True}
        if "call" in event:
            self.kept.append(event)
            return None
        return super().__call__(event)

    def work(self, event: dict[str, Any]) -> object:
        if len(self.worked) == 1:
            return answer(event, "park", [{"id": call, "seconds": self._seconds} for call in CALLS])
        return answer(event, "over")

    def token(self, call: str) -> str:
        until(lambda: self.tokens[call])
        return self.tokens[call][-1]

    def told(self) -> dict[str, Any]:
        """What each call was answered with."""
        return {event["call"]: event.get("answer", event.get("error")) for event in self.kept}

    def causes(self) -> dict[str, str]:
        return {event["call"]: event["cause"] for event in self.kept if "cause" in event}


def succeed(machine: Machine, token: str, output: object) -> None:
    machine.sfn.send_task_success(taskToken=token, output=json.dumps(output))


def refusal(send: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refused:
        send()
    return refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("order", [CALLS, CALLS[::-1]], ids=["in order", "the other way round"])
def test_two_calls_are_answered_in_either_order_and_then_the_work_goes_on(
    machine: Machine, order: tuple[str, ...]
) -> None:
    script = Parked()
    execution = machine.start(script)
    for call in order:
        assert len(script.worked) <= 1
        succeed(machine, script.token(call), f"yes to {call}")
        until(lambda call=call: call in script.told())
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    ids = {name: script.worked[0][name] for name in ("tenant", "response_id")}
    assert script.kept == [{**ids, "call": call, "answer": f"yes to {call}"} for call in order]
    assert script.worked == [{**ids, "generation": 0, "attempt": 0}] * 2


def test_a_failure_and_a_timeout_are_answers_too(machine: Machine) -> None:
    script = Parked(seconds=1)
    execution = machine.start(script)
    machine.sfn.send_task_failure(taskToken=script.token(CALLS[0]), error="ToolFailed", cause="The limit is 100.")
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert script.told() == {CALLS[0]: "ToolFailed", CALLS[1]: "States.Timeout"}
    assert script.causes()[CALLS[0]] == "The limit is 100."
    assert (len(script.worked), script.settled) == (2, [])


def test_an_answer_that_comes_twice_too_late_or_with_an_unknown_token_is_refused(machine: Machine) -> None:
    script = Parked(seconds=1)
    execution = machine.start(script)
    first, second = map(script.token, CALLS)
    succeed(machine, first, "yes")
    again = [
        refusal(lambda: succeed(machine, first, "no")),
        refusal(lambda: machine.sfn.send_task_failure(taskToken=first, error="ToolFailed", cause="no")),
    ]
    until(lambda: len(script.kept) == 2)  # the second one has timed out
    late = refusal(lambda: succeed(machine, second, "late"))
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    ended = refusal(lambda: succeed(machine, second, "later"))
    assert [*again, late, ended] == ["TaskTimedOut"] * 4
    assert refusal(lambda: succeed(machine, "made up", "yes")) == "InvalidToken"
    assert script.told()[CALLS[0]] == "yes"


def test_an_answer_that_is_no_json_is_refused_and_the_call_waits_on(machine: Machine) -> None:
    script = Parked()
    execution = machine.start(script)
    token = script.token(CALLS[0])
    assert refusal(lambda: machine.sfn.send_task_success(taskToken=token, output="yes")) == "InvalidOutput"
    for call in CALLS:
        succeed(machine, script.token(call), {"approved": True})
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert script.told() == {call: {"approved": True} for call in CALLS}


def test_a_call_may_be_answered_before_its_tool_has_returned(machine: Machine) -> None:
    script = Parked(ask=lambda event: succeed(machine, event["task_token"], event["call"]))
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert script.told() == {call: call for call in CALLS}


@pytest.mark.parametrize("error", ["Lambda.TooManyRequestsException", "StorageUnavailable", "Runtime.ExitError"])
def test_a_call_whose_worker_dies_is_asked_for_again_with_another_token(machine: Machine, error: str) -> None:
    def ask(event: dict[str, Any]) -> None:
        if len(script.tokens[event["call"]]) == 1:
            raise Throttled if error.endswith("TooManyRequestsException") else FunctionError(error, "it died")

    script = Parked(ask=ask)
    execution = machine.start(script)
    for call in CALLS:
        until(lambda call=call: len(script.tokens[call]) == 2)
        old, new = script.tokens[call]
        assert old != new
        assert refusal(lambda old=old: succeed(machine, old, "to a dead one")) == "TaskTimedOut"
        succeed(machine, new, "yes")
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert script.told() == dict.fromkeys(CALLS, "yes")


def test_a_tool_that_fails_at_once_is_not_waited_for(machine: Machine) -> None:
    def ask(_: dict[str, Any]) -> None:
        raise FunctionError("AnsweredAtOnce", "The worker has kept what it said")

    script = Parked(ask=ask)
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert (script.kept, len(script.worked), script.settled) == ([], 2, [])


def test_a_call_that_cannot_be_asked_for_is_told_to_the_model(machine: Machine) -> None:
    def ask(_: dict[str, Any]) -> None:
        raise FunctionError("Runtime.ExitError", "it died")

    script = Parked(ask=ask)
    assert machine.run(script)["status"] == "SUCCEEDED"
    assert [len(script.tokens[call]) for call in CALLS] == [3, 3]
    assert script.told() == dict.fromkeys(CALLS, "Runtime.ExitError")


def test_a_parked_execution_that_is_stopped_waits_for_nobody(machine: Machine) -> None:
    script = Parked(seconds=86_400)
    execution = machine.start(script)
    tokens = [*map(script.token, CALLS)]
    machine.sfn.stop_execution(executionArn=execution)
    assert machine.describe(execution)["status"] == "ABORTED"
    until(lambda: not executor_threads())
    assert [refusal(lambda token=token: succeed(machine, token, "yes")) for token in tokens] == ["TaskTimedOut"] * 2
    assert (script.kept, len(script.worked)) == ([], 1)


def test_an_answer_that_does_not_fit_into_a_state_with_its_ids_is_a_failure(machine: Machine) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 262,144 bytes in and out of a state."""
    script = Parked()
    execution = machine.start(script)
    succeed(machine, script.token(CALLS[0]), "x" * 261_000)
    succeed(machine, script.token(CALLS[1]), "x" * 262_142)
    assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert script.told() == {CALLS[0]: "x" * 261_000, CALLS[1]: "States.DataLimitExceeded"}


def test_a_parked_execution_takes_no_time_of_anyone(machine: Machine) -> None:
    script = Parked()
    execution = machine.start(script)
    for call in CALLS:
        script.token(call)
    before, invoked = len(machine.history(execution)), sum(map(len, script.tokens.values()))
    time.sleep(0.2)
    assert len(machine.history(execution)) == before
    assert (invoked, len(script.worked), script.kept) == (2, 1, [])
    for call in CALLS:
        succeed(machine, script.token(call), "yes")
    assert machine.finish(execution)["status"] == "SUCCEEDED"


def test_a_wait_costs_five_state_transitions_and_two_more_for_each_further_call(machine: Machine) -> None:
    """AWS bills each state that is entered, those of a Map as well, and the start."""
    script = Parked(ask=lambda event: succeed(machine, event["task_token"], "yes"))
    execution = machine.start(script)
    machine.finish(execution)
    history = machine.history(execution)
    entered = Counter(event["stateEnteredEventDetails"]["name"] for event in history if "Entered" in event["type"])
    of_the_wait = {"Park": 1, "Ask": 2, "Answer": 2, "Work": 1, "Step": 1}
    assert entered == Counter(of_the_wait) + Counter({"Work": 1, "Step": 1, "Done": 1})

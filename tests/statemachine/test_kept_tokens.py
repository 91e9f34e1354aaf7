"""The token of a call that is parked, over a restart of the local cloud: nobody is asked twice, no answer is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openresponses_dev.local.kept import Kept
from openresponses_dev.local.private_folder import PrivateFolder
from openresponses_dev.local.sandbox.calls import FunctionError
from tests.statemachine.machine import STATE_MACHINE, TENANT, Machine, running, until
from tests.statemachine.test_parked import CALLS, Parked, refusal, succeed

RESPONSE = "resp_parked"
Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A local cloud, in which the response of this script goes on, or begins."""

    @contextmanager
    def start(script: Parked, *, goes_on: bool = True) -> Iterator[Machine]:
        kept = Kept(PrivateFolder(tmp_path), now=time.time(), say=print)
        try:
            with running(0, kept, [RESPONSE] if goes_on else []) as machine:
                machine.scripts[RESPONSE] = script
                yield machine
        finally:
            kept.close()

    return start


def begin(machine: Machine) -> str:
    given = {"tenant": TENANT, "response_id": RESPONSE, "generation": 0}
    return machine.begin(f"{STATE_MACHINE}Loop", given, RESPONSE)


def test_a_token_of_before_answers_the_call_and_nobody_is_asked_again(start: Start) -> None:
    first, second = Parked(), Parked()
    with start(first) as machine:
        begin(machine)
        tokens = [*map(first.token, CALLS)]
        succeed(machine, tokens[0], "yes")
        until(lambda: first.told() == {CALLS[0]: "yes"})
    with start(second) as machine:
        execution = begin(machine)
        assert refusal(lambda: succeed(machine, tokens[0], "again")) == "TaskTimedOut"
        succeed(machine, tokens[1], "no")
        assert refusal(lambda: succeed(machine, tokens[1], "again")) == "TaskTimedOut"
        assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert second.told() == dict(zip(CALLS, ("yes", "no"), strict=True))
    assert second.tokens == {call: [] for call in CALLS}, "somebody was asked again"


def test_an_answer_waits_for_the_execution_that_is_started_again(start: Start) -> None:
    first, second = Parked(), Parked()
    with start(first) as machine:
        begin(machine)
        tokens = [*map(first.token, CALLS)]
    with start(second) as machine:
        answering = [
            threading.Thread(target=succeed, args=(machine, token, call))
            for call, token in zip(CALLS, tokens, strict=True)
        ]
        for thread in answering:
            thread.start()
        time.sleep(0.2)
        assert second.told() == {}
        machine.finish(begin(machine))
        for thread in answering:
            thread.join()
    assert second.told() == {call: call for call in CALLS}


def test_an_answer_that_came_before_the_worker_kept_it_is_not_lost(start: Start) -> None:
    def never(_: dict[str, Any]) -> None:
        raise AssertionError("somebody was asked again")

    stopped = threading.Event()

    class Slow(Parked):
        """Its worker keeps no answer before the end."""

        def __call__(self, event: dict[str, Any]) -> object:
            if "call" in event and "task_token" not in event:
                return stopped.wait(20) and None
            return super().__call__(event)

    first, second = Slow(), Parked(ask=never)
    with start(first) as machine:
        begin(machine)
        succeed(machine, first.token(CALLS[0]), "yes")
        machine.sfn.send_task_failure(taskToken=first.token(CALLS[1]), error="ToolFailed", cause="too much")
        machine.aws.halt()
        stopped.set()
    with start(second) as machine:
        assert machine.finish(begin(machine))["status"] == "SUCCEEDED"
    assert second.told() == dict(zip(CALLS, ("yes", "ToolFailed"), strict=True))
    assert second.causes() == {CALLS[1]: "too much"}


def test_who_may_not_have_been_asked_is_asked_with_the_same_token_and_a_retry_has_another_one(start: Start) -> None:
    def ask(event: dict[str, Any]) -> None:
        if len(second.tokens[event["call"]]) == 1:
            raise FunctionError("Runtime.ExitError", "it died")

    both = threading.Barrier(2)

    def die(_: dict[str, Any]) -> None:
        both.wait(20)
        machine.aws.halt()
        raise FunctionError("Runtime.ExitError", "it died")

    first, second = Parked(ask=die), Parked(ask=ask)
    with start(first) as machine:
        begin(machine)
        before = [*map(first.token, CALLS)]
    with start(second) as machine:
        execution = begin(machine)
        for call, token in zip(CALLS, before, strict=True):
            until(lambda call=call: len(second.tokens[call]) == 2)
            assert second.tokens[call][0] == token
            assert refusal(lambda token=token: succeed(machine, token, "to a dead one")) == "TaskTimedOut"
            succeed(machine, second.tokens[call][1], "yes")
        assert machine.finish(execution)["status"] == "SUCCEEDED"
    assert second.told() == dict.fromkeys(CALLS, "yes")


def test_the_tokens_of_a_response_that_is_over_are_forgotten(start: Start) -> None:
    first = Parked()
    with start(first) as machine:
        begin(machine)
        token = first.token(CALLS[0])
    with start(Parked(), goes_on=False) as machine:
        assert refusal(lambda: succeed(machine, token, "yes")) == "InvalidToken"
    with start(Parked()) as machine:
        assert refusal(lambda: succeed(machine, token, "yes")) == "InvalidToken"

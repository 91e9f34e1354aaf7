"""The definition as text: what Step Functions would refuse, and what it would not but we do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openresponses.core import errors
from openresponses.core.settings import Settings
from openresponses.responses.worker import HISTORY_PER_CALL, HISTORY_PER_RETRY, HISTORY_PER_TASK, MAX_PARKED
from tests.statemachine.machine import ASL, definition, substitutions

OF_AWS = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-error-representation
    *("States.ALL", "States.Timeout", "States.DataLimitExceeded"),
    # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html: errors of the service, and
    # Lambda.Unknown for "unhandled errors", which "include out-of-memory errors and function timeouts".
    *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
    *("Lambda.ClientExecutionTimeoutException", "Lambda.TooManyRequestsException", "Lambda.Unknown"),
    # But Step Functions takes a function error's own errorType where the payload has one, and Lambda now writes one:
    # Sandbox.Timedout for a timeout (https://github.com/aws/aws-durable-execution-docs/issues/281), Runtime.ExitError
    # for a process that died, of memory too (https://github.com/aws/aws-lambda-dotnet/issues/480).
    # Both spellings are retried, whichever a Region reports.
    *("Sandbox.Timedout", "Runtime.ExitError"),
}
SETTLES_AT_ONCE = {
    *("KitError", "ProviderError", "ProviderRejected", "ProviderMisconfigured", "Cancelled", "FirstRequestFailed"),
    *("InputTooLong", "CompactionFailed", "ConnectorFailed"),
    *("ConnectionGone", "WorkerDied", "Overloaded"),  # of WebSockets: the state machine meets none of them
    "DeliveryFailed",  # of webhooks, which have a state machine of their own
    *(name for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, errors.RequestError)),
}


def machine() -> dict[str, Any]:
    return json.loads(definition())


def states() -> dict[str, dict[str, Any]]:
    """Those of Park too, which end up among the machine's own."""
    own = machine()["States"]
    return {**own, **own["Park"]["ItemProcessor"]["States"]}


def tasks() -> dict[str, dict[str, Any]]:
    return {name: state for name, state in states().items() if state["Type"] == "Task"}


def error_names(rules: list[dict[str, Any]]) -> list[str]:
    return [name for rule in rules for name in rule["ErrorEquals"]]


def leaves(value: object, at: str = "") -> Iterator[tuple[str, object]]:
    match value:
        case dict():
            for key, item in value.items():
                yield from leaves(item, f"{at}/{key}")
        case list():
            for index, item in enumerate(value):
                yield from leaves(item, f"{at}/{index}")
        case _:
            yield at, value


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "loop.asl.json"
    path.write_text(definition())
    found = subprocess.run([Path(sys.executable).with_name("statelint"), path], capture_output=True, text=True)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)


def test_the_linter_finds_mistakes(tmp_path: Path) -> None:
    """It says nothing at all when it is content: make sure that it reads."""
    path = tmp_path / "loop.asl.json"
    path.write_text(definition().replace('"Next": "Step"', '"Next": "Nowhere"'))
    found = subprocess.run([Path(sys.executable).with_name("statelint"), path], capture_output=True, text=True)
    assert "Nowhere" in found.stdout + found.stderr


def test_it_needs_exactly_these_substitutions() -> None:
    wanted = set(re.findall(r"\$\{(\w+)\}", ASL.read_text()))
    assert wanted == set(substitutions())


def test_a_substituted_number_stands_without_quotes() -> None:
    """CloudFormation puts text in the place of text, and reads the outcome as JSON (DefinitionProcessor.java of
    aws-cloudformation/aws-cloudformation-resource-providers-stepfunctions): in quotes it would be a string.
    """
    assert '"${' not in re.sub(r'"\$\{\w+Arn\}"', "", ASL.read_text())
    assert states()["Work"]["TimeoutSeconds"] == 60


def test_every_task_has_a_time_limit_and_the_machine_has_none() -> None:
    """One of the machine's own would end a response that waits for an answer, and nothing would settle it."""
    found = {name: task.get("TimeoutSeconds", task.get("TimeoutSecondsPath")) for name, task in tasks().items()}
    assert found == {"Work": 60, "Settle": 60, "Ask": "$.seconds", "Answer": 60, "Fail": 60}
    assert "TimeoutSeconds" not in machine()


def test_every_error_that_is_named_exists() -> None:
    ours = {name for name, value in vars(errors).items() if isinstance(value, type)}
    named = {
        name for state in states().values() for name in error_names([*state.get("Retry", []), *state.get("Catch", [])])
    }
    assert named - ours - OF_AWS == {"AnsweredAtOnce"}  # of entry/tasks.py


def test_every_error_of_ours_is_retried_or_settles_or_ends_the_execution() -> None:
    """A new class of core/errors.py has to be decided about, here and in the definition."""
    retried = {name for name in error_names(states()["Work"]["Retry"]) if "." not in name}
    ours = {name for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, errors.KitError)}
    assert ours == retried | SETTLES_AT_ONCE | {"Superseded"}
    assert retried & SETTLES_AT_ONCE == set()


def test_what_catches_everything_comes_last_and_alone() -> None:
    for name, state in states().items():
        for rules in (state.get("Retry", []), state.get("Catch", [])):
            for rule in rules[:-1]:
                assert "States.ALL" not in rule["ErrorEquals"], name
            if rules and "States.ALL" in rules[-1]["ErrorEquals"]:
                assert rules[-1]["ErrorEquals"] == ["States.ALL"], name


def test_what_everything_leaves_out_is_caught_by_its_name() -> None:
    """States.ALL does not match States.DataLimitExceeded, nor States.Runtime, which nothing can catch."""
    for name, state in states().items():
        if "States.ALL" in error_names(state.get("Catch", [])):
            assert "States.DataLimitExceeded" in error_names(state["Catch"]), name


def test_a_worker_ends_settled_whatever_fails() -> None:
    assert states()["Work"]["Catch"][-1] == {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Settle"}


def test_one_function_does_all() -> None:
    assert {task["Parameters"]["FunctionName"] for task in tasks().values()} == {substitutions()["WorkerFunctionArn"]}


def test_it_fits_on_a_few_screens() -> None:
    assert len(ASL.read_text().splitlines()) <= 280


def test_no_error_is_in_two_rules_of_a_state() -> None:
    for name, state in states().items():
        for rules in (state.get("Retry", []), state.get("Catch", [])):
            assert len(error_names(rules)) == len(set(error_names(rules))), name


@pytest.mark.parametrize("name", ["Work", "Settle"])
def test_retries_back_off_with_full_jitter(name: str) -> None:
    for rule in tasks()[name]["Retry"]:
        assert rule["JitterStrategy"] == "FULL"
        assert rule["BackoffRate"] == 2.0
        assert 0 < rule["IntervalSeconds"] < rule["MaxDelaySeconds"] <= 60
        assert rule in patient(name) or 3 <= rule["MaxAttempts"] <= 10


def patient(task: str) -> list[dict[str, Any]]:
    """The rules of what is waited for as long as it takes, since nothing was begun."""
    return [rule for rule in tasks()[task]["Retry"] if "Lambda.TooManyRequestsException" in rule["ErrorEquals"]]


@pytest.mark.parametrize("name", ["Work", "Settle"])
def test_a_worker_that_lambda_refuses_is_waited_for_half_a_day(name: str) -> None:
    """With full jitter a delay is half of its bound on average."""
    (rule,) = patient(name)
    assert rule["MaxAttempts"] * rule["MaxDelaySeconds"] / 2 >= 12 * 3600
    assert {*rule["ErrorEquals"]} <= {"Lambda.TooManyRequestsException", "NotStarted"}


ONE_TASK = ("Work", "Settle")
OF_A_CALL = ("Ask", "Answer", "Fail")


def test_an_execution_that_waits_as_long_as_it_may_stays_within_its_history() -> None:
    """AWS ends an execution at 25,000 events: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
    retries = sum(rule["MaxAttempts"] for name in ONE_TASK for rule in patient(name))
    last = 2 * HISTORY_PER_TASK + retries * HISTORY_PER_RETRY
    assert Settings().history_events + last < 25_000
    for name in ONE_TASK:
        others = sum(rule["MaxAttempts"] for rule in tasks()[name]["Retry"] if rule not in patient(name))
        assert 15 + others * HISTORY_PER_RETRY <= HISTORY_PER_TASK, "what a task and the end of an execution add"


def test_calls_that_wait_stay_within_the_history_whatever_is_tried_again() -> None:
    """A call that is parked begins a history that is empty, and the rest of the execution has all that is left."""
    for of_a_call in (("Ask", "Answer"), ("Ask", "Fail")):
        retries = sum(rule["MaxAttempts"] for name in of_a_call for rule in tasks()[name]["Retry"])
        assert 15 + retries * HISTORY_PER_RETRY <= HISTORY_PER_CALL
    assert Settings().history_events > HISTORY_PER_TASK + MAX_PARKED * HISTORY_PER_CALL


def test_payloads_hold_ids_only() -> None:
    payloads = {name: task["Parameters"]["Payload"] for name, task in tasks().items()}
    assert {name: sorted(payload) for name, payload in payloads.items()} == {
        "Work": ["attempt.$", "generation.$", "response_id.$", "tenant.$"],
        "Settle": ["cause.$", "error.$", "generation.$", "response_id.$", "tenant.$"],
        "Ask": ["call.$", "response_id.$", "task_token.$", "tenant.$"],
        "Answer": ["answer.$", "call.$", "response_id.$", "tenant.$"],
        "Fail": ["call.$", "cause.$", "error.$", "response_id.$", "tenant.$"],
    }


def test_no_path_is_taken_for_a_literal() -> None:
    paths = (
        "Variable",
        "ItemsPath",
        "ResultPath",
        "InputPath",
        "OutputPath",
        "ErrorPath",
        "CausePath",
        "TimeoutSecondsPath",
    )
    for at, value in leaves(machine()):
        if isinstance(value, str) and value.startswith("$"):
            assert at.endswith(".$") or at.rpartition("/")[2] in paths, at


def test_it_is_plain_jsonpath_without_variables() -> None:
    text = ASL.read_text()
    for word in ("JSONata", "QueryLanguage", "Assign", "Arguments", "startExecution"):
        assert word not in text

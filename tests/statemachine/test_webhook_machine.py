"""The state machine of webhooks: its definition as text, and executed over the function that it invokes."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openresponses.core.errors import DeliveryFailed, StorageUnavailable
from openresponses.webhooks.events import Ended
from openresponses.webhooks.notify import Failed
from openresponses.webhooks.outbox import LIFE_SECONDS, Expired, execution_of
from openresponses_dev.local.template.aws_resources import substitute
from tests.statemachine.machine import Machine, function_arn, target
from tests.statemachine.test_asl import OF_AWS, error_names, leaves

ASL = Path(__file__).parents[2] / "infra/statemachine/webhook.asl.json"
SUBSTITUTIONS = {"Partition": "aws", "EndedFunctionArn": function_arn("Ended"), "EndedTimeoutSeconds": "90"}
HOURS = 3600
DEFINITION = substitute(ASL.read_text(), SUBSTITUTIONS)
STATES: dict[str, dict[str, Any]] = json.loads(DEFINITION)["States"]
NAME, INPUT = execution_of("acme", Ended(f"resp_{7:032x}", "completed", 1), Failed(f"we_{9:032x}", "why"))


def delays(rule: dict[str, Any]) -> Iterator[float]:
    """The longest of each wait: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    for attempt in range(rule["MaxAttempts"]):
        yield min(rule["IntervalSeconds"] * rule["BackoffRate"] ** attempt, rule["MaxDelaySeconds"])


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "webhook.asl.json"
    path.write_text(DEFINITION)
    found = subprocess.run([Path(sys.executable).with_name("statelint"), path], capture_output=True, text=True)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)
    assert set(re.findall(r"\$\{(\w+)\}", ASL.read_text())) == {*SUBSTITUTIONS}


def test_the_waits_grow_and_last_for_72_hours_however_the_dice_fall() -> None:
    """FULL is a random time between 0 and the delay. What ends the tries is the function's clock, so that these are
    enough if they seldom end before it; and an event is tried often, and soon.
    """
    (rule,) = STATES["Deliver"]["Retry"]
    longest = [*delays(rule)]
    assert rule["JitterStrategy"] == "FULL"
    assert longest == sorted(longest)
    assert longest[:3] == [10, 20, 40]
    draw = random.Random(14)
    lives = [sum(draw.uniform(0, each) for each in longest) for _ in range(10_000)]
    assert min(lives) > LIFE_SECONDS == 72 * HOURS
    assert 0 < rule["MaxDelaySeconds"] < 31_622_400
    assert rule["MaxDelaySeconds"] > rule["IntervalSeconds"]
    assert rule["MaxAttempts"] <= 99_999_999


def test_its_history_and_its_name_are_within_aws_limits() -> None:
    """25,000 events, 5 for each try; a name of 80 characters, an input of 256 KiB; a year.
    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    retries = [rule["MaxAttempts"] for state in STATES.values() for rule in state["Retry"]]
    assert 5 * sum(retries) + 15 < 25_000
    assert sum(sum(delays(rule)) for state in STATES.values() for rule in state["Retry"]) < 365 * 24 * HOURS
    assert len(NAME) <= 80
    assert re.fullmatch(r"[A-Za-z0-9_-]+", NAME)
    assert len(INPUT) < 1_000


def test_its_input_is_ids_a_status_and_a_time() -> None:
    assert json.loads(INPUT) == {
        "tenant": "acme",
        "endpoint_id": f"we_{9:032x}",
        "ended": {"response_id": f"resp_{7:032x}", "status": "completed", "ended_at": 1},
    }
    assert f"resp_{7:032x}-we_{9:032x}" == NAME


def test_what_is_retried_exists_and_what_is_not_is_a_dead_letter() -> None:
    (rule,) = STATES["Deliver"]["Retry"]
    ours = {DeliveryFailed.__name__, StorageUnavailable.__name__}
    assert {*error_names([rule])} - OF_AWS == ours
    assert STATES["Deliver"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "GiveUp"}]
    for at, value in leaves(STATES):
        if isinstance(value, str) and value.startswith("$"):
            assert at.endswith((".$", "ResultPath")), at


class Scripted:
    """The function, whose tries end with these errors in turn; then it delivers."""

    def __init__(self, *errors: Exception) -> None:
        self.events: list[dict[str, Any]] = []
        self._errors = iter(errors)

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if error := next(self._errors, None):
            raise error


def run(machine: Machine, script: Scripted) -> str:
    machine.functions["Ended"] = target(script)
    return machine.finish(machine.begin(machine.create(DEFINITION), json.loads(INPUT), NAME))["status"]


def test_it_tries_again_until_the_endpoint_takes_the_event(machine: Machine) -> None:
    script = Scripted(DeliveryFailed("503"), StorageUnavailable("busy"), DeliveryFailed("503"))
    assert run(machine, script) == "SUCCEEDED"
    assert script.events == [{"deliver": json.loads(INPUT)}] * 4


def test_what_has_expired_is_given_up_and_that_is_tried_again_as_well(machine: Machine) -> None:
    script = Scripted(DeliveryFailed("503"), Expired("it answered with HTTP 503"), StorageUnavailable("busy"))
    assert run(machine, script) == "SUCCEEDED"
    assert [[*each] for each in script.events] == [["deliver"], ["deliver"], ["give_up"], ["give_up"]]
    told = script.events[-1]["give_up"]
    assert {key: told[key] for key in ("tenant", "endpoint_id", "ended")} == json.loads(INPUT)
    assert told["failed"]["Error"] == "Expired"
    assert json.loads(told["failed"]["Cause"])["errorMessage"] == "it answered with HTTP 503"


def test_a_bug_is_given_up_at_once(machine: Machine) -> None:
    script = Scripted(KeyError("a bug"))
    assert run(machine, script) == "SUCCEEDED"
    assert [[*each] for each in script.events] == [["deliver"], ["give_up"]]


def test_an_endpoint_that_never_works_is_tried_as_often_as_the_rule_says(machine: Machine) -> None:
    """If the clock stood still."""
    (rule,) = STATES["Deliver"]["Retry"]
    script = Scripted(*[DeliveryFailed("503")] * (rule["MaxAttempts"] + 1))
    assert run(machine, script) == "SUCCEEDED"
    assert [[*each] for each in script.events] == [["deliver"]] * (rule["MaxAttempts"] + 1) + [["give_up"]]

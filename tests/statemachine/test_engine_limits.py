"""What is more than one sandbox can bear: a tool that kills it, a tool and a turn that take longer than it lives."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from openresponses.core.engine import MAX_TRIES, NO_ANSWER
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.statemachine.engine_cloud import (
    LIMIT_S,
    AwsCall,
    Deployment,
    Json,
    Reply,
    Watch,
    deployed,
    followed,
    log_events,
    stream,
)
from tests.stream_checker import check_stream

NAMES = ("steady", "lethal", "slow")
TOOLS = [{"type": f"serverless:{name}"} for name in NAMES]
PARAMETERS = {
    f"/openresponses/local/tools/{name}": json.dumps({"function": f"openresponses-tool-{name}", "timeout": 100})
    for name in NAMES
}
ASKED: Json = {
    "model": "offline/demo",
    "background": True,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "tools": TOOLS,
}
SHORT = {"timeouts": {"WorkerFunction": 5}, "env": {"OPENRESPONSES_TURN_SECONDS": "1"}}


class Called(Watch):
    """Keeps the token of each call of a tool. One of `lethal` kills the worker that makes it, once what the tools
    beside it have said is in the log.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.tokens: dict[str, list[str]] = {name: [] for name in NAMES}
        self.answered = threading.Event()

    def before(self, call: AwsCall) -> Reply | None:
        if call.service != "lambda":
            return None
        made = json.loads(call.body)
        self.tokens[made["name"]].append(made["idempotency_token"])
        if made["name"] == "steady":
            self.answered.clear()
        if made["name"] != "lethal":
            return None
        assert self.answered.wait(LIMIT_S)
        self._deployment.kill(call.who)
        return Reply(500)

    def after(self, call: AwsCall) -> None:
        done = [event for event in log_events(call) or [] if event["type"] == "response.output_item.done"]
        if any(event["item"]["type"] == "serverless:steady" for event in done):
            self.answered.set()


class Fixed:
    """A deployment with tools that run in this process; `slow` answers when the test is over."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._over = threading.Event()
        deployment.cloud.add_function("openresponses-tool-steady", lambda _: b'"fine"')
        deployment.cloud.add_function("openresponses-tool-slow", self._slow)
        deployment.cloud.watch = self.called = Called(deployment)

    def _slow(self, _: bytes) -> bytes:
        self._over.wait(LIMIT_S)
        return b'"too late"'

    def stop(self) -> None:
        self._over.set()

    async def respond(self, **request: Any) -> list[Json]:
        """The events of a response that completes: as its client sees them, which are those of its log."""
        async with self.deployment.http() as http:
            events = await stream(http, "POST", "/responses", json={**ASKED, **request})
            final = check_stream(events, deaths=1)
            assert [event["sequence_number"] for event in events] == [*range(len(events))]
            assert final["status"] == "completed", final["error"]
            assert await followed(http, final["id"]) == events
        return events

    def failures(self, response_id: str) -> list[str]:
        """The errors of the tasks that failed."""
        history = self.deployment.history(response_id)
        return [event["taskFailedEventDetails"]["error"] for event in history if event["type"] == "TaskFailed"]


@pytest.fixture
def fixed(request: pytest.FixtureRequest) -> Iterator[Fixed]:
    with deployed(ssm=PARAMETERS, **getattr(request, "param", {})) as deployment:
        fixed = Fixed(deployment)
        yield fixed
        fixed.stop()


def outputs(events: list[Json], tool: str) -> list[tuple[str, str]]:
    items = events[-1]["response"]["output"]
    return [(item["status"], item["output"]) for item in items if item["type"] == f"serverless:{tool}"]


GIVEN_UP = ("failed", NO_ANSWER.text)


@pytest.mark.timeout(180)
async def test_a_tool_that_kills_its_worker_is_given_up_each_time_and_the_others_keep_their_answers(
    fixed: Fixed,
) -> None:
    """The model calls it in each of three turns: more deaths than one task has retries."""
    events = await fixed.respond(input="[[turns 3]] [[call steady {}]] [[call lethal {}]]")
    assert outputs(events, "lethal") == [GIVEN_UP] * 3
    assert outputs(events, "steady") == [("completed", "fine")] * 3
    assert sorted(Counter(fixed.called.tokens["lethal"]).values()) == [MAX_TRIES] * 3
    assert max(Counter(fixed.called.tokens["steady"]).values()) <= MAX_TRIES
    assert len({*fixed.called.tokens["steady"]}) == 3
    assert fixed.failures(events[-1]["response"]["id"]) == ["Runtime.ExitError"] * MAX_TRIES * 3


@pytest.mark.timeout(180)
async def test_several_tools_of_one_turn_may_kill_their_worker(fixed: Fixed) -> None:
    fixed.called.answered.set()
    events = await fixed.respond(input="[[call lethal {}]] [[call lethal {}]] [[call lethal {}]]")
    assert outputs(events, "lethal") == [GIVEN_UP] * 3
    assert max(Counter(fixed.called.tokens["lethal"]).values()) <= MAX_TRIES


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fixed", [SHORT], indirect=True)
async def test_a_tool_that_is_slower_than_its_worker_lives_is_given_up(fixed: Fixed) -> None:
    events = await fixed.respond(input="[[call slow {}]] [[call steady {}]]")
    assert outputs(events, "slow") == [GIVEN_UP]
    assert outputs(events, "steady") == [("completed", "fine")]
    assert [*Counter(fixed.called.tokens["slow"]).values()] == [MAX_TRIES]
    assert len(fixed.called.tokens["steady"]) == 1
    assert fixed.failures(events[-1]["response"]["id"]) == []


ONE_AT_A_TIME = {"parameters": {"WorkerConcurrency": "1"}}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fixed", [ONE_AT_A_TIME], indirect=True)
async def test_loops_that_lambda_has_no_sandbox_for_wait_and_each_of_them_ends(fixed: Fixed) -> None:
    """They hold no more than the brake allows, and a refused task of one costs the others nothing."""
    every = await asyncio.gather(*(fixed.respond(input="[[call steady {}]]") for _ in range(3)))
    assert [outputs(events, "steady") for events in every] == [[("completed", "fine")]] * 3
    failures = Counter(error for events in every for error in fixed.failures(events[-1]["response"]["id"]))
    assert failures.keys() == {"Lambda.TooManyRequestsException"}
    assert len({*fixed.called.tokens["steady"]}) == len(fixed.called.tokens["steady"]) == 3


@pytest.fixture
def upstream(fixed: Fixed) -> Iterator[FakeUpstream]:
    """A provider that can be scripted."""
    context = fake_upstream("chat_completions")
    upstream = fixed.deployment.do(context.__aenter__())
    fixed.deployment.configure("providers/fake", {**upstream.settings, "retries": 0})
    yield upstream
    fixed.deployment.do(context.__aexit__(None, None, None))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fixed", [SHORT], indirect=True)
async def test_a_turn_that_is_slower_than_its_worker_lives_is_closed_and_taken_again(
    fixed: Fixed, upstream: FakeUpstream
) -> None:
    model = f"fake/{upstream.settings['models'][0]}"
    events = await fixed.respond(model=model, tools=[], input="/fake stall;tokens=3;fails=1")
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["status"] for item in done] == ["incomplete", "completed"]
    assert events[-1]["response"]["output"] == done[1:]
    assert fixed.failures(events[-1]["response"]["id"]) == ["TurnTimeout"]

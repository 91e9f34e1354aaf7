"""Calls that wait, in the whole deployment: the example that answers later, the command that answers, and readers."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError

from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import PrivateFolder
from tests.manage.conftest import Ran, run
from tests.openresponses_schema import check_response
from tests.statemachine.engine_cloud import (
    LIMIT_S,
    AwsCall,
    Deployment,
    Json,
    Reply,
    Watch,
    deployed,
    finished,
    followed,
    stream,
)
from tests.stream_checker import check_stream
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("parked")
REFUND = {"type": "serverless:refund"}
ASK: Json = {"type": "serverless:ask"}
PARAMETER = {"function": "openresponses-tool-ask", "answers": "later", "timeout": 100}
COMMAND = re.compile(r"openresponses tools answer (\S+) --output")


class Tool:
    """A Lambda function that notes its events, and returns at once."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.called = threading.Condition()

    def __call__(self, event: bytes) -> bytes:
        with self.called:
            self.events.append(json.loads(event))
            self.called.notify_all()
        return b'"ignored"'

    def asked(self, count: int) -> list[Json]:
        with self.called:
            assert self.called.wait_for(lambda: len(self.events) >= count, LIMIT_S), self.events
            return self.events[:count]


@dataclass
class House:
    deployment: Deployment
    log: Path

    def answer(self, *words: str) -> Ran:
        return run("tools", "answer", *words, "--local", self.deployment.cloud.origin)

    def token(self, order: str) -> str:
        """What the example says in its log."""
        limit = time.monotonic() + LIMIT_S
        while True:
            _, found, after = self.log.read_text().partition(f'for order "{order}" waits')
            if found and (token := COMMAND.search(after)):
                return token[1]
            assert time.monotonic() < limit, "nobody was asked"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("parked")
    log = Log(None, file=folder / "log")
    options: dict[str, Any] = {
        "parameters": {"ExampleTool": "true"},
        "ssm": {
            "/openresponses/local/tools/ask": json.dumps(PARAMETER),
            "/openresponses/local/tools/brief": json.dumps({**PARAMETER, "timeout": 1}),
        },
        "private": PrivateFolder(folder),
        "log": log,
    }
    with closing(log), deployed(**options) as deployment:
        yield House(deployment, folder / "log")


@pytest.fixture
def tool(house: House) -> Tool:
    tool = Tool()
    house.deployment.cloud.add_function("openresponses-tool-ask", tool)
    house.deployment.cloud.watch = Watch()
    return tool


def body(words: str, **more: Any) -> Json:
    return {"model": "offline/demo", "input": words, "tools": [REFUND, ASK], **more}


async def created(http: httpx2.AsyncClient, words: str, **more: Any) -> str:
    answer = await http.post("/responses", json=body(words, background=True, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def calls(response: Json) -> list[tuple[str, str | None]]:
    return [(each["status"], each["output"]) for each in response["output"] if "output" in each]


async def test_a_person_approves_a_refund_once_and_the_answer_that_comes_too_late_is_told_so(house: House) -> None:
    async with house.deployment.http() as http:
        response_id = await created(http, '[[call refund {"order": "17", "amount": 12}]] Refund it.')
        token = await asyncio.to_thread(house.token, "17")
        waits = (await http.get(f"/responses/{response_id}")).json()
        assert (waits["status"], calls(waits)) == ("in_progress", [("in_progress", None)])
        answered = await asyncio.to_thread(house.answer, token, "--output", "Approved")
        assert (answered.status, answered.err) == (0, "")
        response = await finished(http, response_id)
        check_response(response)
        assert (response["status"], calls(response)) == ("completed", [("completed", "Approved")])
        check_stream(await followed(http, response_id))
        again = await asyncio.to_thread(house.answer, token, "--output", "Approved")
        assert again.status == 1
        assert "this call waits no more: it was answered, its time is over, or its response has ended" in again.err


async def test_a_refusal_is_told_to_the_model_and_so_is_what_fails_at_once(house: House) -> None:
    words = '[[call refund {"order": "18", "amount": 13}]] [[call refund {"order": "19", "amount": 99999}]] Both.'
    async with house.deployment.http() as http:
        response_id = await created(http, words, parallel_tool_calls=True)
        token = await asyncio.to_thread(house.token, "18")
        await asyncio.to_thread(house.answer, token, "--error", "The order was not paid.")
        response = await finished(http, response_id)
    assert response["status"] == "completed"
    (refused, failed) = sorted(calls(response), key=lambda each: "paid" not in str(each[1]))
    assert refused == ("failed", "The order was not paid.")
    assert failed[0] == "failed"
    assert "amount must be a number above 0, of 10000 at most" in str(failed[1])


def test_the_command_says_that_a_token_is_none(house: House) -> None:
    unknown = house.answer("made-up", "--output", "x")
    assert unknown.status == 1
    assert "this is no token of a call in the local cloud" in unknown.err


@pytest.mark.parametrize("backwards", [False, True])
async def test_two_calls_of_a_turn_are_answered_in_either_order_while_their_client_listens(
    house: House, tool: Tool, backwards: bool
) -> None:
    sfn = house.deployment.cloud.aws.client("stepfunctions")
    words = '[[call ask {"n": 1}]] [[call ask {"n": 2}]] Ask both.'
    async with house.deployment.http() as http:
        request = body(words, stream=True, parallel_tool_calls=True, stream_options={"include_obfuscation": False})
        listening = asyncio.create_task(stream(http, "POST", "/responses", json=request))
        events = await asyncio.to_thread(tool.asked, 2)
        for event in sorted(events, key=lambda each: each["arguments"]["n"], reverse=backwards):
            output = json.dumps({"yes": event["arguments"]["n"]})
            await asyncio.to_thread(sfn.send_task_success, taskToken=event["task_token"], output=output)
            await asyncio.sleep(0.2)
        seen = await listening
        response = check_stream(seen)
        assert calls(response) == [("completed", '{"yes": 1}'), ("completed", '{"yes": 2}')]
        assert [event["sequence_number"] for event in seen] == [*range(len(seen))]
        assert await followed(http, response["id"]) == seen
    assert {event["idempotency_token"] for event in events} == {each["id"] for each in response["output"][:2]}
    assert {event["response_id"] for event in events} == {response["id"]}


async def test_cancelling_what_waits_ends_it_and_its_token(house: House, tool: Tool) -> None:
    sfn = house.deployment.cloud.aws.client("stepfunctions")
    async with house.deployment.http() as http:
        response_id = await created(http, "[[call ask {}]] Ask.")
        (event,) = await asyncio.to_thread(tool.asked, 1)
        cancelled = (await http.post(f"/responses/{response_id}/cancel")).json()
        assert (cancelled["status"], calls(cancelled)) == ("cancelled", [("incomplete", None)])
        with pytest.raises(ClientError, match="TaskTimedOut"):
            await asyncio.to_thread(sfn.send_task_success, taskToken=event["task_token"], output='"yes"')
        assert (await http.get(f"/responses/{response_id}")).json() == cancelled
    assert response_id not in house.deployment.running()


async def test_deleting_what_waits_leaves_nothing(house: House, tool: Tool) -> None:
    async with house.deployment.http() as http:
        response_id = await created(http, "[[call ask {}]] Ask.")
        await asyncio.to_thread(tool.asked, 1)
        assert (await http.delete(f"/responses/{response_id}")).status_code == 200
        assert (await http.get(f"/responses/{response_id}")).status_code == 404
    assert response_id not in house.deployment.running()
    assert house.deployment.item(response_id, "record") == {}


async def test_what_is_not_stored_can_offer_no_such_tool(house: House, tool: Tool) -> None:
    async with house.deployment.http() as http:
        answer = await http.post("/responses", json=body("[[call ask {}]]", store=False))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "tools[0].type", "requires_store")
    assert tool.events == []


async def test_the_answer_that_was_not_in_time_is_told_to_the_model(house: House, tool: Tool) -> None:
    async with house.deployment.http() as http:
        answer = await http.post(
            "/responses",
            json={**body("[[call brief {}]] Ask.", background=True), "tools": [{"type": "serverless:brief"}]},
        )
        response = await finished(http, answer.json()["id"])
    assert calls(response) == [("failed", "Nobody answered in time. Go on without it.")]
    assert (response["status"], len(tool.events)) == ("completed", 1)


class Kill(Watch):
    """Kills the worker of a response once, at the first call to AWS that fits: before it takes effect, or after."""

    def __init__(self, deployment: Deployment, word: str, *, after: bool) -> None:
        self._deployment, self._word, self._after = deployment, word, after
        self.killed = False
        self._doomed: AwsCall | None = None

    def before(self, call: AwsCall) -> Reply | None:
        fits = call.role == "WorkerFunction" and self._word in f"{call.operation} {call.body.decode('latin-1')}"
        if not fits or self.killed or self._doomed:
            return None
        if self._after:
            self._doomed = call
            return None
        return self._strike(call)

    def after(self, call: AwsCall) -> None:
        if call is self._doomed:
            self._strike(call)

    def _strike(self, call: AwsCall) -> Reply:
        self.killed = True
        self._deployment.kill(call.who)
        return Reply(500)


POINTS = {
    "the tool is invoked": ("task_token", 2),
    "the answer is kept": ("answer#htc", 1),
    "it is read": ("answer#~", 1),
}


async def test_a_worker_that_dies_as_something_happens_loses_nothing(house: House, tool: Tool, sweep: Sweep) -> None:
    """A worker that dies as it invokes the tool may have invoked it: it is invoked again, with another token."""
    sfn = house.deployment.cloud.aws.client("stepfunctions")
    for name, after in sweep.sample([(name, after) for name in POINTS for after in (False, True)], 1):
        word, asked = POINTS[name]
        kill = house.deployment.cloud.watch = Kill(house.deployment, word, after=after)
        tool.events.clear()
        count = asked if after else 1
        async with house.deployment.http() as http:
            response_id = await created(http, "[[call ask {}]] Ask.")
            events = await asyncio.to_thread(tool.asked, count)
            await asyncio.to_thread(sfn.send_task_success, taskToken=events[-1]["task_token"], output='"yes"')
            response = await finished(http, response_id)
            check_stream(await followed(http, response_id))
        assert kill.killed, name
        assert (response["status"], calls(response)) == ("completed", [("completed", "yes")])
        assert len(tool.events) == count
        assert len({event["idempotency_token"] for event in events}) == 1
        assert len({event["task_token"] for event in events}) == count

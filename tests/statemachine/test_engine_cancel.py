"""Cancelling a response wherever it is: its status is `cancelled`, every item is closed, and its stream goes on in
sequence to its one end, which is `response.incomplete`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import httpx2
import pytest

from tests.openresponses_schema import check_response
from tests.statemachine.engine_cloud import LIMIT_S, AwsCall, Deployment, Json, Reply, Watch, deployed, followed, stream
from tests.stream_checker import TERMINAL, check_items, check_stream

SLOW = {"type": "serverless:slow"}
PARAMETER = {"function": "openresponses-tool-slow", "description": "Takes its time.", "timeout": 100}
ENDLESS = "[[words 2000]] [[slow 20ms]]"
STREAM: Json = {"model": "offline/demo", "stream": True, "stream_options": {"include_obfuscation": False}}


class Slow:
    """A Lambda function that answers when it is told to."""

    def __init__(self) -> None:
        self.called, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, event: bytes) -> bytes:
        self.called.set()
        assert self.may_answer.wait(LIMIT_S)
        return b'"At last."'


class Gate(Watch):
    """Holds a task back as it begins, until it is told to go on: the state machine's first one, or a later one."""

    def __init__(self, task: int = 0) -> None:
        self.held, self.may_go = threading.Event(), threading.Event()
        self._task, self._begun = task, 0

    def before(self, call: AwsCall) -> Reply | None:
        if call.role == "WorkerFunction" and call.operation == "BatchGetItem":  # of the record: a task reads it first
            self._begun += 1
            if self._begun > self._task:
                self.held.set()
                assert self.may_go.wait(LIMIT_S)
        return None


@pytest.fixture(scope="module")
def _deployment() -> Iterator[Deployment]:
    with deployed(ssm={"/openresponses/local/tools/slow": json.dumps(PARAMETER)}, retry_scale=0.1) as deployment:
        yield deployment


@pytest.fixture
def slow(_deployment: Deployment) -> Iterator[Slow]:
    slow = Slow()
    _deployment.cloud.add_function("openresponses-tool-slow", slow)
    yield slow
    slow.may_answer.set()


@pytest.fixture
def deployment(_deployment: Deployment, slow: Slow) -> Iterator[Deployment]:
    yield _deployment
    slow.may_answer.set()
    limit = time.monotonic() + LIMIT_S
    while _deployment.running():
        assert time.monotonic() < limit, "a test left an execution running"
        time.sleep(0.05)


@pytest.fixture
async def http(deployment: Deployment):  # type: ignore[no-untyped-def]
    async with deployment.http() as http:
        yield http


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, LIMIT_S)


async def cancel(http: httpx2.AsyncClient, response_id: str) -> Json:
    answer = await http.post(f"/responses/{response_id}/cancel")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def judged(http: httpx2.AsyncClient, cancelled: Json) -> list[Json]:
    """Asserts that the response is as a cancelled one must be, and stays so. Returns its events."""
    check_response(cancelled)
    assert cancelled["status"] == "cancelled"
    assert all(item["status"] != "in_progress" for item in cancelled["output"])
    assert await cancel(http, cancelled["id"]) == cancelled, "cancelled once more"
    assert (await http.get(f"/responses/{cancelled['id']}")).json() == cancelled
    events = await followed(http, cancelled["id"])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == ["response.incomplete"]
    assert events[-1]["response"] == cancelled
    middle = [event for event in events if "output_index" in event]
    assert check_items(middle) == cancelled["output"]
    return events


async def in_background(http: httpx2.AsyncClient, **request: object) -> str:
    made = await http.post("/responses", json={"model": "offline/demo", "background": True, **request})
    assert made.json()["status"] == "queued"
    return made.json()["id"]


def of_stream(events: list[Json]) -> str:
    return events[0]["response"]["id"]


async def reading(
    http: httpx2.AsyncClient, method: str, path: str, until: Callable[[list[Json]], Awaitable[bool]], **options: object
) -> tuple[list[Json], Json]:
    """Reads a stream to its end; cancels its response once `until` says so. Returns the events, and the answer."""
    events: list[Json] = []
    cancelling: asyncio.Task[Json] | None = None
    async with http.stream(method, path, **options) as answer:  # type: ignore[arg-type]
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                events.append(json.loads(line.removeprefix("data: ")))
                if cancelling is None and await until(events):
                    cancelling = asyncio.create_task(cancel(http, of_stream(events)))
    assert cancelling
    return events, await cancelling


async def some_words(events: list[Json]) -> bool:
    return sum(event["type"] == "response.output_text.delta" for event in events) >= 5


async def test_while_the_model_speaks_in_the_background(http: httpx2.AsyncClient, deployment: Deployment) -> None:
    body = {**STREAM, "background": True, "input": ENDLESS}
    seen, cancelled = await reading(http, "POST", "/responses", some_words, json=body)
    assert await judged(http, cancelled) == seen
    assert cancelled["output"][0]["status"] == "incomplete"
    assert cancelled["output"][0]["content"][0]["text"].startswith("This is")
    statuses = {execution.name: execution.status for execution in deployment.cloud.aws.executions()}
    # The worker may hear of the cancel, and end its execution itself, before StopExecution comes.
    assert statuses[cancelled["id"]] in ("ABORTED", "SUCCEEDED")


async def test_while_the_model_speaks_inline(http: httpx2.AsyncClient) -> None:
    """The client that made the response sees its stream end."""
    seen, cancelled = await reading(http, "POST", "/responses", some_words, json={**STREAM, "input": ENDLESS})
    assert await judged(http, cancelled) == seen
    assert cancelled["output"][0]["content"][0]["text"].startswith("This is")


async def test_while_a_tool_runs_in_the_background(
    http: httpx2.AsyncClient, deployment: Deployment, slow: Slow
) -> None:
    response_id = await in_background(http, input="[[call slow {}]]", tools=[SLOW])
    await happened(slow.called)
    cancelled = await cancel(http, response_id)
    events = await judged(http, cancelled)
    assert [item["status"] for item in cancelled["output"]] == ["incomplete"]
    slow.may_answer.set()
    while deployment.running():
        await asyncio.sleep(0.05)
    assert await judged(http, cancelled) == events, "an answer that comes too late changes nothing"


async def test_while_a_tool_runs_inline(http: httpx2.AsyncClient, slow: Slow) -> None:
    async def running(events: list[Json]) -> bool:
        if events[-1]["type"] == "response.output_item.added":
            await happened(slow.called)
            return True
        return False

    body = {**STREAM, "input": "[[call slow {}]]", "tools": [SLOW]}
    seen, cancelled = await reading(http, "POST", "/responses", running, json=body)
    assert await judged(http, cancelled) == seen
    assert [item["status"] for item in cancelled["output"]] == ["incomplete"]


async def test_while_it_is_queued(http: httpx2.AsyncClient, deployment: Deployment) -> None:
    deployment.cloud.watch = gate = Gate()
    try:
        response_id = await in_background(http, input=ENDLESS)
        await happened(gate.held)
        cancelled = await cancel(http, response_id)
        assert cancelled["output"] == []
        gate.may_go.set()
        events = await judged(http, cancelled)
        assert [event["type"] for event in events] == [
            "response.created",
            "response.queued",
            "response.incomplete",
        ]
        while deployment.running():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)  # the worker that was held back finds nothing to do
        assert await judged(http, cancelled) == events
    finally:
        gate.may_go.set()
        deployment.cloud.watch = Watch()


async def test_while_it_waits_for_a_retry(http: httpx2.AsyncClient) -> None:
    """The provider is throttled in its second turn: eight retries, some seconds in all."""
    asked = {"input": '[[call calculator {"expression": "1"}]] [[turns 2]] [[throttle in turn 2]]'}
    body = {**STREAM, **asked, "background": True, "tools": [{"type": "serverless:calculator"}]}

    async def answered(events: list[Json]) -> bool:
        if events[-1]["type"] == "response.output_item.done":
            await asyncio.sleep(0.5)
            return True
        return False

    seen, cancelled = await reading(http, "POST", "/responses", answered, json=body)
    assert await judged(http, cancelled) == seen
    assert [item["status"] for item in cancelled["output"]] == ["completed"]


async def test_while_it_is_given_up(http: httpx2.AsyncClient, deployment: Deployment) -> None:
    deployment.cloud.watch = gate = Gate(task=6)  # after five retries
    try:
        response_id = await in_background(http, input="[[error]]")
        await happened(gate.held)
        cancelled = await cancel(http, response_id)
        gate.may_go.set()
        events = await judged(http, cancelled)
        while deployment.running():
            await asyncio.sleep(0.05)
        assert await judged(http, cancelled) == events
    finally:
        gate.may_go.set()
        deployment.cloud.watch = Watch()


@pytest.mark.parametrize("background", [False, True])
async def test_by_three_at_once(http: httpx2.AsyncClient, background: bool) -> None:
    body = {**STREAM, "background": background, "input": ENDLESS}

    async def others(events: list[Json]) -> bool:
        if not await some_words(events):
            return False
        more.extend(asyncio.create_task(cancel(http, of_stream(events))) for _ in range(2))
        return True

    more: list[asyncio.Task[Json]] = []
    seen, cancelled = await reading(http, "POST", "/responses", others, json=body)
    answers = [cancelled, *await asyncio.gather(*more)]
    assert answers == [cancelled] * 3
    assert await judged(http, cancelled) == seen


@pytest.mark.parametrize("background", [False, True])
async def test_after_it_has_ended(http: httpx2.AsyncClient, background: bool) -> None:
    events = await stream(http, "POST", "/responses", json={**STREAM, "background": background, "input": "Hello."})
    final = check_stream(events)
    assert final["status"] == "completed"
    assert await cancel(http, final["id"]) == final
    assert await followed(http, final["id"]) == events


async def test_what_is_not_there(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/responses/resp_nobody/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "response_not_found")

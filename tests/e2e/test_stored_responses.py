"""Stored responses, with the official SDKs, against the local cloud's table, bucket and state machine."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import httpx2
import pytest
from agents import Agent, ModelSettings, OpenAIResponsesModel, RunConfig, Runner, set_tracing_disabled
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from tests.e2e.conftest import Endpoint
from tests.openresponses_schema import check_event, check_response
from tests.sweeps import Sweep

set_tracing_disabled(True)
CALCULATOR: Any = [{"type": "serverless:calculator"}]
OVER = ("completed", "incomplete", "failed", "cancelled")


@pytest.fixture(scope="module")
def client(cloud: Endpoint) -> OpenAI:
    return OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0, timeout=60)


def finished(client: OpenAI, response_id: str) -> Any:
    until = time.monotonic() + 60
    while (response := client.responses.retrieve(response_id)).status not in OVER:
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.1)
    return response


def text_of(events: list[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_a_stored_response_is_read_listed_and_deleted(client: OpenAI) -> None:
    made = client.responses.create(model="offline/demo", input="Hello there")
    assert made.store is True  # type: ignore[attr-defined]
    assert client.responses.retrieve(made.id).to_dict(warnings=False) == made.to_dict(warnings=False)
    listed = client.responses.input_items.list(made.id)
    assert [item.content[0].text for item in listed] == ["Hello there"]  # type: ignore[union-attr]
    client.responses.delete(made.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)


def test_a_conversation_goes_on_and_branches(client: OpenAI) -> None:
    first = client.responses.create(model="offline/demo", input="My name is Ada.")
    second = client.responses.create(model="offline/demo", input="Two", previous_response_id=first.id)
    branch = client.responses.create(model="offline/demo", input="Other", previous_response_id=first.id)
    assert len(client.responses.input_items.list(second.id, limit=100).data) == 3
    assert branch.previous_response_id == first.id
    with pytest.raises(NotFoundError) as missing:
        client.responses.create(model="offline/demo", input="x", previous_response_id="resp_nope")
    assert missing.value.code == "previous_response_not_found"


def test_what_is_not_to_be_stored_is_not_there(client: OpenAI) -> None:
    made = client.responses.create(model="offline/demo", input="Hello", store=False)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(BadRequestError):
        client.responses.create(model="offline/demo", input="x", store=False, background=True)


def test_a_background_response_runs_without_its_client(client: OpenAI) -> None:
    queued = client.responses.create(
        model="offline/demo", input="What is 15 * 37? [[turns 3]]", tools=CALCULATOR, background=True
    )
    assert queued.status == "queued"
    done = finished(client, queued.id)
    assert done.status == "completed"
    assert "555" in done.output_text
    check_response(done.to_dict(warnings=False))


def test_a_background_stream_is_followed_and_resumed(client: OpenAI) -> None:
    stream = client.responses.create(
        model="offline/demo", input="[[words 40]] [[slow 10ms]] Go.", background=True, stream=True
    )
    seen: list[Any] = []
    for event in stream:
        seen.append(event)
        if len(seen) == 12:
            break
    stream.close()
    rest = list(client.responses.retrieve(seen[0].response.id, stream=True, starting_after=seen[-1].sequence_number))
    events = [*seen, *rest]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert text_of(events) == events[-1].response.output_text
    for event in events:
        check_event(event.to_dict(warnings=False))


def accounts(cloud: Endpoint, response_id: str) -> list[tuple[str, Any]]:
    """What the functions logged of the response's end, with their names. They do so as its client hears of it."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        lines = [line.partition(" | ") for line in cloud.log_lines() if response_id in line]
        logged = [(function, json.loads(line)) for function, _, line in lines if line.startswith("{")]
        if found := [(function, line) for function, line in logged if line["message"] == "response"]:
            return found
        time.sleep(0.1)
    return []


def test_a_long_loop_is_handed_off_on_one_connection(cloud: Endpoint, client: OpenAI) -> None:
    """Fourteen turns: more than the ten that one invocation may take."""
    events = list(
        client.responses.create(
            model="offline/demo", input="What is 15 * 37? [[turns 14]]", tools=CALCULATOR, stream=True
        )
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    calls = [item for item in events[-1].response.output if str(item.type) == "serverless:calculator"]
    assert len(calls) == 14
    [(function, account)] = accounts(cloud, events[-1].response.id)
    assert (function, account["status"]) == ("WorkerFunction", "completed")
    assert (account["turns"], account["tool_calls"], account["key_id"]) == (15, 14, "plantedclien")
    used = events[-1].response.usage
    assert used.input_tokens > 0
    assert (account["input_tokens"], account["output_tokens"]) == (used.input_tokens, used.output_tokens)
    again = list(client.responses.retrieve(events[0].response.id, stream=True))  # type: ignore[union-attr]
    assert [event.to_dict(warnings=False) for event in again] == [
        {k: v for k, v in event.to_dict(warnings=False).items() if k != "obfuscation"} for event in events
    ] or [event.type for event in again] == [event.type for event in events]


def test_a_response_is_cancelled_twice_and_stays_cancelled(client: OpenAI) -> None:
    queued = client.responses.create(model="offline/demo", input="[[stall after 3]]", background=True)
    until = time.monotonic() + 30
    while client.responses.retrieve(queued.id).status != "in_progress" and time.monotonic() < until:
        time.sleep(0.1)
    assert client.responses.cancel(queued.id).status == "cancelled"
    cancelled = client.responses.cancel(queued.id)
    assert cancelled.status == "cancelled"
    assert all(getattr(item, "status", None) != "in_progress" for item in cancelled.output)
    assert list(client.responses.retrieve(queued.id, stream=True))[-1].response.status == "cancelled"  # type: ignore[union-attr]


async def test_an_idempotency_key_makes_one_response(cloud: Endpoint) -> None:
    headers = {"authorization": f"Bearer {cloud.api_key}", "idempotency-key": uuid.uuid4().hex}
    body = {"model": "offline/demo", "input": "Once."}
    async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=60) as client:
        answers = await asyncio.gather(*(client.post("/responses", json=body) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len({answer.text for answer in answers}) == 1
        other = await client.post("/responses", json={**body, "input": "Twice."})
        assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")
        streamed = await client.post("/responses", json={**body, "stream": True})
        assert streamed.status_code == 400


async def test_a_request_that_was_refused_upstream_may_come_again_under_its_key(cloud: Endpoint) -> None:
    """As the SDKs do: they retry a 429 with the same key. The upstream refuses the first of them only."""
    headers = {"authorization": f"Bearer {cloud.api_key}", "idempotency-key": uuid.uuid4().hex}
    body = {"model": "fake/text", "input": f"/fake throttle;fails=1;say={uuid.uuid4().hex}", "stream": True}
    async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=60) as client:
        # A cold start may take longer than a refusal may take to be a status.
        warm = {**body, "input": "/fake text", "store": False}
        assert (await client.post("/responses", json=warm, headers={"idempotency-key": uuid.uuid4().hex})).is_success
        assert (await client.post("/responses", json=body)).status_code == 429
        assert "response.completed" in (await client.post("/responses", json=body)).text


async def test_two_resumers_at_once_read_the_same(cloud: Endpoint) -> None:
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0, timeout=60) as client:
        queued = await client.responses.create(
            model="offline/demo", input="[[words 30]] [[slow 20ms]]", background=True
        )

        async def text() -> str:
            stream = await client.responses.retrieve(queued.id, stream=True)
            return text_of([event async for event in stream])

        one, two = await asyncio.gather(text(), text())
    assert one == two
    assert len(one.split()) == 30


async def test_many_background_responses_at_once_finish(cloud: Endpoint, sweep: Sweep) -> None:
    """Fifty, or in a plain run fifteen: more than there are sandboxes of a function."""
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=4, timeout=120) as client:
        few = asyncio.Semaphore(4)  # at the API: the executions all run at once

        async def one(n: int) -> str:
            async with few:
                queued = await client.responses.create(
                    model="offline/demo", input=f"What is {n} * 2?", tools=CALCULATOR, background=True
                )
            until, done = time.monotonic() + 100, queued
            while done.status not in OVER:
                assert time.monotonic() < until
                await asyncio.sleep(0.5)
                async with few:
                    done = await client.responses.retrieve(queued.id)
            return f"{done.status} {str(n * 2) in done.output_text}"

        results = await asyncio.gather(*(one(n) for n in range(50 if sweep.full else 15)))
    assert set(results) == {"completed True"}


async def test_the_agents_sdk_goes_on_from_a_stored_response(cloud: Endpoint) -> None:
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
        model = OpenAIResponsesModel("offline/demo", client)
        agent = Agent(name="Guide", instructions="Answer.", model=model, model_settings=ModelSettings(store=True))
        config = RunConfig(tracing_disabled=True)
        first = await Runner.run(agent, "My name is Ada.", run_config=config)
        second = await Runner.run(agent, "What is it?", previous_response_id=first.last_response_id, run_config=config)
        listed = await client.responses.input_items.list(str(second.last_response_id))
    assert len(listed.data) == 3

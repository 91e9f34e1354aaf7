"""The official OpenAI SDK, unmodified, against the local cloud."""

from typing import Any

import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

from tests.e2e.conftest import Endpoint
from tests.openresponses_schema import check_event, check_response
from tests.stream_checker import check_stream

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture(scope="module")
def client(cloud: Endpoint) -> OpenAI:
    return OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0)


@pytest.mark.parametrize("model", ["offline/demo", "fake/text"])
def test_a_plain_request_is_answered(client: OpenAI, model: str) -> None:
    raw = client.responses.with_raw_response.create(model=model, input="Say planted-prompt.", metadata={"a": "b"})
    check_response(raw.http_response.json())
    response = raw.parse()
    assert (response.status, response.model, response.metadata) == ("completed", model, {"a": "b"})
    assert response.output_text
    assert response.usage
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0


@pytest.mark.parametrize("model", ["offline/demo", "fake/text"])
def test_a_streamed_request_is_answered_event_by_event(client: OpenAI, model: str) -> None:
    events = [e.to_dict() for e in client.responses.create(model=model, input="Count to five.", stream=True)]
    for event in events:
        check_event(event)
    check_stream(events)
    text = "".join(str(e["delta"]) for e in events if e["type"] == "response.output_text.delta")
    with client.responses.stream(model=model, input="Count to five.") as stream:
        assert stream.get_final_response().output_text == text


def test_a_function_is_called_and_its_output_answered(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "What is the weather in Lima in celsius?"}]
    first = client.responses.create(model="offline/demo", input=asked, tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert '"celsius"' in call.arguments
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 19}'}
    second = client.responses.create(
        model="offline/demo", input=[*asked, *(item.to_dict() for item in first.output), answer], tools=[WEATHER]
    )
    assert "19" in second.output_text


def test_a_hosted_tool_runs_here_and_its_item_round_trips(client: OpenAI) -> None:
    tools: Any = [{"type": "serverless:calculator"}]
    raw = client.responses.with_raw_response.create(model="offline/demo", input="What is 15 * 37?", tools=tools)
    body = raw.http_response.json()
    check_response(body)
    (call,) = [item for item in body["output"] if item["type"] == "serverless:calculator"]
    assert (call["status"], call["output"]) == ("completed", "555")
    assert "555" in raw.parse().output_text
    again: Any = [{"role": "user", "content": "What is 15 * 37?"}, *body["output"], {"role": "user", "content": "Ok?"}]
    assert client.responses.create(model="offline/demo", input=again).status == "completed"


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


@pytest.mark.parametrize("model", ["offline/demo"])
def test_structured_output_is_parsed(client: OpenAI, model: str) -> None:
    parsed = client.responses.parse(model=model, input="Ada is 36.", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)
    with client.responses.stream(model=model, input="Ada is 36.", text_format=Person) as stream:
        assert stream.get_final_response().output_parsed == parsed.output_parsed


def test_reasoning_streams_under_the_names_that_the_sdk_knows(client: OpenAI) -> None:
    kinds: set[str] = set()
    stream = client.responses.create(
        model="offline/demo",
        input="Think.",
        stream=True,
        reasoning={"effort": "low", "summary": "auto"},
        extra_headers={"openresponses-event-names": "openai"},
    )
    for event in stream:
        kinds.add(event.type)
    assert {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"} <= kinds
    assert "response.reasoning.delta" not in kinds


def test_errors_arrive_as_the_sdks_own(client: OpenAI, cloud: Endpoint) -> None:
    with pytest.raises(NotFoundError) as missing:
        client.responses.create(model="offline/none", input="x")
    assert missing.value.param == "model"
    with pytest.raises(BadRequestError) as bad:
        client.responses.create(model="offline/demo", input="x", temperature=9)
    assert bad.value.param == "temperature"
    with pytest.raises(AuthenticationError):
        OpenAI(base_url=cloud.base_url, api_key="wrong", max_retries=0).responses.create(
            model="offline/demo", input="x"
        )


def test_models_are_listed(client: OpenAI) -> None:
    assert {"offline/demo", "fake/text"} <= {model.id for model in client.models.list()}


async def test_many_clients_stream_at_once(cloud: Endpoint) -> None:
    import asyncio

    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:

        async def one(n: int) -> str:
            stream = await client.responses.create(model="offline/demo", input=f"Number {n}", stream=True)
            return "".join([e.delta async for e in stream if e.type == "response.output_text.delta"])

        texts = await asyncio.gather(*(one(n) for n in range(6)))
    assert all(f"{n}" in text for n, text in enumerate(texts))
    assert len(set(texts)) == 6

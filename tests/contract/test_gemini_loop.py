"""The engine's loop against a server that refuses what Google's does: what we send back, it takes."""

import json
from typing import Any

import httpx2
import pytest

from openresponses.core.errors import ProviderMisconfigured, ProviderRejected, ProviderThrottled
from openresponses.core.run import Run
from openresponses.core.settings import ProviderSettings
from openresponses.schema.server_items import HostedToolCall
from tests.contract import turns
from tests.contract.gemini_types import check_request
from tests.contract.turns import SCHEMA
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.fakes.wire import Rules

LOOK = {"type": "function", "name": "look", "parameters": SCHEMA}
SIGNING = Rules(reasoning=True)


async def driven(upstream: FakeUpstream, directive: str, api_key: str = "", **fields: Any) -> Run:
    settings = ProviderSettings(name="v", dialect="gemini", base_url=upstream.url, api_key=api_key)
    return await turns.driven(settings, model=f"gemini-3-flash-preview!{directive}", **fields)


def steps(upstream: FakeUpstream) -> list[list[str | None]]:
    """The signature of each call, step by step, of the last request."""
    return [
        [part.get("thoughtSignature") for part in content["parts"] if "functionCall" in part]
        for content in upstream.requests[-1].body["contents"]
        if content["role"] == "model" and "functionCall" in json.dumps(content)
    ]


@pytest.mark.parametrize("thoughts", [0, 3])
async def test_a_loop_of_parallel_hosted_calls_is_accepted_in_every_turn(thoughts: int) -> None:
    async with fake_upstream("gemini", rules=SIGNING) as upstream:
        directive = f"tools;turns=3;parallel=2;reasoning={thoughts}"
        tools = [{"type": "serverless:clock"}]
        run = await driven(upstream, directive, tools=tools, instructions="Be exact.", max_output_tokens=999)
    last = ["reasoning"] if thoughts else []
    turn = ["reasoning", "serverless:clock", "serverless:clock"]
    assert [item.type for item in run.response.output] == [*turn * 3, *last, "message"]
    assert [(len(step), bool(step[0]), step[1]) for step in steps(upstream)] == [(2, True, None)] * 3
    assert (len(upstream.requests), upstream.connections, run.turns) == (4, 1, 4)
    for request in upstream.requests:
        check_request(request.body)


async def test_calls_without_ids_are_given_some() -> None:
    async with fake_upstream("gemini", rules=SIGNING) as upstream:
        run = await driven(upstream, "tools;turns=2;parallel=2;ids=0", tools=[{"type": "serverless:clock"}])
    calls = [item.call_id for item in run.response.output if isinstance(item, HostedToolCall)]
    assert (len(set(calls)), all(calls)) == (4, True)


async def test_what_a_response_said_can_be_sent_back_with_the_outputs_of_its_calls() -> None:
    async with fake_upstream("gemini", rules=SIGNING) as upstream:
        first = await driven(upstream, "tools;parallel=3;reasoning=2;say=Let me see", tools=[LOOK])
        output = [item.model_dump(mode="json") for item in first.response.output]
        answers = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
            for item in output
            if item["type"] == "function_call"
        ]
        question = {"role": "user", "content": "What do you see?"}
        asked = [question, *output, *reversed(answers)]
        second = await driven(upstream, "tools;parallel=3;reasoning=2", tools=[LOOK], input=asked)
    kinds = ["reasoning", "message", "reasoning", "function_call", "function_call", "function_call"]
    assert [item["type"] for item in output] == kinds
    said = second.response.output[-1].model_dump()["content"][0]["text"]
    seen = [f"seen gemini_call_fake_0_{index}" for index in range(3)]
    assert said.split() == ["The", "tools", "said:", *" ".join(seen).split()]


async def test_an_answer_s_signature_goes_back_on_an_empty_text_after_it() -> None:
    async with fake_upstream("gemini", rules=SIGNING) as upstream:
        first = await driven(upstream, "text;say=Noon;signed_text=1")
        output = [item.model_dump(mode="json") for item in first.response.output]
        await driven(
            upstream, "text", input=[{"role": "user", "content": "Hi"}, *output, {"role": "user", "content": "?"}]
        )
        parts = upstream.requests[-1].body["contents"][1]["parts"]
    assert [item["type"] for item in output] == ["message", "reasoning"]
    assert [part["text"] for part in parts] == ["Noon ", ""]
    assert "thoughtSignature" in parts[1]


async def test_calls_of_another_provider_are_accepted() -> None:
    history = [
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "T"}]},
        {"type": "function_call", "call_id": "functions.look:0", "name": "look", "arguments": '{"zone": "x"}'},
        {"type": "function_call", "call_id": "functions.look:1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "functions.look:1", "output": "b"},
        {"type": "function_call_output", "call_id": "functions.look:0", "output": "a"},
    ]
    async with fake_upstream("gemini", rules=SIGNING) as upstream:
        await driven(upstream, "tools;parallel=2", tools=[LOOK], input=history)
    assert steps(upstream) == [["skip_thought_signature_validator", None]]


Alter = dict[str, Any]


def without_signature(body: Alter) -> None:
    del body["contents"][1]["parts"][0]["thoughtSignature"]


def with_another_s_signature(body: Alter) -> None:
    one, other = body["contents"][1]["parts"][0], body["contents"][3]["parts"][0]
    one["thoughtSignature"], other["thoughtSignature"] = other["thoughtSignature"], one["thoughtSignature"]


def on_the_second_call(body: Alter) -> None:
    one, other = body["contents"][1]["parts"]
    other["thoughtSignature"] = one.pop("thoughtSignature")


def without_a_response(body: Alter) -> None:
    body["contents"][2]["parts"].pop()


def with_responses_in_another_order(body: Alter) -> None:
    body["contents"][2]["parts"].reverse()


def without_a_question(body: Alter) -> None:
    del body["contents"][0]


def with_an_unknown_field(body: Alter) -> None:
    body["generationConfig"]["maxTokens"] = 1


def with_another_s_role(body: Alter) -> None:
    body["contents"][0]["role"] = "assistant"


def with_an_empty_content(body: Alter) -> None:
    body["contents"].insert(0, {"role": "user", "parts": []})


def with_an_unknown_keyword(body: Alter) -> None:
    body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["patternProperties"] = {}


ALTERED = {
    without_signature: "is missing a thought_signature",
    with_another_s_signature: "Thought signature is not valid",
    on_the_second_call: "Thought signature is not valid",
    without_a_response: "the number of function response parts",
    with_responses_in_another_order: "the number of function response parts",
    without_a_question: "comes immediately after a user turn",
    with_an_unknown_field: "Unknown name \"maxTokens\" at 'generation_config'",
    with_another_s_role: "Please use a valid role",
    with_an_empty_content: "contents.parts must not be empty",
    with_an_unknown_keyword: "Unknown name \"patternProperties\" at 'parameters_json_schema'",
}


async def test_a_request_that_is_altered_would_be_refused() -> None:
    """So what passes above was right to the letter."""
    async with fake_upstream("gemini", rules=SIGNING) as upstream:
        await driven(upstream, "tools;turns=2;parallel=2", tools=[{"type": "serverless:clock"}], max_output_tokens=99)
        request = upstream.requests[-1]
        told: dict[str, tuple[int, bool]] = {}
        async with httpx2.AsyncClient() as client:
            for alter, message in ALTERED.items():
                body = json.loads(json.dumps(request.body))
                alter(body)
                answer = await client.post(httpx2.URL(upstream.url).join(request.path), json=body)
                told[alter.__name__] = (answer.status_code, message in answer.json()["error"]["message"])
    assert told == {alter.__name__: (400, True) for alter in ALTERED}


async def test_a_wrong_key_is_the_operator_s_problem() -> None:
    async with fake_upstream("gemini", rules=Rules(api_key="right")) as upstream:
        with pytest.raises(ProviderMisconfigured, match=r"credentials \(HTTP 400\)"):
            await driven(upstream, "text", api_key="wrong")
        assert await driven(upstream, "text", api_key="right")


async def test_a_throttled_turn_says_how_long_to_wait() -> None:
    async with fake_upstream("gemini") as upstream:
        with pytest.raises(ProviderThrottled) as raised:
            await driven(upstream, "throttle;after=3")
        assert raised.value.retry_after == 3


async def test_a_model_that_is_not_there_is_the_client_s_problem() -> None:
    async with fake_upstream("gemini") as upstream:
        with pytest.raises(ProviderRejected, match="does not exist"):
            await driven(upstream, "nothing")

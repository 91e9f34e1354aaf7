"""The engine's loop against a server that refuses what the Messages API does: what we send back, it takes."""

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic

from openresponses.core import errors
from openresponses.core.run import Run
from openresponses.core.settings import ProviderSettings
from tests.contract import turns
from tests.contract.turns import SCHEMA
from tests.fakes.anthropic_rules import MODELS
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.fakes.wire import Rules

LOOK = {"type": "function", "name": "look.at", "parameters": SCHEMA}
THINK = {"reasoning": {"effort": "high", "summary": "auto"}}
OLD = "claude-sonnet-4-5"
KEEP = {"drop_stale_thinking": False}


async def driven(upstream: FakeUpstream, options: Any = None, **fields: Any) -> Run:
    settings = ProviderSettings(name="v", dialect="anthropic", base_url=upstream.url, options=options or KEEP)
    run = await turns.driven(settings, **fields)
    assert upstream.refused == []
    return run


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


@pytest.mark.parametrize("model", [*MODELS, OLD])
@pytest.mark.parametrize("reasoning", [0, 3])
async def test_a_loop_of_parallel_hosted_calls_goes_back_as_it_came(model: str, reasoning: int) -> None:
    """Each turn in one message, its thinking before its calls; what Claude 5.1 and later check, all models get."""
    async with fake_upstream("anthropic", rules=Rules(reasoning=True)) as upstream:
        script = f"{model}!tools;turns=3;parallel=2;reasoning={reasoning}"
        tools = [{"type": "serverless:clock"}]
        run = await driven(upstream, model=script, tools=tools, instructions="Be exact.", **THINK)
    before = ["reasoning"] if reasoning else []
    turn = [*before, "serverless:clock", "serverless:clock"]
    assert [item.type for item in run.response.output] == [*turn * 3, *before, "message"]
    messages = upstream.requests[-1].body["messages"]
    called = [*(["thinking"] if reasoning else []), "tool_use", "tool_use"]
    answered = ["tool_result", "tool_result"]
    assert [kinds(message) for message in messages] == [["text"], called, answered, called, answered, called, answered]
    assert (len(upstream.requests), upstream.connections, run.turns) == (4, 1, 4)


@pytest.mark.parametrize("model", ["claude-opus-5-5", OLD])
@pytest.mark.parametrize("redacted", [0, 1])
async def test_what_a_response_said_can_be_sent_back_with_the_outputs_of_its_calls(model: str, redacted: int) -> None:
    async with fake_upstream("anthropic", rules=Rules(reasoning=True)) as upstream:
        script = f"{model}!tools;parallel=3;reasoning=2;redacted={redacted}"
        asked: dict[str, Any] = {"model": script, "tools": [LOOK, {"type": "serverless:clock"}], **THINK}
        first = await driven(upstream, **asked)
        output = [item.model_dump(mode="json") for item in first.response.output]
        assert [item.get("name") for item in output] == [None, "look.at", "clock", "look.at"]
        answers = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
            for item in output
            if item["type"] == "function_call"
        ]
        question = {"role": "user", "content": "What time is it?"}
        second = await driven(upstream, **{**asked, "input": [question, *output, *reversed(answers)]})
    thought = "redacted_thinking" if redacted else "thinking"
    sent = upstream.requests[-1].body["messages"]
    assert [kinds(each) for each in sent] == [["text"], [thought, *["tool_use"] * 3], ["tool_result"] * 3]
    said = second.response.output[-1].model_dump()["content"][0]["text"]
    ids = [f"toolu_thought_call_fake_0_{i}" for i in range(3)]
    assert said == f'The tools said: seen {ids[0]} noon for {ids[1]} {{"zone": "x"}} seen {ids[2]}+ '


async def test_thinking_that_something_else_came_before_is_refused_or_dropped() -> None:
    """As when a client changes its instructions. Dropped is the default."""
    asked: dict[str, Any] = {"model": "claude-opus-5-5!text;reasoning=2", **THINK}
    async with fake_upstream("anthropic") as upstream:
        first = await driven(upstream, **asked)
        output = [item.model_dump(mode="json") for item in first.response.output]
        again = {
            **asked,
            "input": [{"role": "user", "content": "Another question"}, *output, {"role": "user", "content": "?"}],
        }
        with pytest.raises(errors.ProviderRejected, match="bound to a different conversation"):
            await driven(upstream, **again)
        upstream.refused.clear()
        await driven(upstream, {"drop_stale_thinking": True}, **again)


async def test_what_a_tool_did_wrong_is_told_as_an_error() -> None:
    async with fake_upstream("anthropic") as upstream:
        await driven(
            upstream, model='claude-opus-5-5!tools;args={"zone":"break"}', tools=[{"type": "serverless:clock"}]
        )
    result = upstream.requests[-1].body["messages"][-1]["content"][0]
    assert (result["is_error"], result["content"]) == (True, 'noon for toolu_call_fake_0_0 {"zone":"break"}')


@pytest.mark.parametrize("model", [*MODELS, OLD])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "look.at"}])
async def test_every_model_can_be_made_to_call(model: str, choice: Any) -> None:
    async with fake_upstream("anthropic") as upstream:
        run = await driven(upstream, model=f"{model}!tools", tools=[LOOK], tool_choice=choice, **THINK)
    assert [item.type for item in run.response.output] == ["function_call"]


JSON_SCHEMA = {"type": "json_schema", "name": "n", "schema": {**SCHEMA, "minProperties": 1}}


@pytest.mark.parametrize("model", ["claude-opus-5-5", OLD, "claude-3-5-haiku-20241022", "glm-4.6"])
@pytest.mark.parametrize("form", [JSON_SCHEMA, {"type": "json_object"}], ids=["a schema", "an object"])
async def test_json_is_asked_for_from_every_model(model: str, form: Any) -> None:
    async with fake_upstream("anthropic") as upstream:
        run = await driven(upstream, model=f"{model}!json", text={"format": form})
    said = run.response.output[0].model_dump()["content"][0]["text"]
    assert json.loads(said) == ({"zone": "x"} if form is JSON_SCHEMA else {})


async def test_a_refused_request_says_why() -> None:
    allowed = {**KEEP, "allow_options": ["n_gram"]}
    async with fake_upstream("anthropic") as upstream:
        with pytest.raises(errors.ProviderRejected) as raised:
            await driven(upstream, allowed, model="claude-opus-5-5!text", provider={"options": {"v": {"n_gram": 3}}})
    why = "The provider refused the request (HTTP 400): n_gram: Extra inputs are not permitted"
    assert raised.value.message == why


FAILURES: dict[str, tuple[str, type[errors.ProviderError]]] = {
    "overloaded": ("status;code=529", errors.ProviderUnavailable),
    "a gateway's timeout": ("status;code=504", errors.ProviderUnavailable),
    "unpaid": ("status;code=402", errors.ProviderMisconfigured),
    "no permission": ("status;code=403", errors.ProviderMisconfigured),
    "too large": ("status;code=413", errors.InputTooLong),
    "a rate limit": ("throttle", errors.ProviderThrottled),
    "an error amid the stream": ("error;code=529", errors.ProviderUnavailable),
    "a rate limit amid the stream": ("error;code=429", errors.ProviderThrottled),
    "an error in place of a stream": ("object;code=529", errors.ProviderUnavailable),
    "a cut": ("cut", errors.ProviderUnavailable),
    "garbage": ("garbage", errors.StreamViolation),
}


@pytest.mark.parametrize(("scenario", "error"), FAILURES.values(), ids=FAILURES)
async def test_the_vendor_s_failures_are_told_apart(scenario: str, error: type[errors.ProviderError]) -> None:
    async with fake_upstream("anthropic") as upstream:
        with pytest.raises(errors.ProviderError) as raised:
            await driven(upstream, model=f"claude-opus-5-5!{scenario}")
    assert type(raised.value) is error


async def test_the_key_goes_where_the_vendor_expects_it() -> None:
    async with fake_upstream("anthropic", rules=Rules(api_key="sk-ant-1")) as upstream:
        with pytest.raises(errors.ProviderMisconfigured):
            await driven(upstream, model="claude-opus-5-5!text")
    assert upstream.refused == ["invalid x-api-key"]


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-4-6"])
async def test_the_vendor_s_own_client_holds_a_conversation_with_the_fake_upstream(model: str) -> None:
    tools: Any = [{"name": "look", "input_schema": SCHEMA}]
    said: list[Any] = [{"role": "user", "content": "/fake tools;turns=2;parallel=2;reasoning=3"}]
    thinking: Any = {"type": "adaptive", "display": "summarized"}
    asked: Any = {"model": model, "max_tokens": 9000, "thinking": thinking, "tools": tools, "messages": said}
    async with (
        fake_upstream("anthropic", rules=Rules(reasoning=True)) as upstream,
        AsyncAnthropic(api_key="x", base_url=upstream.url.removesuffix("/v1"), max_retries=0) as client,
    ):
        for _ in range(3):
            async with client.messages.stream(**asked) as stream:
                message = await stream.get_final_message()
            content = [block.model_dump(exclude_none=True) for block in message.content]
            calls = [block["id"] for block in content if block["type"] == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": each, "content": "ok"} for each in calls]
            said += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    assert (message.stop_reason, [block.type for block in message.content]) == ("end_turn", ["thinking", "text"])
    assert (upstream.refused, len(upstream.requests)) == ([], 3)

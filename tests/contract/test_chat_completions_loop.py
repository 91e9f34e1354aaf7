"""The engine's loop against a server that refuses what real ones refuse: what we send back, it takes."""

from typing import Any

import pytest

from openresponses.core.run import Run
from openresponses.core.settings import ProviderSettings
from tests.contract import turns
from tests.contract.turns import SCHEMA
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.fakes.wire import Rules


async def driven(upstream: FakeUpstream, **fields: Any) -> Run:
    settings = ProviderSettings(name="v", dialect="chat_completions", base_url=upstream.url)
    return await turns.driven(settings, **fields)


@pytest.mark.parametrize("reasoning", [0, 3])
async def test_a_loop_of_parallel_hosted_calls_is_accepted_in_every_turn(reasoning: int) -> None:
    async with fake_upstream("chat_completions", rules=Rules(reasoning=reasoning > 0)) as upstream:
        model = f"tools;turns=3;parallel=2;reasoning={reasoning}"
        run = await driven(
            upstream, model=model, tools=[{"type": "serverless:clock"}], instructions="Be exact.", max_output_tokens=999
        )
    turn = (["reasoning"] if reasoning else []) + ["serverless:clock"] * 2
    last = (["reasoning"] if reasoning else []) + ["message"]
    assert [item.type for item in run.response.output] == [*turn * 3, *last]
    messages = upstream.requests[-1].body["messages"]
    calls = [len(message["tool_calls"]) for message in messages if "tool_calls" in message]
    assert calls == ([2, 2, 2] if reasoning else [1] * 6)
    assert (len(upstream.requests), upstream.connections, run.turns) == (4, 1, 4)


async def test_what_a_response_said_can_be_sent_back_with_the_outputs_of_its_calls() -> None:
    tool = {"type": "function", "name": "look", "parameters": SCHEMA}
    async with fake_upstream("chat_completions", rules=Rules(reasoning=True)) as upstream:
        asked: dict[str, Any] = {"model": "tools;parallel=3;reasoning=2", "tools": [tool]}
        first = await driven(upstream, **asked)
        output = [item.model_dump(mode="json") for item in first.response.output]
        answers = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
            for item in output
            if item["type"] == "function_call"
        ]
        question = {"role": "user", "content": "What do you see?"}
        second = await driven(upstream, **{**asked, "input": [question, *output, *reversed(answers)]})
    said = second.response.output[-1].model_dump()["content"][0]["text"]
    assert said == "The tools said: seen call_fake_0_0 seen call_fake_0_1 seen call_fake_0_2 "

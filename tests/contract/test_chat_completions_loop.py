"""The engine's loop against a server that refuses what real ones refuse: what we send back, it takes."""

import sys
from asyncio import create_subprocess_exec, subprocess
from typing import Any

import pytest
from openresponses.core.engine import drive
from openresponses.core.intake import input_items, new_response, offered_tools
from openresponses.core.journal import Journal
from openresponses.core.ports import Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.steps import Stop
from openresponses.providers import connect
from openresponses.providers.chat_completions import ChatCompletions
from openresponses.schema.events import Event
from openresponses.schema.items import HostedToolCall
from openresponses.schema.request import CreateResponse

from tests.fakes.server import FakeUpstream, fake_upstream, wire_of
from tests.fakes.wire import Rules
from tests.immediately import immediately
from tests.unit.kit import Models

SCHEMA = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}


class Clock:
    async def offer(self, item_type: str) -> OfferedTool | None:
        return OfferedTool(name="clock", kind="hosted", item_type=item_type, wire_name="clock", parameters=SCHEMA)

    async def call(self, call: HostedToolCall) -> ToolOutput:
        return ToolOutput(f"noon for {call.call_id} {call.arguments}")


async def driven(upstream: FakeUpstream, **fields: Any) -> Run:
    request = CreateResponse.model_validate({"input": "What time is it?", **fields})
    run = Run(
        response=new_response(request, "resp_0", 0),
        request=request,
        context=input_items(request, "resp_0", {}),
        tools=immediately(offered_tools(request, Clock())),
        max_turns=9,
    )

    async def emit(_: Event) -> None: ...

    provider = connect(ProviderSettings(name="v", dialect="chat_completions", base_url=upstream.url))
    assert isinstance(provider, ChatCompletions)
    ports = Ports(Models(provider), Clock(), lambda: 0.0, lambda: "0")
    assert await drive(run, ports, Journal(run, emit), lambda _: False) == Stop("completed")
    await provider.aclose()
    return run


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


async def test_the_fake_upstream_runs_as_a_process_of_its_own() -> None:
    command = (sys.executable, "-m", "tests.fakes.chat_completions", "--port", "0")
    process = await create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    run = await driven(FakeUpstream(wire_of("chat_completions")(Rules()), url=url), model="text;say=It is noon")
    process.terminate()
    await process.wait()
    assert run.response.output[0].model_dump()["content"][0]["text"] == "It is noon "

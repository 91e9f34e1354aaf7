"""Approvals by real clients, unmodified, with each dialect: OpenAI's SDK and the Agents SDK, inline and handed off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import Agent, HostedMCPTool, ModelSettings, OpenAIResponsesModel, RunConfig, Runner, set_tracing_disabled
from agents.run_state import RunState
from openai import AsyncOpenAI, BadRequestError
from openai.types.responses import Response

from tests.e2e.conftest import Endpoint
from tests.fakes.mcp_server import FakeMcp, mcp_server
from tests.fakes.server import dialects, wire_of
from tests.sweeps import Sweep

set_tracing_disabled(True)
SAID = "fact-42"
ASKS = dict.fromkeys(dialects(), f'/fake tools;args={{"text": "{SAID}"}}') | {
    "offline": f'[[call dice__echo {{"text": "{SAID}"}}]]'
}
models = pytest.mark.parametrize("provider", ASKS)
Json = dict[str, Any]


def model_of(provider: str) -> str:
    """One that leaves the tools of MCP servers to this server."""
    if provider == "offline":
        return "offline/demo"
    suffix = "-toolless" if provider == "openai_responses" else ""
    return f"{provider}{suffix}/{wire_of(provider).model}"


@pytest.fixture
async def server() -> AsyncIterator[FakeMcp]:
    async with mcp_server() as server:
        yield server


@pytest.fixture
async def client(cloud: Endpoint) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0, timeout=60) as client:
        yield client


class Talk:
    """One client's way to keep a conversation."""

    def __init__(self, client: AsyncOpenAI, server: FakeMcp, provider: str, **settings: Any) -> None:
        self.client, self.settings = client, settings
        dice = {"type": "mcp", "server_label": "dice", "server_url": server.url, "allowed_tools": ["echo"]}
        self.asked: Json = {"model": model_of(provider), "tools": [dice]}

    async def say(self, *items: Json) -> Response:
        return await self.create(input=[*items], **self.settings)

    async def create(self, **request: Any) -> Response:
        created = self.client.responses.create(**self.asked, **request)
        response = await created
        if request.get("stream"):
            async for event in response:
                response = getattr(event, "response", response)
        async with asyncio.timeout(60):
            while response.status in ("queued", "in_progress"):
                await asyncio.sleep(0.1)
                response = await self.client.responses.retrieve(response.id)
        assert response.status == "completed", response
        return response


class Chained(Talk):
    previous: str | None = None

    async def say(self, *items: Json) -> Response:
        response = await self.create(input=[*items], previous_response_id=self.previous, **self.settings)
        self.previous = response.id
        return response


class Stateless(Talk):
    """Sends the whole list each time, with no field that OpenAI's items lack."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, store=False, **settings)
        self.items: list[Any] = []

    async def say(self, *items: Json) -> Response:
        self.items += items
        response = await self.create(input=self.items, **self.settings)
        for item in response.output:
            self.items.append({name: value for name, value in item.to_dict().items() if name != "call_id"})
        return response


class InConversation(Talk):
    conversation: str | None = None

    async def say(self, *items: Json) -> Response:
        if self.conversation is None:
            self.conversation = (await self.client.conversations.create()).id
        return await self.create(input=[*items], conversation=self.conversation, **self.settings)


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def answer(request: Any, approve: bool = True) -> Json:
    reason = "not now"
    return {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": approve, "reason": reason}


async def rounds(talk: Talk, provider: str) -> None:
    """The model asks, is refused, asks again, and is approved."""
    first = await talk.say(user(ASKS[provider]))
    request = first.output[-1]
    assert request.type == "mcp_approval_request"
    assert (request.server_label, request.name, request.arguments) == ("dice", "echo", f'{{"text": "{SAID}"}}')
    refused = await talk.say(answer(request, approve=False))
    assert "not now" in refused.output_text, refused.output_text
    again = (await talk.say(user(ASKS[provider]))).output[-1]
    assert again.type == "mcp_approval_request"
    approved = await talk.say(answer(again))
    call = next(item for item in approved.output if item.type == "mcp_call")
    assert (call.output, call.approval_request_id, call.status) == (SAID, again.id, "completed")
    assert SAID in approved.output_text, approved.output_text
    assert (await talk.say(user("/fake echo" if provider != "offline" else "Thanks."))).status == "completed"


@models
async def test_openais_sdk_approves_and_refuses(
    client: AsyncOpenAI, server: FakeMcp, provider: str, sweep: Sweep
) -> None:
    talks = [
        Chained(client, server, provider),
        Chained(client, server, provider, stream=True),
        Chained(client, server, provider, background=True),
        Stateless(client, server, provider, stream=True),
        InConversation(client, server, provider),
        InConversation(client, server, provider, background=True, stream=True),
    ]
    talks = sweep.sample(talks, len(talks) if provider == "offline" else 1)
    await asyncio.gather(*(rounds(talk, provider) for talk in talks))
    assert server.calls == [("echo", {"text": SAID})] * len(talks)


async def test_the_sdk_is_told_which_approval_was_used(client: AsyncOpenAI, server: FakeMcp) -> None:
    talk = Stateless(client, server, "offline")
    first = await talk.say(user(ASKS["offline"]))
    given = [*talk.items, answer(first.output[-1])]
    once = [talk.create(input=given, store=False, stream=stream) for stream in (False, True, False)]
    results = await asyncio.gather(*once, return_exceptions=True)
    refused = [each for each in results if isinstance(each, BadRequestError)]
    assert len(refused) == 2, results
    assert {(each.code, each.param) for each in refused} == {
        ("approval_spent", f"input[{len(given) - 1}].approval_request_id")
    }
    assert len(server.calls) == 1


def agent(client: AsyncOpenAI, server: FakeMcp, provider: str, asked: list[Any] | None, **settings: Any) -> Agent[Any]:
    """Approves by itself what is put into `asked`; without, its runner is interrupted."""

    def decide(request: Any) -> Any:
        assert asked is not None
        asked.append(request.data)
        return {"approve": True}

    tool = HostedMCPTool(
        tool_config={
            "type": "mcp",
            "server_label": "dice",
            "server_url": server.url,
            "allowed_tools": ["echo"],
            "require_approval": "always",
        },
        on_approval_request=decide if asked is not None else None,
    )
    model = OpenAIResponsesModel(model_of(provider), client)
    return Agent(name="Croupier", tools=[tool], model=model, model_settings=ModelSettings(**settings))


CONFIG = RunConfig(tracing_disabled=True)


@models
async def test_the_agents_sdk_approves(client: AsyncOpenAI, server: FakeMcp, provider: str, sweep: Sweep) -> None:
    """Stateless and streamed; stored; and made by the state machine."""

    async def run(**way: Any) -> str:
        asked: list[Any] = []
        streamed, chained = way.pop("streamed", False), way.pop("chained", False)
        made = agent(client, server, provider, asked, **way)
        more: Json = {"run_config": CONFIG, "auto_previous_response_id": chained}
        if streamed:
            result = Runner.run_streamed(made, ASKS[provider], **more)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(made, ASKS[provider], **more)
        assert len(asked) == 1
        return str(result.final_output)

    ways: list[Json] = [
        {"store": False, "streamed": True},
        {},
        {"chained": True},
        {"chained": True, "streamed": True, "extra_body": {"background": True}},
    ]
    chosen = sweep.sample(ways, len(ways) if provider == "offline" else 1)
    outputs = await asyncio.gather(*(run(**way) for way in chosen))
    assert all(SAID in output for output in outputs), outputs
    assert server.calls == [("echo", {"text": SAID})] * len(outputs)


@models
async def test_the_agents_sdk_is_interrupted_and_goes_on_later(
    client: AsyncOpenAI, server: FakeMcp, provider: str, sweep: Sweep
) -> None:
    """Its state is kept as JSON meanwhile."""
    made = agent(client, server, provider, None, store=False)
    for approve in sweep.sample([True, False], 2 if provider == "offline" else 1):
        server.calls.clear()
        result = await Runner.run(made, ASKS[provider], run_config=CONFIG)
        state = await RunState.from_json(made, result.to_state().to_json())
        (interruption,) = state.get_interruptions()
        if approve:
            state.approve(interruption)
        else:
            state.reject(interruption)
        result = await Runner.run(made, state, run_config=CONFIG)
        assert not result.interruptions
        assert server.calls == [("echo", {"text": SAID})] * approve
        assert (SAID in str(result.final_output).replace(ASKS[provider], "")) is approve, result.final_output

"""Six turns of reasoning and tools with each dialect through the local cloud: inline, and in the real state machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.conversations import ENCRYPTED, Conversation, Json, answers, folded, kinds, text_of, thoughts_of, user
from tests.e2e.conftest import Endpoint
from tests.fakes.server import dialects, wire_of

TURNS = 6
THINK: Json = {"reasoning": {"effort": "low", "summary": "auto"}}
LOOP = f"/fake tools;turns={TURNS};reasoning=3"
LOOK: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
WAYS: list[Json] = [
    {},
    {"store": False, "include": [ENCRYPTED], "stream": True},
    {"background": True, "stream": True},
]
"""The last one is what the state machine makes."""


class Client:
    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def ask(self, **request: Any) -> Json:
        """The final response, however it is heard of."""
        answer = await self._http.post("/responses", json=request)
        assert answer.status_code == 200, answer.text
        response = folded(answer.text) if request.get("stream") else answer.json()
        async with asyncio.timeout(60):
            while response["status"] in ("queued", "in_progress"):
                await asyncio.sleep(0.1)
                response = (await self._http.get(f"/responses/{response['id']}")).json()
        assert response["status"] == "completed", response["error"]
        return response


@pytest.fixture
async def client(cloud: Endpoint) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=60) as http:
        yield Client(http)


@pytest.mark.parametrize("dialect", dialects())
async def test_tools_of_this_server_are_called_over_six_turns(client: Client, dialect: str) -> None:
    asked: Json = {
        **THINK,
        "model": f"{dialect}/{wire_of(dialect).model}",
        "tools": [{"type": "serverless:calculator"}],
        "input": LOOP + ';args={"expression": "2+3"}',
    }
    responses = await asyncio.gather(*(client.ask(**asked, **way) for way in WAYS))
    turn = ["reasoning", "serverless:calculator"]
    assert [kinds(response) for response in responses] == [turn * TURNS + ["reasoning", "message"]] * len(WAYS)
    assert {text_of(response) for response in responses} == {"The tools said: " + "5 " * TURNS}
    thoughts = {thoughts_of(item) for response in responses for item in response["output"] if item["type"] == turn[0]}
    assert thoughts == {"thought0 thought1 thought2 "}


@pytest.mark.parametrize("dialect", dialects())
async def test_functions_of_the_client_are_called_over_six_turns(client: Client, dialect: str) -> None:
    model = f"{dialect}/{wire_of(dialect).model}"
    ways: list[tuple[bool, Json]] = [(False, {"stream": True}), (True, {"background": True})]
    talks = [Conversation(client.ask, stored, {**THINK, **way, "tools": [LOOK]}) for stored, way in ways]
    finals = await asyncio.gather(*(talk.work(model, user(LOOP + ";parallel=2")) for talk in talks))
    for talk, final in zip(talks, finals, strict=True):
        calls = [item for response in talk.responses for item in response["output"] if item["type"] == "function_call"]
        assert len(calls) == 2 * TURNS
        assert text_of(final) == "The tools said: " + "".join(f"seen {call['call_id']} " for call in calls)


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
async def test_a_conversation_moves_through_every_provider_amid_its_tool_calls(client: Client, stored: bool) -> None:
    first, *others = [f"{name}/{wire_of(name).model}" for name in dialects()]
    talk = Conversation(client.ask, stored, {**THINK, "tools": [LOOK]})
    await talk.say(first, user(f"/fake tools;turns={len(others) + 1};reasoning=2;parallel=2"))
    for model in (*others, first):
        await talk.say(model, *answers(talk.responses[-1]), background=stored)
    calls = [item for response in talk.responses for item in response["output"] if item["type"] == "function_call"]
    assert len(calls) == 2 * len(dialects())
    assert text_of(talk.responses[-1]) == "The tools said: " + "".join(f"seen {call['call_id']} " for call in calls)
    await talk.say(first, user("/fake echo"))

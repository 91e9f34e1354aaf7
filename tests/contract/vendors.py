"""A deployment in memory whose providers are fake upstreams, named as their dialects (or `<dialect>-2`)."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openresponses import providers
from openresponses.api.app import create_app
from openresponses.core.routing import Router
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.tools import Toolbox

from tests.contract.machine import House
from tests.fakes.server import FakeUpstream, dialects, fake_upstream
from tests.fakes.wire import Rules
from tests.openresponses_schema import check_event, check_response
from tests.stream_checker import check_stream
from tests.unit.kit import Json

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")  # as `entry` does, where the API's metrics go
DIALECTS = dialects()
ENCRYPTED = "reasoning.encrypted_content"


@dataclass
class Vendors:
    house: House
    client: httpx2.AsyncClient
    upstreams: dict[str, FakeUpstream]

    def model(self, dialect: str) -> str:
        return f"{dialect}/{self.upstreams[dialect].wire.model}"

    @property
    def refused(self) -> list[str]:
        return [f"{name}: {why}" for name, upstream in self.upstreams.items() for why in upstream.refused]

    async def ask(self, **request: Any) -> Json:
        """The final response, as its client has it: whole, folded from its stream, or read when it's over."""
        answer = await self.client.post("/responses", json=request)
        assert answer.status_code == 200, (answer.text, self.refused)
        response = _folded(answer.text) if request.get("stream") else answer.json()
        await self.house.idle()
        if request.get("background"):
            include = {"include": request.get("include", [])}
            response = (await self.client.get(f"/responses/{response['id']}", params=include)).json()
        check_response(response)
        assert response["status"] == "completed", (response["error"], self.refused)
        return response


@asynccontextmanager
async def vendors(
    names: Iterable[str] = DIALECTS, rules: Rules | None = None, **settings: Any
) -> AsyncIterator[Vendors]:
    """`settings` are the deployment's. The deployment's state machine is in memory."""
    async with AsyncExitStack() as stack:
        upstreams = {
            name: await stack.enter_async_context(fake_upstream(_dialect(name), rules=rules)) for name in names
        }
        configured = {name: ProviderSettings(name=name, **upstream.settings) for name, upstream in upstreams.items()}
        router: Any = Router(Settings(providers=configured), providers.connect)
        tools: Any = Toolbox()
        house = House(router, tools, api_keys=("key",), providers=configured, **settings)
        stack.push_async_callback(router.aclose)
        app = create_app(house.service, house.stored, house.settings, router.aclose)
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://api/v1", headers={"authorization": "Bearer key"}
        )
        yield Vendors(house, await stack.enter_async_context(client), upstreams)


def _dialect(name: str) -> str:
    return name.partition("-")[0]


def _folded(body: str) -> Json:
    """The stream's final response; the stream is well formed."""
    frames = [frame for frame in body.split("\n\n") if frame and not frame.startswith(":")]
    assert frames[-1] == "data: [DONE]"
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames[:-1]]
    for event in events:
        check_event(event)
    return check_stream(events)


@dataclass
class Conversation:
    """What a client says, and how it keeps what was said: `stored` at the server, or by itself."""

    vendors: Vendors
    stored: bool
    options: Json = field(default_factory=dict)
    items: list[Json] = field(default_factory=list)
    previous: str | None = None
    responses: list[Json] = field(default_factory=list)

    async def say(self, model: str, *items: Json, **request: Any) -> Json:
        asked: Json = {"model": model, "store": self.stored, **self.options, **request}
        if self.stored:
            asked |= {"input": items, "previous_response_id": self.previous}
        else:
            asked |= {"input": [*self.items, *items], "include": [ENCRYPTED]}
        response = await self.vendors.ask(**asked)
        self.previous = response["id"]
        self.items += [*items, *response["output"]]
        self.responses.append(response)
        return response

    async def work(self, model: str, *items: Json, turns: int = 99, **request: Any) -> Json:
        """Say it, and answer the calls that come, until `turns` responses were made: the last one."""
        response = await self.say(model, *items, **request)
        while (outputs := answers(response)) and (turns := turns - 1):
            response = await self.say(model, *outputs, **request)
        return response


def answers(response: Json) -> list[Json]:
    """What the client's functions say to each call."""
    return [
        {"type": "function_call_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
        for item in response["output"]
        if item["type"] == "function_call"
    ]


def user(text: str) -> Json:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def kinds(response: Json) -> list[str]:
    return [item["type"] for item in response["output"]]


def text_of(response: Json) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def thoughts_of(item: Json) -> str:
    """What a client reads of a reasoning item, raw or summarised."""
    return "".join(part["text"] for part in [*item["content"], *item["summary"]])

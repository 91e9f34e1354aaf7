"""A request for approval that nobody has answered outlives a compaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.e2e.conftest import Endpoint
from tests.e2e.test_mcp_approvals import ASKS, answer, user
from tests.fakes.mcp_server import FakeMcp, mcp_server

LONG = "and then " * 3_000
SOON: Any = [{"type": "compaction", "compact_threshold": 2_000}]


@pytest.fixture
async def server() -> AsyncIterator[FakeMcp]:
    async with mcp_server() as server:
        yield server


@pytest.fixture
async def client(cloud: Endpoint) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0, timeout=60) as client:
        yield client


class Asked:
    def __init__(self, client: AsyncOpenAI, server: FakeMcp) -> None:
        self.client, self.server = client, server
        dice = {"type": "mcp", "server_label": "dice", "server_url": server.url, "allowed_tools": ["echo"]}
        self.settings: Any = {"model": "offline/demo", "tools": [dice]}
        self.question = user(ASKS["offline"])

    async def create(self, *items: Any, **more: Any) -> Any:
        return await self.client.responses.create(input=[*items], **self.settings, **more)

    def check(self, response: Any, request: Any) -> None:
        call = next(item for item in response.output if item.type == "mcp_call")
        assert (call.approval_request_id, call.output) == (request.id, "fact-42")
        assert len(self.server.calls) == 1
        assert "fact-42" in response.output_text
        assert "not made" not in response.output_text


async def test_it_is_approved_by_previous_response_id(client: AsyncOpenAI, server: FakeMcp) -> None:
    asked = Asked(client, server)
    first = await asked.create(asked.question)
    second = await asked.create(user(LONG), user("Go on."), previous_response_id=first.id, context_management=SOON)
    assert "compaction" in [item.type for item in second.output]
    third = await asked.create(answer(first.output[-1]), previous_response_id=second.id)
    asked.check(third, first.output[-1])


async def test_it_is_approved_in_a_window(client: AsyncOpenAI, server: FakeMcp) -> None:
    """Of `/responses/compact`: it shows the request."""
    asked = Asked(client, server)
    first = await asked.create(asked.question, store=False)
    talk = [asked.question, *(item.to_dict(warnings=False) for item in first.output)]
    window = await client.responses.compact(model="offline/demo", input=talk)
    items = [item.to_dict(warnings=False) for item in window.output]
    assert first.output[-1].id in [item.get("id") for item in items]
    third = await asked.create(*items, answer(first.output[-1]), store=False)
    asked.check(third, first.output[-1])


async def test_it_is_approved_where_only_the_compaction_has_it(client: AsyncOpenAI, server: FakeMcp) -> None:
    """A client may drop what stands before the item."""
    asked = Asked(client, server)
    first = await asked.create(asked.question, store=False)
    talk = [asked.question, *(item.to_dict(warnings=False) for item in first.output), user(LONG), user("Go on.")]
    second = await asked.create(*talk, store=False, context_management=SOON)
    kept = [item.to_dict(warnings=False) for item in second.output]
    assert "compaction" in [item["type"] for item in kept]
    assert "mcp_approval_request" not in [item["type"] for item in kept]
    third = await asked.create(*kept, answer(first.output[-1]), store=False)
    asked.check(third, first.output[-1])

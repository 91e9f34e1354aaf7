"""Webhooks in the local cloud: OpenAI's SDK registers them, responses end, and a receiver over HTTP hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from tests.contract.receiver import Received, Receiver
from tests.template.reading import ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("webhooks told")]
CALCULATOR: Any = [{"type": "serverless:calculator"}]
PATIENCE_S = 60.0


def client_of(cloud: LocalCloud) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0, timeout=60)


@contextlib.asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    log = Log(None, file=folder / "log")
    try:
        cloud = LocalCloud(ROOT / "template.yaml", log=log, retry_scale=0.0, **options)
        async with cloud, client_of(cloud) as client:
            yield client
    finally:
        log.close()


async def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        await asyncio.sleep(0.02)


def told(receiver: Receiver, response_id: str, path: str = "/hook") -> list[Received]:
    event = f"evt_{response_id.removeprefix('resp_')}"
    return [each for each in receiver.messages if (each.path, each.headers["webhook-id"]) == (path, event)]


async def register(client: AsyncOpenAI, url: str) -> tuple[str, str]:
    """The id and the secret of an endpoint of all types."""
    body = {"name": "mine", "url": url, "event_types": [f"response.{each}" for each in ("completed", "failed")]}
    made: Any = await client.post("/webhook_endpoints", body=body, cast_to=object)
    return made["id"], made["signing_secret"]


async def test_a_receiver_hears_of_each_way_in_which_a_response_ends(tmp_path: Path) -> None:
    """Streamed, in the background, handed off; not of one that is not stored. An endpoint that fails twice hears in the
    end, and what one that always fails was not told is shown.
    """
    async with Receiver().listening() as receiver, running(tmp_path, parameters={"InlineTurns": "1"}) as client:
        dead, _ = await register(client, receiver.url("/500"))
        given_up = await client.responses.create(model="offline/demo", input="Hello")
        letters: Any = []
        async with asyncio.timeout(PATIENCE_S):
            while not letters:
                letters = (await client.get("/webhook_dead_letters", cast_to=object))["data"]  # type: ignore[index]
                await asyncio.sleep(0.1)
        assert [(each["response_id"], each["webhook_endpoint_id"], each["reason"]) for each in letters] == [
            (given_up.id, dead, "it answered with HTTP 500")
        ]
        await client.delete(f"/webhook_endpoints/{dead}", cast_to=object)

        _, secret = await register(client, receiver.url("/hook"))
        await register(client, receiver.url("/slow"))
        receiver.failures["/slow"] = 2
        stream = await client.responses.create(model="offline/demo", input="Hello", stream=True)
        streamed = [event async for event in stream][-1].response  # type: ignore[union-attr]
        await until(lambda: told(receiver, streamed.id, "/slow")[2:])
        slow = told(receiver, streamed.id, "/slow")
        assert len({each.body for each in slow}) == 1
        unstored = await client.responses.create(model="offline/demo", input="Hello", store=False)
        asked: Any = {"model": "offline/demo", "input": "What is 15 * 37? [[turns 3]]", "tools": CALCULATOR}
        background = await client.responses.create(**asked, background=True)
        handed_off = await client.responses.create(**asked)
        responses = [streamed.id, background.id, handed_off.id]
        await until(lambda: all(told(receiver, each) for each in responses))
        for response_id in responses:
            message, *more = told(receiver, response_id)
            assert more == [], "told twice"
            event = client.webhooks.unwrap(message.body, message.headers, secret=secret)
            assert (event.type, event.data.id) == ("response.completed", response_id)
        assert told(receiver, unstored.id) == told(receiver, given_up.id) == []

        usage: Any = {"total": {"requests": 0}}
        async with asyncio.timeout(PATIENCE_S):
            while usage["total"]["requests"] < 5:
                usage = await client.get("/usage", cast_to=object)
        assert usage["total"]["requests"] == 5, "each is billed once, though worker and stream have both had its bill"

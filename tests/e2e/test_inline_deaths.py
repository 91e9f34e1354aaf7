"""The sandbox of the API function is killed with SIGKILL while a client streams, and the client goes on.

A plain run kills at a few events, drawn by its seed; `pytest -m sweep` kills at each (see tests/sweeps.py).
tests/contract/test_inline_deaths.py does the same in memory.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import httpx2
import pytest

from openresponses.client_keys import parse
from openresponses.core.storage import Limits
from openresponses.storage.dynamodb.layout import meter_key
from openresponses.storage.dynamodb.limits import change_limits
from tests.e2e.test_stored_faults import expire
from tests.openresponses_schema import check_response
from tests.statemachine.engine_cloud import (
    AwsCall,
    Deployment,
    Json,
    Reply,
    Watch,
    deployed,
    followed,
    stream,
    without_ids,
)
from tests.stream_checker import check_resumed, check_stream
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("deaths")  # or each worker has sandboxes of its own
BODY: Json = {
    "model": "offline/demo",
    "input": '[[turns 2]] [[call calculator {"expression": "15 * 37"}]] [[call clock {}]] [[slow 20ms]] [[words 8]]',
    "tools": [{"type": "serverless:calculator"}, {"type": "serverless:clock"}],
    "reasoning": {"summary": "auto"},
    "parallel_tool_calls": True,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
}
SAY: Json = {"model": "offline/demo", "input": "[[words 20]]"}
SAMPLE = 3


class Workers(Watch):
    """Knows which sandbox of the API function makes each response."""

    def __init__(self) -> None:
        self.who: dict[str, str] = {}

    def before(self, call: AwsCall) -> Reply | None:
        if call.role == "ApiFunction" and call.response_id:
            self.who.setdefault(call.response_id, call.who)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(env={"OPENRESPONSES_INLINE_TURNS": "99"}) as deployment:
        yield deployment


async def cut_after(http: httpx2.AsyncClient, deployment: Deployment, workers: Workers, last: int) -> list[Json]:
    """What a client sees whose worker is killed when event number `last` has come."""
    seen: list[Json] = []
    try:
        async with http.stream("POST", "/responses", json=BODY) as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                seen.append(json.loads(line.removeprefix("data: ")))
                if seen[-1]["sequence_number"] == last:
                    await asyncio.to_thread(deployment.kill, workers.who[seen[0]["response"]["id"]])
    except httpx2.TransportError:
        pass
    return seen


def answer_of(response: Json) -> Json:
    """Without ids, and without what the clock said."""
    shown = [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in response["output"]]
    return without_ids([item | ({"output": ""} if item["type"] == "serverless:clock" else {}) for item in shown])


@pytest.mark.timeout(900)
async def test_a_client_goes_on_after_its_worker_was_killed(deployment: Deployment, sweep: Sweep) -> None:
    deployment.cloud.watch = workers = Workers()
    lost: list[str] = []
    async with deployment.http() as http:
        whole = await stream(http, "POST", "/responses", json=BODY)
        answer = answer_of(check_stream(whole))
        few = asyncio.Semaphore(3)

        async def killed(last: int) -> None:
            async with few:
                seen = await cut_after(http, deployment, workers, last)
                response_id = seen[0]["response"]["id"]
                assert "response.completed" not in [event["type"] for event in seen], "nobody was killed in time"
                expire(deployment, response_id)
                try:
                    rest = await followed(http, response_id, seen[-1]["sequence_number"])
                    final = check_resumed(seen, rest, await followed(http, response_id))
                    check_response(final)
                    assert (await http.get(f"/responses/{response_id}")).json() == final
                    assert answer_of(final) == answer, "an answer stands there twice"
                except AssertionError as error:
                    lost.append(f"{last}: {error}")

        chosen = sweep.sample(range(len(whole) - 4), SAMPLE)
        await asyncio.gather(*map(killed, chosen))
    assert lost == [], f"of {len(chosen)}"
    assert len(whole) > 30


def key_of(deployment: Deployment) -> str:
    token = parse(deployment.cloud.api_key or "")
    assert token is not None
    return token.id


def limit(deployment: Deployment, limits: Limits) -> None:
    change_limits(deployment.dynamodb, "ResponsesTable", "default", key_of(deployment), limits)


def meter(deployment: Deployment) -> tuple[int, int]:
    """How many responses hold something, and the tokens that were counted of all minutes that are still kept."""
    key = meter_key("default", key_of(deployment))
    item = deployment.dynamodb.get_item(TableName="ResponsesTable", Key=key, ConsistentRead=True)["Item"]
    tokens = sum(int(value["N"]) for name, value in item.items() if name.startswith("tokens#"))
    return len(item["holds"]["M"]), tokens


async def settled(deployment: Deployment) -> int:
    """The tokens that were counted, once nothing is held: a bill is settled after the last byte."""
    until = time.monotonic() + 20
    while meter(deployment)[0]:
        assert time.monotonic() < until, "a place was lost"
        await asyncio.sleep(0.1)
    return meter(deployment)[1]


@pytest.mark.timeout(300)
async def test_a_killed_worker_leaves_its_turn_counted_and_its_place_to_whoever_goes_on(
    deployment: Deployment, sweep: Sweep
) -> None:
    deployment.cloud.watch = workers = Workers()
    limit(deployment, Limits(concurrent=1, tokens_per_minute=10**6, requests_per_minute=1000))
    async with deployment.http() as http:
        for last in sweep.sample(range(3, 24, 3), 1):  # each event is one of `test_a_client_goes_on`
            before = meter(deployment)[1]
            seen = await cut_after(http, deployment, workers, last)
            response_id = seen[0]["response"]["id"]
            assert meter(deployment)[0] == 1
            refused = await http.post("/responses", json=SAY)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            expire(deployment, response_id)
            rest = await followed(http, response_id, seen[-1]["sequence_number"])
            final = check_resumed(seen, rest, await followed(http, response_id))
            assert final["status"] == "completed"
            assert await settled(deployment) - before >= final["usage"]["total_tokens"]
            answers = [await http.post("/responses", json=SAY) for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200] * 5, "one after the other, at one place"
            await settled(deployment)
    limit(deployment, Limits())

"""A sandbox of the API function is killed that holds a place and money of its key's limits, in the local cloud."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from openresponses.client_keys import parse
from openresponses.core.storage import Limits
from openresponses.storage.dynamodb.layout import meter_key
from openresponses.storage.dynamodb.limits import change_limits
from tests.e2e.test_inline_deaths import Workers, cut_after
from tests.e2e.test_stored_faults import expire
from tests.statemachine.engine_cloud import Deployment, Json, deployed, followed
from tests.stream_checker import check_resumed
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("deaths")
SAY: Json = {"model": "offline/demo", "input": "[[words 20]]"}


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(env={"OPENRESPONSES_INLINE_TURNS": "99"}) as deployment:
        yield deployment


def key_of(deployment: Deployment) -> str:
    token = parse(deployment.cloud.api_key or "")
    assert token is not None
    return token.id


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
    limits = Limits(concurrent=1, tokens_per_minute=10**6, requests_per_minute=1000)
    change_limits(deployment.dynamodb, "ResponsesTable", "default", key_of(deployment), limits)
    async with deployment.http() as http:
        for last in sweep.sample(range(3, 24), 1):
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

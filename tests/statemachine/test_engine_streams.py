"""Streams that outlive their connection, their invocation, or their client's patience, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx2
import pytest

from tests.statemachine.engine_cloud import Deployment, Json, deployed, finished, followed, stream
from tests.stream_checker import TERMINAL, check_stream
from tests.sweeps import Sweep

CALCULATOR = [{"type": "serverless:calculator"}]
CALL = '[[call calculator {"expression": "15 * 37"}]]'
PLAIN: Json = {"model": "offline/demo", "stream": True, "stream_options": {"include_obfuscation": False}}


def text_of(events: list[Json]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


@pytest.fixture
def short_lived(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A deployment whose API function may take so many seconds, and must leave so many to a turn."""
    timeout, turn = request.param
    env = {"OPENRESPONSES_INLINE_TURNS": "99", "OPENRESPONSES_TURN_SECONDS": str(turn)}
    with deployed(timeouts={"ApiFunction": timeout}, env=env) as deployment:
        yield deployment


async def warm_up(http: httpx2.AsyncClient) -> None:
    """Have a sandbox of each function ready."""
    made = await http.post(
        "/responses", json={"model": "offline/demo", "input": CALL, "tools": CALCULATOR, "background": True}
    )
    await finished(http, made.json()["id"])


@pytest.mark.timeout(180)
@pytest.mark.parametrize("short_lived", [(20, 11)], indirect=True)
async def test_thirty_slow_turns_stream_over_one_connection(short_lived: Deployment) -> None:
    """A turn takes 0.3 s at least, so that after 8 seconds, when 11 are left, not all thirty can be done: the state
    machine goes on, and the connection, which lasts 19, ends with the response."""
    async with short_lived.http() as http:
        await warm_up(http)
        body = {**PLAIN, "input": f"[[turns 30]] {CALL} [[slow 100ms]] [[words 3]]", "tools": CALCULATOR}
        events = await stream(http, "POST", "/responses", json=body)
        final = check_stream(events)
        assert final["status"] == "completed"
        assert len(final["output"]) == 31
        assert {item["output"] for item in final["output"][:-1]} == {"555"}
        assert final["id"] in {execution.name for execution in short_lived.cloud.aws.executions()}
        assert await followed(http, final["id"]) == events


@pytest.mark.timeout(180)
@pytest.mark.parametrize("short_lived", [(6, 4)], indirect=True)
@pytest.mark.parametrize(
    ("words", "dead"),
    [("[[turns 8]] " + CALL + " [[slow 250ms]] [[words 3]]", 0), ("[[words 50]] [[slow 150ms]]", 1)],
    ids=["handed off before", "amid a turn"],
)
async def test_a_connection_whose_time_is_up_says_how_to_go_on(short_lived: Deployment, words: str, dead: int) -> None:
    """The rest comes over other connections, each of which ends in the same way until the response is over."""
    async with short_lived.http() as http:
        await warm_up(http)
        tools = [] if dead else CALCULATOR
        events = await stream(http, "POST", "/responses", json={**PLAIN, "input": words, "tools": tools})
        connections = 1
        while events[-1]["type"] not in TERMINAL:
            detached = events.pop()
            assert detached["type"] == "serverless:detached"
            assert detached["sequence_number"] == events[-1]["sequence_number"]
            response_id = detached["response_id"]
            path = f"responses/{response_id}?stream=true&starting_after={detached['sequence_number']}"
            assert detached["resume"] == path
            url = f"{short_lived.cloud.base_url}/{path}&include_obfuscation=false"
            events += await stream(http, "GET", url)
            connections += 1
        assert connections > 1
        final = check_stream(events, deaths=dead)
        assert final["status"] == "completed"
        output = final["output"]
        closed = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert [item["status"] for item in closed if item not in output] == ["incomplete"] * dead
        assert [item["type"] for item in output] == (
            ["message"] if dead else ["serverless:calculator"] * 8 + ["message"]
        )
        assert len(output[-1]["content"][0]["text"].split()) == (50 if dead else 3)
        assert await followed_to_the_end(http, final["id"]) == events


async def followed_to_the_end(http: httpx2.AsyncClient, response_id: str) -> list[Json]:
    events = await followed(http, response_id)
    assert events[-1]["type"] in TERMINAL, "a response that is over is given at once"
    return events


@pytest.mark.timeout(180)
@pytest.mark.parametrize("short_lived", [(5, 3)], indirect=True)
async def test_a_plain_request_whose_time_is_up_gets_the_response_as_it_is(short_lived: Deployment) -> None:
    async with short_lived.http() as http:
        await warm_up(http)
        asked = {
            "model": "offline/demo",
            "input": f"[[turns 8]] {CALL} [[slow 250ms]] [[words 3]]",
            "tools": CALCULATOR,
        }
        answer = await http.post("/responses", json=asked)
        assert answer.status_code == 200
        assert answer.json()["status"] == "in_progress"
        assert (await finished(http, answer.json()["id"]))["status"] == "completed"


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(env={"OPENRESPONSES_INLINE_TURNS": "1"}) as deployment:
        yield deployment


@pytest.mark.timeout(180)
@pytest.mark.parametrize("background", [False, True], ids=["handed off", "in the background"])
async def test_a_stream_dropped_at_every_event_is_resumed_without_loss(
    deployment: Deployment, sweep: Sweep, background: bool
) -> None:
    """At each event of the stream, as it comes, by two readers at once."""
    body = {
        **PLAIN,
        "input": f"[[turns 2]] {CALL} [[slow 30ms]] [[words 12]]",
        "tools": CALCULATOR,
        "background": background,
    }
    async with deployment.http() as http:
        whole = await stream(http, "POST", "/responses", json=body)
        check_stream(whole)
        few = asyncio.Semaphore(3)

        async def dropped_after(count: int) -> None:
            async with few:
                seen = await stream(http, "POST", "/responses", json=body, limit=count)
                last = seen[-1]["sequence_number"]
                response_id = seen[0]["response"]["id"]
                one, two = await asyncio.gather(*(followed(http, response_id, last) for _ in range(2)))
            assert one == two
            assert len(seen) == count
            final = check_stream([*seen, *one])
            assert text_of([*seen, *one]) == text_of(whole) == final["output"][-1]["content"][0]["text"]

        await asyncio.gather(*map(dropped_after, sweep.sample(range(1, len(whole) + 1), 3)))
    assert len(whole) > 20

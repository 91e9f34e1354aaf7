"""Upstreams that fail, through the whole Lambda path: the client is told, and the sandbox serves on."""

import json
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Endpoint
from tests.openresponses_schema import check_event
from tests.stream_checker import check_stream
from tests.sweeps import Sweep


async def stream(client: httpx2.AsyncClient, directive: str) -> tuple[int, list[dict[str, Any]]]:
    """The status, and the events (or for an error status, its one body)."""
    body = {"model": "fake/text", "input": f"/fake {directive}", "stream": True, "store": False}
    answer = await client.post("/responses", json=body)
    if answer.status_code != 200:
        return answer.status_code, [answer.json()]
    frames = [frame for frame in answer.text.split("\n\n") if frame and not frame.startswith(":")]
    assert frames[-1] == "data: [DONE]"
    events: list[dict[str, Any]] = []
    for frame in frames[:-1]:
        name, _, data = frame.partition("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
        check_event(events[-1])
    check_stream(events)
    return 200, events


@pytest.fixture
async def client(cloud: Endpoint):
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=30) as client:
        yield client


async def cut_at(client: httpx2.AsyncClient, cut: int) -> str:
    """How a response ends whose provider's stream is cut after so many bytes."""
    status, events = await stream(client, f"cut;bytes={cut};tokens=2")
    if status != 200:
        assert status == 503
        assert events[0]["error"]["code"] == "provider_unavailable"
        return "refused"
    if events[-1]["type"] == "response.failed":
        assert events[-1]["response"]["error"]["code"] in ("provider_unavailable", "provider_stream_broken")
        return "failed"
    assert events[-1]["type"] == "response.completed"
    return "completed"


async def first_cut(client: httpx2.AsyncClient, *endings: str) -> int:
    """The first byte after which a cut leads to one of `endings`."""
    low, high = 0, 5000
    while low < high:
        middle = (low + high) // 2
        if await cut_at(client, middle) in endings:
            high = middle
        else:
            low = middle + 1
    return low


@pytest.mark.timeout(400)
async def test_a_provider_stream_cut_at_every_byte_ends_well_formed(client: httpx2.AsyncClient, sweep: Sweep) -> None:
    """Before the first delta is out the client gets a status on which it can retry; after it, `response.failed`."""
    begun, whole = await first_cut(client, "failed", "completed"), await first_cut(client, "completed")
    assert begun > 100
    assert whole - begun > 100
    for ending, cuts in (("refused", range(begun)), ("failed", range(begun, whole)), ("completed", [whole])):
        for cut in sweep.sample(cuts, 12):
            assert await cut_at(client, cut) == ending, cut
    _, events = await stream(client, "text")
    assert events[-1]["type"] == "response.completed"


MID_STREAM = [("error", "provider"), ("garbage", "provider_stream_broken"), ("stall", "provider_timeout")]


@pytest.mark.parametrize(("directive", "code"), MID_STREAM)
async def test_a_failure_mid_stream_is_a_failed_response(client: httpx2.AsyncClient, directive: str, code: str) -> None:
    status, events = await stream(client, directive)
    assert (status, events[-1]["type"]) == (200, "response.failed")
    assert events[-1]["response"]["error"]["code"].startswith(code)
    assert (await stream(client, "text"))[1][-1]["type"] == "response.completed"


BEFORE_IT = [("throttle", 429), ("status;code=500", 503), ("status;code=401", 502), ("html", 502), ("object", 503)]


@pytest.mark.parametrize(("directive", "expected"), BEFORE_IT)
async def test_a_failure_before_the_first_delta_is_a_status(
    client: httpx2.AsyncClient, directive: str, expected: int
) -> None:
    status, (body,) = await stream(client, directive)
    assert status == expected, body
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (await stream(client, "text"))[1][-1]["type"] == "response.completed"


async def test_a_provider_that_is_not_there_is_a_503(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/responses", json={"model": "gone/x", "input": "hi", "stream": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_unavailable")


async def test_length_and_filter_stops_are_incomplete(client: httpx2.AsyncClient) -> None:
    for directive, reason in (("length", "max_output_tokens"), ("filter", "content_filter")):
        _, events = await stream(client, directive)
        assert events[-1]["type"] == "response.incomplete"
        assert events[-1]["response"]["incomplete_details"] == {"reason": reason}


async def test_a_hosted_tool_loop_runs_over_many_turns(client: httpx2.AsyncClient) -> None:
    body = {
        "model": "fake/text",
        "input": '/fake tools;turns=5;args={"expression": "2+3"}',
        "tools": [{"type": "serverless:calculator"}],
    }
    answer = (await client.post("/responses", json=body)).json()
    calls = [item for item in answer["output"] if item["type"] == "serverless:calculator"]
    assert [(call["status"], call["output"]) for call in calls] == [("completed", "5")] * 5
    assert answer["status"] == "completed"
    stopped = (await client.post("/responses", json={**body, "max_tool_calls": 3})).json()
    assert (stopped["status"], stopped["incomplete_details"]) == ("incomplete", {"reason": "max_tool_calls"})

"""Providers that fail, in each dialect, through the whole Lambda path.

Before the first delta the fallback answers, or the client gets a status; after it the response fails, readably. And
the same sandbox answers the next request.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.e2e.conftest import Endpoint
from tests.fakes.server import dialects, wire_of
from tests.openresponses_schema import check_event
from tests.stream_checker import check_stream

Json = dict[str, Any]


class Fault(NamedTuple):
    """`provider` is appended to the dialect's name. `code` is the error's, with a status before the first delta."""

    directive: str
    code: str
    status: int | None = None
    provider: str = ""


FAULTS = {
    "429 with retry-after": Fault("throttle;after=7", "rate_limit_exceeded", 429),
    "500": Fault("status;code=500", "provider_unavailable", 503),
    "403": Fault("status;code=403", "provider_misconfigured", 502),
    "connection refused": Fault("text", "provider_unavailable", 503, "-gone"),
    "TLS failure": Fault("text", "provider_unavailable", 503, "-tls"),
    "connection reset": Fault("reset", "provider_unavailable", 503),
    "a web page": Fault("html", "provider_stream_broken", 502),
    "an error object with 200": Fault("object;code=503", "provider_unavailable", 503),
    "cut before its first byte": Fault("cut;bytes=0", "provider_unavailable", 503),
    "garbage first": Fault("garbage;tokens=0", "provider_stream_broken", 502),
    "stalled before its first byte": Fault("stall;tokens=-1", "provider_timeout", 504, "-hasty"),
    "an error in the stream": Fault("error", "provider_unavailable"),
    "cut in the stream": Fault("cut;bytes=9000;tokens=500", "provider_unavailable"),
    "garbage in the stream": Fault("garbage", "provider_stream_broken"),
    "stalled in the stream": Fault("stall", "provider_timeout", None, "-restless"),
}


@pytest.fixture
async def client(cloud: Endpoint) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=30) as client:
        yield client


async def told(client: httpx2.AsyncClient, *targets: str) -> str:
    """What a client is told that asks for the targets in order: `<status> <code>`, or how the stream ended."""
    body: Json = {"model": targets[0], "input": "Hello.", "stream": True, "store": False}
    body["provider"] = {"order": targets, "allow_fallbacks": False}
    answer = await client.post("/responses", json=body)
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert answer.headers.get("retry-after") == (
            "7" if answer.status_code == 429 else "1" if answer.status_code >= 500 else None
        )
        return f"{answer.status_code} {error['code']}"
    frames = [frame for frame in answer.text.split("\n\n") if frame and not frame.startswith(":")]
    assert frames[-1] == "data: [DONE]"
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames[:-1]]
    for event in events:
        check_event(event)
    final = check_stream(events)
    if final["status"] == "completed":
        return final["output"][-1]["content"][0]["text"].strip()
    return f"{final['status']} {final['error']['code']}"


@pytest.mark.parametrize("dialect", dialects())
async def test_a_provider_that_fails_is_replaced_or_told_and_the_next_request_answered(
    client: httpx2.AsyncClient, dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wire, other = wire_of(dialect), wire_of("chat_completions").model
    model = wire.model
    fallback = f"chat_completions/{other}!text;say=the fallback"
    table: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    for name, fault in FAULTS.items():
        target = f"{dialect}{fault.provider}/{model}!{fault.directive}"
        table[name] = [
            await told(client, target),
            await told(client, target, fallback),
            await told(client, f"{dialect}/{model}!text;say=the next"),
        ]
        failed = f"failed {fault.code}"
        alone, replaced = (f"{fault.status} {fault.code}", "the fallback") if fault.status else (failed, failed)
        expected[name] = [alone, replaced, "the next"]
    with capsys.disabled():
        print(f"\n{dialect:32} {'alone':32} {'with a fallback':32} the next request")
        print("\n".join(f"  {name:30} {row[0]:32} {row[1]:32} {row[2]}" for name, row in table.items()))
    assert table == expected


RECOVERING = ("throttle;after=0.1", "status;code=500", "status;code=529", "reset", "cut;bytes=0")


@pytest.mark.parametrize("dialect", dialects())
async def test_a_provider_that_recovers_is_asked_again(client: httpx2.AsyncClient, dialect: str) -> None:
    model = wire_of(dialect).model
    answers = {
        directive: await told(client, f"{dialect}-patient/{model}!{directive};fails=1;say=it recovered")
        for directive in RECOVERING
    }
    assert answers == dict.fromkeys(RECOVERING, "it recovered")

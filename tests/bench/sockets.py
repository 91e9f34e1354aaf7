"""What a turn costs over a WebSocket, and over HTTP beside it: counted at the local cloud, as `cost` counts a response.

A connection is opened for a few turns, each of which goes on from the one before, and closed. All of that is shared
out among its turns.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from websockets.asyncio.client import connect

from tests.bench import cost
from tests.bench.cost import ASSUMED, Bill
from tests.bench.durable import TERMINAL, stream
from tests.bench.metered import AwsCall, Invocation, MeteredCloud
from tests.bench.paced import Script
from tests.bench.sandbox import API_KEY

TURNS = 5
METERED_BYTES = 32 * 1024
"""Of a message, each time that it is paid for: https://aws.amazon.com/api-gateway/pricing/"""
REMEMBERED = "AuthorizerFunction"
"""What API Gateway invokes for a request once in `AuthorizerSeconds`, so that it is no turn's."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    socket: bool
    store: bool


CASES = (
    Case("over HTTP, not stored", socket=False, store=False),
    Case("over a socket, not stored", socket=True, store=False),
    Case("over HTTP, stored", socket=False, store=True),
    Case("over a socket, stored", socket=True, store=True),
)


async def everything(it: MeteredCloud, http: httpx2.AsyncClient, cases: tuple[Case, ...] = CASES) -> list[list[Bill]]:
    """Without model time, and with it; one case after the other, so that whatever is called is the case's."""
    seconds = ASSUMED["model_seconds_per_turn"]
    return [[await bill(it, http, case, pace) for case in cases] for pace in (0.0, seconds)]


async def bill(it: MeteredCloud, http: httpx2.AsyncClient, case: Case, seconds: float, turns: int = TURNS) -> Bill:
    """Of one turn. One connection is made before, so that the sandboxes are warm."""
    await _turns(it, http, case, 0, 1)
    await _quiet(it)
    calls, invoked, lines = len(it.meter.calls), len(it.meter.invocations), len(it.meter.lines)
    began = time.monotonic()
    messages, response_ids = await _turns(it, http, case, seconds, turns)
    minutes = (time.monotonic() - began) / 60
    await _quiet(it)
    made = [each for each in it.meter.invocations[invoked:] if each.call.function != REMEMBERED]
    asked = [call for call in it.meter.calls[calls:] if case.socket or "key#" not in call.told]
    rest = sum(_kept(it, response_id) for response_id in response_ids)
    return _shared(_all(case, seconds, made, asked, it.meter.lines[lines:], messages, minutes, rest), turns)


def _all(
    case: Case,
    seconds: float,
    made: list[Invocation],
    asked: list[AwsCall],
    lines: list[int],
    messages: int,
    minutes: float,
    rest: float,
) -> Bill:
    ms = dict[str, float]()
    for each in made:
        name = each.call.function.removesuffix("Function")
        ms[name] = ms.get(name, 0) + each.ms
    requests = 0 if case.socket else len(made)
    logged = sum(lines) + len(lines) * ASSUMED["log_line_overhead_bytes"] + len(made) * ASSUMED["platform_log_bytes"]
    return Bill(
        name=case.name,
        model_seconds=seconds,
        ms=ms,
        invocations=len(made),
        requests=requests,
        transitions=0,
        writes=sum(call.written for call in asked),
        reads=sum(call.read for call in asked if call.service == "DynamoDB"),
        puts=sum(call.operation == "PUT" for call in asked),
        gets=sum(call.operation == "GET" for call in asked),
        log_bytes=logged + requests * ASSUMED["access_log_bytes"],
        rest=rest,
        messages=messages,
        minutes=minutes if case.socket else 0,
    )


def _shared(whole: Bill, turns: int) -> Bill:
    counts = ("invocations", "requests", "writes", "reads", "puts", "gets", "log_bytes", "rest", "messages", "minutes")
    parts = {name: getattr(whole, name) / turns for name in counts}
    return replace(whole, ms={name: ms / turns for name, ms in whole.ms.items()}, **parts)


async def _turns(
    it: MeteredCloud, http: httpx2.AsyncClient, case: Case, seconds: float, turns: int
) -> tuple[int, list[str]]:
    """How many messages are paid for, and the ids of the responses."""
    script = Script(1, tokens=round(ASSUMED["tokens_per_turn"]), seconds=seconds)
    request, ids = script.request(store=case.store), list[str]()
    if not case.socket:
        for _ in range(turns):
            previous = {"previous_response_id": ids[-1]} if ids and case.store else {}
            ids.append((await stream(http, {**request, **previous})).response_id)
        return 0, ids
    messages = 0
    async with _connected(it) as socket:
        for _ in range(turns):
            previous = {"previous_response_id": ids[-1]} if ids else {}
            sent = json.dumps({"type": "response.create", **request, **previous})
            await socket.send(sent)
            frames = [frame async for frame in _frames(socket)]
            messages += sum(math.ceil(len(each) / METERED_BYTES) for each in (sent.encode(), *frames))
            ids.append(json.loads(frames[-1])["response"]["id"])
    return messages, ids


@asynccontextmanager
async def _connected(it: MeteredCloud) -> AsyncGenerator[Any, None]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with connect(f"{it.websocket_base_url}/responses", additional_headers=headers, proxy=None) as socket:
        yield socket


async def _frames(socket: Any) -> AsyncGenerator[bytes, None]:
    """Of one turn."""
    while True:
        frame = await socket.recv(decode=False)
        yield frame
        kind = json.loads(frame)["type"]
        if kind == "error" or kind in TERMINAL:
            if kind != TERMINAL[0]:
                raise RuntimeError(f"a turn ended with {frame!r}")
            return


async def _quiet(it: MeteredCloud) -> None:
    """Until nothing runs, nor is about to: the end of a connection is told to the function afterwards."""
    await asyncio.sleep(0.3)
    while any(each.call.ended is None for each in it.meter.invocations):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)


def _kept(it: MeteredCloud, response_id: str) -> float:
    """Bytes times days."""
    sizes = it.at_rest(response_id)
    log = sizes.pop("log", 0)
    return sum(sizes.values()) * ASSUMED["record_days"] + log * ASSUMED["event_log_days"]


def table(bills: list[list[Bill]]) -> str:
    quick, paced = bills
    connection = (
        f"Each column is one turn of {TURNS} on one connection, of which the opening and the end are shared out. A "
        "frame of the server is a message, and so is each message of a client."
    )
    return f"{cost.table(quick, paced)}\n\n{connection}"

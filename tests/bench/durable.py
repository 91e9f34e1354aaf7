"""What durability costs: the state machine, the handoff, the log and those who read it, and storage on the hot path.

All of it in one local cloud with the template's defaults, its sandboxes warm. What it stands on is moto, not AWS: the
ratios and the counts of calls, writes and bytes carry over, the milliseconds of storage do not.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.bench.figures import Figure, Samples
from tests.bench.metered import PATIENCE_S, AwsCall, MeteredCloud, depth
from tests.bench.paced import Script, upstream
from tests.bench.sandbox import REPO, cpu_seconds

MODEL = "offline/demo"
CLOCK: Any = [{"type": "serverless:clock"}]
DELTA = "response.output_text.delta"
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@dataclass(frozen=True, slots=True)
class Streamed:
    """Times are of the monotonic clock."""

    began: float
    events: list[tuple[float, dict[str, Any]]]

    @property
    def response_id(self) -> str:
        return self.events[0][1]["response"]["id"]

    @property
    def first(self) -> float:
        """Seconds to the first event."""
        return self.events[0][0] - self.began

    def lags(self) -> list[float]:
        """Milliseconds from the making of each stamped token to its arrival."""
        return [(at - float(event["delta"])) * 1e3 for at, event in self.events if event["type"] == DELTA]


@asynccontextmanager
async def cloud() -> AsyncGenerator[tuple[MeteredCloud, httpx2.AsyncClient], None]:
    async with upstream() as url:
        providers = {"paced": {"dialect": "chat_completions", "base_url": url}}
        it = MeteredCloud(providers)
        async with it.running() as http:
            yield it, http


async def stream(http: httpx2.AsyncClient, request: dict[str, Any]) -> Streamed:
    return await _read(http, "POST", "/responses", json={**request, "stream": True})


async def tail(http: httpx2.AsyncClient, response_id: str) -> Streamed:
    return await _read(http, "GET", f"/responses/{response_id}", params={"stream": "true"})


async def _read(http: httpx2.AsyncClient, method: str, path: str, **request: Any) -> Streamed:
    began, events = time.monotonic(), list[tuple[float, dict[str, Any]]]()
    async with http.stream(method, path, **request) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                events.append((time.monotonic(), json.loads(line.removeprefix("data: "))))
    if not events or events[-1][1]["type"] != TERMINAL[0]:
        raise RuntimeError(f"{method} {path}: status {reply.status_code}, ended with {events[-1:]}")
    return Streamed(began, events)


async def background(http: httpx2.AsyncClient, request: dict[str, Any]) -> str:
    """Its id, at once."""
    answer = await http.post("/responses", json={**request, "background": True})
    return answer.raise_for_status().json()["id"]


def asked(text: str, **more: object) -> dict[str, Any]:
    return {"model": MODEL, "input": text, **more}


async def turn_calls(it: MeteredCloud, http: httpx2.AsyncClient, turns: int = 20) -> list[Figure]:
    """What a turn with its tool calls in the state machine, on average over a loop."""
    made = await _loop_calls(it, http, turns)
    async with held(it, 0.02):
        slow = await _loop_calls(it, http, turns)
    return [
        Figure("a turn and its tool", "storage calls", Samples([len(made) / turns]), goal=3),
        Figure("  of them one after another", "calls", Samples([depth(slow) / turns]), goal=2),
        Figure("  one storage call, botocore to moto", "ms", Samples(await round_trips(it.aws.environment(), 200))),
    ]


async def _loop_calls(it: MeteredCloud, http: httpx2.AsyncClient, turns: int) -> list[AwsCall]:
    """What the state machine's function called."""
    response_id = await background(http, asked(f"[[turns {turns - 1}]] Go.", tools=CLOCK))
    await it.executed(response_id)
    calls = it.meter.of(response_id)
    started = next(call for call in calls if call.operation == "StartExecution")
    return [call for call in calls if call.began > started.ended and call.service == "DynamoDB"]


@asynccontextmanager
async def held(it: MeteredCloud, seconds: float) -> AsyncGenerator[float, None]:
    """The time since which every answer of a service is held back for so long."""
    it.meter.hold = seconds
    try:
        yield time.monotonic()
    finally:
        it.meter.hold = 0.0


async def round_trips(aws: Mapping[str, str], count: int) -> list[float]:
    """Milliseconds of calls that another process makes one after another."""
    command = (sys.executable, "-m", "tests.bench.apps.round_trip", str(count))
    environment = {**os.environ, **aws}
    child = await asyncio.create_subprocess_exec(*command, cwd=REPO, env=environment, stdout=asyncio.subprocess.PIPE)
    printed, _ = await child.communicate()
    return json.loads(printed)


async def handoff(it: MeteredCloud, http: httpx2.AsyncClient, rounds: int) -> list[Figure]:
    """From the last event of the inline loop to the first of the state machine, which begins a turn."""
    totals, saves = list[float](), list[float]()
    for number in range(rounds + 1):
        answer = await stream(http, asked("[[turns 11]] Go.", tools=CLOCK))
        calls = it.meter.of(answer.response_id)
        started = next(call for call in calls if call.operation == "StartExecution")
        batch = next(batch for call in calls if call.began > started.began and (batch := call.log_batch()))
        arrived = {event["sequence_number"]: at for at, event in answer.events}
        before, after = arrived[batch.first - 1], arrived[batch.first]
        if number:
            totals.append((after - before) * 1e3)
            saves.append((started.ended - before) * 1e3)
    return [
        Figure("handoff, last inline event to first event after it", "ms", Samples(totals)),
        Figure("  of it until the execution is started", "ms", Samples(saves)),
    ]


async def log_size(it: MeteredCloud, http: httpx2.AsyncClient, words: int) -> list[Figure]:
    """At 50 words a second, both at the same time."""
    request = Script(tokens=words, seconds=words / 50).request(tools=[])
    inline, handed_off = await asyncio.gather(stream(http, request), background(http, request))
    await it.executed(handed_off)
    burst = await stream(http, Script(tokens=words).request(tools=[]))
    kinds = (
        ("inline, 50 tokens a second", inline.response_id),
        ("handed off, 50 tokens a second", handed_off),
        ("inline, all at once", burst.response_id),
    )
    figures = list[Figure]()
    for name, response_id in kinds:
        batches = [batch for call in it.meter.of(response_id) if (batch := call.log_batch())]
        events = sum(batch.last - batch.first + 1 for batch in batches)
        packed = sum(batch.packed for batch in batches)
        units = sum(batch.units for batch in batches)
        figures += [
            Figure(f"log per 1,000 events, {name}", "KB", Samples([packed / events])),
            Figure("  writes", "writes", Samples([len(batches) / events * 1e3])),
            Figure("  write units", "units", Samples([units / events * 1e3])),
        ]
    return figures


async def tailing(http: httpx2.AsyncClient, seconds: float) -> list[Figure]:
    """At 50 tokens a second, from the token's making in the upstream to its arrival. Two clients read the log of one
    response; and an inline stream for comparison."""
    both = list[Streamed]()
    for length in (0.5, seconds):  # the first time starts a sandbox for each reader
        request = Script(tokens=round(length * 50), seconds=length, stamped=True).request(tools=[])
        response_id = await background(http, request)
        both = await asyncio.gather(tail(http, response_id), tail(http, response_id))
    inline = await stream(http, request)
    lags = [sorted(each.lags()[10:]) for each in (*both, inline)]
    return [
        Figure("tailing a response, p50 per event", "ms", Samples(lags[0]), goal=150),
        Figure("  its p95", "ms", Samples([Samples(lags[0]).at(0.95)])),
        Figure("  a second reader of it", "ms", Samples(lags[1]), goal=150),
        Figure("  an inline stream", "ms", Samples(lags[2])),
    ]


async def first_event(it: MeteredCloud, http: httpx2.AsyncClient) -> list[Figure]:
    """What is called before the first event of a stored stream is sent."""
    await stream(http, asked("Say hello."))
    async with held(it, 0.2) as since:
        answer = await stream(http, asked("Say hello."))
    made = it.meter.of(answer.response_id, since, answer.began + answer.first)
    assert made, "a response is stored before its first event is sent"
    return [
        Figure(
            "before the first event of a stored stream, one after another",
            "storage calls",
            Samples([float(depth(made))]),
            goal=2,
        )
    ]


async def hot_path(it: MeteredCloud, http: httpx2.AsyncClient, rounds: int, words: int) -> list[Figure]:
    """An inline stream that is stored, against one that is not."""
    firsts, walls, cpus = ({store: list[float]() for store in (True, False)} for _ in range(3))
    for number in range(rounds + 3):
        for store in (True, False):
            short = await stream(http, asked("Say hello.", store=store))
            if number >= 3:
                firsts[store].append(short.first * 1e3)
    for number in range(max(1, rounds // 4) + 1):
        for store in (True, False):
            before = _cpu(it, "ApiFunction")
            long = await stream(http, asked(f"[[words {words}]]", store=store))
            events = len(long.events)
            if number:
                walls[store].append((long.events[-1][0] - long.events[0][0]) / events * 1e6)
                cpus[store].append((_cpu(it, "ApiFunction") - before) / events * 1e6)
    plain = "store: false"

    def figure(name: str, unit: str, of: dict[bool, list[float]]) -> Figure:
        return Figure(name, unit, Samples(of[True]), Samples(of[False]), plain, kind="difference")

    return [
        figure("first event of a stored stream", "ms", firsts),
        figure("per event of a stored stream, on the clock", "us", walls),
        figure("  CPU time", "us", cpus),
    ]


def _cpu(it: MeteredCloud, *functions: str) -> float:
    return sum(cpu_seconds(sandbox.pid) for name in functions for sandbox in it.functions[name].sandboxes)


async def everything(it: MeteredCloud, http: httpx2.AsyncClient, scale: float) -> list[Figure]:
    """All that is measured in one cloud; `scale` shortens the run."""

    def times(rounds: int) -> int:
        return max(1, round(rounds * scale))

    async with asyncio.timeout(PATIENCE_S * 2):
        return [
            *await turn_calls(it, http),
            *await handoff(it, http, times(15)),
            *await log_size(it, http, words=times(1000)),
            *await tailing(http, seconds=max(1.0, 15 * scale)),
            *await first_event(it, http),
            *await hot_path(it, http, times(40), words=1000),
        ]

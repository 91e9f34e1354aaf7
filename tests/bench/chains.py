"""What it costs to go on from a conversation: read units, round trips, and the time of the first event."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.bench.durable import asked, held, stream
from tests.bench.figures import Figure, Samples
from tests.bench.metered import AwsCall, MeteredCloud, depth

LENGTHS = (1, 50, 150, 200, 1000)
MOST_UNITS = {200: 60, 1000: 300}
"""By the length: linear at most."""
MOST_TIMES = 3
"""How many times as long the first event may take at 150 responses as at 1."""


async def rows(it: MeteredCloud, http: httpx2.AsyncClient, scale: float) -> list[Figure]:
    """The requests store nothing: all that they read is the chain. 1,000 responses only in a whole run."""
    lengths = [length for length in LENGTHS if length <= 1000 * scale or length <= 50]
    ends, figures = await _talk(http, lengths), list[Figure]()
    for length, end in ends.items():
        calls = await _loading(it, http, end)
        units = Samples([sum(call.read for call in calls)])
        figures += [
            Figure(f"chain of {length}", "read units", units, goal=MOST_UNITS.get(length)),
            Figure("  round trips, one after another", "calls", Samples([float(depth(calls))])),
        ]
    if 150 in ends:
        firsts = {length: list[float]() for length in (1, 150)}
        for number in range(max(2, round(20 * scale)) + 2):
            for length, times in firsts.items():
                answer = await stream(http, _request(ends[length], store=False))
                if number >= 2:
                    times.append(answer.first * 1e3)
        ours, least = Samples(firsts[150]), Samples(firsts[1])
        figures.append(Figure("chain of 150, first event", "ms", ours, least, "a chain of 1", MOST_TIMES))
    return figures


async def _talk(http: httpx2.AsyncClient, lengths: list[int]) -> dict[int, str]:
    """The last response of a conversation, at each of its lengths."""
    last, ends = None, dict[int, str]()
    for number in range(1, max(lengths) + 1):
        answer = await http.post("/responses", json=_request(last, text=f"Message {number}: "))
        last = answer.raise_for_status().json()["id"]
        ends |= {number: last} if number in lengths else {}
    return ends


def _request(end: str | None, *, text: str = "", **more: Any) -> dict[str, Any]:
    return asked(f"{text}{'tell me more about it, please. ' * 5}", previous_response_id=end, **more)


async def _loading(it: MeteredCloud, http: httpx2.AsyncClient, end: str) -> list[AwsCall]:
    async with held(it, 0.2) as since:
        await stream(http, _request(end, store=False))
    return [call for call in it.meter.calls if call.began > since]

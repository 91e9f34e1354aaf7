"""What a response costs on AWS: what was counted and measured here, times the prices of prices.json.

Counted: invocations, state transitions, write and read units by the bytes of the real calls, lines of log. Measured:
the milliseconds of each invocation, on this machine and against moto, as a stand-in for Lambda's and DynamoDB's.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from tests.bench.durable import background, stream
from tests.bench.figures import Figure, Samples
from tests.bench.metered import Invocation, MeteredCloud
from tests.bench.paced import Script

PRICES: Any = json.loads(Path(__file__).with_name("prices.json").read_text())
ASSUMED: Mapping[str, float] = PRICES["assumptions"]
MONTH_DAYS = 30
TELLS_ENDS = "EndedFunction"
"""It is invoked for the end of each stored response."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What one response used. `ms` are of each function; `rest` is bytes of the table, times the days they are kept;
    `messages` are those of a socket, and `minutes` those for which it was open.
    """

    name: str
    model_seconds: float
    ms: Mapping[str, float]
    invocations: float
    requests: float
    transitions: int
    writes: float
    reads: float
    puts: float
    gets: float
    log_bytes: float
    rest: float
    messages: float = 0
    minutes: float = 0

    def usd(self) -> dict[str, float]:
        """By what it is paid for."""
        seconds = sum(math.ceil(ms) for ms in self.ms.values()) / 1e3
        month = price("table_gb_month") + price("recovery_gb_month")
        return {
            "Lambda time": seconds * ASSUMED["memory_mb"] / 1024 * price("lambda_gb_second"),
            "requests": self.invocations * price("lambda_request") + self.requests * price("api_request"),
            "messages": self.messages * price("socket_message") + self.minutes * price("socket_minute"),
            "transitions": self.transitions * price("transition"),
            "table writes": self.writes * price("write_unit"),
            "table reads": self.reads * price("read_unit"),
            "S3": self.puts * price("s3_put") + self.gets * price("s3_get"),
            "logs": self.log_bytes / 1e9 * price("log_gb"),
            "kept": self.rest / MONTH_DAYS / 1e9 * month,
        }


def price(name: str) -> float:
    return PRICES["prices"][name]["usd"]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    turns: int
    streamed: bool = True


INLINE = Case("5 turns inline, streamed", 5)
HANDED_OFF = Case("50 turns, handed off after 10, streamed to the end", 50)
BACKGROUND = Case("50 turns in the background, nobody listens", 50, streamed=False)
CASES = (INLINE, HANDED_OFF, BACKGROUND)


async def bills(it: MeteredCloud, http: httpx2.AsyncClient, seconds: float, cases: tuple[Case, ...]) -> list[Bill]:
    """At `seconds` of model time per turn: one after another where there is none, else all at once.

    Each runs once before, at no pace, so that its sandboxes are warm.
    """
    for case in cases:
        await _run(it, http, Case(case.name, min(case.turns, 12), case.streamed), 0)
    if seconds:
        return await asyncio.gather(*(_run(it, http, case, seconds) for case in cases))
    return [await _run(it, http, case, 0) for case in cases]


async def _run(it: MeteredCloud, http: httpx2.AsyncClient, case: Case, seconds: float) -> Bill:
    script = Script(case.turns, tokens=round(ASSUMED["tokens_per_turn"]), seconds=seconds)
    mark = f"bench-{case.name}-{len(it.meter.calls)}"  # in the event of the request, and nowhere else
    request, lines = script.request(metadata={"mark": mark}), len(it.meter.lines)
    if case.streamed:
        response_id = (await stream(http, request)).response_id
    else:
        response_id = await background(http, request)
        await it.executed(response_id)
    execution = next((each for each in it.aws.executions() if each.name == response_id), None)
    if execution:
        await it.executed(response_id)
    made = list[Invocation]()
    while not any(each.call.function == TELLS_ENDS for each in made) or any(each.call.ended is None for each in made):
        await asyncio.sleep(0.01)
        made = [each for each in it.meter.invocations if mark in each.payload or response_id in each.payload]
    await asyncio.sleep(0.2)  # the last lines of log are on their way
    calls = it.meter.of(response_id)
    sizes = it.at_rest(response_id)
    log = sizes.pop("log", 0)
    return Bill(
        name=case.name,
        model_seconds=seconds,
        ms=_ms(made),
        invocations=len(made),
        requests=sum(mark in each.payload for each in made),
        transitions=await it.transitions(execution) if execution else 0,
        writes=sum(call.written for call in calls),
        reads=sum(call.read for call in calls),
        puts=sum(call.operation == "PUT" for call in calls),
        gets=sum(call.operation == "GET" for call in calls),
        log_bytes=_logged(it.meter.lines[lines:], len(made), sum(mark in each.payload for each in made)),
        rest=sum(sizes.values()) * ASSUMED["record_days"] + log * ASSUMED["event_log_days"],
    )


def _ms(made: list[Invocation]) -> dict[str, float]:
    """By function."""
    ms = dict[str, float]()
    for each in made:
        name = each.call.function.removesuffix("Function")
        ms[name] = ms.get(name, 0) + each.ms
    return ms


def _logged(lines: list[int], invocations: int, requests: int) -> int:
    overhead = ASSUMED["log_line_overhead_bytes"]
    own = sum(length + overhead for length in lines)
    return round(own + invocations * ASSUMED["platform_log_bytes"] + requests * ASSUMED["access_log_bytes"])


def table(quick: list[Bill], paced: list[Bill]) -> str:
    """Two tables in Markdown: what was used, and what that costs."""
    seconds, tokens, memory = paced[0].model_seconds, ASSUMED["tokens_per_turn"], ASSUMED["memory_mb"]
    about = (
        f"With a model that takes {seconds:g} s for a turn and says {tokens:g} tokens in it; in brackets, with one "
        "that takes no time. "
        f"{memory:g} MB for each function. List prices of {PRICES['region']}, taken {PRICES['taken']}. "
        "Between requests nothing runs, and nothing is paid but for the bytes that are stored, which are in it "
        "as `kept`. Not in it: the model, data out, and custom metrics."
    )
    return "\n".join([about, "", *_used(quick, paced), "", *_priced(quick, paced)])


def rows(paced: list[Bill]) -> list[Figure]:
    """What has a goal, of bills with model time."""
    by_name = {bill.name: bill for bill in paced}
    background, handed_off = by_name[BACKGROUND.name], by_name[HANDED_OFF.name]

    def dollars(bill: Bill) -> Samples:
        return Samples([sum(bill.usd().values()) * 1e3])

    return [
        Figure("50 turns in the background", "state transitions", Samples([float(background.transitions)]), goal=6),
        Figure("1,000 responses of 50 turns, in the background", "dollars", dollars(background), goal=2.5),
        Figure("  handed off after 10, and followed", "dollars", dollars(handed_off), goal=3.6),
    ]


def _used(quick: list[Bill], paced: list[Bill]) -> list[str]:
    def row(name: str, cell: Callable[[Bill], str]) -> str:
        return _row(name, [f"{cell(one)} ({cell(other)})" for one, other in zip(paced, quick, strict=True)])

    names = dict.fromkeys(name for bill in paced for name in bill.ms)  # in the order in which they came
    return [
        *_head("what one response uses", paced),
        *(row(f"{name} function, ms", lambda bill, name=name: f"{bill.ms.get(name, 0):,.0f}") for name in names),
        row("invocations", lambda bill: f"{bill.invocations:,}"),
        *([row("messages", lambda bill: f"{bill.messages:,.0f}")] if any(bill.messages for bill in paced) else []),
        row("state transitions", lambda bill: f"{bill.transitions:,}"),
        row("table write units", lambda bill: f"{bill.writes:,.0f}"),
        row("table read units", lambda bill: f"{bill.reads:,.0f}"),
        row("log, KB", lambda bill: f"{bill.log_bytes / 1e3:,.1f}"),
        row("stored, KB times months", lambda bill: f"{bill.rest / MONTH_DAYS / 1e3:,.1f}"),
    ]


def _priced(quick: list[Bill], paced: list[Bill]) -> list[str]:
    pairs = [(one.usd(), other.usd()) for one, other in zip(paced, quick, strict=True)]
    rows = _head("US dollars per 1,000 responses", paced)
    for kind in pairs[0][0]:
        if any(usd[kind] for pair in pairs for usd in pair):
            rows.append(_row(kind, [f"{one[kind] * 1e3:,.3f} ({other[kind] * 1e3:,.3f})" for one, other in pairs]))
    sums = [[sum(usd.values()) * 1e3 for usd in pair] for pair in pairs]
    return [*rows, _row("**all**", [f"**{one:,.2f}** ({other:,.2f})" for one, other in sums])]


def _head(title: str, bills: list[Bill]) -> list[str]:
    return [_row(title, [bill.name for bill in bills]), "|---|" + "---|" * len(bills)]


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


async def everything(it: MeteredCloud, http: httpx2.AsyncClient, cases: tuple[Case, ...] = CASES) -> list[list[Bill]]:
    """Without model time, and with it. What is logged does not depend on the pace: the first run's is taken, since
    the second runs the cases side by side."""
    quick = await bills(it, http, 0, cases)
    paced = await bills(it, http, ASSUMED["model_seconds_per_turn"], cases)
    return [quick, [replace(bill, log_bytes=other.log_bytes) for bill, other in zip(paced, quick, strict=True)]]

"""What is measured of each server, in turns, and the table of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tests.bench.figures import Machine, Samples
from tests.bench.measures import upstream
from tests.bench.paced import Script
from tests.bench.page import about, spread
from tests.bench.peers.served import Served, Unusable
from tests.bench.peers.servers import Server

DELTAS = 50
BURST = Script(tokens=DELTAS)
PACED = Script(tokens=DELTAS, seconds=DELTAS * 0.02)
AT_ONCE = 20
MEASURES = {
    "first": "first text, ms",
    "end": "stream end, ms",
    "together": f"{AT_ONCE} streams at once, the last end, ms",
    "cpu": "CPU per stream, ms",
    "cpu_paced": "… at 20 ms a token, ms",
    "rss": "memory, one stream at a time, MB",
    "rss_together": f"… after {AT_ONCE} at once, MB",
    "cold": "cold start, with the first answer, ms",
}


@dataclass
class Row:
    """What was measured of a server, by the keys of MEASURES; or why nothing could be."""

    server: Server
    samples: dict[str, Samples] = field(default_factory=dict[str, Samples])
    failed: str = ""

    def add(self, measure: str, value: float | None) -> None:
        if value is not None:
            self.samples.setdefault(measure, Samples([])).values.append(value)

    def document(self) -> dict[str, object]:
        values = {measure: samples.document() for measure, samples in self.samples.items()}
        return {"name": self.server.name, "about": self.server.about, "failed": self.failed, **values}


async def everything(servers: Sequence[Server], folder: Path, scale: float) -> list[Row]:
    """`folder`: where servers are installed, and stay."""

    def times(rounds: int) -> int:
        return max(1, round(rounds * scale))

    rows = [Row(server) for server in servers]
    async with upstream("tests.bench.paced") as url, AsyncExitStack() as stack:
        running = list[tuple[Row, Served]]()
        for row in rows:
            try:
                running.append((row, await _start(row, folder, url, stack, starts=times(5))))
            except Unusable as error:
                row.failed = str(error)
        for _ in range(times(5)):
            for row, it in running:
                await _one_by_one(row, it)
        for _ in range(times(3)):
            for row, it in running:
                await _paced(row, it)
        for row, it in running:
            row.add("rss", it.rss())
            await it.prepare(AT_ONCE)
            await _at_once(it)
        for _ in range(times(10)):
            for row, it in running:
                row.add("together", await _at_once(it))
        for row, it in running:
            row.add("rss_together", it.rss())
    return rows


async def _start(row: Row, folder: Path, url: str, stack: AsyncExitStack, starts: int) -> Served:
    """Warm, after it was started so many times. Raises Unusable."""
    home = folder / re.sub(r"\W+", "-", row.server.name.lower())
    home.mkdir(parents=True, exist_ok=True)
    await row.server.install(home)
    for number in range(starts + 1):
        async with row.server.serve(home, url) as it:
            if number:  # the first start fills caches, those of bytecode among them
                row.add("cold", it.cold and it.cold * 1e3)
    it = await stack.enter_async_context(row.server.serve(home, url))
    for _ in range(10):
        await it.ask(BURST)
    return it


async def _one_by_one(row: Row, it: Served) -> None:
    before = it.cpu()
    for _ in range(AT_ONCE):
        answer = await it.ask(BURST)
        row.add("first", answer.first_text * 1e3)
        row.add("end", answer.end * 1e3)
    row.add("cpu", _spent(it, before, AT_ONCE))


async def _paced(row: Row, it: Served) -> None:
    """Two, one after the other: processor time is counted in ticks of 10 ms."""
    before = it.cpu()
    for _ in range(2):
        await it.ask(PACED)
    row.add("cpu_paced", _spent(it, before, 2))


async def _at_once(it: Served) -> float:
    """Milliseconds until the last one's end."""
    began = time.monotonic()
    await asyncio.gather(*(it.ask(BURST) for _ in range(AT_ONCE)))
    return (time.monotonic() - began) * 1e3


def _spent(it: Served, before: float | None, streams: int) -> float | None:
    """Milliseconds of processor time per stream."""
    after = it.cpu()
    return None if before is None or after is None else (after - before) / streams * 1e3


def table(machine: Machine, rows: list[Row], day: date) -> str:
    """In Markdown. A server that could not be measured is told below it, with the reason."""
    measured, failed = [row for row in rows if not row.failed], [row for row in rows if row.failed]
    lines = [about(machine, day), "", f"| measured | {' | '.join(row.server.name for row in measured)} |"]
    lines.append("|---|" + "---|" * len(measured))
    for measure, name in MEASURES.items():
        cells = [spread(row.samples[measure]) if measure in row.samples else "" for row in measured]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *(f"- {row.server.name}: {row.server.about}." for row in measured)]
    return "\n".join([*lines, *(f"- {row.server.name} is not in the table: {row.failed}" for row in failed)])

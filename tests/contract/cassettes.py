"""Cassettes: recorded streams of every dialect's upstreams, and what plays them.

A cassette is `<case>.request.json`: its source, what our client asks, what we must send upstream for it, and what
must come out (or the error). Beside it, the upstream's bytes: `<case>.sse`, or, where the wire is binary,
`<case>.events.jsonl`, an event or exception by its name in each line.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2

from openresponses.core import deltas as d
from openresponses.core.engine import begin, finish, think
from openresponses.core.ports import Ports
from openresponses.core.run import Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.steps import Stop, next_step
from openresponses.core.turn import Turn
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.durable.journal import Journal
from openresponses.schema.events import Event
from openresponses.schema.items import Item
from openresponses.schema.request import CreateResponse
from openresponses.transport.sse import SseEvent, SseParser
from tests.contract.turns import Clock, encode, run_for, turn_for
from tests.fakes.bedrock_frames import of_line
from tests.fakes.network import Answered
from tests.unit.kit import Ledger, Models

FOLDER = Path(__file__).parent.parent / "cassettes"
ENDS = {
    "anthropic": rb'"stop_reason": ?"',
    "bedrock": rb"messageStop",
    "chat_completions": rb'"finish_reason": ?"|\[DONE\]',
    "gemini": rb'"finishReason"|"promptFeedback"',
    "openai_responses": rb'"response\.(completed|incomplete)"',
}
"""What is in the event by which a turn is known to have ended."""


@dataclass(frozen=True)
class Cassette:
    """`wire` are the upstream's bytes, event by event. `expected` is what the request's file says."""

    dialect: str
    wire: tuple[bytes, ...]
    settings: ProviderSettings
    request: CreateResponse
    expected: dict[str, Any]

    @property
    def fails(self) -> bool:
        return "error" in self.expected

    @property
    def end(self) -> int:
        """How many events it takes until the turn is known to have ended."""
        return next(count for count, event in enumerate(self.wire, 1) if re.search(ENDS[self.dialect], event))

    def sse(self) -> list[SseEvent]:
        return SseParser().feed(b"".join(self.wire))

    def sent(self, *more: Item) -> dict[str, Any]:
        """What goes upstream for the request, with `more` items behind its own."""
        return encode(turn_for(self.request, *more), self.settings)


@cache
def names(dialect: str) -> list[str]:
    return sorted(path.name.removesuffix(".request.json") for path in (FOLDER / dialect).glob("*.request.json"))


@cache
def load(dialect: str, name: str) -> Cassette:
    case = FOLDER / dialect / name
    sidecar = json.loads(case.with_suffix(".request.json").read_text())
    settings = ProviderSettings(
        name="vendor",
        dialect=dialect,
        base_url=sidecar.get("base_url") or "http://vendor.test/v1",
        api_key="key-of-a-test",
        options=sidecar.get("options", {}),
    )
    return Cassette(dialect, wire_of(case), settings, CreateResponse.model_validate(sidecar["request"]), sidecar)


def answers(dialect: str) -> list[str]:
    return [name for name in names(dialect) if not load(dialect, name).fails]


def wire_of(case: Path) -> tuple[bytes, ...]:
    frames = case.with_suffix(".events.jsonl")
    if frames.exists():
        return tuple(of_line(line) for line in frames.read_text().splitlines())
    return split(case.with_suffix(".sse").read_bytes())


def split(sse: bytes) -> tuple[bytes, ...]:
    """The bytes of each event; the last may be unfinished."""
    events, parser, start = list[bytes](), SseParser(), 0
    for end in range(1, len(sse) + 1):
        if parser.feed(sse[end - 1 : end]):
            events.append(sse[start:end])
            start = end
    return (*events, sse[start:]) if start < len(sse) else tuple(events)


class Replay:
    """A provider whose upstream sends these bytes, through the real HTTP layer."""

    def __init__(self, cassette: Cassette, pieces: Sequence[bytes]) -> None:
        self._cassette, self._pieces = cassette, pieces

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        pieces = self._pieces

        class Body(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for piece in pieces:
                    yield piece

        transport = Answered(lambda _: httpx2.Response(200, stream=Body()))
        dialect = import_module(f"openresponses.dialects.{self._cassette.dialect}")
        provider: HttpDialect = dialect.connect(self._cassette.settings, transport)
        async with aclosing(provider.stream(turn)) as deltas:
            async for delta in deltas:
                yield delta
        await provider.aclose()

    async def aclose(self) -> None: ...


async def replayed(cassette: Cassette, pieces: Sequence[bytes] = ()) -> tuple[Run, list[Event]]:
    """The run after its one turn, and the events of the whole response."""
    run, events = run_for(cassette.request), list[Event]()

    async def sink(event: Event) -> None:
        events.append(event.model_copy())

    replay, emit = Models(Replay(cassette, pieces or cassette.wire)), Journal(run, sink)
    await begin(run, emit)
    await think(run, Ports(replay, Clock(), Ledger(), lambda: 0.0, lambda: "0"), emit)
    stop = next_step(run)
    await finish(run, stop if isinstance(stop, Stop) else Stop("completed"), emit, lambda: 0.0)
    return run, events

"""Each dialect's stream, cut somewhere: what was said before is heard, once, and the turn is not taken for whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from importlib import import_module
from typing import Any

import httpx2
import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderError, ProviderUnavailable, StreamViolation
from openresponses.core.run import OfferedTool
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.schema.content import InputText
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse
from tests.fakes.network import Answered
from tests.fakes.server import dialects, wire_of
from tests.fakes.wire import Received, Rules, Script, Wire
from tests.sweeps import Sweep

LOOK = OfferedTool(name="look", kind="function", item_type="function", wire_name="look")
SAMPLE = 40
"""Bytes at which a plain run cuts each stream."""
ARGUMENTS = '{"where": "in the garden", "how": "ä€😀"}'


class Replay(httpx2.AsyncBaseTransport):
    """Answers every request with reasoning, text and two calls, in the chunks that `chunks` makes of it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.body = b""
        self.chunks: Callable[[bytes], list[bytes | Exception]] = lambda body: [body]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.body:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.body = self._said(Received(headers, json.loads(await request.aread()), request.url.raw_path.decode()))
        headers = {"content-type": self._wire.content_type}
        return httpx2.Response(200, headers=headers, content=self._sent(self.chunks(self.body)))

    def _said(self, request: Received) -> bytes:
        self._wire.check(request)
        stream = self._wire.stream(request, self._wire.read(request), Script("", "text", {}))
        words = [stream.begin(), *map(stream.think, ("hm ", "ä€😀")), *map(stream.say, ("It ", "is\n", "noon €"))]
        calls = [piece for i in range(2) for piece in stream.call(i, f"call_{i}", "look", ARGUMENTS)]
        return b"".join([*words, *calls, stream.end("tools")])

    async def _sent(self, chunks: list[bytes | Exception]) -> AsyncIterator[bytes]:
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


class Reader:
    def __init__(self, dialect: str) -> None:
        wire = wire_of(dialect)
        self.transport = Replay(wire(Rules()))
        settings = {"api_key": "sk-fake", **wire.settings, "base_url": f"http://vendor.test{wire.base}"}
        connect: Any = import_module(f"openresponses.dialects.{dialect}").connect
        self._provider = connect(ProviderSettings(name="v", dialect=dialect, **settings), Answered(self.transport))
        request = CreateResponse.model_validate(
            {"model": wire.model, "reasoning": {"effort": "low", "summary": "auto"}}
        )
        said = Message(role="user", content=[InputText(text="Hello")])
        self._turn = Turn(wire.model, (said,), None, (LOOK,), "auto", None, None, request)

    async def read(self, *chunks: bytes | Exception) -> tuple[list[d.Delta], ProviderError | None]:
        """What was heard, and what came after it."""
        if chunks:
            self.transport.chunks = lambda _: list(chunks)
        heard: list[d.Delta] = []
        try:
            async with aclosing(self._provider.stream(self._turn)) as deltas:
                heard += [delta async for delta in deltas]
        except ProviderError as error:
            return heard, error
        return heard, None


@pytest.mark.parametrize("dialect", dialects())
async def test_a_stream_reads_the_same_however_it_is_chunked(sweep: Sweep, dialect: str) -> None:
    reader = Reader(dialect)
    whole, error = await reader.read()
    body = reader.transport.body
    assert (error, whole[-1]) == (None, d.Finish("stop"))
    texts = ("".join(delta.text for delta in whole if isinstance(delta, kind)) for kind in (d.Reasoning, d.Text))
    assert [*texts] == ["hm ä€😀", "It is\nnoon €"]
    for cut in sweep.sample(range(1, len(body)), SAMPLE):
        assert await reader.read(body[:cut], body[cut:]) == (whole, None), cut


@pytest.mark.parametrize("broken", [False, True], ids=["ended", "broken off"])
@pytest.mark.parametrize("dialect", dialects())
async def test_a_stream_that_is_cut_anywhere_is_no_whole_turn(sweep: Sweep, dialect: str, broken: bool) -> None:
    reader = Reader(dialect)
    whole, _ = await reader.read()
    body, finished = reader.transport.body, 0
    cuts = sweep.sample(range(len(body)), SAMPLE)
    for cut in cuts:
        end = [httpx2.ReadError("gone")] if broken else []
        heard, error = await reader.read(body[:cut], *end)
        if heard and isinstance(heard[-1], d.Finish):
            finished += 1
            assert spoken(heard) == spoken(whole), cut
        else:
            assert heard == whole[: len(heard)], cut
            assert error is None or isinstance(error, ProviderUnavailable | StreamViolation), (cut, error)
    assert finished < len(cuts) / 2, "its end is told long before it ends"


def spoken(deltas: list[d.Delta]) -> list[d.Delta]:
    """Without the usage, which may come after the end."""
    return [delta for delta in deltas if not isinstance(delta, d.Usage)]

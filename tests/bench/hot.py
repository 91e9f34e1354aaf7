"""The hot path: processor time for each token that passes through, against what one would write by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from tests.bench.figures import Figure, Samples
from tests.bench.sandbox import Sandbox, sandbox

APPS = "tests.bench.apps"
STARTUP = 5
"""Rounds that are not counted, a tenth of the tokens each: what is imported and built only once."""


async def rows(scale: float) -> list[Figure]:
    """All figures; `scale` shortens the run."""
    rounds = max(2, round(12 * scale))
    async with upstream() as url:
        return [*await through_chat(url, rounds), *await without_dialect(rounds)]


async def through_chat(url: str, rounds: int, milliseconds: int = 20) -> list[Figure]:
    """From a provider's chunk to the client's event: a burst, and one chunk in so many milliseconds."""
    async with (
        sandbox(f"{APPS}.chat_model.app", BENCH_UPSTREAM=url) as ours,
        sandbox(f"{APPS}.relay.app", BENCH_UPSTREAM=url) as relay,
    ):
        burst = await _per_token((ours, relay), {"tokens": 2000}, rounds)
        paced = await _per_token((ours, relay), {"tokens": 250, "milliseconds": milliseconds}, max(3, rounds // 3))
    by_hand = "relay by hand"
    return [
        Figure("CPU per token, through chat_completions", "us", *burst, by_hand, 0.8),
        Figure(f"  a token every {milliseconds} ms", "us", *paced, by_hand, 0.8),
    ]


async def without_dialect(rounds: int) -> list[Figure]:
    async with sandbox(f"{APPS}.cheap_model.app") as ours, sandbox(f"{APPS}.starlette_events.app") as starlette:
        costs = await _per_token((ours, starlette), {"tokens": 3000}, rounds)
    return [Figure("CPU per token, with no dialect", "us", *costs, "Starlette, json.dumps", 1)]


async def _per_token(sandboxes: Sequence[Sandbox], script: Mapping[str, int], rounds: int) -> list[Samples]:
    """Microseconds of each sandbox, which take turns."""
    costs = [Samples([]) for _ in sandboxes]
    short = {**script, "tokens": max(16, script["tokens"] // 10)}
    for number in range(STARTUP + rounds):
        asked = script if number >= STARTUP else short
        for it, samples in zip(sandboxes, costs, strict=True):
            before = it.cpu()
            answer = await it.stream(model="chat/model", input=json.dumps(asked), max_output_tokens=asked["tokens"])
            spent = it.cpu() - before
            if b"".join(answer.chunks).count(b"event: response.output_text.delta") != asked["tokens"]:
                raise RuntimeError(f"not {asked['tokens']} tokens: {answer.chunks[-2:]}")
            if number >= STARTUP:
                samples.values.append(spent / asked["tokens"] * 1e6)
    return costs


@asynccontextmanager
async def upstream() -> AsyncGenerator[str, None]:
    """The base URL of a Chat Completions server that sends an HTTP chunk for each token, as vendors do.

    The user's message says how many `tokens`, and how many `milliseconds` apart.
    """
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            message = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
            script = json.loads(message if isinstance(message, str) else message[0]["text"])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for number in range(script["tokens"]):
                if script.get("milliseconds"):
                    await asyncio.sleep(script["milliseconds"] / 1000)
                _chunk(writer, _event(delta={"content": "word "}, finish_reason=None))
                if number % 16 == 0 or script.get("milliseconds"):
                    await writer.drain()
            _chunk(writer, _event(delta={}, finish_reason="stop"))
            _chunk(writer, b"data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    writer.close()


def _event(**choice: object) -> bytes:
    chunk = {
        "id": "chatcmpl-0123456789abcdef01234567",
        "object": "chat.completion.chunk",
        "created": 1795000000,
        "model": "model",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, **choice, "logprobs": None}],
        "usage": None,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))

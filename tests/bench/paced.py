"""A model of an even pace: Chat Completions, at loopback. Its script is the last user message, in JSON.

`python -m tests.bench.paced` serves it in a process of its own, and prints its base URL.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

TOOL: Any = {"type": "serverless:clock"}
_TEXT = """
the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would
other into has more her two like him see time could no make than first been its who now people my made over did down
only way find use may water long little very after words called just where most know get through back much before go
good new write our used me man too any day same right look think also around another came come work
"""
_WORDS = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Script:
    """`turns` of the model, each but the last with a call of a tool; each of `tokens`, in `seconds`.

    `stamped`: a token is the time at which it was made, in seconds of the monotonic clock.
    """

    turns: int = 1
    tokens: int = 100
    seconds: float = 0.0
    stamped: bool = False

    @property
    def input(self) -> str:
        """What a client says to be answered by this script."""
        return json.dumps(asdict(self))

    @property
    def text(self) -> str:
        """What the model says in the first turn, if it is not stamped."""
        return "".join(delta.get("content", "") for delta in _deltas(self, 1))

    def request(self, **more: object) -> dict[str, Any]:
        """The body of a request that this script answers."""
        return {"model": "paced/model", "input": self.input, "tools": [TOOL], **more}


@asynccontextmanager
async def upstream() -> AsyncGenerator[str, None]:
    """Its base URL."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keeps the connection, as providers do."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if head.startswith(b"get "):
                _write_models(writer)
                continue
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            await _answer(writer, json.loads(await reader.readexactly(length)))
    writer.close()


async def _answer(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    script, turn = _asked(body["messages"])
    began = time.monotonic()
    for number, delta in enumerate(_deltas(script, turn)):
        if script.seconds:
            await asyncio.sleep(began + number * script.seconds / script.tokens - time.monotonic())
        token = f"{time.monotonic():.4f} " if script.stamped and "content" in delta else None
        _write(writer, [{"index": 0, "delta": {**delta, "content": token} if token else delta, "finish_reason": None}])
        await writer.drain()
    finish = "tool_calls" if turn < script.turns else "stop"
    usage = {"prompt_tokens": 20, "completion_tokens": script.tokens, "total_tokens": 20 + script.tokens}
    _write(writer, [{"index": 0, "delta": {}, "finish_reason": finish}])
    if (body.get("stream_options") or {}).get("include_usage"):
        _write(writer, [], usage=usage)
    _write_data(writer, b"[DONE]")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _asked(messages: list[dict[str, Any]]) -> tuple[Script, int]:
    """The script, and which turn of it this is, counted from 1."""
    last = max(index for index, message in enumerate(messages) if message["role"] == "user")
    text = messages[last]["content"]
    content = text if isinstance(text, str) else text[0]["text"]
    return Script(**json.loads(content)), 1 + sum(message["role"] == "tool" for message in messages[last:])


def _deltas(script: Script, turn: int) -> Iterator[dict[str, Any]]:
    random_words = random.Random(turn)
    for _ in range(script.tokens):
        yield {"content": f"{random_words.choice(_WORDS)} "}
    if turn < script.turns:
        call = {"name": "clock", "arguments": "{}"}
        yield {"tool_calls": [{"index": 0, "id": f"call_{turn}", "type": "function", "function": call}]}


def _write(writer: asyncio.StreamWriter, choices: list[dict[str, Any]], **more: object) -> None:
    chunk = {"id": "paced", "object": "chat.completion.chunk", "created": 1, "model": "model", "choices": choices}
    _write_data(writer, json.dumps({**chunk, **more}).encode())


def _write_data(writer: asyncio.StreamWriter, data: bytes) -> None:
    event = b"data: " + data + b"\n\n"
    writer.write(b"%x\r\n%s\r\n" % (len(event), event))


def _write_models(writer: asyncio.StreamWriter) -> None:
    models = [{"id": "model", "object": "model", "created": 1, "owned_by": "bench"}]
    body = json.dumps({"object": "list", "data": models}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def _main() -> None:
    async with upstream() as url:
        print(url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())

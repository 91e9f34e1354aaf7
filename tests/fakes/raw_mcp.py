"""A server that does what no proper MCP server does. Each message is answered by a function of the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json = dict[str, Any]
Sent: TypeAlias = "bytes | float"
"""Bytes, or seconds to wait. The connection ends after the last."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`body` is empty for a request without one."""

    method: str
    target: str
    headers: dict[str, str]
    body: Json

    @property
    def asks(self) -> str:
        return self.body.get("method", "")

    @property
    def id(self) -> Any:
        return self.body.get("id")


Play: TypeAlias = Callable[[Heard], "list[Sent] | bytes"]


@dataclass(slots=True)
class RawServer:
    """`cut` counts the answers that the client did not wait for."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list[Heard])
    cut: int = 0

    @property
    def asked(self) -> list[str]:
        return [heard.asks or heard.method for heard in self.heard]


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "connection: close", "", ""]).encode() + body


def as_json(heard: Heard, result: Any = None, **headers: str) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": heard.id, "result": result}).encode()
    return reply(200, body, content_type="application/json", **headers)


def error(heard: Heard, code: int, message: str, status: int = 200, data: Any = None) -> bytes:
    said = {"code": code, "message": message, **({"data": data} if data is not None else {})}
    body = json.dumps({"jsonrpc": "2.0", "id": heard.id, "error": said}).encode()
    return reply(status, body, content_type="application/json")


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def event(message: Any) -> bytes:
    return (
        b"event: message\ndata: " + (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n\n"
    )


def discovered(heard: Heard) -> bytes | None:
    """The answer of a server of 2026-07-28 to `server/discover`; None to anything else."""
    if heard.asks != "server/discover":
        return None
    return as_json(
        heard, {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    )


@asynccontextmanager
async def raw_server(play: Play) -> AsyncIterator[RawServer]:
    served, writers = RawServer(), set[asyncio.StreamWriter]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            headers = {
                key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:] if line)
            }
            content = await reader.readexactly(int(headers.get("content-length", "0")))
            heard = Heard(method, target, headers, json.loads(content) if content else {})
            served.heard.append(heard)
            played = play(heard)
            try:
                for each in played if isinstance(played, list) else [played]:
                    if isinstance(each, bytes):
                        writer.write(each)
                        await writer.drain()
                    elif await _left(reader, each):
                        raise ConnectionError
            except ConnectionError:
                served.cut += 1
        writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**24)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    try:
        yield served
    finally:
        server.close()
        while writers:
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(0)


async def _left(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Wait; whether the client went meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1) == b""
    except TimeoutError:
        return False

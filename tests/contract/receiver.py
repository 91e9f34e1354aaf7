"""A receiver of webhooks on loopback, friendly or hostile by the path that it is asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
MANY = 10_485_760


@dataclass(frozen=True)
class Received:
    """A message as it came. `headers` have lower-case names."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`/<status>` answers with that status; what the others do is in `_misbehave`. `failures` of a path are how often
    it answers 503 before it answers 204.
    """

    tls: ssl.SSLContext | None = None
    port: int = 0
    messages: list[Received] = field(default_factory=list[Received])
    failures: dict[str, int] = field(default_factory=dict[str, int])
    _serving: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            path = head.split(" ")[1]
            body = await reader.readexactly(int(headers["content-length"]))
            self.messages.append(Received(path, headers, body))
            if self.failures.get(path, 0) > 0:
                self.failures[path] -= 1
                writer.write(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n")
            elif path[1:].isdigit():
                writer.write(f"HTTP/1.1 {path[1:]} As Asked\r\ncontent-length: 6\r\n\r\nsecret".encode())
            else:
                await self._misbehave(path.partition("?")[0], writer)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _misbehave(self, path: str, writer: asyncio.StreamWriter) -> None:
        match path:
            case "/hang":
                await asyncio.sleep(60)
            case "/late":
                await asyncio.sleep(2)
                writer.write(OK)
            case "/drip":  # a head that never ends, a byte at a time
                writer.write(b"HTTP/1.1 200 OK\r\nx: ")
                while True:
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            case "/close":
                pass
            case "/garbage":
                writer.write(b"\x16\x03\x01 hello\r\n\r\n")
            case "/cut":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
            case "/redirect":
                writer.write(
                    f"HTTP/1.1 307 Moved\r\nlocation: {self.url('/moved')}\r\ncontent-length: 0\r\n\r\n".encode()
                )
            case "/huge" | "/hugefailure":
                status = b"200 OK" if path == "/huge" else b"500 Error"
                writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n" % (status, MANY))
                for _ in range(MANY // 65_536):
                    writer.write(b"x" * 65_536)
                    await writer.drain()
            case "/headed":  # the status is there, and the body never comes
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(60)
            case _:
                writer.write(OK)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await asyncio.sleep(0)

"""One keep-alive HTTP/1.1 connection, one request at a time, whose request body may be streamed.

Written by hand: the standard library has no asyncio HTTP client, another would cost more to import than this module,
and a chunk must be one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]  # lower-case names
    body: bytes


class Connection:
    """Raises OSError or EOFError when the other side is gone; the next request then connects anew."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._host, _, self._port = address.rpartition(":")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        if method != "GET":
            headers = {**headers, "Content-Length": str(len(body))}
        await self._open()
        await self._write(self._head(method, path, headers) + body)
        return await self.reply()

    async def post_stream(self, path: str, headers: Mapping[str, str], first: bytes) -> None:
        """Send the head and the first chunk. Then `chunk` at will, with `last` or `end` once, then `reply`."""
        await self._open()
        head = self._head("POST", path, {**headers, "Transfer-Encoding": "chunked"})
        await self._write(b"%b%x\r\n%b\r\n" % (head, len(first), first))

    async def chunk(self, data: bytes, last: bool = False) -> None:
        """One chunk in one write; `last` ends the body in the same write. Nothing is sent for empty data."""
        if data:
            await self._write((b"%x\r\n%b\r\n0\r\n\r\n" if last else b"%x\r\n%b\r\n") % (len(data), data))
        elif last:
            await self._write(b"0\r\n\r\n")

    async def end(self, trailers: Mapping[str, str]) -> None:
        await self._write(b"0\r\n%b\r\n" % _lines(trailers))

    async def reply(self) -> Reply:
        if self._streams is None:
            raise ConnectionResetError("not connected")
        reader, _ = self._streams
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunked(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Reply(int(status_line.split(" ", 2)[1]), headers, body)

    @property
    def lost(self) -> bool:
        return self._streams is None or self._streams[1].is_closing()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> None:
        if self._streams is not None and (self._streams[0].at_eof() or self.lost):
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host.strip("[]"), int(self._port))

    async def _write(self, data: bytes) -> None:
        if self._streams is None:
            raise ConnectionResetError("not connected")
        writer = self._streams[1]
        transport = writer.transport
        transport.write(data)
        # `drain` costs as much as all the rest, and has nothing to say while the socket takes everything.
        if transport.get_write_buffer_size() or transport.is_closing():
            await writer.drain()

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        start = f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\n".encode("latin-1")
        return b"%b%b\r\n" % (start, _lines(headers))


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1")


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(parts)

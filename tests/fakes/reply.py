"""The bytes of one HTTP reply, down to how its connection ends."""

import asyncio
import json
from collections.abc import Mapping

REASONS = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


class Reply:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._cut: int | None = None

    async def json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> bool:
        return await self.whole(status, json.dumps(value).encode(), "application/json", headers)

    async def whole(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> bool:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'OK' if status == 200 else 'Error')}"]
        lines += [f"content-type: {content_type}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()
        return True

    def start(self, content_type: str, cut: int | None = None) -> None:
        """Begin a 200 of unknown length, which breaks off after `cut` bytes of its body."""
        self._cut = cut
        self._writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
            b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n" % content_type.encode()
        )

    def send(self, data: bytes) -> None:
        if self._cut is not None:
            data, self._cut = data[: self._cut], self._cut - len(data)
            if self._cut <= 0:
                self._frame(data)
                self._writer.close()
                raise ConnectionAbortedError
        self._frame(data)

    def reset(self) -> None:
        self._writer.transport.abort()

    async def client_gone(self) -> None:
        await self._reader.read(1)

    async def flush(self) -> None:
        await self._writer.drain()

    async def end(self) -> bool:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return True

    def _frame(self, data: bytes) -> None:
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        if data:
            self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))

"""One HTTP request and its answer, over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from openresponses_dev.local.gateway.answers import Head
from openresponses_dev.local.gateway.rest_event import Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_REQUEST_BYTES = 10 * 1024 * 1024
_NO_BODY = (204, 304)


class ClientLeft(Exception):
    """The connection closed before the request was whole."""


class Exchange:
    """An answer that was begun and is not complete when the app returns makes the server cut the connection."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.request = Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            client=scope["client"][0],
        )
        self.status = 0
        self.begun = self.complete = False
        self._receive, self._send = receive, send

    def __str__(self) -> str:
        return f"{self.request.method} {self.request.path}"

    async def read_body(self) -> bool:
        """Whether the body is small enough; it is read to its end, for a client that only then reads. ClientLeft."""
        length = self.request.header("content-length")
        told = int(length) if length and length.isdecimal() and length.isascii() else 0
        if told > MAX_REQUEST_BYTES and self.request.header("expect"):
            return False
        body, size, more = bytearray(), 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size <= MAX_REQUEST_BYTES:
                body += chunk
            more = message.get("more_body", False)
        self.request.body = bytes(body)
        return size <= MAX_REQUEST_BYTES

    async def begin(self, head: Head) -> None:
        self.status, self.begun = head.status, True
        traced = [("x-amzn-requestid", self.request.id), ("x-amzn-trace-id", self.request.trace_id)]
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*head.headers, *traced]]
        await self._send({"type": "http.response.start", "status": head.status, "headers": headers})

    async def write(self, chunk: bytes) -> None:
        if chunk and self.status not in _NO_BODY:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})
        self.complete = True

    async def whole(self, head: Head, body: bytes) -> None:
        await self.begin(Head(head.status, [*head.headers, ("content-length", str(len(body)))]))
        await self.write(body)
        await self.end()

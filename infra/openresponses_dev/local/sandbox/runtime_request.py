"""HTTP/1.1 as the Runtime API speaks it: one request with its body still on the wire, and the reply.

Written by hand because a chunk has to come out as the chunk it was sent as, and because of the trailers.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Coroutine, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

T = TypeVar("T")
Json = dict[str, Any]

ERROR_TYPE = "lambda-runtime-function-error-type"
ERROR_BODY = "lambda-runtime-function-error-body"


@dataclass(eq=False)
class RuntimeRequest:
    """One HTTP/1.1 request whose body is still on the wire."""

    method: str
    path: str
    headers: dict[str, str]
    reader: asyncio.StreamReader
    trailers: dict[str, str] = field(default_factory=dict[str, str])
    consumed: bool = False

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> RuntimeRequest:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        method, path, version = first.split(" ")
        if version != "HTTP/1.1":
            raise ValueError(version)
        return cls(method, path, dict(map(header_of, lines)), reader)

    async def body(self) -> AsyncGenerator[bytes, None]:
        self.consumed = True
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            if length := int(self.headers.get("content-length", "0")):
                yield await self.reader.readexactly(length)
            return
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            chunk = await self.reader.readexactly(size + 2)
            if not chunk.endswith(b"\r\n"):
                raise ValueError("a chunk is longer than it says")
            yield chunk[:-2]
        while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
            name, value = header_of(line.decode("latin-1"))
            if name in (word.strip().lower() for word in self.headers.get("trailer", "").split(",")):
                self.trailers[name] = value  # the real server drops a trailer nobody announced

    async def whole_body(self) -> bytes:
        return b"".join([chunk async for chunk in self.body()])

    async def discard_body(self) -> None:
        if not self.consumed:
            await self.whole_body()

    async def error(self) -> Json:
        return error_of(await self.whole_body(), self.headers.get(ERROR_TYPE))

    def trailing_error(self) -> Json | None:
        if ERROR_TYPE not in self.trailers:
            return None
        try:
            body = base64.b64decode(self.trailers.get(ERROR_BODY, ""), validate=True)
        except binascii.Error:
            body = b"the error body in the trailers is not base64"
        return error_of(body, self.trailers[ERROR_TYPE])

    async def unless_gone(self, wait: Coroutine[Any, Any, T]) -> T:
        """Wait for something to tell the runtime, or raise ConnectionResetError when it hung up meanwhile."""
        gone, waited = asyncio.ensure_future(self.reader.read(1)), asyncio.ensure_future(wait)
        await asyncio.wait({gone, waited}, return_when=asyncio.FIRST_COMPLETED)
        if not waited.done():
            waited.cancel()
            raise ConnectionResetError("the runtime hung up")
        gone.cancel()
        await asyncio.wait({gone})
        return waited.result()


def header_of(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or name != name.strip():
        raise ValueError(f"header {line!r}")
    return name.lower(), value.strip()


def error_of(body: bytes, error_type: str | None) -> Json:
    try:
        document: Json = dict(json.loads(body))
    except ValueError:
        document = {"errorMessage": body.decode("utf-8", "replace")}
    # The header or trailer is what the service reports; the body is only passed on.
    return document | {"errorType": error_type or document.get("errorType", "Runtime.Unknown")}


def error_document(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def reply(writer: asyncio.StreamWriter, status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

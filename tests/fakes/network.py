"""A network without sockets: what a function answers in place of a server."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2

from openresponses.transport.errors import BrokenOff
from openresponses.transport.links import Request


class Said:
    """A reply, as the transport reads one."""

    def __init__(self, reply: httpx2.Response) -> None:
        self.status, self.headers = reply.status_code, dict(reply.headers)
        self._chunks: AsyncIterator[bytes] = reply.aiter_bytes()

    async def read(self, until: float) -> bytes:
        async with asyncio.timeout_at(until):
            try:
                while (chunk := await anext(self._chunks, None)) == b"":
                    pass
            except httpx2.HTTPError:
                raise BrokenOff from None
            return chunk or b""

    def done(self) -> None: ...


class Answered:
    """Every request is answered by `transport`, or by a function of it."""

    def __init__(self, transport: httpx2.AsyncBaseTransport | Callable[[httpx2.Request], httpx2.Response]) -> None:
        given = transport if isinstance(transport, httpx2.AsyncBaseTransport) else httpx2.MockTransport(transport)
        self._transport = given

    async def send(self, request: Request, until: float) -> Said:
        url = f"{request.origin}{request.target}"
        asked = httpx2.Request(request.method, url, headers=dict(request.headers), content=request.body)
        return Said(await self._transport.handle_async_request(asked))

    def close(self) -> None: ...

"""POST requests to one server, and the streams that answer them. Knows no vendor: it takes plain values.

The connection outlives an invocation. HTTP/1.1 only: a turn is one long reply, which multiplexing would not
help. The environment is not read, so proxies and certificates set there have no effect.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cache
from typing import TypeAlias

import httpx2

from .errors import BadStatus, BrokenOff, NotAStream, TimedOut, TransportError, Unreachable, Unsendable

KEEP_ALIVE_SECONDS = 60.0
"""Below what vendors' load balancers keep idle connections for, and long enough to bridge a tool's run."""
DRAIN_SECONDS = 0.25
MAX_ERROR_BYTES = 64 * 1024

Sign: TypeAlias = Callable[[str, bytes], Awaitable[Mapping[str, str]]]
"""(URL, body) -> the headers that sign this request."""


class Http:
    """One server's connections. Timeouts are seconds. `transport` replaces the network, for tests.

    Raises ValueError for a base URL that is none, and for a header that can't be encoded. `sign` is asked for each
    request, when it is about to be sent; what it raises is passed on.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        connect_timeout: float,
        first_byte_timeout: float,
        idle_timeout: float,
        sign: Sign | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = _base_url(base_url)
        self._first_byte_timeout, self._idle_timeout, self._sign = first_byte_timeout, idle_timeout, sign
        secure = self._base.scheme == "https"
        self._client = httpx2.AsyncClient(
            headers={"accept": "text/event-stream", "accept-encoding": "identity", **headers},
            timeout=httpx2.Timeout(None, connect=connect_timeout),
            limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
            verify=_tls() if secure and transport is None else False,
            trust_env=False,
            transport=transport,
        )

    @asynccontextmanager
    async def post(
        self,
        path: str,
        body: bytes,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator["Reply", None]:
        """Send `body`, JSON, to `path` below the base URL. Raises TransportError for every reply but a success.

        `path` is percent-encoded already; `query` joins the base URL's own; `headers` win over all others.
        The first byte's timeout counts from here, connecting included, to the first byte of the reply's body.
        """
        deadline = asyncio.get_running_loop().time() + self._first_byte_timeout
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path)
        url = url.copy_merge_params(query) if query else url
        response = await self._send(url, body, deadline, headers or {})
        reply = Reply(response, deadline, self._idle_timeout)
        try:
            if not response.is_success:
                raise await reply.failure()
            yield reply
        finally:
            await reply.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _send(self, url: httpx2.URL, content: bytes, deadline: float, more: Mapping[str, str]) -> httpx2.Response:
        """Tries once more where a kept connection turns out to be dead, as one is after a sandbox was frozen."""
        fresh = False

        async def trace(event: str, _: object) -> None:
            nonlocal fresh
            fresh = fresh or event == "connection.connect_tcp.started"

        for attempt in (1, 2):
            try:
                async with asyncio.timeout_at(deadline):
                    headers = {"content-type": "application/json", **more}
                    if self._sign:
                        headers |= await self._sign(str(url), content)
                    request = self._client.build_request(
                        "POST", url, content=content, headers=headers, extensions={"trace": trace}
                    )
                    return await self._client.send(request, stream=True)
            except TimeoutError:
                raise TimedOut("first_byte") from None
            except httpx2.HTTPError as error:
                stale = not fresh and isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError)
                if attempt == 1 and stale:
                    continue
                raise _failure(error) from None
        raise AssertionError("the second attempt returns or raises")


class Reply:
    """A reply whose body is being read."""

    def __init__(self, response: httpx2.Response, deadline: float, idle_timeout: float) -> None:
        self._response = response
        self._chunks = response.aiter_bytes()
        self._deadline: float | None = deadline
        self._idle_timeout = idle_timeout

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they come. Raises TransportError where they are JSON or a web page, stall or break."""
        recognized = False
        while (chunk := await self._next()) is not None:
            if not recognized and (start := chunk.lstrip(b"\xef\xbb\xbf\r\n\t ")):
                recognized = True
                if start[0] in b'{["<':
                    raise NotAStream(await self._rest(chunk))
            yield chunk

    async def whole(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they come, of a reply that is no stream. Raises TransportError where they stall or break.

        Nothing comes until all is there, so the first byte's timeout is that of the whole.
        """
        while (chunk := await self._next()) is not None:
            yield chunk

    async def drain(self) -> None:
        """Read the little that follows the last event, so that the connection can be used again."""
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._next() is not None:
                    pass

    async def failure(self) -> BadStatus:
        """The error that this reply is, with as much of its body as can be read."""
        body = b""
        with suppress(TransportError):
            body = await self._rest(b"")
        return BadStatus(self._response.status_code, dict(self._response.headers), body)

    async def aclose(self) -> None:
        async with aclosing(self._chunks):
            await self._response.aclose()

    async def _rest(self, body: bytes) -> bytes:
        while len(body) < MAX_ERROR_BYTES and (chunk := await self._next()) is not None:
            body += chunk
        return body

    async def _next(self) -> bytes | None:
        """The next bytes; None at the end."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._deadline or loop.time() + self._idle_timeout):
                chunk = await anext(self._chunks, None)
        except TimeoutError:
            raise TimedOut("first_byte" if self._deadline else "idle") from None
        except httpx2.HTTPError as error:
            raise _failure(error) from None
        self._deadline = None
        return chunk


def _base_url(text: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("base_url must be an http or https URL")
    return url


@cache
def _tls() -> ssl.SSLContext:
    """Shared by all connections: reading the certificate authorities takes tens of milliseconds."""
    return httpx2.create_ssl_context(trust_env=False)


def _failure(error: httpx2.HTTPError) -> TransportError:
    """The cause is left out on purpose: what httpx quotes of a header may be a secret."""
    match error:
        case httpx2.TimeoutException():
            return TimedOut("connect")  # httpx is told no other limit
        case httpx2.ConnectError():
            return Unreachable()
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return Unsendable()
        case _:
            return BrokenOff()

"""The HTTP transport that every dialect shares: one client per provider, and its failures mapped once.

The connection outlives an invocation. HTTP/1.1 only: a turn is one long reply, which multiplexing would not
help. The environment is not read, so proxies and certificates set there have no effect.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cache
from typing import TypeAlias

import httpx2

from ..core.errors import ProviderError, ProviderMisconfigured, ProviderTimeout, ProviderUnavailable
from ..core.settings import ProviderSettings
from ..dialects._shared.errors import from_status, not_a_stream
from ..dialects._shared.json import dumps
from ..schema.base import JsonObject
from .sse import SseEvent, SseParser

KEEP_ALIVE_SECONDS = 60.0
"""Below what vendors' load balancers keep idle connections for, and long enough to bridge a tool's run."""
DRAIN_SECONDS = 0.25
MAX_ERROR_BYTES = 64 * 1024

Sign: TypeAlias = Callable[[str, bytes], Awaitable[Mapping[str, str]]]
"""(URL, body) -> the headers that sign this request."""
Refusal: TypeAlias = Callable[[int, bytes, Mapping[str, str], Sequence[str]], ProviderError]
"""(status, body, headers, secrets) -> what a reply that is no success means."""


class Http:
    """One provider's connection. `transport` replaces the network, for tests.

    Raises ValueError for a base URL that isn't one. `headers` are the dialect's; the settings' win over them.
    `sign` is asked for each request, when it is about to be sent.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        headers: Mapping[str, str],
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        sign: Sign | None = None,
        refusal: Refusal = from_status,
    ) -> None:
        self._settings = settings
        self._base = _base_url(settings)
        self._sign, self._refusal = sign, refusal
        self.secrets = tuple(each for each in (settings.api_key.strip(), *settings.headers.values()) if len(each) > 5)
        secure = self._base.scheme == "https"
        self._client = httpx2.AsyncClient(
            headers={"accept": "text/event-stream", "accept-encoding": "identity", **headers, **settings.headers},
            timeout=httpx2.Timeout(None, connect=settings.connect_timeout),
            limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
            verify=_tls() if secure and transport is None else False,
            trust_env=False,
            transport=transport,
        )

    @asynccontextmanager
    async def post(
        self,
        path: str,
        body: JsonObject,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator["Reply", None]:
        """Send `body` to `path` below the base URL. Raises ProviderError for every reply but a success.

        `path` is percent-encoded already; `query` joins the base URL's own; `headers` win over all others.
        The first byte's timeout counts from here, connecting included, to the first byte of the body.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.first_byte_timeout
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path)
        url = url.copy_merge_params(query) if query else url
        response = await self._send(url, dumps(body), deadline, headers or {})
        reply = Reply(response, deadline, self._settings.idle_timeout, self.secrets)
        try:
            if not response.is_success:
                raise await reply.refusal(self._refusal)
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
                raise ProviderTimeout("The provider did not start to answer in time") from None
            except httpx2.HTTPError as error:
                stale = not fresh and isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError)
                if attempt == 1 and stale:
                    continue
                raise _transport_error(error) from None
        raise AssertionError("the second attempt returns or raises")


class Reply:
    """A reply whose body is being read."""

    def __init__(
        self, response: httpx2.Response, deadline: float, idle_timeout: float, secrets: tuple[str, ...]
    ) -> None:
        self._response = response
        self._chunks = response.aiter_bytes()
        self._deadline: float | None = deadline
        self._idle_timeout = idle_timeout
        self._secrets = secrets

    async def events(self) -> AsyncGenerator[SseEvent, None]:
        """The body's events. Raises ProviderError where the body isn't an event stream, stalls or breaks."""
        parser = SseParser()
        async with aclosing(self.stream()) as chunks:
            async for chunk in chunks:
                for event in parser.feed(chunk):
                    yield event

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they come. Raises ProviderError where they are JSON or a web page, stall or break."""
        recognized = False
        while (chunk := await self._next()) is not None:
            if not recognized and (start := chunk.lstrip(b"\xef\xbb\xbf\r\n\t ")):
                recognized = True
                if start[0] in b'{["<':
                    raise not_a_stream(await self._rest(chunk), self._secrets)
            yield chunk

    async def drain(self) -> None:
        """Read the little that follows the last event, so that the connection can be used again."""
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._next() is not None:
                    pass

    async def refusal(self, meaning: Refusal) -> ProviderError:
        status, headers, body = self._response.status_code, dict(self._response.headers), b""
        with suppress(ProviderError):
            body = await self._rest(b"")
        return meaning(status, body, headers, self._secrets)

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
            what = "start to answer" if self._deadline else "go on with its answer"
            raise ProviderTimeout(f"The provider did not {what} in time") from None
        except httpx2.HTTPError as error:
            raise _transport_error(error) from None
        self._deadline = None
        return chunk


def _base_url(settings: ProviderSettings) -> httpx2.URL:
    try:
        url = httpx2.URL(settings.base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"provider {settings.name!r}: base_url must be an http or https URL")
    return url


@cache
def _tls() -> ssl.SSLContext:
    """Shared by all providers: reading the certificate authorities takes tens of milliseconds."""
    return httpx2.create_ssl_context(trust_env=False)


def _transport_error(error: httpx2.HTTPError) -> ProviderError:
    """The cause is left out on purpose: what httpx quotes of a header may be a secret."""
    match error:
        case httpx2.ConnectTimeout():
            return ProviderTimeout("The provider could not be reached in time")
        case httpx2.TimeoutException():
            return ProviderTimeout("The provider did not answer in time")
        case httpx2.ConnectError():
            return ProviderUnavailable("The provider could not be reached")
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return ProviderMisconfigured("The provider's settings make no valid request")
        case _:
            return ProviderUnavailable("The connection to the provider broke")

"""Requests to one server, and the streams that answer them. Knows no vendor: it takes plain values.

The connection outlives an invocation. HTTP/1.1 only: a turn is one long reply, which multiplexing would not
help. The environment is not read, so proxies and certificates set there have no effect.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import cache
from os import listdir
from os.path import isdir, isfile
from typing import Protocol, TypeAlias
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from .errors import BadStatus, NotAStream, Redirected, TimedOut, TooLong, TransportError
from .guard import Guard
from .links import Links, Method, Request

KEEP_ALIVE_SECONDS = 60.0
"""Below what vendors' load balancers keep idle connections for, and long enough to bridge a tool's run."""
DRAIN_SECONDS = 0.25
MAX_ERROR_BYTES = 64 * 1024
MAX_WHOLE_BYTES = 8 * 1024 * 1024
"""Of a reply that is no stream: as much as of one event."""
MAX_STREAM_BYTES = 128 * 1024 * 1024
"""128,000 tokens, as many as any model says in a turn, come in events of a few hundred bytes: in 50 MB."""
PIECE = 256 * 1024
"""Bytes of a stream that are handed on at once."""

Sign: TypeAlias = Callable[[str, bytes], Awaitable[Mapping[str, str]]]
"""(URL, body) -> the headers that sign this request."""


class Answer(Protocol):
    """A reply whose head came. `headers` have lower-case names."""

    status: int
    headers: dict[str, str]

    async def read(self, until: float) -> bytes:
        """What came of the body; nothing at its end. Raises BrokenOff, and TimeoutError at the loop's time `until`."""
        ...

    def done(self) -> None:
        """Nothing more of it is read."""
        ...


class Network(Protocol):
    """What the requests to one server go over."""

    async def send(self, request: Request, until: float) -> Answer:
        """Raises TransportError, and TimeoutError at the loop's time `until`."""
        ...

    def close(self) -> None: ...


class Http:
    """One server's connections. Timeouts are seconds. `network` replaces the network, for tests.

    Raises ValueError for a base URL that is none, and for a header that can't be encoded. `sign` is asked for each
    request, when it is about to be sent; what it raises is passed on. Where a client chose the URL, there is a `guard`:
    ValueError is then raised for a URL that it refuses, and Forbidden by the requests whose host leads where it lets no
    connection be made. Unless it `repeats`, no request reaches the server twice.
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
        network: Network | None = None,
        guard: Guard | None = None,
        repeats: bool = True,
    ) -> None:
        if guard:
            guard.check(base_url)
        base = base_of(base_url)
        host, secure = _ascii(base.hostname or ""), base.scheme == "https"
        self._origin = f"{base.scheme}://{f'[{host}]' if ':' in host else host}{f':{base.port}' if base.port else ''}"
        self._path = quote(base.path.rstrip("/"), safe=_SAFE)
        self._query = parse_qsl(base.query, keep_blank_values=True)
        self._exact = _target(base)
        self._headers = {
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "user-agent": "openresponses",
            "content-type": "application/json",
            **_credentials(base),
            **_lower(headers),
        }
        if not all(value.isascii() for value in self._headers.values()):
            raise ValueError("a header has a character that HTTP can't carry")
        self._first_byte_timeout, self._idle_timeout, self._sign = first_byte_timeout, idle_timeout, sign
        port = base.port or _PORTS[base.scheme]
        self._network: Network = network or Links(
            host,
            port,
            tls() if secure else None,
            seconds=KEEP_ALIVE_SECONDS,
            timeout=connect_timeout,
            repeats=repeats,
            guard=guard,
        )

    def post(
        self,
        path: str,
        body: bytes,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager["Reply"]:
        """`request` for an API of a provider: one answer, from where it was asked."""
        return self.request("POST", path, body, query=query, headers=headers)

    @asynccontextmanager
    async def request(
        self,
        method: Method,
        path: str = "",
        body: bytes = b"",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        redirects: int = 0,
        limit: int | None = None,
    ) -> AsyncGenerator["Reply", None]:
        """Send `body`, JSON, to `path` below the base URL. Raises TransportError for every reply but a success.

        `path` is percent-encoded already, and none asks for the base URL as it was given; `query` joins the base URL's
        own; `headers` win over all others.
        The first byte's timeout counts from here, connecting included, to the first byte of the reply's body, and, of
        a stream that begins with something else, to its first event.

        So many `redirects` are followed (307 and 308: the method and the body stay), as long as they lead to this
        origin; Redirected is raised for one more, and for another origin, which is sent nothing. With none, a redirect
        is a BadStatus. `limit`: TooLong is raised for more bytes of the reply's body.
        """
        until = asyncio.get_running_loop().time() + self._first_byte_timeout
        more = query or {}
        joined = [*((name, value) for name, value in self._query if name not in more), *more.items()]
        target = f"{self._path}{path}?{urlencode(joined)}" if joined else f"{self._path}{path}"
        target = target if path or query else self._exact
        answer = await self._followed(method, target, body, _lower(headers or {}), until, redirects)
        try:
            reply = Reply(answer, until, self._first_byte_timeout, self._idle_timeout, limit)
            if not 200 <= answer.status < 300:
                raise await reply.failure()
            yield reply
        finally:
            answer.done()

    async def aclose(self) -> None:
        self._network.close()

    async def _followed(
        self, method: Method, target: str, body: bytes, more: Mapping[str, str], until: float, redirects: int
    ) -> Answer:
        """The first answer that is no redirect, or that can't be followed."""
        for left in range(redirects, -1, -1):
            answer = await self._send(method, target, body, more, until)
            if not redirects or not (location := redirect(answer.status, answer.headers)):
                return answer
            url = _below(self._origin, f"{self._origin}{target}", location)
            if url and answer.status not in _SAME_AGAIN and method != "GET":
                return answer
            answer.done()
            if not url or not left:
                break
            target = _target(url)
        raise Redirected

    async def _send(self, method: Method, target: str, body: bytes, more: Mapping[str, str], until: float) -> Answer:
        headers = {**self._headers, **more}
        if method == "GET":
            headers.pop("content-type", None)
        try:
            if self._sign:
                async with asyncio.timeout_at(until):
                    headers |= await self._sign(f"{self._origin}{target}", body)
            return await self._network.send(Request(self._origin, target, headers, body, method), until)
        except TimeoutError:
            raise TimedOut("first_byte") from None


class Reply:
    """A reply whose body is being read. `headers` have lower-case names.

    Its reader says what it has `heard`. What only keeps the connection alive, such as comments, holds off the idle
    timeout, but for no longer than the first byte's timeout since an event was heard.
    """

    def __init__(
        self, answer: Answer, until: float, first_byte_timeout: float, idle_timeout: float, limit: int | None = None
    ) -> None:
        self.status, self.headers = answer.status, answer.headers
        self._answer, self._first_byte_timeout, self._idle_timeout = answer, first_byte_timeout, idle_timeout
        self._limit = limit
        self._quiet_until, self._news, self._answered, self._length = until, False, False, 0
        self._now = asyncio.get_running_loop().time

    def heard(self) -> None:
        """An event came."""
        self._news = True

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they come. Raises TransportError where they are JSON or a web page, stall, break, or are
        more than the request's limit, `MAX_STREAM_BYTES` by default.
        """
        recognized, limit = False, self._limit or MAX_STREAM_BYTES
        while chunk := await self._next(limit):
            if not recognized and (start := chunk.lstrip(b"\xef\xbb\xbf\r\n\t ")):
                recognized = True
                if start[0] in b'{["<':
                    raise NotAStream(await self._rest(chunk))
            for start in range(0, len(chunk), PIECE):
                yield chunk[start : start + PIECE]

    async def whole(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they come, of a reply that is no stream. Raises TransportError where they stall, break,
        or are more than the request's limit, `MAX_WHOLE_BYTES` by default.

        Nothing comes until all is there, so the first byte's timeout is that of the whole.
        """
        while chunk := await self._next(self._limit or MAX_WHOLE_BYTES):
            yield chunk

    async def drain(self) -> None:
        """Read the little that follows the last event, so that the connection can be used again."""
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._next():
                    pass

    async def failure(self) -> BadStatus:
        """The error that this reply is, with as much of its body as can be read."""
        body = b""
        with suppress(TransportError):
            body = await self._rest(b"")
        return BadStatus(self._answer.status, self._answer.headers, body)

    async def _rest(self, body: bytes) -> bytes:
        while len(body) < MAX_ERROR_BYTES and (chunk := await self._next()):
            body += chunk
        return body

    async def _next(self, limit: int = MAX_STREAM_BYTES) -> bytes:
        """The next bytes; none at the end."""
        now = self._now()
        if self._news:
            self._news, self._answered, self._quiet_until = False, True, now + self._first_byte_timeout
        until = min(now + self._idle_timeout, self._quiet_until) if self._length else self._quiet_until
        try:
            chunk = await self._answer.read(until)
        except TimeoutError:
            late = until == self._quiet_until and not self._answered
            raise TimedOut("first_byte" if late else "idle") from None
        self._length += len(chunk)
        if self._length > limit:
            raise TooLong(limit)
        return chunk


_SAFE = "/%:@!$&'()*+,;=~"
_PORTS = {"https": 443, "http": 80}
_SAME_AGAIN = (307, 308)
"""Redirects that keep the method and the body (RFC 9110, section 15.4). A client may ask with GET after another."""


def redirect(status: int, headers: Mapping[str, str]) -> str | None:
    """Where a reply redirects to, as its header says it."""
    return headers.get("location") if status in (301, 302, 303, *_SAME_AGAIN) else None


def _below(origin: str, url: str, location: str) -> SplitResult | None:
    """Where `url` is redirected to, if that is of the same origin."""
    try:
        split, own = urlsplit(urljoin(url, location)), urlsplit(origin)
        host, port = _ascii(split.hostname or ""), split.port or _PORTS.get(split.scheme)
    except ValueError:
        return None
    same = (split.scheme, host, port) == (own.scheme, own.hostname, own.port or _PORTS.get(own.scheme))
    return split if same else None


def _target(url: SplitResult) -> str:
    """What is asked for at its origin."""
    path = quote(url.path or "/", safe=_SAFE)
    return f"{path}?{quote(url.query, safe=f'{_SAFE}?')}" if url.query else path


def base_of(text: str) -> SplitResult:
    """A base URL, split. Raises ValueError."""
    try:
        url = urlsplit(text)
        fits = url.scheme in ("http", "https") and _ascii(url.hostname or "") and url.port != 0
    except ValueError:
        url, fits = urlsplit(""), False
    if not fits or any(character <= " " or character == "\x7f" for character in text):
        raise ValueError("base_url must be an http or https URL")
    return url


def _ascii(host: str) -> str:
    """Raises ValueError for a host that is no name."""
    return host if host.isascii() else host.encode("idna").decode()


def _credentials(url: SplitResult) -> dict[str, str]:
    """The header that says what some write before the host."""
    if not url.username and not url.password:
        return {}
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


AUTHORITIES = (
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where systems keep the certificate authorities, for an interpreter that was built to look elsewhere."""


@cache
def tls() -> ssl.SSLContext:
    """Shared by all connections: reading the certificate authorities takes tens of milliseconds.

    `ssl.create_default_context` would read the environment.
    """
    context, paths = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.get_default_verify_paths()
    context.set_alpn_protocols(["http/1.1"])
    files = [path for path in (paths.openssl_cafile, *AUTHORITIES) if isfile(path)]
    folder = paths.openssl_capath if isdir(paths.openssl_capath) and listdir(paths.openssl_capath) else None
    context.load_verify_locations(files[0] if files else None, folder)
    return context

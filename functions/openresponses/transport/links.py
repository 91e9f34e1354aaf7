"""Requests to one server, over links that are kept for the next request. Knows HTTP/1.1, and no event stream."""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from .errors import BrokenOff, TimedOut, Unreachable, Unsendable
from .guard import Guard
from .link import Link

HAPPY_EYEBALLS_SECONDS = 0.25
MAX_ADDRESSES = 4
"""Of a host with a guard: each is tried in its share of the time."""

Method: TypeAlias = Literal["POST", "GET", "DELETE"]


class Request(NamedTuple):
    """`origin` is scheme, host and port; `target` the path and the query. `headers` have lower-case names."""

    origin: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    method: Method = "POST"

    def written(self) -> bytes:
        """Raises Unsendable for what HTTP can't carry."""
        if not _TARGET.fullmatch(self.target):
            raise Unsendable
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        host = self.origin.partition("://")[2]
        for name, value in {"host": host, "connection": "keep-alive", **self.headers}.items():
            if not (_NAME.fullmatch(name) and value.isascii() and _VALUE.fullmatch(value)):
                raise Unsendable
            lines.append(f"{name}: {value}")
        if self.body or self.method != "GET":
            lines.append(f"content-length: {len(self.body)}")
        head = "\r\n".join([*lines, "", ""])
        return head.encode("ascii") + self.body


_TARGET = re.compile(r"[!-~]+")
_NAME, _VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class Links:
    """The links to one server. They are kept for `seconds` for the next request; one is made within `timeout` seconds.
    `tls` is None for a server without it. What `repeats` may reach the server twice. With a `guard`, a link is made to
    the addresses that it lets through, and to no other.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        *,
        seconds: float,
        timeout: float,
        repeats: bool = True,
        guard: Guard | None = None,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._seconds, self._timeout, self._repeats, self._guard = seconds, timeout, repeats, guard
        self._kept: list[Link] = []

    async def send(self, request: Request, until: float) -> Link:
        """The link with the reply's head. Raises TransportError, and TimeoutError at the loop's time `until`.

        If it `repeats`, it is tried once more where a kept link turns out to be dead, as one is after a sandbox was
        frozen.
        """
        written = request.written()
        if link := self._take():
            if await self._asked(link, written, until):
                return link
            if not self._repeats:
                raise BrokenOff(silent=True)
        link = await self._open(until)
        if not await self._asked(link, written, until):
            raise BrokenOff(silent=True)
        return link

    def close(self) -> None:
        for link in self._kept:
            link.close()
        self._kept.clear()

    async def _asked(self, link: Link, request: bytes, until: float) -> bool:
        """False where the link broke before a byte of the reply."""
        try:
            await link.ask(request, until)
        except BrokenOff:
            link.close()
            if not link.untouched:
                raise
            return False
        except BaseException:
            link.close()
            raise
        return True

    def _take(self) -> Link | None:
        since = asyncio.get_running_loop().time() - self._seconds
        while self._kept:
            link = self._kept.pop()
            if link.usable(since):
                return link
            link.close()
        return None

    async def _open(self, until: float) -> Link:
        """Raises TimedOut, Forbidden, Unreachable, Unsendable, and TimeoutError."""
        loop = asyncio.get_running_loop()
        ends = min(until, loop.time() + self._timeout)
        limit = asyncio.timeout_at(ends)
        try:
            async with limit:
                return await (self._raced() if self._guard is None else self._guarded(self._guard, ends))
        except OSError as error:  # TimeoutError is one
            if not limit.expired():
                raise _unreachable(error) from None
            if loop.time() >= until:
                raise TimeoutError from None
            raise TimedOut("connect") from None
        except ValueError:  # the host is no name
            raise Unsendable from None

    async def _raced(self) -> Link:
        """To the first address of the host that answers."""
        opening = asyncio.ensure_future(
            asyncio.get_running_loop().create_connection(
                lambda: Link(self._kept.append),
                self._host,
                self._port,
                ssl=self._tls,
                happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
            )
        )
        try:
            return (await asyncio.shield(opening))[1]
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unused)
            raise

    async def _guarded(self, guard: Guard, ends: float) -> Link:
        """To an address that was judged, not to a name, which may lead elsewhere when it is asked for again."""
        loop, secure = asyncio.get_running_loop(), self._tls is not None
        addresses = (await guard.addresses(self._host, self._port, secure=secure))[:MAX_ADDRESSES]
        failure = OSError()
        for left in range(len(addresses), 0, -1):
            share = (ends - loop.time()) / left if left > 1 else None
            try:
                async with asyncio.timeout(share):
                    _, link = await loop.create_connection(
                        lambda: Link(self._kept.append),
                        addresses[-left],
                        self._port,
                        ssl=self._tls,
                        server_hostname=self._host if secure else None,
                    )
                return link
            except OSError as error:
                failure = error
        raise failure


_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH: the message would quote the name
(https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/)."""


def _unreachable(error: OSError) -> Unreachable:
    """What failed, without a name or an address. OpenSSL's own words are of its tables."""
    match error:
        case socket.gaierror():
            return Unreachable("name", "its name was not found")
        case ssl.SSLCertVerificationError():
            told = "it is for another name" if error.verify_code in _OTHER_NAME else error.verify_message
            return Unreachable("tls", f"its certificate is not valid: {told}")
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE"):
            return Unreachable("tls", "it does not speak TLS there")
        case ssl.SSLError():
            return Unreachable("tls", f"TLS failed: {(error.reason or 'no reason').lower().replace('_', ' ')}")
        case ConnectionRefusedError():
            return Unreachable("connection", "the connection was refused")
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return Unreachable("connection", "the connection was closed at once")
        case _:
            return Unreachable()


def _close_unused(opening: "asyncio.Future[tuple[asyncio.Transport, Link]]") -> None:
    """Nobody waits for it any more. It is not cancelled, since asyncio leaves the socket open that won its race."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()

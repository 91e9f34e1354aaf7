"""One connection to a server, and the exchanges on it. Knows HTTP/1.1, and no event stream.

The parser is llhttp, which Node.js uses. What is here is what it leaves to its user: time, memory, compression, the
end of a reply that only the connection's end tells, and a kept connection that turns out to be dead.
"""

import asyncio
import select
import zlib
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .errors import BrokenOff

MAX_BARE = 100 * 1024
"""Bytes in a row that bring nothing of the body: heads, trailers, what chunks say of themselves, empty compression."""
MAX_WAITING = 256 * 1024
"""Bytes that were not read yet: above it the server has to wait."""
MAX_INFLATED = 8 * 1024 * 1024
"""Bytes that what comes at once is decompressed to: asyncio reads 256 KiB at once. Events compress to a tenth, bombs to
a thousandth."""
MAX_CODINGS = 2


class Link(asyncio.Protocol):
    """One exchange at a time: `ask`, then `read` to the end. All may raise BrokenOff, and TimeoutError at `until`,
    which is a time of the loop's clock. `keep` is given the link once its reply was read to the end, if the server lets
    it be used again.
    """

    def __init__(self, keep: "Callable[[Link], None]") -> None:
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._socket: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._begin()
        self.complete = True
        self.idle_since = 0.0

    def _begin(self) -> None:
        self._parser = HttpResponseParser(self)
        # What other clients take of servers, and no second client shares this connection that could be fooled by it.
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.status = 0
        self.headers: dict[str, str] = {}
        self.untouched = True
        self._bare = 0
        self._begun = False
        self._ends_with_connection = False
        self._inflaters: list[_Inflater] = []
        self._body: list[bytes] = []
        self._waiting = 0
        self._keeps = False
        self._failed = False
        self.complete = False

    async def ask(self, request: bytes, until: float) -> None:
        """Send `request`, and wait for the head of its reply: `status` and `headers`, with lower-case names."""
        self._begin()
        if self._socket is None:
            raise BrokenOff
        self._socket.write(request)
        while not self._begun:
            await self._more(until)

    async def read(self, until: float) -> bytes:
        """What came of the body; nothing at its end."""
        while not self._body:
            if self.complete:
                return b""
            await self._more(until)
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if self._waiting > MAX_WAITING and self._socket is not None:
            self._socket.resume_reading()
        self._waiting = 0
        return body

    def done(self) -> None:
        """Nothing more of the reply is read."""
        self.idle_since = self._loop.time()
        if self.complete and not self._body and self.usable(self.idle_since):
            self._keep(self)
        else:
            self.close()

    def usable(self, since: float) -> bool:
        """Whether it may be used for the next request: it is kept since then, and its server said nothing since."""
        if self._socket is None or self._socket.is_closing() or not self._keeps or self.idle_since < since:
            return False
        poll = select.poll()  # after a sandbox was frozen, the loop hasn't heard yet that the server hung up
        poll.register(cast("int", self._socket.get_extra_info("socket").fileno()), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.abort()

    async def _more(self, until: float) -> None:
        """Wait for the server. The timer is set again only as it rings: most of what is waited for comes soon."""
        if self._failed or self._socket is None:
            raise BrokenOff
        self._until = until
        if self._timer is None or until < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(until, self._ring)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is not None and not self._waiter.done():
            if self._loop.time() < self._until:
                self._timer = self._loop.call_at(self._until, self._ring)
            else:
                self._waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self) -> None:
        self._failed = True
        self._keeps = False
        self.close()
        self._wake()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.complete or self._failed:  # nobody asked
            self._keeps = False
            return
        self.untouched = False
        waiting = self._waiting
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade, zlib.error):
            self._keeps = False
            if not self.complete:
                self._fail()
        self._bare = self._bare + len(data) if self._waiting == waiting else 0
        if self._bare > MAX_BARE and not self.complete:
            self._fail()
        if self._waiting > MAX_WAITING and self._socket is not None:
            self._socket.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket, self._keeps = None, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._begun and self._ends_with_connection and exc is None:
            self._end()
        self._wake()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._begun:  # else it is a trailer
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # the real one follows
            self.headers = {}
            return
        self.status, self._begun = status, True
        chunked = self.headers.get("transfer-encoding", "").lower().endswith("chunked")
        self._ends_with_connection = not chunked and "content-length" not in self.headers
        for coding in reversed(self.headers.get("content-encoding", "").lower().split(",")):
            if (bits := _CODINGS.get(coding.strip())) is not None:
                self._inflaters.append(_Inflater(bits))
        if len(self._inflaters) > MAX_CODINGS:
            raise zlib.error("too many codings")

    def on_body(self, data: bytes) -> None:
        for inflater in self._inflaters:
            data = inflater.inflated(data)
        if data:
            self._body.append(data)
            self._waiting += len(data)
            if self._waiting > MAX_INFLATED:
                raise zlib.error("a bomb")

    def on_message_complete(self) -> None:
        if self._begun:
            self._keeps = self._parser.should_keep_alive()
            self._end()

    def _end(self) -> None:
        for inflater in self._inflaters:
            if rest := inflater.rest():
                self._body.append(rest)
        self.complete = True


class _Inflater:
    """Decompresses what `bits` tell to zlib. Raises zlib.error, for a bomb too. What follows the end is passed over."""

    def __init__(self, bits: int) -> None:
        self._zlib, self._bits = zlib.decompressobj(bits), bits
        self._first = True

    def inflated(self, data: bytes) -> bytes:
        if self._zlib.eof:
            return b""
        first, self._first = self._first, False
        try:
            inflated = self._zlib.decompress(data, MAX_INFLATED)
        except zlib.error:
            if not first or self._bits != zlib.MAX_WBITS:
                raise
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)  # without a header: servers differ
            inflated = self._zlib.decompress(data, MAX_INFLATED)
        if self._zlib.unconsumed_tail:
            raise zlib.error("a bomb")
        return inflated

    def rest(self) -> bytes:
        return self._zlib.flush()


_CODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""`deflate` comes with or without zlib's header (RFC 9110, section 8.4.1.2)."""

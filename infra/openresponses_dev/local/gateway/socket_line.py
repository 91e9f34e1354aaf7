"""One WebSocket beneath its connection: frames, their sizes, and how it ends. uvicorn speaks the protocol."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

LINE = "line"
"""Where an ASGI scope's state has the `Line`."""
ABNORMAL = 1006
_QUIET_S = 0.1  # of a client that was told to stop, before the connection is cut
_DRAIN_S = 5.0


class Gone(Exception):
    """The connection is closed."""


class NotReading(Exception):
    """What was written before is still on its way: the client does not read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, both ways; None is no limit. Times in seconds.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
    """

    message: int | None = 128 * 1024
    frame: int | None = 32 * 1024
    idle_s: float = 600.0
    lifetime_s: float = 7200.0


AS_ON_AWS, NO_SIZES = Limits(), Limits(message=None, frame=None)


class Line(WebSocketsSansIOProtocol):
    """`heard` is when the other side last sent anything, a ping too: the time of the event loop."""

    def __init__(
        self, *, limits: Limits, config: Config, server_state: ServerState, app_state: dict[str, Any], **_: object
    ) -> None:
        super().__init__(config, server_state, {**app_state, LINE: self})
        self._limits = limits
        self.conn.max_message_size, self.conn.max_fragment_size = limits.message, limits.frame
        self.heard = self.loop.time()

    async def write(self, text: bytes) -> None:
        """Send one message, in frames that are small enough. Raises Gone, NotReading."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self.writable.wait()
        except TimeoutError:
            raise NotReading from None
        if self.close_sent or self.disconnected or self.transport.is_closing():
            raise Gone
        size = self._limits.frame or len(text) or 1
        first, *rest = [text[at : at + size] for at in range(0, len(text), size)] or [b""]
        self.conn.send_text(first, fin=not rest)
        for number, frame in enumerate(rest, 1):
            self.conn.send_continuation(frame, fin=number == len(rest))
        self.transport.write(b"".join(self.conn.data_to_send()))

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        if self.conn.parser_exc is not None:
            self._cut_when_quiet()
        else:
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """Say why, and cut the connection when the client has stopped sending: data that nobody read would make the
        system reset the connection, and the client would not learn why.
        """
        assert self.conn.close_sent is not None
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.resume_reading()
        self._cut_when_quiet()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.conn.close_rcvd is None and self.conn.close_sent is None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": ABNORMAL})
        super().connection_lost(exc)

    def _cut_when_quiet(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(_QUIET_S, self.transport.close)

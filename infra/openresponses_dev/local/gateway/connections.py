"""The open WebSockets: what can be said to one, by its id, and what the management API tells of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from uvicorn.protocols.utils import ClientDisconnected

from openresponses_dev.local.gateway.gatekeeper import AuthorizerContext
from openresponses_dev.local.gateway.http_exchange import Send
from openresponses_dev.local.gateway.socket_event import Handshake
from openresponses_dev.local.gateway.socket_line import Gone, Line


@dataclass(eq=False)
class Connection:
    """An accepted WebSocket. `spoken` is when something was last sent to it: the time of the event loop."""

    handshake: Handshake
    authorizer: AuthorizerContext | None
    line: Line
    send: Send
    spoken: float = 0.0
    last_active: float = field(default_factory=time.time)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def id(self) -> str:
        return self.handshake.connection_id

    async def accept(self, protocol: str | None) -> None:
        """Raises ClientDisconnected."""
        await self.send({"type": "websocket.accept", "subprotocol": protocol})
        self.active()

    async def close(self, code: int, reason: str) -> None:
        """Begin to. Nothing happens to one that is closed."""
        if not self.line.close_sent:
            with contextlib.suppress(ClientDisconnected):
                await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def post(self, text: bytes) -> None:
        """Send one message. Those who post at once wait for each other, in order. Raises Gone, NotReading."""
        async with self._turn:
            await self.line.write(text)
            self.active()

    def active(self) -> None:
        self.spoken, self.last_active = asyncio.get_running_loop().time(), time.time()

    @property
    def quiet_since(self) -> float:
        return max(self.spoken, self.line.heard)

    def document(self) -> bytes:
        """The answer of GetConnection: https://docs.aws.amazon.com/apigateway/latest/developerguide/
        apigateway-how-to-call-websocket-api-connections.html, with botocore's names.
        """
        told = {
            "connectedAt": _iso(self.handshake.connected_at / 1000),
            "identity": self.handshake.identity,
            "lastActiveAt": _iso(self.last_active),
        }
        return json.dumps(told).encode()


class Connections:
    """Those that are open."""

    def __init__(self) -> None:
        self._open: dict[str, Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        self._open[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        self._open.pop(connection.id, None)

    def get(self, connection_id: str) -> Connection:
        """Raises Gone."""
        if connection_id not in self._open:
            raise Gone
        return self._open[connection_id]

    async def close(self, code: int, reason: str) -> None:
        """All of them."""
        await asyncio.gather(*(connection.close(code, reason) for connection in [*self._open.values()]))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""What answers at one address: an HTTP app, and WebSocket apps by their path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from openresponses_dev.local.gateway.http_exchange import Message, Receive, Send

App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Doors:
    """An ASGI app. A WebSocket to another path is refused as API Gateway refuses one to an unknown stage."""

    def __init__(self, http: App, sockets: Mapping[str, App]) -> None:
        self._http, self._sockets = http, sockets

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1").rstrip("/")
        app = self._http if scope["type"] == "http" else self._sockets.get(path, _forbid)
        await app(scope, receive, send)


async def _forbid(_scope: Message, _receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b'{"message":"Forbidden"}'})

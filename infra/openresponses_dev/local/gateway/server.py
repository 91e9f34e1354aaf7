"""The HTTP server of the local cloud: uvicorn on loopback, started and stopped from within a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.gateway.http_exchange import Message, Receive, Send
from openresponses_dev.local.gateway.listener import Listener
from openresponses_dev.local.gateway.socket_line import AS_ON_AWS, Limits, Line

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
_QUIET = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"none": {"class": "logging.NullHandler"}},
    "loggers": {"uvicorn": {"handlers": ["none"], "propagate": False}},
}


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # signals are the caller's


class _Http(H11Protocol):
    """A connection that becomes a WebSocket at one path, if that is asked for."""

    def __init__(self, *, socket_path: str, **given: Any) -> None:
        super().__init__(**given)
        self._socket_path = socket_path

    def _should_upgrade_to_ws(self) -> bool:
        path: bytes = self.scope["raw_path"]
        return bool(self._socket_path) and path.decode("latin-1").rstrip("/") == self._socket_path


class Doors:
    """An ASGI app of two: for requests, and for WebSockets."""

    def __init__(self, http: App, sockets: App) -> None:
        self._http, self._sockets = http, sockets

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        app = self._sockets if scope["type"] == "websocket" else self._http
        await app(scope, receive, send)


class HttpServer:
    """Serves one ASGI app. Port 0 is any free port. A listener that is given stays open. WebSockets of one path, if it
    is given, reach the app as such, with these limits; all others are requests that ask for an upgrade in vain.
    """

    def __init__(self, app: object, port: int | Listener, socket_path: str = "", limits: Limits = AS_ON_AWS) -> None:
        http: Any = partial(_Http, socket_path=socket_path)
        line: Any = partial(Line, limits=limits)
        config = uvicorn.Config(
            cast("ASGIApplication", app),
            http=http,
            ws=line,
            ws_ping_interval=None,
            lifespan="off",
            interface="asgi3",
            log_config=_QUIET,
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        self._server = _Uvicorn(config)
        self._keep_open = isinstance(port, Listener)
        self._listener = port if isinstance(port, Listener) else Listener(port)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Returns the origin, http://127.0.0.1:port. Raises PortTaken."""
        listener = self._listener.open()
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.serving.wait()
        return f"http://{LOOPBACK}:{self._listener.port}"

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task
        if not self._keep_open:
            self._listener.close()

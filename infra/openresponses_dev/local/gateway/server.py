"""The HTTP server of the local cloud: uvicorn on loopback, started and stopped from within a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from openresponses_dev.local.gateway.socket_line import Limits, Line

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

_HOST = "127.0.0.1"
_QUIET = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"none": {"class": "logging.NullHandler"}},
    "loggers": {"uvicorn": {"handlers": ["none"], "propagate": False}},
}


class PortTaken(Exception):
    """Another process listens there."""


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


class HttpServer:
    """Serves one ASGI app. Port 0 is any free port. Without limits for them, WebSockets are requests like others."""

    def __init__(self, app: object, port: int, sockets: Limits | None = None) -> None:
        line: Any = "none" if sockets is None else partial(Line, limits=sockets)
        config = uvicorn.Config(
            cast("ASGIApplication", app),
            http="h11",
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
        self._port = port
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Returns the origin, http://127.0.0.1:port. Raises PortTaken."""
        # asyncio turns Nagle off only where the protocol is named: without it every second request waits 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, self._port))
            listener.listen(100)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is taken by another process" if error.errno == errno.EADDRINUSE else "needs more rights"
            raise PortTaken(f"port {self._port} on {_HOST} {why}") from error
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.serving.wait()
        return f"http://{_HOST}:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task

"""The types of ASGI, and the lifespan: an app starts once in a sandbox, before its first request.

https://asgi.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from .faults import FaultError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SHUTDOWN_SECONDS = 2  # what Lambda itself grants


@asynccontextmanager
async def lifespan(app: App) -> AsyncGenerator[dict[str, Any], None]:
    """Run the app's startup, yield the state it left, run its shutdown.

    An app that raises before it sends a message has no lifespan; it is served all the same.
    """
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed" and not started.done():
            reason = message.get("message") or "the application gave no reason"
            started.set_exception(FaultError("Runtime.StartupFailed", reason))
        elif message["type"] == "lifespan.startup.complete" and not started.done():
            started.set_result(None)

    async def run() -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        try:
            await app(scope, inbox.get, send)
        except Exception:
            if started.done():
                raise
        finally:
            if not started.done():
                started.set_result(None)

    task = asyncio.create_task(run())  # as long-lived as the sandbox: startup and shutdown are one coroutine
    try:
        inbox.put_nowait({"type": "lifespan.startup"})
        await started
        yield state
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait([task], timeout=SHUTDOWN_SECONDS)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

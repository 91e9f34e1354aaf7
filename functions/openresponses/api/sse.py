"""Server-sent events as a response that is pushed to, not pulled from. One event is one frame is one write."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..core.errors import KitError
from ..core.ports import Sink
from ..core.settings import EventNames
from ..responses.view import shown_event
from ..schema.events import ErrorEvent, ErrorPayload, ResponseCreated, ResponseInProgress, StreamEvent

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
GRACE = 1.0
"""Seconds for which the opening events are held back. If the provider refuses within them, the client gets an HTTP
status, on which it can retry. After them the client gets the response's id, and waits."""
REPEAT_GRACE = 3 * GRACE
"""The same for a request that came before. The first one is refused within its own grace, and who follows it hears of
that a little later."""

_RENAMED = {
    "response.reasoning.delta": "response.reasoning_text.delta",
    "response.reasoning.done": "response.reasoning_text.done",
}


def frame(event: StreamEvent, names: EventNames, *, obfuscate: bool) -> bytes:
    """The SSE frame of `event`.

    `names`: OpenAI's SDKs and the AI SDK know two of the specification's events by other names.
    `obfuscate`: deltas get a field of random length, so that the sizes of encrypted packets say nothing.
    """
    kind, data = event.type, event.model_dump_json()
    if names == "openai" and kind in _RENAMED:
        data = data.replace(f'"type":"{kind}"', f'"type":"{_RENAMED[kind]}"', 1)
        kind = _RENAMED[kind]
    if obfuscate and kind.endswith(".delta"):
        data = f'{data[:-1]},"obfuscation":"{_padding()}"}}'
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _error_event(error: KitError, sequence_number: int) -> ErrorEvent:
    payload = ErrorPayload(type=error.type, code=error.code, message=error.message, param=error.param)
    return ErrorEvent(sequence_number=sequence_number, error=payload)


def _padding() -> str:
    noise = os.urandom(9)
    return noise[:8].hex()[: 1 + noise[8] % 16]


class EventStream(Response):
    """Runs `produce(emit)` while the connection is open.

    An error that `produce` raises before the first byte is out (`started`) becomes an HTTP error, a later one an event.
    It is out after `grace` seconds at the latest.
    `on_start` is called once, as the first byte goes out.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        produce: Callable[[Sink], Awaitable[object]],
        *,
        names: EventNames,
        obfuscate: bool,
        heartbeat: float,
        headers: dict[str, str],
        include: Iterable[str] = (),
        on_start: Callable[[], None] | None = None,
        grace: float = GRACE,
    ) -> None:
        self.status_code, self.background = 200, None
        self.init_headers({**HEADERS, **headers})
        self.started = False
        self._produce, self._obfuscate, self._heartbeat = produce, obfuscate, heartbeat
        self._on_start, self._grace = on_start, grace
        self._names: EventNames = names
        self._include = frozenset(include)
        self._last = -1
        self._held: list[bytes] = []
        self._quiet = True
        self._open = False  # the head and all that was held back are out
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        timer = asyncio.create_task(self._keep_alive())
        try:
            await self._produce(self._emit)
        except KitError as error:
            if not self.started:
                raise
            await self._emit(_error_event(error, self._last + 1))
        finally:
            timer.cancel()
            with suppress(asyncio.CancelledError):
                await timer
        await self._write(DONE)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _emit(self, event: StreamEvent) -> None:
        self._last = event.sequence_number
        data = frame(shown_event(event, self._include), self._names, obfuscate=self._obfuscate)
        if not self.started and isinstance(event, ResponseCreated | ResponseInProgress):
            self._held.append(data)
        else:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        self._quiet = False
        if not self._open:
            await self._start()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _start(self) -> None:
        """Send the head, and what was held back. If the heartbeat is doing so, wait: no frame may overtake another."""
        async with self._starting:
            if self.started:
                return
            self.started = True
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await self._send(start)
            if self._on_start is not None:
                self._on_start()
            for data in self._held:
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._open = True

    async def _keep_alive(self) -> None:
        await asyncio.sleep(self._grace)
        if not self.started:
            await self._start()
        while True:
            self._quiet = True
            await asyncio.sleep(self._heartbeat)
            if self._quiet:
                await self._write(PING)

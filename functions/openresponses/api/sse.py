"""Server-sent events as a response that is pushed to, not pulled from.

A frame that comes alone leaves at once. Those that come thick leave together, as the turn of the event loop ends: to
send a frame costs more than to make it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from os import urandom

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..core.errors import KitError
from ..core.ports import Sink
from ..core.settings import EventNames
from ..responses.view import shown_event
from ..responses.written import written
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

ALONE = 0.001
"""Seconds. A frame comes alone if none was sent for so long."""
MAX_JOINED = 64 * 1024
"""Bytes of frames that may wait for the end of a turn of the event loop."""


def frame(event: StreamEvent, names: EventNames, *, obfuscate: bool) -> bytes:
    """The SSE frame of `event`.

    `obfuscate`: deltas get a field of random length, so that the sizes of encrypted packets say nothing.
    """
    kind, data = written(event, names)
    more = f',"obfuscation":"{_padding()}"' if obfuscate and kind.endswith(".delta") else ""
    return f"event: {kind}\ndata: {{{data}{more}}}\n\n".encode()


def _error_event(error: KitError, sequence_number: int) -> ErrorEvent:
    payload = ErrorPayload(type=error.type, code=error.code, message=error.message, param=error.param)
    return ErrorEvent(sequence_number=sequence_number, error=payload)


_noise: list[str] = []


def _padding() -> str:
    """1 to 16 characters that nobody can foresee. The system is asked for many at once."""
    if not _noise:
        noise = urandom(9 * 256)
        _noise.extend(noise[i : i + 8].hex()[: 1 + noise[i + 8] % 16] for i in range(0, len(noise), 9))
    return _noise.pop()


class EventStream(Response):
    """Runs `produce(emit)` while the connection is open.

    An error that `produce` raises before the first byte is out (`started`) becomes an HTTP error, a later one an event.
    It is out after `grace` seconds at the latest. `on_start` is called once, as the first byte goes out.

    `after` is given where the events are read from a log, from that number on. An error takes no number of its own
    there: a client that resumes after the error's number would miss the event that has it.
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
        after: int | None = None,
    ) -> None:
        self.status_code, self.background = 200, None
        self.init_headers({**HEADERS, **headers})
        self.started = False
        self._produce, self._obfuscate, self._heartbeat = produce, obfuscate, heartbeat
        self._on_start, self._grace = on_start, grace
        self._names: EventNames = names
        self._include = frozenset(include)
        self._follows, self._last = after is not None, -1 if after is None else after
        self._held: list[bytes] = []
        self._quiet = True
        self._refused = False
        self._open = False  # the head and all that was held back are out
        self._starting = asyncio.Lock()
        self._joined: list[bytes] = []
        self._size = 0
        self._sent = 0.0
        self._thick = asyncio.Event()  # frames wait for the end of this turn of the event loop

    def committed(self) -> bool:
        """Whether the client has seen any of the response. It is asked when the response fails: if the client has not,
        it never will, however long it takes to undo what was made.
        """
        self._refused = not self.started
        return self.started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send, self._now = send, asyncio.get_running_loop().time
        beside = [asyncio.create_task(self._keep_alive()), asyncio.create_task(self._send_turns())]
        try:
            await self._produce(self._emit)
        except KitError as error:
            if not self.started:
                raise
            await self._emit(_error_event(error, max(self._last, 0) if self._follows else self._last + 1))
        finally:
            for task in beside:
                task.cancel()
            for task in beside:
                with suppress(asyncio.CancelledError):
                    await task
            await self._send_joined()
        await self._write(DONE)
        await self._send_joined()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _emit(self, event: StreamEvent) -> None:
        self._last = event.sequence_number
        data = frame(shown_event(event, self._include), self._names, obfuscate=self._obfuscate)
        if self.started or not isinstance(event, ResponseCreated | ResponseInProgress):
            await self._write(data)
        else:
            self._held.append(data)

    async def _write(self, data: bytes) -> None:
        self._quiet = False
        if not self._open:
            await self._start()
        self._joined.append(data)
        self._size += len(data)
        if self._size >= MAX_JOINED or not (self._thick.is_set() or self._now() - self._sent < ALONE):
            await self._send_joined()
        else:
            self._thick.set()

    async def _send_turns(self) -> None:
        while True:
            await self._thick.wait()  # which ends as the next turn begins
            await self._send_joined()

    async def _send_joined(self) -> None:
        """Whoever comes first sends all that waits, so that no frame overtakes another."""
        self._thick.clear()
        if self._joined:
            data, self._size, self._sent = b"".join(self._joined), 0, self._now()
            self._joined.clear()
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
            self._joined += self._held
            await self._send_joined()
            self._open = True

    async def _keep_alive(self) -> None:
        await asyncio.sleep(self._grace)
        if not self.started and not self._refused:
            await self._start()
        while not self._refused:
            self._quiet = True
            await asyncio.sleep(self._heartbeat)
            if self._quiet and not self._refused:
                await self._write(PING)

"""The journal: the only writer of a run's response, and, through its recorder, of its event log."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

from ..core.errors import Cancelled, KitError
from ..core.ports import Emit, Storage
from ..core.records import Batch
from ..core.reducer import TERMINAL, apply
from ..core.run import Run
from ..schema.events import Event, OutputItemDone

BATCH_EVENTS = 64
LEASE_SECONDS = 30.0
RENEW_SECONDS = 1.0


class Recorder:
    """Writes a run's events to its log, in batches, beside the stream.

    A batch is written when an item is done, when enough events wait, or after `seconds`. Between `async with`
    and its end a task does this; whatever stops it (another worker took over, the response was cancelled,
    storage is gone) interrupts the block, and is raised at its end. A write in flight is never cancelled:
    whether it arrived could then not be known.
    """

    def __init__(self, run: Run, storage: Storage, now: Callable[[], float], *, seconds: float, inline: bool) -> None:
        self._run, self._storage, self._now = run, storage, now
        self._seconds, self._inline = seconds, inline
        self._events: list[Event] = []
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._stopping = False
        self._renewed = now()
        self.error: KitError | None = None

    def add(self, event: Event) -> None:
        """Raises what stopped the writing. A cancelled run may still close what it has open."""
        self.check()
        self._events.append(event)
        if len(self._events) >= BATCH_EVENTS or isinstance(event, OutputItemDone):
            self._wake.set()

    def check(self) -> None:
        if self.error is not None and not isinstance(self.error, Cancelled):
            raise self.error

    async def flush(self) -> None:
        """Everything so far is in the log when this returns."""
        async with self._writing:
            if events := self._events[:]:
                try:
                    await self._storage.log.append(self._run.response.id, Batch(self._run.next_batch, events))
                except KitError as error:
                    self.error = self.error or error  # nothing may follow what may be missing
                    raise
                self._run.next_batch += 1
                del self._events[: len(events)]

    async def settle(self, terminal: Event) -> None:
        """Make the response durable before anyone hears that it is over. Raises Superseded if another worker ended it.

        Its record decides: once that is stored, the response is over, and a log that lacks the end is read as if it
        had it. So a failure to write the last event is no failure of the response.
        """
        await self.flush()
        await self._storage.store.settle(self._run.response, self._run.discarded)
        self._events.append(terminal)
        with suppress(KitError):
            await self.flush()

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._keep_writing(asyncio.current_task()))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._wake.set()
        interrupted = await asyncio.shield(self._task)
        if interrupted and isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.uncancel() > 0:
                return
        elif error is not None:
            return
        if self.error is not None:
            raise self.error

    async def _keep_writing(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether it had to interrupt `task`."""
        try:
            while not self._stopping:
                try:
                    async with asyncio.timeout(self._seconds):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                await self.flush()
                if self._now() - self._renewed >= RENEW_SECONDS:
                    await self._renew()
            await self.flush()
        except KitError as error:
            self.error = error
            if not self._stopping and task is not None:
                task.cancel()
                return True
        return False

    async def _renew(self) -> None:
        """Say that this worker lives, and hear whether the response was cancelled."""
        self._renewed = self._now()
        lease = self._renewed + LEASE_SECONDS if self._inline else None
        await self._storage.store.renew(self._run.response.id, lease)


class Journal:
    """Stamps, applies, records and forwards every event. `on_end` is called once, when the response is over for good,
    and before its client hears of it: a connection may break there.
    """

    def __init__(
        self,
        run: Run,
        sink: Emit,
        recorder: Recorder | None = None,
        on_end: Callable[[Run], Awaitable[None]] | None = None,
    ) -> None:
        self._run, self._sink, self._recorder, self._on_end = run, sink, recorder, on_end
        self.ended = False

    async def __call__(self, event: Event) -> None:
        run, recorder = self._run, self._recorder
        if recorder is not None:
            recorder.check()
        event.sequence_number = run.next_sequence
        run.next_sequence += 1
        response = apply(run.response, event)
        if response is not run.response:  # a delta leaves it as it is, and pydantic's assignment is slow
            run.response = response
        if isinstance(event, TERMINAL):
            await self._end(event)
        elif recorder is not None:
            recorder.add(event)
        await self._sink(event)

    async def _end(self, terminal: Event) -> None:
        if self._recorder is not None:
            await self._recorder.settle(terminal)
        self.ended = True
        if self._on_end is not None:
            await self._on_end(self._run)

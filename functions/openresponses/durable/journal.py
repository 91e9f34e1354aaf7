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
from ..schema.events import Event, OutputItemDone, StreamEvent

BATCH_EVENTS = 64
LEASE_SECONDS = 30.0
RENEW_SECONDS = 1.0


async def nowhere(event: StreamEvent) -> None:
    """The sink of a response whose clients read its log, or are answered with all of it at once."""


class Recorder:
    """Writes a run's events to its log, in batches, beside the stream.

    A batch is written when an item is done, when enough events wait, or after `seconds`. A task does this within
    `async with`. An error that stops it (another worker took over, the response was cancelled, storage is gone)
    interrupts the block, and is raised at its end. A write in flight is never cancelled: nobody could then know
    whether it arrived.
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
        """Raises the error that stopped the writing. A cancelled run may still close its open items."""
        self.check()
        self._events.append(event)
        if len(self._events) >= BATCH_EVENTS or isinstance(event, OutputItemDone):
            self._wake.set()

    def check(self) -> None:
        if self.error is not None and not isinstance(self.error, Cancelled):
            raise self.error

    async def flush(self) -> None:
        """Write all events so far to the log."""
        async with self._writing:
            if events := self._events[:]:
                try:
                    await self._storage.log.append(self._run.response.id, Batch(self._run.next_batch, events))
                except KitError as error:
                    self.error = self.error or error  # no event may follow one that may be missing
                    raise
                self._run.next_batch += 1
                del self._events[: len(events)]

    async def settle(self, terminal: Event) -> None:
        """Make the response durable before anyone hears that it is over. Raises Superseded if another worker ended it.

        The response is over as soon as its record is stored. Readers add the last event to a log that lacks it, so a
        failure to write that event is no failure of the response.
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
        """Returns whether it had to interrupt `task`."""
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
        """Renew the lease, which says that this worker lives. Raises Cancelled if the response was cancelled."""
        self._renewed = self._now()
        lease = self._renewed + LEASE_SECONDS if self._inline else None
        await self._storage.store.renew(self._run.response.id, lease)


class Journal:
    """Stamps, applies, records and forwards every event.

    `on_end` is called when the end of the response is durable and its last event was sent, even if that was in vain.
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
        if response is not run.response:  # a delta changes nothing, and pydantic's assignment is slow
            run.response = response
        if isinstance(event, TERMINAL):
            await self._end(event)
            return
        if recorder is not None:
            recorder.add(event)
        await self._sink(event)

    async def _end(self, terminal: Event) -> None:
        if self._recorder is not None:
            await self._recorder.settle(terminal)
        self.ended = True
        try:
            await self._sink(terminal)
        finally:
            if self._on_end is not None:
                await self._on_end(self._run)

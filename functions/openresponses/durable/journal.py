"""The journal: the only writer of a run's response, and, through its recorder, of its event log."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from ..core.accounts import abandoned_calls, bill_of, call_entry_of
from ..core.errors import Cancelled, KitError
from ..core.ports import Emit
from ..core.records import Batch, Record
from ..core.reducer import TERMINAL, apply
from ..core.run import Run
from ..core.storage import Storage
from ..schema.events import (
    Event,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseInProgress,
    ResponseQueued,
    StreamEvent,
    ToolProgress,
)
from ..schema.server_items import ServerCall
from .history import grown

BATCH_EVENTS = 64
AHEAD = 1024
"""Events that a client may have been sent before the log has them. Who takes over leaves out as many numbers."""
AHEAD_CHARACTERS = 256 * 1024
OUTPUT_SECONDS = 0.02
"""How long a tool's output may wait for the next write: a model that is quick has called the next tool by then."""
LEASE_SECONDS = 30.0
RENEW_SECONDS = 1.0
_OPENING = (ResponseCreated, ResponseQueued, ResponseInProgress)


async def nowhere(event: StreamEvent) -> None:
    """The sink of a response whose clients read its log, or are answered with all of it at once."""


class Recorder:
    """Writes a run's events to its log, in batches, beside the stream.

    A batch is written when a client is to hear that an item is added or done, when the run is saved, soon after a tool
    has answered, when enough events wait, or after `seconds`. A task does this within `async with`. An error that stops
    it (another worker took over, the response was cancelled, storage is gone) interrupts the block, and is raised at
    its end. A write in flight is never cancelled: nobody could then know whether it arrived.

    `record` is that of a response which is yet to be stored: it is created together with its first batch.
    """

    def __init__(
        self,
        run: Run,
        storage: Storage,
        now: Callable[[], float],
        *,
        seconds: float,
        inline: bool,
        record: Record | None = None,
    ) -> None:
        self._run, self._storage, self._now = run, storage, now
        self._seconds, self._inline, self._record = seconds, inline, record
        self._events: list[Event] = []
        self._characters = 0
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._stopping = False
        self._renewed = now()
        self._hearing: list[Callable[[], Awaitable[None]]] = []
        self.error: KitError | None = None
        self.creates = False
        """Whether the response may be stored because of this recorder."""

    def add(self, event: Event) -> bool:
        """Whether the events must be in the log before anything else happens: they are too many, or too large."""
        self._events.append(event)
        waiting = len(self._events)
        if waiting >= BATCH_EVENTS or (self._run.streams and isinstance(event, OutputItemDone)):
            self._wake.set()
        elif isinstance(event, OutputItemDone) and isinstance(event.item, ServerCall):
            asyncio.get_running_loop().call_later(OUTPUT_SECONDS, self._wake.set)
        self._characters += _characters(event)
        return waiting >= AHEAD or self._characters >= AHEAD_CHARACTERS

    def check(self) -> None:
        """Raises the error that stopped the writing. A cancelled run may still close its open items."""
        if self.error is not None and not isinstance(self.error, Cancelled):
            raise self.error

    def tell(self, hearing: Callable[[], Awaitable[None]]) -> None:
        """Call `hearing` as soon as all events so far are in the log."""
        self._hearing.append(hearing)

    @property
    def has_to_tell(self) -> bool:
        """Whether an event waits until it is in the log. None may overtake it."""
        return bool(self._hearing)

    async def grow(self) -> None:
        """Shorten the chain of the response that is to be stored, if it is time to. Who writes first waits for it."""
        async with self._writing:
            if self._record is not None:
                self._record.chain = await grown(self._storage.store, self._record.chain, self._run.context)

    async def flush(self) -> None:
        """Write all events so far to the log."""
        if self._events:
            await _to_its_end(self._flush())

    async def keep(self, run: Run) -> None:
        """Save the run, with its events. Without any it takes a number of the log too: the fence stops it then."""
        run.kept = len(run.response.output)
        await _to_its_end(self._flush(save=True))

    async def settle(self) -> None:
        """Make the response durable, and with it what its conversation gets, before anyone hears that it is over. Then
        approvals that it made no use of can be used again.

        Raises Superseded if another worker ended it.
        """
        await self.flush()
        run, response = self._run, self._run.response
        left = {item.id for item in response.output}
        discarded = [each for each in run.discarded if each in left]
        now = self._now()
        run.bill = bill_of(run, now)
        for abandoned in abandoned_calls(run):
            run.timeline.add_call(call_entry_of(abandoned, run.parked or now))
        timeline = run.timeline.ended(run.served, run.turns, now - (run.created or response.created_at))
        added = run.added() if run.lock else ()
        await self._storage.store.settle(response, discarded, run.lock, added, run.bill, timeline)
        if run.approved:
            from .spending import give_back  # few responses need it

            await give_back(run, self._storage.spent)

    async def close(self, terminal: Event) -> None:
        """Write the last event. The response is over as soon as its record is stored, and readers add the last event to
        a log that lacks it: a failure to write it is no failure of the response.
        """
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

    async def _flush(self, *, save: bool = False) -> None:
        async with self._writing:
            if not (self._events or save):
                return
            events, hearing = self._events[:], self._hearing[:]
            batch = Batch(self._run.next_batch, events)
            try:
                await self._write(batch, save)
            except KitError as error:
                self.error = self.error or error  # no event may follow one that may be missing
                raise
            self._run.next_batch += 1
            del self._events[: len(events)]
            self._characters = sum(map(_characters, self._events))
            for hear in hearing:
                await hear()
                self._hearing.remove(hear)

    async def _write(self, batch: Batch, save: bool) -> None:
        run, record, self._record = self._run, self._record, None
        if record is None:
            if save:
                await self._storage.runs.save(run, batch)
            else:
                await self._storage.log.append(run.response.id, batch)
            return
        self.creates = True
        if record.lease is not None:
            record.lease = self._now() + LEASE_SECONDS
        await self._storage.store.create(record, run, batch)

    async def _keep_writing(self, task: "asyncio.Task[object] | None") -> bool:
        """Returns whether it had to interrupt `task`."""
        try:
            await self.grow()  # beside the provider's first answer
            while not self._stopping:
                try:
                    async with asyncio.timeout(self._seconds):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                await self.flush()
                if self._now() - self._renewed >= RENEW_SECONDS and self._record is None:
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


def _characters(event: Event) -> int:
    """What it adds to a batch. The events that hold a whole item or part repeat what deltas have said."""
    if isinstance(event, ToolProgress):  # a partial image, say
        return sum(len(value) for value in event.__pydantic_extra__.values() if isinstance(value, str))
    delta: object = event.__dict__.get("delta")
    return len(delta) if isinstance(delta, str) else 0


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await `work`, which goes on if the caller is cancelled: a recorder waits for it before it writes again."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever is cancelled never asks for it
    await asyncio.shield(task)


class Journal:
    """Stamps, applies, records and forwards every event.

    A client that is sent events as they come (`run.streams`) does not hear that the response begins, or that an item
    begins or is done, before the log has it: so whoever takes over from this worker closes what the client saw open,
    and nothing else.

    `settle` is called before anyone hears that a response without a recorder is over. `on_end` is called when the end
    of the response is durable and its last event was sent, even if that was in vain.
    """

    def __init__(
        self,
        run: Run,
        sink: Emit,
        recorder: Recorder | None = None,
        on_end: Callable[[Run], Awaitable[None]] | None = None,
        settle: Callable[[Run], Awaitable[None]] | None = None,
    ) -> None:
        self._run, self._sink, self._recorder, self._on_end = run, sink, recorder, on_end
        self._settle = settle
        self.ended = False
        self.heard = recorder is not None or sink is not nowhere  # else only what comes of the events counts

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
            full = recorder.add(event)
            opening = run.request.stream and isinstance(event, _OPENING)
            if opening or (run.streams and isinstance(event, OutputItemDone)):
                recorder.tell(partial(self._sink, event))
                return
            if full or recorder.has_to_tell or (run.streams and isinstance(event, OutputItemAdded)):
                await recorder.flush()
        await self._sink(event)

    async def _end(self, terminal: Event) -> None:
        recorder = self._recorder
        if recorder is not None:
            await recorder.settle()
        elif self._settle is not None:
            await self._settle(self._run)
        self.ended = True
        closing = asyncio.ensure_future(recorder.close(terminal)) if recorder is not None else None
        try:
            await self._sink(terminal)
        finally:
            if closing is not None:
                await closing
            if self._on_end is not None:
                await self._on_end(self._run)

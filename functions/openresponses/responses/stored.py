"""What can be done with stored responses: list them; read one, follow, cancel, delete it, list its input."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from ..core.engine import finish
from ..core.errors import NotFound, StorageUnavailable, Superseded
from ..core.listing import Listing, Order, Wanted
from ..core.loading import Allowance
from ..core.ports import Ports, Sink
from ..core.records import Record
from ..core.steps import Stop
from ..core.storage import Storage
from ..core.timeline import INTERRUPTED
from ..durable.conversation import before as context_before
from ..durable.history import page
from ..durable.journal import Journal, Recorder, nowhere
from ..durable.tail import folded, follow, not_found, require, revive
from ..durable.takeover import bury, resume, take_over
from ..schema.items import Item
from ..schema.response import Response
from .conversations import StoredConversations

if TYPE_CHECKING:
    from ..schema.timed_response import TimedResponse
    from .usage import StoredUsage

PATIENCE = 5.0
"""Seconds that another worker, or another cancel, is given to end a response that was cancelled."""
TRIES = 4
POLL = 0.1
"""Seconds between two looks at whether it has."""


class StoredResponses:
    """The responses of one tenant. Each method raises NotFound for an id that it does not have."""

    def __init__(self, ports: Ports) -> None:
        self._ports, self._now = ports, ports.now
        self.conversations = StoredConversations(ports)

    @property
    def usage(self) -> "StoredUsage":
        from .usage import StoredUsage  # few requests ask for it

        return StoredUsage(self._ports)

    def _need(self, response_id: str) -> Storage:
        if self._ports.storage is None:
            raise not_found(response_id)
        return self._ports.storage

    async def page(self, wanted: Wanted, *, limit: int, order: Order, after: str | None) -> Listing:
        """One page of those that are wanted. NotFound is for the cursor `after`."""
        storage = self._ports.storage
        if storage is None and after is None:
            return Listing([], None, more=False)
        found = storage and await storage.store.page(wanted, limit=limit, order=order, after=after)
        if found is None:
            raise NotFound(f"There is no response {after!r} to go on after", param="after", code="response_not_found")
        return found

    async def retrieve(self, response_id: str) -> Response:
        """The response as it is now."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        await revive(storage, record, self._now())
        return await folded(storage, record)

    async def retrieve_timed(self, response_id: str) -> "TimedResponse":
        """The response as it is now, with its timeline: that of one which is not over is as it was last saved."""
        from ..schema.timed_response import TimedResponse  # few requests ask for it

        storage = self._need(response_id)
        record = await require(storage, response_id)
        await revive(storage, record, self._now())
        run = None if record.over else await storage.runs.load(response_id)
        timeline, response = run.timeline if run else record.timeline, await folded(storage, record)
        shown = timeline.shown() if timeline else []
        return TimedResponse.model_construct(**response.__dict__, timeline=shown)

    async def check(self, response_id: str) -> None:
        """Only raises NotFound."""
        await require(self._need(response_id), response_id)

    async def follow(
        self,
        response_id: str,
        after: int,
        sink: Sink,
        *,
        seconds: float | None,
    ) -> None:
        """Send its events with numbers above `after`: those that are there at once, the others as they come.

        `seconds` is how long the connection may last.
        """
        ends = None if seconds is None else self._now() + seconds
        await follow(self._need(response_id), response_id, after, sink, ends=ends, now=self._now)

    async def cancel(self, response_id: str) -> Response:
        """Stop it, wherever it runs, and close its items. A response that is over stays as it is."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        if record.over:
            return record.response
        await storage.store.cancel(response_id)
        if record.lease is not None:
            record = await self._await_worker(storage, record)
        if not record.over:
            await self._take_over_and_cancel(storage, record)
            record = await self._await_end(storage, response_id)
        return record.response

    async def _await_end(self, storage: Storage, response_id: str) -> Record:
        """Of several cancels at once, one ends the response. The others wait for it, but not for ever: it may die."""
        record = await require(storage, response_id)
        for _ in range(int(PATIENCE / POLL)):
            if record.over:
                break
            await asyncio.sleep(POLL)
            record = await require(storage, response_id)
        return record

    async def _await_worker(self, storage: Storage, record: Record) -> Record:
        """Wait until the inline worker ends the response itself, so that its client's stream has no gap."""
        until = min(record.lease or 0.0, self._now() + PATIENCE)
        while not record.over and record.lease is not None and self._now() < until:
            await asyncio.sleep(POLL)
            record = await require(storage, record.response.id)
        return record

    async def _take_over_and_cancel(self, storage: Storage, record: Record) -> None:
        """The worker may save the run meanwhile, for as long as it has not heard that it is to stop."""
        for left in reversed(range(TRIES)):
            try:
                with suppress(Superseded):  # it ended by itself in the meantime, or another cancel came first
                    await self._end_as_cancelled(storage, record)
                return
            except StorageUnavailable:
                if not left:
                    raise
                await asyncio.sleep(POLL)

    async def _end_as_cancelled(self, storage: Storage, record: Record) -> None:
        """Raises Superseded, and StorageUnavailable if the run was saved while it was taken over."""
        found = await resume(storage, record.response.id)
        if found is None:
            raise not_found(record.response.id)  # it is being deleted
        run, log = found
        await storage.launcher.stop(run.response.id, run.generation)
        recorder = Recorder(run, storage, self._now, seconds=1.0, inline=False)
        journal = Journal(run, nowhere, recorder, self._ports.account)
        remains = await take_over(run, log, storage, record)
        await bury(run, journal, remains, INTERRUPTED)
        await finish(run, Stop("cancelled"), journal, self._now)

    async def delete(self, response_id: str) -> None:
        """Delete everything of it. A response that is not over is cancelled first, so that what it took is recorded."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        if not record.over:
            with suppress(NotFound):  # a deletion that failed halfway is tried again
                await self.cancel(response_id)
        await storage.store.delete(response_id)

    async def input_items(
        self, response_id: str, *, limit: int, order: str, after: str | None, before: str | None
    ) -> tuple[list[Item], bool]:
        """One page of what the model was shown, and whether there is more. NotFound is also for an unknown cursor."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        items = [*await context_before(storage, record, Allowance()), *record.input]
        return page(items, limit=limit, order=order, after=after, before=before)

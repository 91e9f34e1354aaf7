"""What can be done with a stored response: read, follow, cancel, delete, list its input."""

import asyncio
from collections.abc import Callable

from ..core.engine import finish
from ..core.errors import NotFound, Superseded
from ..core.ports import Sink, Storage
from ..core.records import Record
from ..core.steps import Stop
from ..durable.history import inherited, page
from ..durable.journal import Journal, Recorder
from ..durable.tail import folded, follow, not_found, require, revive
from ..durable.takeover import bury, catch_up, resume
from ..schema.events import Event
from ..schema.items import Item
from ..schema.response import Response

PATIENCE = 5.0
"""Seconds that a live inline worker is given to end a response that was cancelled."""


class Stored:
    def __init__(self, storage: Storage | None, now: Callable[[], float]) -> None:
        self._storage, self._now = storage, now

    def _need(self, response_id: str) -> Storage:
        if self._storage is None:
            raise not_found(response_id)
        return self._storage

    async def retrieve(self, response_id: str) -> Response:
        """The response as it is now. Raises NotFound."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        await revive(storage, record, self._now())
        return await folded(storage, record)

    async def appeared(self, response_id: str) -> None:
        """Wait for a response that another request has only just claimed to make. Raises NotFound."""
        until = self._now() + PATIENCE
        while True:
            try:
                return await self.check(response_id)
            except NotFound:
                if self._now() >= until:
                    raise
                await asyncio.sleep(0.1)

    async def check(self, response_id: str) -> None:
        """Raises NotFound."""
        await require(self._need(response_id), response_id)

    async def follow(
        self,
        response_id: str,
        after: int,
        sink: Sink,
        *,
        seconds: float | None,
    ) -> None:
        """Its events from number `after` on: at once what is there, the rest as it comes."""
        ends = None if seconds is None else self._now() + seconds
        await follow(self._need(response_id), response_id, after, sink, ends=ends, now=self._now)

    async def cancel(self, response_id: str) -> Response:
        """Stop it, wherever it runs; its items are then all closed. One that is over stays as it is."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        if record.over:
            return record.response
        await storage.store.cancel(response_id)
        if record.lease is not None:
            record = await self._await_worker(storage, record)
        if not record.over:
            await self._take_over_and_cancel(storage, record)
        return (await require(storage, response_id)).response

    async def _await_worker(self, storage: Storage, record: Record) -> Record:
        """A worker that holds a connection ends its stream itself, so that its client sees one sequence."""
        until = min(record.lease or 0.0, self._now() + PATIENCE)
        while not record.over and record.lease is not None and self._now() < until:
            await asyncio.sleep(0.1)
            record = await require(storage, record.response.id)
        return record

    async def _take_over_and_cancel(self, storage: Storage, record: Record) -> None:
        run = await resume(storage, record)
        if run is None:
            raise not_found(record.response.id)  # it is being deleted
        await storage.launcher.stop(run.response.id, run.generation)
        journal = Journal(run, _nowhere, Recorder(run, storage, self._now, seconds=1.0, inline=False))
        try:
            remains = await catch_up(run, storage)
            await bury(run, journal, remains)
            await finish(run, Stop("cancelled"), journal, self._now)
        except Superseded:
            return  # it ended on its own in the meantime, or another cancel came first

    async def delete(self, response_id: str) -> None:
        """Everything of it. Raises NotFound."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        if not record.over:
            run = await storage.runs.load(response_id)
            await storage.launcher.stop(response_id, run.generation if run else 0)
        await storage.store.delete(response_id)

    async def input_items(
        self, response_id: str, *, limit: int, order: str, after: str | None, before: str | None
    ) -> tuple[list[Item], bool]:
        """One page of what the model was shown, and whether there is more. Raises NotFound."""
        storage = self._need(response_id)
        record = await require(storage, response_id)
        items = [*await inherited(storage.store, record), *record.input]
        return page(items, limit=limit, order=order, after=after, before=before)


async def _nowhere(event: Event) -> None:
    """Clients hear of it through the log."""

"""Reading a log while it is being written."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from ..core.engine import terminal
from ..core.errors import Cancelled, NotFound, Superseded
from ..core.ports import Sink
from ..core.records import Record
from ..core.reducer import TERMINAL, apply
from ..core.storage import Storage
from ..schema import events as ev
from ..schema.events import Detached
from ..schema.response import Response


async def follow(
    storage: Storage,
    response_id: str,
    after: int,
    sink: Sink,
    *,
    ends: float | None,
    now: Callable[[], float],
) -> None:
    """Send every event after number `after`, until the response or the connection's time is over."""
    last = after
    timer = asyncio.timeout(None if ends is None else max(0.1, ends - now()))
    try:
        async with timer, aclosing(tail(storage, response_id, after, now)) as events:
            async for event in events:
                await sink(event)
                last = event.sequence_number
    except TimeoutError:
        if not timer.expired():
            raise
        resume = f"responses/{response_id}?stream=true&starting_after={last}"
        await sink(Detached(sequence_number=last, response_id=response_id, resume=resume))


SHORTEST_WAIT, LONGEST_WAIT = 0.04, 1.0
LOOK_AFTER = 1.0
"""Seconds of silence after which a reader checks that there is still a writer."""


def not_found(response_id: str) -> NotFound:
    return NotFound(f"There is no response {response_id!r}", param="response_id", code="response_not_found")


async def require(storage: Storage, response_id: str) -> Record:
    """Raises NotFound."""
    (record,) = await storage.store.load([response_id])
    if record is None:
        raise not_found(response_id)
    return record


async def tail(
    storage: Storage, response_id: str, after: int, now: Callable[[], float]
) -> AsyncGenerator[ev.Event, None]:
    """Every event with a number above `after`, until the terminal one, as they come.

    If the response's worker died, this reader hands the response to the state machine. If the response is over, but
    its log lacks the end (the worker died in between, or the log has expired), the end is made from the record.
    """
    batch, last, wait, silent = -1, -1, SHORTEST_WAIT, 0.0
    while True:
        batches = await storage.log.read(response_id, batch)
        for each in batches:
            batch = each.number
            for event in each.events:
                last = event.sequence_number
                if last > after:
                    yield event
                if isinstance(event, TERMINAL):
                    return
        wait, silent = (SHORTEST_WAIT, 0.0) if batches else (min(wait * 1.5, LONGEST_WAIT), silent + wait)
        if silent >= LOOK_AFTER or (batch < 0 and not batches):
            silent = 0.0
            record = await require(storage, response_id)
            if record.over:
                if await storage.log.read(response_id, batch):
                    continue
                end = terminal(record.response)
                end.sequence_number = (last if last >= 0 else after) + 1
                if end.sequence_number > after:
                    yield end
                return
            await revive(storage, record, now())
        await asyncio.sleep(wait)


async def revive(storage: Storage, record: Record, now: float) -> None:
    """Hand a response to the state machine if its inline worker is gone."""
    if not record.over and record.lease is not None and record.lease < now:
        await hand_over(storage, record.response.id, 0)


async def hand_over(storage: Storage, response_id: str, generation: int) -> None:
    """Start the state machine, then give up the lease: if this worker dies in between, or can't start the machine, the
    lease runs out, and a reader revives the response.
    """
    await storage.launcher.start(response_id, generation)
    with suppress(Cancelled, Superseded):  # whoever cancels a response ends it, and one that is over needs no lease
        await storage.store.renew(response_id, None)


async def folded(storage: Storage, record: Record) -> Response:
    """The response as it is now. The log of one that is still being made has more than its record."""
    response = record.response
    last = -1
    while not record.over and (batches := await storage.log.read(response.id, last)):
        last = batches[-1].number
        for event in (event for batch in batches for event in batch.events):
            response = apply(response, event)
    return response

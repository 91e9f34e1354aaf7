"""Sending a log to a client, for as long as its connection may last."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from ..schema.events import Detached
from .ports import Sink, Storage
from .tail import tail


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
        resume = f"/v1/responses/{response_id}?stream=true&starting_after={last}"
        await sink(Detached(sequence_number=last, response_id=response_id, resume=resume))

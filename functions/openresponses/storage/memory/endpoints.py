"""Webhook endpoints, and the events that were given up, in memory."""

from collections.abc import Sequence

from ...core.webhooks import DeadLetter, Endpoint, Registered
from .shelf import Shelf


class MemoryEndpoints:
    """Dead letters are kept as long as the process lives."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self) -> Registered:
        return self._shelf.endpoints

    async def replace(self, endpoints: Sequence[Endpoint], version: int) -> bool:
        if self._shelf.endpoints.version != version:
            return False
        self._shelf.endpoints = Registered(tuple(endpoints), version + 1)
        return True

    async def keep_dead(self, letter: DeadLetter) -> None:
        self._shelf.dead.setdefault((letter.event_id, letter.endpoint_id), letter)

    async def dead(self, most: int) -> list[DeadLetter]:
        by_time = sorted(self._shelf.dead.values(), key=lambda each: (each.created_at, each.event_id, each.endpoint_id))
        return by_time[::-1][:most]

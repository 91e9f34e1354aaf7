"""Executions, in memory: who starts one is told, and nothing runs it."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from .shelf import Shelf

Started: TypeAlias = Callable[[str, int], Awaitable[None]]


class MemoryLauncher:
    def __init__(self, shelf: Shelf, on_start: Started | None) -> None:
        self._shelf, self._on_start = shelf, on_start

    async def start(self, response_id: str, generation: int) -> None:
        if (response_id, generation) in self._shelf.started:
            return
        self._shelf.started.append((response_id, generation))
        if self._on_start is not None:
            await self._on_start(response_id, generation)

    async def stop(self, response_id: str, generation: int) -> None:
        self._shelf.stopped.append((response_id, generation))

"""Tasks that outlive the request that started them, kept so that none is lost and all end with the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class Background:
    """A set of running tasks. A task that fails is reported, and stops nothing else."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._report(f"{task.get_name()} failed: {type(error).__name__}: {error}")

    async def close(self) -> None:
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

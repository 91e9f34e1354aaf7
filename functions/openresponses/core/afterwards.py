"""What waits until the last byte of an answer is out, so that no client waits for it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeAlias

Chore: TypeAlias = Callable[[], Awaitable[None]]
Failed: TypeAlias = Callable[[Exception], None]
_waiting: ContextVar[list[Chore] | None] = ContextVar("chores", default=None)


async def later(chore: Chore) -> None:
    """Run it when `afterwards` ends which this is within; at once where there is none, as in a task."""
    waiting = _waiting.get()
    if waiting is None:
        await chore()
    else:
        waiting.append(chore)


@asynccontextmanager
async def afterwards(failed: Failed) -> AsyncGenerator[None]:
    """Runs the chores of the block when it ends, however it ends, in their order. None of them stops another one."""
    token = _waiting.set(chores := [])
    try:
        yield
    finally:
        _waiting.reset(token)
        for chore in chores:
            try:
                await chore()
            except Exception as error:
                failed(error)

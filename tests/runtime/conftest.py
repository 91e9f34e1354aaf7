"""Fixtures of the runtime tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.runtime.runtime_driver import PATIENCE, Sandbox, launched

Launch = Callable[..., Awaitable[Sandbox]]


@pytest.fixture
async def launch(tmp_path: Path) -> AsyncGenerator[Launch, None]:
    """Start a sandbox for a handler; with `ready=False`, without waiting for its first GET /next."""
    async with AsyncExitStack() as stack:

        async def start(handler: str = "apps.app", *, ready: bool = True, **env: str) -> Sandbox:
            sandbox = await stack.enter_async_context(launched(tmp_path, handler, **env))
            if ready:
                exited, polled = (
                    asyncio.ensure_future(wait) for wait in (sandbox.process.wait(), sandbox.api.ready.wait())
                )
                await asyncio.wait({exited, polled}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
                for future in (exited, polled):
                    future.cancel()
                assert sandbox.api.ready.is_set(), sandbox.output.read_text()
            return sandbox

        yield start


@pytest.fixture
async def sandbox(launch: Launch) -> Sandbox:
    return await launch()

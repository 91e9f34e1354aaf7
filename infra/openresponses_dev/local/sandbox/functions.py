"""A function and its sandboxes: scaled up under concurrency, reused when idle, replaced when stale or dead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from openresponses_dev.local.background import Background
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import (
    MAX_EVENT_BYTES,
    Call,
    EventTooLarge,
    FunctionError,
    InvokeError,
    Throttled,
)
from openresponses_dev.local.sandbox.sandbox import Sandbox
from openresponses_dev.local.template.template import FunctionSpec


@dataclass(slots=True)
class Counts:
    """Since the local cloud started. A cold start is timed from its process's start to the first GET /next."""

    invocations: int = 0
    errors: int = 0
    cold_starts: int = 0
    last_cold_start_ms: float | None = None


class Function:
    """`limit` is the number of sandboxes it may have: one invocation each. One that is closed runs nothing more."""

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        limit: int,
        create: Callable[[], Sandbox],
        background: Background,
        log: Log,
    ) -> None:
        self.spec, self.limit = spec, limit
        self._create, self._background, self._log = create, background, log
        self._idle: list[Sandbox] = []
        self._all: set[Sandbox] = set()
        self.running = 0
        """Invocations."""
        self.counts = Counts()
        self._freed = asyncio.Event()
        self.closed = False

    @property
    def sandboxes(self) -> list[Sandbox]:
        """Those alive: idle and busy."""
        return [sandbox for sandbox in self._all if sandbox.alive]

    def invoke(self, payload: bytes, trace_id: str | None = None) -> Call:
        """Start an invocation; it runs to its end whether or not anyone reads the answer. Raises InvokeError."""
        if self.closed:
            raise InvokeError(500, "ServiceException", "the local cloud was stopped")
        if len(payload) > MAX_EVENT_BYTES:
            raise EventTooLarge(len(payload))
        if self.running >= self.limit:
            raise Throttled
        self.running += 1
        self.counts.invocations += 1
        call = Call(self.spec.name, self.spec.memory_mb)
        self._background.spawn(self._run(payload, trace_id, call), f"invocation of {self.spec.name}")
        return call

    async def invoke_soon(self, payload: bytes, trace_id: str | None, *, patience_s: float) -> Call:
        """The same, once there is a sandbox for it: after so long at most. Raises InvokeError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.running >= self.limit:
                    self._freed.clear()
                    await self._freed.wait()
        return self.invoke(payload, trace_id)

    async def _run(self, payload: bytes, trace_id: str | None, call: Call) -> None:
        sandbox = None
        try:
            sandbox = self._take() or await self._cold_start(call)
            await sandbox.run(payload, trace_id, call)
        except FunctionError as error:
            call.end(error)
        finally:
            self.running -= 1
            self._freed.set()
            call.end(FunctionError("Sandbox.Stopped", "the local cloud was stopped"))
            self.counts.errors += call.error is not None
            if sandbox:
                await self._release(sandbox)

    def _take(self) -> Sandbox | None:
        """The one used last: the others may then be the ones that a real Lambda would drop."""
        while self._idle:
            if (sandbox := self._idle.pop()).alive and not sandbox.stale:
                return sandbox
        return None

    async def _cold_start(self, call: Call | None = None) -> Sandbox:
        sandbox = self._create()
        sandbox.on_exit = self._gone
        self._all.add(sandbox)
        try:
            await sandbox.start()
        except BaseException:
            self._all.discard(sandbox)
            raise
        self.counts.cold_starts += 1
        self.counts.last_cold_start_ms = round(sandbox.init_ms, 1)
        if call:
            call.init_ms = sandbox.init_ms
        return sandbox

    async def _release(self, sandbox: Sandbox) -> None:
        if sandbox.stale or not sandbox.alive:
            await sandbox.stop()
        else:
            self._idle.append(sandbox)

    def _gone(self, sandbox: Sandbox) -> None:
        self._all.discard(sandbox)
        if sandbox in self._idle:
            self._idle.remove(sandbox)
            if not sandbox.stale:
                self._log.say(f"{self.spec.name}: an idle sandbox died; the next request starts another", failed=True)
                self._background.spawn(sandbox.stop(), f"burial of {self.spec.name}")

    async def replace(self) -> None:
        """Its source changed: replace what is idle, let what runs finish. A start that fails is only reported."""
        idle, self._idle = self._idle, []
        for sandbox in self._all:
            sandbox.stale = True
        await asyncio.gather(*(sandbox.stop() for sandbox in idle))
        if not idle:
            return
        try:
            sandbox = await self._cold_start()
        except FunctionError as error:
            self._log.say(f"{self.spec.name} does not start: {error.error_type}: {error}", failed=True)
        else:
            await self._release(sandbox)

    async def close(self) -> None:
        """Kill what runs, and run nothing more."""
        self.closed = True
        await asyncio.gather(*(sandbox.stop() for sandbox in [*self._all]))
        self._idle.clear()

"""The making of one response by the worker that its request came to: to its end, or until the state machine goes on."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass

from ..core.accounts import code_of
from ..core.engine import begin, drive, finish, unkept
from ..core.errors import Cancelled, KitError
from ..core.ports import Pause, Ports, Sink
from ..core.records import Record
from ..core.reducer import apply
from ..core.run import Run
from ..core.settings import Settings
from ..core.steps import Step, Stop
from ..core.storage import Storage
from ..durable.journal import Journal, Recorder
from ..durable.tail import follow, hand_over
from ..schema.events import Detached, ResponseCreated, ResponseQueued, StreamEvent
from ..schema.response import ResponseError
from .holdings import Holdings
from .idempotency import IdempotencyKey


@dataclass(frozen=True, slots=True)
class Asker:
    """The client, as the making of its response sees it. `sink` takes the events. `ends` is when its connection is
    over, by the ports' clock; None if it never is. `committed` says whether it has seen any of the response. `key` is
    what it calls its request by.
    """

    sink: Sink
    ends: float | None
    committed: Callable[[], bool]
    key: IdempotencyKey | None


class Making:
    """`record` is stored with the first events of a response that is to be stored; None if that was done before."""

    def __init__(
        self, run: Run, record: Record | None, asker: Asker, ports: Ports, settings: Settings, holdings: Holdings
    ) -> None:
        self._run, self._asker, self._ports, self._settings, self._holdings = run, asker, ports, settings, holdings
        self._claimed = record is None
        self._recorder = self._recorded(record) if run.response.store else None
        self._unstored = holdings.unstored(run)
        self._journal = Journal(run, asker.sink, self._recorder, ports.account, self._settle)

    async def make(self) -> None:
        """Make the response. Raises what it failed of if the client has seen nothing of it, and bugs."""
        try:
            over = await self._begun()
        except Exception as error:
            await self._broke_off(error)
            raise
        if over or (self._run.request.background and not self._run.request.stream):
            return
        try:
            await self._follow()
        except Exception:
            if not self._asker.committed():
                await self._holdings.forget(self._run, self._asker.key)
            raise
        finally:
            await self._ports.export()  # what was done inline

    async def _begun(self) -> bool:
        """Whether the response is over; if not, the state machine goes on with it."""
        run, journal, recorder = self._run, self._journal, self._recorder
        if recorder is None:
            async with self._unstored or nullcontext():
                return await self._inline()
        if run.request.background:
            await recorder.grow()
            await journal(ResponseCreated(response=run.response))
            await journal(ResponseQueued(response=run.response))
            await (recorder.flush() if run.hold is None else recorder.keep(run))
        else:
            if await self._inline():
                return True
            run.streams = False
            await recorder.keep(run)
        await hand_over(self._storage, run.response.id, run.generation)
        return False

    async def _inline(self) -> bool:
        """Whether the response is over; if not, the run is ready to be handed off."""
        run, journal, recorder, ends = self._run, self._journal, self._recorder, self._asker.ends
        left = None if ends is None else max(0.1, ends - self._ports.now())
        timer = asyncio.timeout(left)
        stop: Step
        try:
            async with AsyncExitStack() as stack:
                if recorder is not None:
                    await stack.enter_async_context(recorder)
                async with timer:
                    await begin(run, journal)
                    keep = recorder.keep if recorder else unkept
                    stop = await drive(run, self._ports, journal, self._pause(), keep, heard=journal.heard)
        except Cancelled:
            stop = Stop("cancelled")
        except TimeoutError:
            if not timer.expired():
                raise
            if recorder is not None:
                return False
            stop = Stop("incomplete", "max_duration")
        except Exception as error:
            await self._fail(error)
            return True
        if not isinstance(stop, Stop):
            return False
        await finish(run, stop, journal, self._ports.now)
        return True

    def _pause(self) -> Pause:
        """Hand off when the inline budget is used, or when a worst-case turn no longer fits the time left."""
        run, ends, limits, now = self._run, self._asker.ends, self._settings, self._ports.now
        stored, began = self._recorder is not None, now()

        def pause(step: Step) -> bool:
            if not stored:
                return False
            short = ends is not None and ends - now() < limits.turn_seconds
            return short or run.turns >= limits.inline_turns or now() - began > limits.inline_seconds

        return pause

    async def _fail(self, error: Exception) -> None:
        """End the response as failed if its client saw some of it. Raises `error` if the client did not, or if it is a
        bug.
        """
        committed = self._asker.committed()
        if committed:
            message = error.message if isinstance(error, KitError) else "The server had an error"
            stop = Stop("failed", error=ResponseError(code=code_of(error), message=message))
            await finish(self._run, stop, self._journal, self._ports.now)
        if not committed or not isinstance(error, KitError):
            raise error

    async def _broke_off(self, error: Exception) -> None:
        """Account for the response, and keep nothing of it if its client has seen nothing of it."""
        run, journal, recorder = self._run, self._journal, self._recorder
        seen = self._asker.committed()
        goes_on = recorder is not None and seen  # its reader lets the state machine take it over
        if not journal.ended and not goes_on:
            await self._ports.account(run, error)
        if not seen and recorder is not None and (self._claimed or recorder.creates):
            await self._holdings.forget(run, self._asker.key)
        elif not journal.ended and recorder is None:
            await self._holdings.let_go(run)

    async def _settle(self, run: Run) -> None:
        if self._unstored is not None:
            await self._unstored.settle(run)
        await self._holdings.give_back(run)

    async def _follow(self) -> None:
        run = self._run

        async def fold(event: StreamEvent) -> None:
            if not isinstance(event, Detached):
                run.response = apply(run.response, event)
            await self._asker.sink(event)

        after = run.next_sequence - 1
        await follow(self._storage, run.response.id, after, fold, ends=self._asker.ends, now=self._ports.now)

    def _recorded(self, record: Record | None) -> Recorder:
        seconds, inline = self._settings.flush_seconds, not self._run.request.background
        return Recorder(self._run, self._storage, self._ports.now, seconds=seconds, inline=inline, record=record)

    @property
    def _storage(self) -> Storage:
        assert self._ports.storage is not None, "only a response that is to be stored needs storage"
        return self._ports.storage

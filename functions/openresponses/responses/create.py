"""Making responses: what `POST /v1/responses` does."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from ..core.engine import begin, drive, finish
from ..core.errors import Cancelled, KitError, NotFound
from ..core.ports import Pause, Ports, Sink, Storage
from ..core.records import Claim, Record
from ..core.reducer import apply
from ..core.run import Run
from ..core.settings import Settings
from ..core.steps import Step, Stop
from ..durable.history import inherited as inherited_items
from ..durable.history import previous, referenced, shown
from ..durable.journal import LEASE_SECONDS, Journal, Recorder
from ..durable.tail import follow, hand_over
from ..schema.events import Detached, ResponseCreated, ResponseQueued, StreamEvent
from ..schema.items import Item
from ..schema.request import CreateResponse
from ..schema.response import ResponseError
from .intake import check_tool_choice, input_items, new_response, offered_tools, refuse_unstored, refuse_unsupported


class Service:
    def __init__(self, ports: Ports, settings: Settings) -> None:
        self._ports, self._settings = ports, settings

    async def accept(self, request: CreateResponse) -> tuple[Run, Record]:
        """The run that answers `request`. Raises RequestError, naming the field, before anything is done."""
        refuse_unsupported(request)
        await self._ports.models.admit(request)
        response_id = f"resp_{self._ports.new_id()}"
        tools = await offered_tools(request, self._ports.tools)
        check_tool_choice(request, tools)
        inherited, ancestors, found = await self._history(request)
        own = input_items(request, response_id, found)
        response = new_response(request, response_id, int(self._ports.now()))
        response.store = self._stored(request)
        if not response.store:
            refuse_unstored(request)
        run = Run(
            response=response,
            request=request.model_copy(update={"input": None, "tools": None}),
            context=[*inherited, *own],
            tools=tools,
            max_turns=self._settings.max_turns,
            reasoning=self._settings.reasoning,
        )
        lease = self._ports.now() + LEASE_SECONDS
        return run, Record(response=response, input=own, ancestors=ancestors, lease=lease)

    def _stored(self, request: CreateResponse) -> bool:
        wanted = self._settings.store if request.store is None else request.store
        return wanted and self._ports.storage is not None

    async def _history(self, request: CreateResponse) -> tuple[list[Item], list[str], dict[str, Item]]:
        """What the chain holds, the ids of its responses, and the items that the input refers to."""
        storage = self._ports.storage
        if storage is None:
            if request.previous_response_id is not None:
                raise NotFound("This server stores nothing", param="previous_response_id")
            return [], [], {}
        found = await referenced(storage.store, request)
        if request.previous_response_id is None:
            return [], [], found
        before = await previous(storage.store, request.previous_response_id)
        items = [*await inherited_items(storage.store, before), *shown(before)]
        return items, [*before.ancestors, before.response.id], found

    async def respond(
        self, run: Run, record: Record, sink: Sink, *, seconds: float | None, committed: Callable[[], bool]
    ) -> None:
        """Make the response, sending its events to `sink`; `run.response` is what came of it.

        `seconds` is how long the connection may last: a stored response goes on without it, another one ends
        as incomplete. `committed` says whether the client has seen any of it: before that a failure is
        raised and nothing is kept, so that the client can try again; after it the response fails.
        """
        storage = self._ports.storage if run.response.store else None
        ends = None if seconds is None else self._ports.now() + seconds
        if storage is None:
            await self._inline(run, sink, None, ends, committed)
            return
        try:
            await self._stored_response(run, record, sink, storage, ends, committed)
        except Exception:
            if not committed():
                with suppress(KitError):  # what could not be deleted is deleted by its time to live
                    await storage.store.delete(run.response.id)
            raise

    async def _stored_response(
        self,
        run: Run,
        record: Record,
        sink: Sink,
        storage: Storage,
        ends: float | None,
        committed: Callable[[], bool],
    ) -> None:
        if run.request.background:
            await self._queue(run, record, storage, sink)
        else:
            await storage.store.create(record, run)
            recorder = Recorder(run, storage, self._ports.now, seconds=self._settings.flush_seconds, inline=True)
            if await self._inline(run, sink, recorder, ends, committed):
                return
            await self._hand_off(run, storage)
        if run.request.stream or not run.request.background:
            await self._follow(run, storage, sink, ends)

    async def _inline(
        self, run: Run, sink: Sink, recorder: Recorder | None, ends: float | None, committed: Callable[[], bool]
    ) -> bool:
        """Whether the response is over; if not, the run is ready to be handed off."""
        journal = Journal(run, sink, recorder)
        left = None if ends is None else max(0.1, ends - self._ports.now())
        timer = asyncio.timeout(left)
        stop: Step
        try:
            async with AsyncExitStack() as stack:
                if recorder is not None:
                    await stack.enter_async_context(recorder)
                async with timer:
                    await begin(run, journal)
                    stop = await drive(run, self._ports, journal, self._pause(run, ends, stored=recorder is not None))
        except Cancelled:
            stop = Stop("cancelled")
        except TimeoutError:
            if not timer.expired():
                raise
            if recorder is not None:
                return False
            stop = Stop("incomplete", "max_duration")
        except Exception as error:
            await self._fail(run, error, sink, recorder, committed())
            return True
        if not isinstance(stop, Stop):
            return False
        await finish(run, stop, journal, self._ports.now)
        return True

    async def _fail(self, run: Run, error: Exception, sink: Sink, recorder: Recorder | None, committed: bool) -> None:
        """End the response as failed where its client saw some of it; raise where the caller must be told."""
        if committed:
            message = error.message if isinstance(error, KitError) else "The server had an error"
            code = error.code if isinstance(error, KitError) else KitError.code
            stop = Stop("failed", error=ResponseError(code=code, message=message))
            await finish(run, stop, Journal(run, sink, recorder), self._ports.now)
        if not committed or not isinstance(error, KitError):
            raise error

    def _pause(self, run: Run, ends: float | None, *, stored: bool) -> Pause:
        """Hand off when the inline budget is used, or when a worst-case turn no longer fits the time left."""
        limits, now = self._settings, self._ports.now
        began = now()

        def pause(step: Step) -> bool:
            if not stored:
                return False
            short = ends is not None and ends - now() < limits.turn_seconds
            return short or run.turns >= limits.inline_turns or now() - began > limits.inline_seconds

        return pause

    async def _hand_off(self, run: Run, storage: Storage) -> None:
        await storage.runs.save(run)
        await hand_over(storage, run.response.id, run.generation)

    async def _queue(self, run: Run, record: Record, storage: Storage, sink: Sink) -> None:
        """A background response starts in the state machine."""
        run.response = record.response = run.response.model_copy(update={"status": "queued"})
        await storage.store.create(record, run)
        recorder = Recorder(run, storage, self._ports.now, seconds=self._settings.flush_seconds, inline=False)
        journal = Journal(run, sink, recorder)
        await journal(ResponseCreated(response=run.response))
        await journal(ResponseQueued(response=run.response))
        await recorder.flush()
        await self._hand_off(run, storage)

    async def _follow(self, run: Run, storage: Storage, sink: Sink, ends: float | None) -> None:
        async def fold(event: StreamEvent) -> None:
            if not isinstance(event, Detached):
                run.response = apply(run.response, event)
            await sink(event)

        after = run.next_sequence - 1
        await follow(storage, run.response.id, after, fold, ends=ends, now=self._ports.now)

    async def claim(self, key: str, claim: Claim) -> Claim:
        """What the idempotency key stands for: this claim, or an earlier one."""
        assert self._ports.storage is not None, "only a stored response has a claim"
        return await self._ports.storage.claims.claim(key, claim)

    async def release(self, key: str, claim: Claim) -> None:
        """Of a response that was not made: its key may be used again."""
        assert self._ports.storage is not None, "only a stored response has a claim"
        with suppress(KitError):
            await self._ports.storage.claims.release(key, claim)

    async def models(self) -> list[str]:
        return await self._ports.models.listed()

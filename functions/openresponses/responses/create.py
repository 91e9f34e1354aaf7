"""Making responses: what `POST /v1/responses` does."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, nullcontext, suppress

from ..core.accounts import code_of
from ..core.engine import begin, drive, finish, turn_for, unkept
from ..core.errors import Cancelled, KitError, StorageUnavailable
from ..core.ports import Counted, Left, Pause, Ports, Sink
from ..core.records import Record
from ..core.reducer import apply
from ..core.run import Approved, Run
from ..core.settings import Settings
from ..core.steps import Step, Stop, next_step
from ..core.storage import Storage
from ..core.turn import turn_of
from ..durable.conversation import Unstored
from ..durable.history import grown
from ..durable.journal import LEASE_SECONDS, Journal, Recorder, nowhere
from ..durable.tail import follow, hand_over
from ..schema.compact import CompactedResponse, CompactRequest
from ..schema.events import Detached, ResponseCreated, ResponseQueued, StreamEvent
from ..schema.request import CreateResponse
from ..schema.response import ResponseError
from . import idempotency
from .before import Before, Recall, admitted
from .idempotency import IdempotencyKey
from .intake import (
    approves,
    asks_to_compact,
    check_answers,
    estimated,
    input_items,
    new_response,
    refuse_unstored,
    refuse_unsupported,
)
from .offering import check_tool_choice, offered_tools, requested_tools, run_upstream
from .prompts import resolved
from .servers import check_servers


class NewResponses:
    """The responses that one client key asks for. `allowed` are patterns of the models that it may use (none: all),
    `mcp` of the deployment's MCP servers (none: all of them, and any other).
    """

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        key_id: str = "",
        allowed: Sequence[str] = (),
        mcp: Sequence[str] = (),
    ) -> None:
        self._ports, self._settings, self._key_id, self._allowed, self._mcp = ports, settings, key_id, allowed, mcp

    async def models(self) -> list[str]:
        return await self._ports.models.listed()

    async def check_model(self, name: str) -> None:
        """Raises NotFound if a request could not name this model."""
        await self._ports.models.admit(CreateResponse.model_construct(model=name, input=""))

    async def accept(
        self,
        request: CreateResponse,
        recall: Recall | None = None,
        *,
        generate: bool = True,
        reads: bool = False,
        trace: str = "",
    ) -> tuple[Run, Record]:
        """The run that answers `request`. Raises RequestError, naming the field, before anything is done.

        `recall` finds responses that are not stored. What is not to `generate` an answer is only made ready. A run that
        is only for who `reads` it can't be claimed. `trace` is what a client told of its own (`core.spans.received`).
        """
        request, messages = await resolved(request, self._ports)
        refuse_unsupported(request)
        created = self._ports.now()
        response_id = f"resp_{self._ports.new_id()}"
        before = await self._before(request, recall, reads=reads)
        own = input_items(request, response_id, before.referred, {item.id for item in before.items}, messages)
        context = [*before.items, *own]
        check_answers(request, context)
        upstream = await run_upstream(request, self._ports.models)
        here = "mcp" not in upstream
        check_servers(requested_tools(request), context, self._settings, self._mcp, here=here)
        offered = await offered_tools(request, self._ports.tools, context, upstream)
        check_tool_choice(request, offered.tools)
        response = new_response(request, response_id, int(created))
        response.store = self._is_stored(request)
        if not response.store:
            refuse_unstored(request, offered.tools)
        if request.background:
            response.status = "queued"
        run = Run(
            response=response,
            request=request.model_copy(update={"input": None, "tools": None}),
            context=context,
            inherited=len(before.items),
            lock=before.lock,
            tools=await self._ports.models.sealed_tools(offered.tools),
            servers=offered.servers,
            max_turns=self._settings.max_turns,
            reasoning=self._settings.reasoning,
            key_id=self._key_id,
            allowed=[*self._allowed],
            created=created,
            compacts="trigger" if asks_to_compact(request) else None,
            streams=request.stream is True and not request.background,
            generate=generate,
            trace=trace,
        )
        run.approved = await self._approved(request, before, run)
        if not generate:
            run.usage = estimated(run)
        given, lease = [*before.unstored, *own], created + LEASE_SECONDS
        return run, Record(response=response, input=given, chain=before.chain, lock=before.lock, lease=lease)

    async def _before(self, request: CreateResponse, recall: Recall | None, *, reads: bool) -> Before:
        reading, budget = admitted(request, self._ports, recall, reads=reads), self._ports.budget
        if budget is None:
            return await reading
        before, _ = await asyncio.gather(reading, budget.learn(self._key_id))
        return before

    async def _approved(self, request: CreateResponse, before: Before, run: Run) -> list[Approved]:
        if not approves(request):
            return []
        from .approvals import approved  # few requests need it

        return await approved(request, before.items, run, self._ports)

    async def compact(
        self, request: CompactRequest, *, seconds: float | None, trace: str = ""
    ) -> tuple[CompactedResponse, Left | None]:
        """What it was compacted to, and what is left of limits. Raises RequestError, or ProviderError if there is no
        summary.
        """
        from .compact import asked_for, compacted  # few requests need it

        run, record = await self.accept(asked_for(request), trace=trace)
        run.compacts = "request"
        if run.approved:
            from .approvals import makes_no_call

            raise makes_no_call(run.approved)
        left = await self.hold(run)
        await self.respond(run, record, nowhere, seconds=seconds, committed=lambda: False)
        return compacted(run), left

    async def count(self, request: CreateResponse) -> Counted:
        """The tokens that a model would read of this request. Nothing is stored, and no conversation is held. Raises
        RequestError as `accept`.
        """
        run, _ = await self.accept(request, reads=True)
        return await self._ports.models.count(turn_of(run, run.request.model))

    def _is_stored(self, request: CreateResponse) -> bool:
        wanted = self._settings.store if request.store is None else request.store
        return wanted and self._ports.storage is not None

    async def repeated(self, key: IdempotencyKey) -> str | None:
        """The id of the response that an earlier request with this key and this body made, if there is one."""
        return None if self._ports.storage is None else await idempotency.earlier(self._ports.storage, key)

    async def claim(self, key: IdempotencyKey | None, run: Run, record: Record) -> str:
        """The id of the response that `key` stands for: that of `run`, which is stored now, or an earlier one.

        From then on `run` holds its conversation, if it has one, and its approvals are spent. Raises
        ConversationLocked, ApprovalSpent, IdempotencyKeyReused if the key came with another body, FirstRequestFailed if
        requests with it fail.
        """
        if not run.response.store:
            if run.lock is not None:
                await self._unstored(run).hold()
            await self._spend(run, None)
            return run.response.id
        record.chain = await grown(self._storage.store, record.chain, run.context)
        try:
            claimed = await idempotency.create(self._storage, key, record, run)
        except StorageUnavailable:  # it may be stored, and its client won't know: nothing is kept, as far as possible
            if key is None:
                await self._forget(run, None)
            raise
        if claimed == run.response.id:
            await self._spend(run, key)
        return claimed

    async def _spend(self, run: Run, key: IdempotencyKey | None) -> None:
        """The response is stored already: who takes it over from a worker that died makes the calls."""
        if not run.approved:
            return
        from ..durable.spending import spend  # few requests need it

        try:
            await spend(run, self._ports.spent)
        except KitError:
            await (self._forget(run, key) if run.response.store else self._let_go(run))
            raise

    def _unstored(self, run: Run) -> Unstored:
        assert run.lock is not None, "only who goes on from a conversation holds it"
        return Unstored(self._storage, run.lock, run.response.id, self._ports.now)

    async def hold(self, run: Run, key: IdempotencyKey | None = None, *, claimed: bool = False) -> Left | None:
        """Hold what the first turn takes of the limits of the key and its tenant, after `claim` if that was called
        (`claimed`), and say what is left: None where nothing limits them. To hold it again changes nothing.

        Raises LimitReached, and RequestError if the price of a model is unknown that a limit needs: nothing is kept.
        """
        if self._ports.budget is None or not run.generate:
            return None
        try:
            return await self._ports.budget.hold(run, lambda run: turn_for(next_step(run))(run))
        except KitError:
            if claimed:
                await (self._forget(run, key) if run.response.store else self._let_go(run))
            raise

    async def respond(
        self,
        run: Run,
        record: Record,
        sink: Sink,
        *,
        seconds: float | None,
        committed: Callable[[], bool],
        key: IdempotencyKey | None = None,
        claimed: bool = False,
    ) -> None:
        """Make the response, sending its events to `sink`; `run.response` is what came of it.

        `seconds` is how long the connection may last. A stored response goes on without it, another one ends as
        incomplete. `committed` says whether the client has seen any of the response. Before that a failure is raised
        and nothing is kept, so that the client can try again, with the same `key`; after it the response fails.
        `claimed`: `claim` was called. A response that goes on from a conversation, or that makes approved calls, calls
        it before it begins.
        """
        ends = None if seconds is None else self._ports.now() + seconds
        claimed = claimed or key is not None
        if (run.lock is not None or run.approved) and not claimed:
            await self.claim(None, run, record)
            claimed = True
        await self.hold(run, key, claimed=claimed)
        await self._ports.refused(run)
        recorder = self._recorder(run, None if claimed else record) if run.response.store else None
        unstored = self._unstored(run) if run.lock is not None and recorder is None else None

        async def settle(run: Run) -> None:
            if unstored is not None:
                await unstored.settle(run)
            await self._give_back(run)

        journal = Journal(run, sink, recorder, self._ports.account, settle)
        try:
            if recorder is None:
                async with unstored or nullcontext():
                    over = await self._inline(run, journal, None, ends, committed)
            else:
                over = await self._stored(run, journal, recorder, ends, committed)
        except Exception as error:
            seen = committed()
            goes_on = recorder is not None and seen  # its reader lets the state machine take it over
            if not journal.ended and not goes_on:
                await self._ports.account(run, error)
            if not seen and recorder is not None and (claimed or recorder.creates):
                await self._forget(run, key)
            elif not journal.ended and recorder is None:
                await self._let_go(run)
            raise
        if over or (run.request.background and not run.request.stream):
            return
        try:
            await self._follow(run, sink, ends)
        except Exception:
            if not committed():
                await self._forget(run, key)
            raise
        finally:
            await self._ports.export()  # what was done inline

    @property
    def _storage(self) -> Storage:
        assert self._ports.storage is not None, "only a response that is to be stored needs storage"
        return self._ports.storage

    def _recorder(self, run: Run, record: Record | None) -> Recorder:
        seconds, inline = self._settings.flush_seconds, not run.request.background
        return Recorder(run, self._storage, self._ports.now, seconds=seconds, inline=inline, record=record)

    async def _forget(self, run: Run, key: IdempotencyKey | None) -> None:
        """Keep nothing of a response that failed before its client saw any of it."""
        await self._let_go(run)
        with suppress(KitError):  # what could not be deleted expires
            await self._storage.store.delete(run.response.id)
        if key is not None:
            await idempotency.release(self._storage, key, run.response.id)

    async def _let_go(self, run: Run) -> None:
        """Give free what a response held of which nothing came. If that fails, the conversation's lease runs out, and
        the approvals expire.
        """
        if run.lock is not None:
            with suppress(KitError):
                await self._storage.conversations.release(run.lock, run.response.id)
        await self._give_back(run)

    async def _give_back(self, run: Run) -> None:
        if run.approved:
            from ..durable.spending import give_back

            await give_back(run, self._ports.spent)

    async def _stored(
        self, run: Run, journal: Journal, recorder: Recorder, ends: float | None, committed: Callable[[], bool]
    ) -> bool:
        """Whether the response is over; if not, the state machine goes on with it."""
        if run.request.background:
            await recorder.grow()
            await journal(ResponseCreated(response=run.response))
            await journal(ResponseQueued(response=run.response))
            await (recorder.flush() if run.hold is None else recorder.keep(run))
        else:
            if await self._inline(run, journal, recorder, ends, committed):
                return True
            run.streams = False
            await recorder.keep(run)
        await hand_over(self._storage, run.response.id, run.generation)
        return False

    async def _inline(
        self, run: Run, journal: Journal, recorder: Recorder | None, ends: float | None, committed: Callable[[], bool]
    ) -> bool:
        """Whether the response is over; if not, the run is ready to be handed off."""
        left = None if ends is None else max(0.1, ends - self._ports.now())
        timer = asyncio.timeout(left)
        stop: Step
        try:
            async with AsyncExitStack() as stack:
                if recorder is not None:
                    await stack.enter_async_context(recorder)
                async with timer:
                    await begin(run, journal)
                    pause = self._pause(run, ends, stored=recorder is not None)
                    keep = recorder.keep if recorder else unkept
                    stop = await drive(run, self._ports, journal, pause, keep, heard=journal.heard)
        except Cancelled:
            stop = Stop("cancelled")
        except TimeoutError:
            if not timer.expired():
                raise
            if recorder is not None:
                return False
            stop = Stop("incomplete", "max_duration")
        except Exception as error:
            await self._fail(run, error, journal, committed())
            return True
        if not isinstance(stop, Stop):
            return False
        await finish(run, stop, journal, self._ports.now)
        return True

    async def _fail(self, run: Run, error: Exception, journal: Journal, committed: bool) -> None:
        """End the response as failed if its client saw some of it. Raises `error` if the client did not, or if it is a
        bug.
        """
        if committed:
            message = error.message if isinstance(error, KitError) else "The server had an error"
            stop = Stop("failed", error=ResponseError(code=code_of(error), message=message))
            await finish(run, stop, journal, self._ports.now)
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

    async def _follow(self, run: Run, sink: Sink, ends: float | None) -> None:
        async def fold(event: StreamEvent) -> None:
            if not isinstance(event, Detached):
                run.response = apply(run.response, event)
            await sink(event)

        after = run.next_sequence - 1
        await follow(self._storage, run.response.id, after, fold, ends=ends, now=self._ports.now)

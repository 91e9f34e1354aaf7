"""Making responses: what `POST /v1/responses` does."""

import asyncio
from collections.abc import Callable, Sequence

from ..core.ports import Counted, Left, Ports, Sink
from ..core.records import Record
from ..core.run import Approved, Run
from ..core.settings import Settings
from ..core.turn import turn_of
from ..durable.journal import LEASE_SECONDS, nowhere
from ..schema.compact import CompactedResponse, CompactRequest
from ..schema.items import Item
from ..schema.request import CreateResponse
from . import idempotency
from .before import Before, Recall, admitted
from .holdings import Holdings
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
from .making import Asker, Making
from .offering import Offered, check_tool_choice, offered_tools, requested_tools, run_upstream
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
        self.holdings = Holdings(ports)

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
        offered = await self._offered(request, context)
        response = new_response(request, response_id, int(created))
        response.store = self._is_stored(request)
        if not response.store:
            refuse_unstored(request, offered.tools)
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

    async def _offered(self, request: CreateResponse, context: Sequence[Item]) -> Offered:
        """The tools that the model will see, none of which is refused."""
        upstream = await run_upstream(request, self._ports.models)
        here = "mcp" not in upstream
        check_servers(requested_tools(request), context, self._settings, self._mcp, here=here)
        offered = await offered_tools(request, self._ports.tools, context, upstream)
        check_tool_choice(request, offered.tools)
        return offered

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
        left = await self.holdings.hold(run)
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
        `claimed`: `holdings.claim` was called. For a response that goes on from a conversation, or that makes approved
        calls, it is called here at the latest.
        """
        asker = Asker(sink, None if seconds is None else self._ports.now() + seconds, committed, key)
        claimed = claimed or key is not None
        if (run.lock is not None or run.approved) and not claimed:
            await self.holdings.claim(None, run, record)
            claimed = True
        await self.holdings.hold(run, key, claimed=claimed)
        await self._ports.refused(run)
        await Making(run, None if claimed else record, asker, self._ports, self._settings, self.holdings).make()

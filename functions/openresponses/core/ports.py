"""What the core needs from the world. Adapters implement these; the core never imports them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from ..schema.events import Event, StreamEvent
from ..schema.items import Compaction, Item
from ..schema.request import CreateResponse
from ..schema.server_items import McpListTools, ServerCall
from ..schema.tools import HostedTool, McpTool, UpstreamTool, WebSearchTool
from .accounts import (
    Account,
    CallAccount,
    CallOutcome,
    abandoned_calls,
    account_of,
    bill_of,
    call_account_of,
    call_entry_of,
    refused_calls,
)
from .afterwards import later
from .bill import Pricing, unpriced
from .deltas import Delta
from .errors import KitError
from .run import McpServer, OfferedTool, Run
from .server_calls import ToolOutput
from .spans import Traces, telling
from .steps import Step
from .storage import Meter, Spent, Storage
from .turn import Turn

Emit: TypeAlias = Callable[[Event], Awaitable[None]]
Sink: TypeAlias = Callable[[StreamEvent], Awaitable[None]]
Pause: TypeAlias = Callable[[Step], bool]
Keep: TypeAlias = Callable[[Run], Awaitable[None]]


Offerable: TypeAlias = HostedTool | UpstreamTool | McpTool | WebSearchTool
"""What a request may declare that this server runs."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools, one or many, that a declared one stands for, and their server, if it is an MCP server."""

    tools: Sequence[OfferedTool]
    server: McpServer | None = None


@dataclass(frozen=True, slots=True)
class TurnStream:
    """One turn's deltas, the target (`provider/model`) that they come from, and what it takes for them. `instead`:
    another target is the first choice.
    """

    target: str
    deltas: AsyncIterator[Delta]
    pricing: Pricing = unpriced
    instead: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The tokens of a turn's input: as its provider counts them, or estimated here."""

    tokens: int
    estimated: bool = False


class Provider(Protocol):
    """One configured model vendor, speaking one wire dialect."""

    def stream(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        """One turn's deltas. Raises ProviderError; a stream without `Finish` is a dead turn."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Counts(Protocol):
    """A provider whose vendor counts the tokens of a turn's input."""

    async def count(self, turn: Turn) -> int | None:
        """None if it doesn't, for this model or at this address. Raises ProviderError and RequestError."""
        ...


class Models(Protocol):
    """Every model that one tenant may use."""

    async def admit(self, request: CreateResponse) -> None:
        """Raises NotFound or RequestError for a request that no provider needs to see to be refused."""
        ...

    async def sealed_tools(self, tools: Sequence[OfferedTool]) -> list[OfferedTool]:
        """The tools as a run is stored with them: with credentials that only a turn of theirs opens."""
        ...

    async def runs(self, request: CreateResponse) -> frozenset[str]:
        """The types of OpenAI's tools that every target of the request runs itself. Raises as `admit`."""
        ...

    def ask(self, turn: Turn, served: str | None) -> AbstractAsyncContextManager[TurnStream]:
        """A turn that a target has begun to answer. `served` is the target of the turn before.

        Entering raises ProviderError or RequestError if no target begins to answer; after that the deltas raise them.
        """
        ...

    async def count(self, turn: Turn) -> Counted:
        """What a provider would read. Raises ProviderError or RequestError if no target would take the turn."""
        ...

    async def listed(self) -> list[str]: ...

    async def pricings(self, turn: Turn) -> list[tuple[str, Pricing]]:
        """Each target that may be asked for the turn, and what it takes. Raises NotFound or RequestError."""
        ...

    async def carried(self, compactions: Sequence[Compaction]) -> list[Item]:
        """The items that these carry along as they are. Nothing of one that can't be opened."""
        ...


class Parameters(Protocol):
    """The deployment's configuration: texts under names with slashes. Raises StorageUnavailable."""

    async def get(self, name: str) -> str | None: ...

    async def names(self, folder: str) -> list[str]:
        """Sorted, without the folder's own name."""
        ...


class Seal(Protocol):
    """An authenticated cipher for one tenant."""

    async def seal(self, target: str, state: str) -> str: ...

    async def open(self, sealed: str) -> tuple[str, str] | None:
        """(target, state); None if the text was altered, or was not sealed here for this tenant."""
        ...


class Tools(Protocol):
    """Every tool that this server runs."""

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """What a request declares by `tool`; None if this server runs none of that type. `known` is what the
        conversation knows of the tools of an MCP server. Raises KitError.
        """
        ...

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        """Run one call of `run`. A tool's failure is not raised: it is an output that the model reads."""
        ...

    async def leave(self, run: Run) -> None:
        """No call of `run` is made by this worker any more: end what servers keep for it. Never raises."""
        ...

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> ToolOutput | None:
        """Begin a call whose tool answers later, by the token. What it failed with at once; None if it did not."""
        ...


@runtime_checkable
class NamesTools(Protocol):
    """Tools that say which ones there are."""

    async def hosted_types(self) -> list[str]:
        """The types of those that a request may declare as `serverless:<tool>`, sorted. Raises StorageUnavailable."""
        ...


Mark: TypeAlias = Callable[[str], str]
"""The message authentication code of a text: hex digits."""


class Marks(Protocol):
    """What proves that a text was marked here, for one tenant."""

    async def marks(self) -> Sequence[Mark]:
        """At least one. The first one marks, and each of them proves. Raises StorageUnavailable."""
        ...


class Accounts(Protocol):
    """Where accounts go: logs, metrics, budgets."""

    async def record(self, account: Account) -> None:
        """Called by the worker that ended a response, once its end is durable. Never raises.

        No response is recorded twice. A worker that is killed between the end and this call records nothing.
        """
        ...

    async def called(self, account: CallAccount) -> None:
        """Called by the worker that made a call of a tool, when the call is over. Never raises.

        A call that is made again is recorded again. A worker that is killed amid a call records nothing of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of the limits once a turn is held: the key's meter, and the tenant's. `now` is in Unix seconds."""

    key: Meter
    tenant: Meter
    now: float


class Budget(Protocol):
    """The limits of one tenant and its keys, which a turn is held against before anybody is asked for it."""

    async def hold(self, run: Run, made: Callable[[Run], Turn]) -> Left | None:
        """Hold what the turn takes at most that is `made` of the run, as `run.hold` and `run.cap`, and count what the
        turn before it really took. None if nothing limits it, or if it is held already. Raises LimitReached,
        RequestError if a price is unknown that a limit needs, and StorageUnavailable.
        """
        ...

    async def learn(self, key_id: str) -> None:
        """What the limits are, where that is not known: beside what else is read for a request."""
        ...

    async def rest(self, run: Run) -> None:
        """Hold nothing while the response waits, and count what its last turn took. Raises StorageUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside, bound to one tenant.

    `now` gives Unix seconds; `new_id` gives a fresh random token of [0-9a-f]. `marks` prove requests for approval.
    `remembered` are spent approvals where there is no storage. Without a `budget` nothing is limited, and without
    `traces` nothing is traced.
    """

    models: Models
    tools: Tools
    accounts: Accounts
    now: Callable[[], float]
    new_id: Callable[[], str]
    storage: Storage | None = None
    marks: Marks | None = None
    remembered: Spent | None = None
    budget: Budget | None = None
    traces: Traces | None = None

    @property
    def spent(self) -> Spent:
        spent = self.storage.spent if self.storage else self.remembered
        assert spent is not None, "whoever can ask for an approval can remember that it was given"
        return spent

    async def account(self, run: Run, failure: Exception | None = None) -> None:
        """Record what a response took that is over, or that ends with `failure`, and the calls that it abandoned."""
        for abandoned in abandoned_calls(run):
            await self.accounts.called(abandoned)
        account = account_of(run, self.now(), failure)
        await self.accounts.record(account)
        await later(lambda: self._settle(run))
        if self.traces is not None:
            self.traces.ended(run, account)
            await self.export()

    async def export(self) -> None:
        """Send the spans that are over, when nobody waits any more."""
        if self.traces is not None:
            await later(self.traces.export)

    async def _settle(self, run: Run) -> None:
        """Bill a response that is over. Whoever is told of the end of a stored one bills it, if this fails."""
        if self.storage is not None:
            bill = run.bill or bill_of(run, self.now())
            with suppress(KitError):
                await self.storage.meters.settle(bill, stored=run.bill is not None)

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        """Run a call of `run`, and record it, however it ends."""
        began, output = self.now(), None
        try:
            with telling(self.traces.call(call, run) if self.traces else None):
                output = await self.tools.call(call, run)
            return output
        finally:
            await self.called(call, run, output, began)

    async def refused(self, run: Run) -> None:
        """Record the calls that the user of this request did not approve."""
        for account in refused_calls(run):
            await self.accounts.called(account)

    async def called(self, call: ServerCall, run: Run, output: ToolOutput | None, began: float | None = None) -> None:
        """Record a call that is over: nobody knows how, where it has no output. `began` is in Unix seconds."""
        outcome: CallOutcome = "unknown" if output is None else "failed" if output.failed else "completed"
        seconds = None if began is None else self.now() - began
        account = call_account_of(run, call, outcome, seconds, output.text if output else "")
        run.timeline.add_call(call_entry_of(account, self.now() if began is None else began))
        await self.accounts.called(account)
        if self.traces is not None and began is not None:
            self.traces.called(call, run, account, began)

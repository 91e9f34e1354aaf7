"""What the core needs from the world. Adapters implement these; the core never imports them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from ..schema.events import Event, StreamEvent
from ..schema.items import Compaction, Item
from ..schema.request import CreateResponse
from ..schema.response import Response
from ..schema.server_items import McpListTools, ServerCall
from ..schema.tools import HostedTool, McpTool, UpstreamTool, WebSearchTool
from .accounts import (
    Account,
    CallAccount,
    CallOutcome,
    abandoned_calls,
    account_of,
    call_account_of,
    refused_calls,
)
from .answers import Answer
from .chain import Joint, Link, Passage
from .conversations import Conversation, Lock, Piece
from .deltas import Delta
from .listing import Listing, Order, Wanted
from .loading import Allowance
from .prompts import Prompt, PromptVersion
from .records import Batch, Claim, Record
from .run import McpServer, OfferedTool, Run
from .server_calls import ToolOutput
from .steps import Step
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
    """One turn's deltas, and the target (`provider/model`) that they come from."""

    target: str
    deltas: AsyncIterator[Delta]


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


class Store(Protocol):
    """Responses at rest. Every method may raise StorageUnavailable. What is loaded is taken of an allowance."""

    async def create(
        self, record: Record, run: Run, batch: Batch | None = None, claim: Claim | None = None
    ) -> Claim | None:
        """Store a new response, with the first batch of its log and the claim of its idempotency key: all or nothing.
        With the record's lock, the response holds its conversation.

        Returns the claim that holds the key already; nothing is stored then. Raises ConversationLocked, or NotFound if
        the conversation is gone.
        """
        ...

    async def load(self, response_ids: Sequence[str], within: Allowance | None = None) -> list[Record | None]:
        """Any number of records, in a constant number of round trips. Raises ContextTooLong."""
        ...

    async def page(self, wanted: Wanted, *, limit: int, order: Order, after: str | None = None) -> Listing | None:
        """One page of the tenant's responses by time, from the one of the id `after` on; None if that one is gone.

        A change may be missing from it for a moment. At most `MAX_READ` responses are read, so it may be short, even
        empty, and yet there is more.
        """
        ...

    async def load_links(self, links: Sequence[Link], within: Allowance | None = None) -> list[Passage | None]:
        """What each link holds, in a constant number of round trips; None if a response of it is gone.

        Raises ContextTooLong."""
        ...

    async def join(self, joint: Joint, items: Sequence[Item]) -> bool:
        """Keep the items of a joint's members as its chunk. False if a member is gone, or about to go."""
        ...

    async def renew(self, response_id: str, lease: float | None) -> None:
        """Vouch for a response until `lease`. Raises Cancelled if somebody cancelled it, Superseded if it is over."""
        ...

    async def cancel(self, response_id: str) -> None:
        """Ask its worker to stop. Does nothing to a response that is over or gone."""
        ...

    async def prolong(self, record: Record, seconds: float) -> None:
        """Let it wait for so many seconds: then it, its run and its log are kept for as long as if they were new, and
        what it goes on from is still there.
        """
        ...

    async def settle(
        self, response: Response, discarded: Sequence[str], lock: Lock | None = None, added: Sequence[Item] = ()
    ) -> None:
        """Store its final state. Only one worker can: Superseded is raised if the response is over already, or gone.

        At once the conversation of `lock` is given free, with `added` appended.
        """
        ...

    async def delete(self, response_id: str) -> None:
        """Delete it with its run, its log, and every chunk that holds its items."""
        ...


class Runs(Protocol):
    """The runs of responses that are not over."""

    async def load(self, response_id: str) -> Run | None:
        """The run as it was last saved, without its context and its items."""
        ...

    async def save(self, run: Run, batch: Batch | None = None) -> None:
        """Save it, with a batch of its log: both or neither. Adds one to `run.version`.

        Raises Superseded if another save came first, or the batch's number is taken.
        """
        ...


class EventLog(Protocol):
    """A response's events, in numbered batches. Each number is written once, so that an old writer is fenced off."""

    async def append(self, response_id: str, batch: Batch) -> None:
        """Raises Superseded if the number is taken, or the response is gone."""
        ...

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        """The next batches, not always all of them: a long log is read in steps. None are left if none come."""
        ...


class Answers(Protocol):
    """What calls were answered with that wait for it."""

    async def keep(self, response_id: str, answer: Answer) -> None:
        """The first answer of a call counts. Does nothing if the response is over, or gone."""
        ...

    async def of(self, response_id: str) -> list[Answer]: ...


class Launcher(Protocol):
    """The state machine, which goes on with a response."""

    async def start(self, response_id: str, generation: int) -> None:
        """Starting the same twice is harmless."""
        ...

    async def stop(self, response_id: str, generation: int) -> None: ...


class Claims(Protocol):
    """Idempotency keys. `Store.create` claims them."""

    async def held(self, key: str) -> Claim | None:
        """The claim that holds a key."""
        ...

    async def release(self, claim: Claim) -> None:
        """Let the key be claimed again, if this claim holds it."""
        ...


class Prompts(Protocol):
    """Prompts by name, each in versions that never change. Every method may raise StorageUnavailable."""

    async def find(self, prompt_id: str, version: str | None = None) -> Prompt | None:
        """The newest version, unless one is named; None if it is not there."""
        ...

    async def add(self, prompt_id: str, body: CreateResponse) -> PromptVersion:
        """As the next version. No number is given twice, also after the prompt was removed."""
        ...

    async def listed(self) -> list[PromptVersion]:
        """The newest of each, by name."""
        ...

    async def remove(self, prompt_id: str) -> bool:
        """With all its versions. False if there was none."""
        ...


class Conversations(Protocol):
    """Conversations. They stay until they are deleted. Every method may raise StorageUnavailable.

    One that changes a conversation's items takes a lock of it, and raises ConversationLocked if the conversation has
    changed since, has a holder, or is gone.
    """

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None: ...

    async def load(self, conversation_id: str) -> Conversation | None: ...

    async def describe(self, conversation_id: str, metadata: Mapping[str, str]) -> bool:
        """Replace its metadata. False if it is gone."""
        ...

    async def items(self, conversation_id: str, until: int, within: Allowance | None = None) -> list[Item]:
        """The items up to a place, oldest first, in few round trips. Raises ContextTooLong."""
        ...

    async def pieces(self, conversation_id: str, beyond: int | None, *, newest_first: bool) -> list[Piece]:
        """The next pieces beyond a place (None: from the begin, or the end), not always all of them. None are left if
        none come.
        """
        ...

    async def append(self, lock: Lock, items: Sequence[Item]) -> None: ...

    async def rewrite(self, lock: Lock, piece: Piece) -> None:
        """Put `piece` in the place of the one that is there."""
        ...

    async def hold(self, lock: Lock, holder: str, lease: float) -> None:
        """Let a response that is not stored hold the conversation until `lease`."""
        ...

    async def renew(self, lock: Lock, holder: str, lease: float) -> None:
        """Raises Superseded if the conversation is not that response's any more."""
        ...

    async def release(self, lock: Lock, holder: str, added: Sequence[Item] = ()) -> None:
        """Give the conversation free, with `added` appended. Raises Superseded as `renew` does."""
        ...

    async def delete(self, lock: Lock) -> bool:
        """Delete it with all its items. False if it is not there. A deletion that failed may be repeated."""
        ...


class Spent(Protocol):
    """Requests for approval that were approved. Each is kept for a day, as long as it could be approved again.

    Every method may raise StorageUnavailable.
    """

    async def spend(self, request_ids: Sequence[str], response_id: str) -> str | None:
        """Spend all of them for a response, or none: one that another response has spent is returned then.

        At most `MAX_APPROVALS`. To spend them for the same response again changes nothing.
        """
        ...

    async def give_back(self, request_ids: Sequence[str], response_id: str) -> None:
        """Let those that were spent for this response be spent again."""
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
class Storage:
    """Everything at rest, bound to one tenant."""

    store: Store
    runs: Runs
    log: EventLog
    launcher: Launcher
    claims: Claims
    prompts: Prompts
    conversations: Conversations
    answers: Answers
    spent: Spent


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside, bound to one tenant.

    `now` gives Unix seconds; `new_id` gives a fresh random token of [0-9a-f]. `marks` prove requests for approval.
    `remembered` are spent approvals where there is no storage.
    """

    models: Models
    tools: Tools
    accounts: Accounts
    now: Callable[[], float]
    new_id: Callable[[], str]
    storage: Storage | None = None
    marks: Marks | None = None
    remembered: Spent | None = None

    @property
    def spent(self) -> Spent:
        spent = self.storage.spent if self.storage else self.remembered
        assert spent is not None, "whoever can ask for an approval can remember that it was given"
        return spent

    async def account(self, run: Run, failure: Exception | None = None) -> None:
        """Record what a response took that is over, or that ends with `failure`, and the calls that it abandoned."""
        for abandoned in abandoned_calls(run):
            await self.accounts.called(abandoned)
        await self.accounts.record(account_of(run, self.now(), failure))

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        """Run a call of `run`, and record it, however it ends."""
        began, output = self.now(), None
        try:
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
        await self.accounts.called(call_account_of(run, call, outcome, seconds, output.text if output else ""))

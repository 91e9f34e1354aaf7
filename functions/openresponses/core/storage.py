"""What must be kept at rest, bound to one tenant. Adapters implement these ports; the core never imports them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..schema.items import Item
from ..schema.request import CreateResponse
from ..schema.response import Response
from .answers import Answer
from .bill import Bill, Hold, Pico
from .chain import Joint, Link, Passage
from .conversations import Conversation, Lock, Piece
from .listing import Listing, Order, Wanted
from .loading import Allowance
from .prompts import Prompt, PromptVersion
from .records import Batch, Claim, Record
from .run import Run
from .timeline import Timeline

if TYPE_CHECKING:
    from .webhooks import DeadLetter, Endpoint, Registered  # few sandboxes need these


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
        self,
        response: Response,
        discarded: Sequence[str],
        lock: Lock | None = None,
        added: Sequence[Item] = (),
        bill: Bill | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        """Store its final state. Only one worker can: Superseded is raised if the response is over already, or gone.

        At once the conversation of `lock` is given free, with `added` appended, and `bill` is owed, until
        `Meters.settle`. `timeline` is kept with it.
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


class Endpoints(Protocol):
    """Where events are sent. Every method may raise StorageUnavailable."""

    async def load(self) -> "Registered":
        """All of them, in one read."""
        ...

    async def replace(self, endpoints: "Sequence[Endpoint]", version: int) -> bool:
        """Put these in the place of those of `version`. False if somebody has changed them since."""
        ...

    async def keep_dead(self, letter: "DeadLetter") -> None:
        """For `DEAD_LETTER_DAYS`. To keep the same event for the same endpoint again changes nothing."""
        ...

    async def dead(self, most: int) -> "list[DeadLetter]":
        """Those whose events are the newest, the newest first."""
        ...


MAX_RUNNING = 1_000
"""Responses that hold something of one key, or one tenant, at a time, whatever its limits say: a meter keeps them all.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key, or a tenant, may take: None is no limit. Days and months are UTC's."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    pico_per_day: Pico | None = None
    pico_per_month: Pico | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """The limits of a key, or a tenant, and what it has taken in this minute, day and month, held amounts included.
    `running` counts the responses that hold something; MAX_RUNNING of them are the most. Only what is held is counted:
    nothing, where nothing is limited.
    """

    limits: Limits = Limits()
    requests: int = 0
    tokens: int = 0
    pico_today: Pico = 0
    pico_this_month: Pico = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Want:
    """What a turn of a response wants to hold. The first one counts as a request.

    `instead_of` is what the response's turn before held, of which `spent_tokens` and `spent_pico` were really used.
    """

    response_id: str
    key_id: str
    hold: Hold
    first: bool = False
    instead_of: Hold | None = None
    spent_tokens: int = 0
    spent_pico: Pico = 0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one key took of one target on a day. A request is counted once, where it ended. `unpriced` counts those that
    took something of this target for a price that is unknown.
    """

    day: str
    key_id: str
    target: str
    requests: int
    turns: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    pico: Pico
    unpriced: int


class Meters(Protocol):
    """What keys and their tenant may take, and have taken. Every method may raise StorageUnavailable."""

    async def read(self, key_id: str, now: float) -> tuple[Meter, Meter]:
        """The meter of the key, and the tenant's."""
        ...

    async def limit(self, key_id: str | None, limits: Limits) -> None:
        """Set the limits of a key, or (None) of the tenant."""
        ...

    async def hold(self, want: Want, key: Limits, tenant: Limits) -> tuple[Meter, Meter]:
        """Hold it of whom these limit, if it fits; both meters after it, that of nobody limited as it may be. Raises
        DoesNotFit: with the meters as they are, where it does not fit, or the limits have changed.

        What the response holds then is `want.hold` alone, whatever another worker held for it: that stays spent, unless
        it is `want.instead_of`. To hold the same again changes nothing.
        """
        ...

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        """Count what a response took, and give back what it held. False if its bill was settled before. `stored`: the
        response's record says that its bill is owed.

        A response that nobody stored is known to be settled by its hold. Without one, only its worker may try again.
        """
        ...

    async def owes(self, response_id: str) -> bool:
        """Whether the response's record says that its bill is owed. A read, where settling would be a transaction."""
        ...

    async def usage(self, first_day: str, last_day: str, key_id: str | None = None) -> list[UsageRow]:
        """By day, key and target; both days included."""
        ...


class DoesNotFit(Exception):
    """The limits don't allow what is wanted, or are others by now. The meters are as they were found."""

    def __init__(self, key: Meter, tenant: Meter) -> None:
        super().__init__("it does not fit the limits")
        self.key, self.tenant = key, tenant


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
    endpoints: Endpoints
    meters: Meters

"""What one tenant has stored, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from pydantic import TypeAdapter

from ...core.conversations import Lock
from ...core.errors import ConversationLocked, Superseded
from ...core.loading import Allowance
from ...core.records import Batch, Claim, Record
from ...core.storage import UsageRow
from ...core.webhooks import DeadLetter, Registered
from ...schema.events import Event
from ...schema.items import Item
from ..meter_state import Kept


@cache
def items_adapter() -> TypeAdapter[list[Item]]:
    return TypeAdapter(list[Item])


@cache
def events_adapter() -> TypeAdapter[list[Event]]:
    return TypeAdapter(list[Event])


@dataclass
class Entry:
    """All that is stored of one response, as JSON. `owed` is its bill, until that is settled."""

    record: str
    run: str
    version: int
    place: str
    cancelled: bool = False
    owed: str | None = None
    log: dict[int, bytes] = field(default_factory=dict[int, bytes])
    answers: dict[str, str] = field(default_factory=dict[str, str])

    def load(self, within: Allowance) -> Record:
        within.take(len(self.record))
        return Record.model_validate_json(self.record)

    def append(self, batch: Batch) -> None:
        """Raises Superseded if there is a batch of this number."""
        if batch.number in self.log:
            raise Superseded("Another worker writes this log")
        self.log[batch.number] = events_adapter().dump_json(batch.events)


@dataclass
class Chunk:
    """`responses` are the ids of all that it holds; `items` is JSON."""

    responses: frozenset[str]
    items: bytes


@dataclass
class Talk:
    """A conversation as JSON, and its pieces by their places."""

    conversation: str
    version: int = 0
    holder: str = ""
    lease: float | None = None
    pieces: dict[int, bytes] = field(default_factory=dict[int, bytes])

    def write(self, place: int, items: Sequence[Item]) -> None:
        """Every write is a new version."""
        self.version += 1
        self.pieces[place] = items_adapter().dump_json(list(items))


@dataclass
class Shelf:
    """What is stored for one tenant. `started` and `stopped` are (response id, generation), in order. A chunk's key is
    its level and its last response: they say all that is before. `meters` are by the id of the key; the tenant's is at
    None."""

    chunks: dict[tuple[int, str], Chunk] = field(default_factory=dict[tuple[int, str], Chunk])
    responses: dict[str, Entry] = field(default_factory=dict[str, Entry])
    claims: dict[str, Claim] = field(default_factory=dict[str, Claim])
    prompts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    started: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    stopped: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    conversations: dict[str, Talk] = field(default_factory=dict[str, Talk])
    spent: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    endpoints: Registered = Registered()
    dead: dict[tuple[str, str], DeadLetter] = field(default_factory=dict[tuple[str, str], DeadLetter])
    meters: dict[str | None, Kept] = field(default_factory=dict[str | None, Kept])
    usage: list[UsageRow] = field(default_factory=list[UsageRow])

    def pay(self, response_id: str) -> bool:
        """Whether its bill was owed, which it is no more."""
        entry = self.responses.get(response_id)
        if entry is None or entry.owed is None:
            return False
        entry.owed = None
        return True

    def free(self, lock: Lock) -> Talk:
        """The conversation, if it is as the lock says. Raises ConversationLocked."""
        talk = self.conversations.get(lock.conversation_id)
        if talk is None or talk.version != lock.version or talk.holder not in ("", lock.instead_of):
            raise ConversationLocked("The conversation has just changed")
        return talk

    def take(self, lock: Lock, holder: str, lease: float | None) -> None:
        talk = self.free(lock)
        talk.holder, talk.lease = holder, lease

    def release(self, lock: Lock, holder: str, added: Sequence[Item]) -> bool:
        """Whether it was the holder's."""
        talk = self.conversations.get(lock.conversation_id)
        if talk is None or talk.holder != holder:
            return False
        talk.holder, talk.lease = "", None
        if added:
            talk.write(lock.version + 1, added)
        return True

    def entry(self, response_id: str) -> Entry:
        """Raises Superseded if the response was never there or was deleted."""
        if response_id not in self.responses:
            raise Superseded("The response is gone")
        return self.responses[response_id]

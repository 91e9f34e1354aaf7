"""Parameters and every storage port in memory, for tests and for trying things out.

Values are kept as JSON, so that nobody shares an object with the storage.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from ..core.answers import Answer
from ..core.bill import Bill
from ..core.chain import Joint, Link, Passage, shown
from ..core.conversations import Conversation, Lock, Piece
from ..core.errors import Cancelled, ConversationLocked, Superseded
from ..core.listing import MAX_READ, ListedResponse, Listing, Order, Wanted, listed, place_in_time
from ..core.loading import MAX_LOG_READ, Allowance, unlimited
from ..core.prompts import Prompt, PromptVersion, number_of
from ..core.records import TERMINAL_STATUSES, Batch, Claim, Record
from ..core.run import Run
from ..core.storage import Storage
from ..core.timeline import Timeline
from ..core.webhooks import DeadLetter, Endpoint, Registered
from ..schema.events import Event
from ..schema.items import Item
from ..schema.request import CreateResponse
from ..schema.response import Response
from .memory_meters import MemoryMeters
from .memory_shelf import Chunk, Entry, Shelf, Talk, items_adapter
from .memory_spent import MemorySpent

Started: TypeAlias = Callable[[str, int], Awaitable[None]]


@dataclass
class MemoryParameters:
    """Texts by name."""

    texts: dict[str, str] = field(default_factory=dict[str, str])

    async def get(self, name: str) -> str | None:
        return self.texts.get(name)

    async def names(self, folder: str) -> list[str]:
        return sorted(name.removeprefix(f"{folder}/") for name in self.texts if name.startswith(f"{folder}/"))


def memory_storage(shelf: Shelf | None = None, on_start: Started | None = None) -> Storage:
    """The storage ports over `shelf`. `on_start` is awaited once for each execution that is started."""
    shelf = Shelf() if shelf is None else shelf
    return Storage(
        store=MemoryStore(shelf),
        runs=MemoryRuns(shelf),
        log=MemoryEventLog(shelf),
        launcher=MemoryLauncher(shelf, on_start),
        claims=MemoryClaims(shelf),
        prompts=MemoryPrompts(shelf),
        conversations=MemoryConversations(shelf),
        answers=MemoryAnswers(shelf),
        spent=MemorySpent(shelf.spent),
        endpoints=MemoryEndpoints(shelf),
        meters=MemoryMeters(shelf),
    )


class MemoryStore:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def create(
        self, record: Record, run: Run, batch: Batch | None = None, claim: Claim | None = None
    ) -> Claim | None:
        if claim is not None:
            held = self._shelf.claims.get(claim.key)
            if held is not None and held.response_id != claim.instead_of:
                return held
        if record.response.id in self._shelf.responses:
            raise Superseded("There is a response of this id already")
        if record.lock is not None:
            self._shelf.take(record.lock, record.response.id, None)
        place = place_in_time(record.response, run.created)
        entry = Entry(record.model_dump_json(), run.at_rest(), run.version, place)
        if batch is not None:
            entry.log[batch.number] = _events().dump_json(batch.events)
        if claim is not None:
            self._shelf.claims[claim.key] = claim
        self._shelf.responses[record.response.id] = entry
        return None

    async def load(self, response_ids: Sequence[str], within: Allowance | None = None) -> list[Record | None]:
        found = [self._shelf.responses.get(each) for each in response_ids]
        return [entry and _record(entry, within or unlimited()) for entry in found]

    async def page(self, wanted: Wanted, *, limit: int, order: Order, after: str | None = None) -> Listing | None:
        responses = self._shelf.responses
        if after is not None and after not in responses:
            return None
        ids = sorted(responses, key=lambda each: responses[each].place, reverse=order == "desc")
        left = ids[0 if after is None else ids.index(after) + 1 :]
        found, last_id = list[ListedResponse](), None
        for read, response_id in enumerate(left):
            if len(found) == limit or read == MAX_READ:
                return Listing(found, last_id, more=True)
            record = _record(responses[response_id], unlimited())
            response = listed(record.response, record.timeline)
            last_id = response_id
            if wanted.fits(response):
                found.append(response)
        return Listing(found, last_id, more=False)

    async def load_links(self, links: Sequence[Link], within: Allowance | None = None) -> list[Passage | None]:
        return [self._passage(link, within or unlimited()) for link in links]

    async def join(self, joint: Joint, items: Sequence[Item]) -> bool:
        members = [self._responses(link) for link in joint.members]
        if not all(members):
            return False
        held = frozenset[str]().union(*members)
        chunk = Chunk(held, items_adapter().dump_json(list(items)))
        self._shelf.chunks[joint.chunk.level, joint.chunk.last] = chunk
        return True

    async def renew(self, response_id: str, lease: float | None) -> None:
        if self._live(response_id).cancelled:
            raise Cancelled("The response was cancelled")
        self._change(response_id, lease=lease)

    async def cancel(self, response_id: str) -> None:
        if response_id in self._shelf.responses:
            self._shelf.responses[response_id].cancelled = True

    async def prolong(self, record: Record, seconds: float) -> None:
        """Nothing expires here."""

    async def settle(
        self,
        response: Response,
        discarded: Sequence[str],
        lock: Lock | None = None,
        added: Sequence[Item] = (),
        bill: Bill | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self._live(response.id)
        told = timeline and timeline.model_dump(mode="json")
        final = response.model_dump(mode="json")
        self._change(response.id, response=final, discarded=list(discarded), timeline=told)
        self._shelf.responses[response.id].owed = bill and bill.model_dump_json()
        if lock is not None:
            self._shelf.release(lock, response.id, added)

    async def delete(self, response_id: str) -> None:
        entry = self._shelf.responses.get(response_id)
        if entry and entry.owed:
            await MemoryMeters(self._shelf).settle(Bill.model_validate_json(entry.owed), stored=True)
        self._shelf.responses.pop(response_id, None)
        chunks = self._shelf.chunks
        self._shelf.chunks = {key: chunk for key, chunk in chunks.items() if response_id not in chunk.responses}

    def _passage(self, link: Link, within: Allowance) -> Passage | None:
        if link.level == 0:
            entry = self._shelf.responses.get(link.first)
            if entry is None:
                return None
            record = _record(entry, within)
            return Passage(shown(record.input, record.response.output, record.discarded), math.inf)
        chunk = self._shelf.chunks.get((link.level, link.last))
        if chunk is None:
            return None
        within.take(len(chunk.items))
        return Passage(items_adapter().validate_json(chunk.items), math.inf)

    def _responses(self, link: Link) -> frozenset[str]:
        """Those that a link holds; none if one of them is gone."""
        if link.level == 0:
            return frozenset([link.first] if link.first in self._shelf.responses else [])
        chunk = self._shelf.chunks.get((link.level, link.last))
        return frozenset() if chunk is None else chunk.responses

    def _live(self, response_id: str) -> Entry:
        entry = self._shelf.entry(response_id)
        if from_json(entry.record)["response"]["status"] in TERMINAL_STATUSES:
            raise Superseded("The response is over")
        return entry

    def _change(self, response_id: str, **fields: object) -> None:
        """The rest is not read as what it is: the input of a request can be large."""
        entry = self._shelf.entry(response_id)
        entry.record = to_json({**from_json(entry.record), **fields}).decode()


class MemoryConversations:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        talk = Talk(conversation.model_dump_json())
        if items:
            talk.write(1, items)
        self._shelf.conversations[conversation.id] = talk

    async def load(self, conversation_id: str) -> Conversation | None:
        talk = self._shelf.conversations.get(conversation_id)
        if talk is None:
            return None
        now = {"version": talk.version, "holder": talk.holder, "lease": talk.lease}
        return Conversation.model_validate_json(talk.conversation).model_copy(update=now)

    async def describe(self, conversation_id: str, metadata: Mapping[str, str]) -> bool:
        conversation, talk = await self.load(conversation_id), self._shelf.conversations.get(conversation_id)
        if conversation is None or talk is None:
            return False
        talk.conversation = conversation.model_copy(update={"metadata": {**metadata}}).model_dump_json()
        return True

    async def items(self, conversation_id: str, until: int, within: Allowance | None = None) -> list[Item]:
        within, items = within or unlimited(), list[Item]()
        for place, packed in self._pieces(conversation_id):
            if place <= until:
                within.take(len(packed))
                items += items_adapter().validate_json(packed)
        return items

    async def pieces(self, conversation_id: str, beyond: int | None, *, newest_first: bool) -> list[Piece]:
        """One at a time, so that tests see a listing that takes several reads."""
        pieces = self._pieces(conversation_id)
        for place, packed in reversed(pieces) if newest_first else pieces:
            if beyond is None or (place < beyond if newest_first else place > beyond):
                return [Piece(place, items_adapter().validate_json(packed))]
        return []

    async def append(self, lock: Lock, items: Sequence[Item]) -> None:
        await self.rewrite(lock, Piece(lock.version + 1, [*items]))

    async def rewrite(self, lock: Lock, piece: Piece) -> None:
        talk = self._shelf.free(lock)
        talk.holder, talk.lease = "", None
        talk.write(piece.place, piece.items)

    async def hold(self, lock: Lock, holder: str, lease: float) -> None:
        self._shelf.take(lock, holder, lease)

    async def renew(self, lock: Lock, holder: str, lease: float) -> None:
        talk = self._shelf.conversations.get(lock.conversation_id)
        if talk is None or talk.holder != holder:
            raise Superseded("The conversation is another response's now, or gone")
        talk.lease = lease

    async def release(self, lock: Lock, holder: str, added: Sequence[Item] = ()) -> None:
        if not self._shelf.release(lock, holder, added):
            raise Superseded("The conversation is another response's now, or gone")

    async def delete(self, lock: Lock) -> bool:
        talk = self._shelf.conversations.get(lock.conversation_id)
        if talk is None:
            return False
        if talk.holder not in ("", lock.instead_of):
            raise ConversationLocked("The conversation has just changed")
        del self._shelf.conversations[lock.conversation_id]
        return True

    def _pieces(self, conversation_id: str) -> list[tuple[int, bytes]]:
        talk = self._shelf.conversations.get(conversation_id)
        return [] if talk is None else sorted(talk.pieces.items())


class MemoryRuns:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self, response_id: str) -> Run | None:
        entry = self._shelf.responses.get(response_id)
        return entry and Run.model_validate_json(entry.run)

    async def save(self, run: Run, batch: Batch | None = None) -> None:
        entry = self._shelf.entry(run.response.id)
        if entry.version != run.version:
            raise Superseded("The run was saved by another")
        if batch is not None:
            _append(entry, batch)
        run.version = entry.version = run.version + 1
        entry.run = run.at_rest()


class MemoryEventLog:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def append(self, response_id: str, batch: Batch) -> None:
        _append(self._shelf.entry(response_id), batch)

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        entry = self._shelf.responses.get(response_id)
        log = sorted(entry.log.items()) if entry is not None else []
        batches, size = list[Batch](), 0
        for number, events in log:
            if number > after_batch and size < MAX_LOG_READ:
                batches.append(Batch(number, _events().validate_json(events)))
                size += len(events)
        return batches


def _record(entry: Entry, within: Allowance) -> Record:
    within.take(len(entry.record))
    return Record.model_validate_json(entry.record)


def _append(entry: Entry, batch: Batch) -> None:
    if batch.number in entry.log:
        raise Superseded("Another worker writes this log")
    entry.log[batch.number] = _events().dump_json(batch.events)


class MemoryLauncher:
    def __init__(self, shelf: Shelf, on_start: Started | None) -> None:
        self._shelf, self._on_start = shelf, on_start

    async def start(self, response_id: str, generation: int) -> None:
        if (response_id, generation) in self._shelf.started:
            return
        self._shelf.started.append((response_id, generation))
        if self._on_start is not None:
            await self._on_start(response_id, generation)

    async def stop(self, response_id: str, generation: int) -> None:
        self._shelf.stopped.append((response_id, generation))


class MemoryAnswers:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def keep(self, response_id: str, answer: Answer) -> None:
        entry = self._shelf.responses.get(response_id)
        if entry is not None and not _record(entry, unlimited()).over:
            entry.answers.setdefault(answer.call_id, answer.model_dump_json())

    async def of(self, response_id: str) -> list[Answer]:
        entry = self._shelf.responses.get(response_id)
        return [Answer.model_validate_json(each) for each in entry.answers.values()] if entry else []


class MemoryClaims:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def held(self, key: str) -> Claim | None:
        return self._shelf.claims.get(key)

    async def release(self, claim: Claim) -> None:
        held = self._shelf.claims.get(claim.key)
        if held is not None and held.response_id == claim.response_id:
            del self._shelf.claims[claim.key]


class MemoryPrompts:
    def __init__(self, shelf: Shelf) -> None:
        self._prompts = shelf.prompts

    async def find(self, prompt_id: str, version: str | None = None) -> Prompt | None:
        bodies = self._prompts.get(prompt_id, [])
        number = len(bodies) if version is None else number_of(version)
        if not number or number > len(bodies) or not bodies[number - 1]:
            return None
        return Prompt(number, CreateResponse.model_validate_json(bodies[number - 1]))

    async def add(self, prompt_id: str, body: CreateResponse) -> PromptVersion:
        bodies = self._prompts.setdefault(prompt_id, [])
        bodies.append(body.model_dump_json(exclude_unset=True))
        return PromptVersion(prompt_id, len(bodies), 0)

    async def listed(self) -> list[PromptVersion]:
        found = sorted(self._prompts.items())
        return [PromptVersion(prompt_id, len(bodies), 0) for prompt_id, bodies in found if bodies[-1]]

    async def remove(self, prompt_id: str) -> bool:
        bodies = self._prompts.get(prompt_id, [])
        there = any(bodies)
        bodies[:] = [""] * len(bodies)
        return there


class MemoryEndpoints:
    """Dead letters are kept as long as the process lives."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self) -> Registered:
        return self._shelf.endpoints

    async def replace(self, endpoints: Sequence[Endpoint], version: int) -> bool:
        if self._shelf.endpoints.version != version:
            return False
        self._shelf.endpoints = Registered(tuple(endpoints), version + 1)
        return True

    async def keep_dead(self, letter: DeadLetter) -> None:
        self._shelf.dead.setdefault((letter.event_id, letter.endpoint_id), letter)

    async def dead(self, most: int) -> list[DeadLetter]:
        by_time = sorted(self._shelf.dead.values(), key=lambda each: (each.created_at, each.event_id, each.endpoint_id))
        return by_time[::-1][:most]


@cache
def _events() -> TypeAdapter[list[Event]]:
    return TypeAdapter(list[Event])

"""The store of responses, in memory."""

import math
from collections.abc import Sequence

from pydantic_core import from_json, to_json

from ...core.bill import Bill
from ...core.chain import Joint, Link, Passage, shown
from ...core.conversations import Lock
from ...core.errors import Cancelled, Superseded
from ...core.listing import MAX_READ, ListedResponse, Listing, Order, Wanted, listed, place_in_time
from ...core.loading import Allowance, unlimited
from ...core.records import TERMINAL_STATUSES, Batch, Claim, Record
from ...core.run import Run
from ...core.timeline import Timeline
from ...schema.items import Item
from ...schema.response import Response
from .meters import MemoryMeters
from .shelf import Chunk, Entry, Shelf, items_adapter


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
            entry.append(batch)
        if claim is not None:
            self._shelf.claims[claim.key] = claim
        self._shelf.responses[record.response.id] = entry
        return None

    async def load(self, response_ids: Sequence[str], within: Allowance | None = None) -> list[Record | None]:
        found = [self._shelf.responses.get(each) for each in response_ids]
        return [entry and entry.load(within or unlimited()) for entry in found]

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
            record = responses[response_id].load(unlimited())
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
            record = entry.load(within)
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

"""The store of responses, on DynamoDB and S3."""

import asyncio
from collections.abc import Sequence

from ...core.bill import Bill
from ...core.chain import Joint, Link, Passage
from ...core.conversations import Lock
from ...core.errors import Cancelled, Superseded
from ...core.listing import Listing, Order, Wanted
from ...core.loading import Allowance
from ...core.records import Batch, Claim, Record
from ...core.run import Run
from ...core.timeline import Timeline
from ...schema.base import Wire
from ...schema.items import Item as ResponseItem
from ...schema.response import Response
from .chains import Given, chain_of, join, load_links, pack_chain
from .claims import claim_put, held
from .conversations import changed, is_conversation, releasing, taking
from .deletion import delete
from .event_log import batch_item
from .expiry import prolong
from .layout import TenantLayout
from .listing import index_keys, pack_listed, page
from .runs import pack_run
from .table import ABSENT, ConditionFailed, Item, Put, Update, number, safe
from .values import Attribute, Vanished

LIVE = "#status IN (:queued, :in_progress)"
LIVE_VALUES: Item = {"queued": {"S": "queued"}, "in_progress": {"S": "in_progress"}}
_READS = 3


class _Outcome(Wire):
    """The part of a record that `settle` replaces."""

    response: Response
    discarded: list[str] = []
    timeline: Timeline | None = None


class DynamoStore:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def create(
        self, record: Record, run: Run, batch: Batch | None = None, claim: Claim | None = None
    ) -> Claim | None:
        layout, response_id = self._layout, record.response.id
        outcome = _Outcome(response=record.response, discarded=record.discarded)
        input_value, response_value, run_value = await asyncio.gather(
            self._pack(response_id, "input", Given(input=record.input)),
            self._pack(response_id, "response", outcome),
            pack_run(layout, run),
        )
        given: Item = {"input": input_value, "response": response_value, "chain": pack_chain(record.chain)}
        if record.lock is not None:
            given["lock"] = {"S": record.lock.model_dump_json()}
        ttl = {"ttl": layout.ttl(layout.response_days)}
        state: Item = {
            "status": {"S": record.response.status},
            "lease": _lease(record.lease),
            **index_keys(layout, record.response, run.created),
            "listed": pack_listed(layout, record.response),
        }
        puts: list[Put | Update] = [
            Put({**layout.key(response_id, "record"), **ttl, **state}, ABSENT),
            Put({**layout.key(response_id, "input"), **ttl, **given}),
            Put({**layout.key(response_id, "run"), **ttl, "run": run_value, "version": number(run.version)}),
        ]
        values = [input_value, response_value, run_value]
        if batch is not None:
            first = await batch_item(layout, response_id, batch)
            puts.append(Put(first))
            values.append(first["events"])
        if claim is not None:
            puts.insert(0, claim_put(layout, claim))
        if record.lock is not None:
            puts.append(taking(layout, record.lock, response_id))
        try:
            await layout.table.transact(puts)
        except ConditionFailed as failed:
            await asyncio.gather(*map(layout.values.discard, values))
            if claim is not None and "response_id" in failed.item:
                return held(claim, failed.item)
            if record.lock is not None and (is_conversation(failed.item) or not failed.item):
                raise changed() from None
            raise Superseded("There is a response of this id already") from None
        return None

    async def load(self, response_ids: Sequence[str], within: Allowance | None = None) -> list[Record | None]:
        """Reads a record again if it changes meanwhile."""
        found: dict[str, Record | None] = {}
        left = set(response_ids)
        for _ in range(_READS):
            if left:
                found |= await self._read(sorted(left), within)
                left -= found.keys()
        return [found.get(each) for each in response_ids]

    async def page(self, wanted: Wanted, *, limit: int, order: Order, after: str | None = None) -> Listing | None:
        return await page(self._layout, wanted, limit=limit, order=order, after=after)

    async def load_links(self, links: Sequence[Link], within: Allowance | None = None) -> list[Passage | None]:
        return await load_links(self._layout, links, within)

    async def join(self, joint: Joint, items: Sequence[ResponseItem]) -> bool:
        return await join(self._layout, joint, items)

    async def renew(self, response_id: str, lease: float | None) -> None:
        condition = f"{LIVE} AND attribute_not_exists(#cancelled)"
        key, table = self._layout.key(response_id, "record"), self._layout.table
        try:
            await table.update(key, {"lease": _lease(lease)}, condition, LIVE_VALUES)
        except ConditionFailed as failed:
            if failed.item.get("status") in LIVE_VALUES.values():
                raise Cancelled("The response was cancelled") from None
            raise _superseded() from None

    async def cancel(self, response_id: str) -> None:
        key, table = self._layout.key(response_id, "record"), self._layout.table
        try:
            await table.update(key, {"cancelled": {"BOOL": True}}, LIVE, LIVE_VALUES)
        except ConditionFailed:
            return

    async def prolong(self, record: Record, seconds: float) -> None:
        await prolong(self._layout, record, seconds)

    async def settle(
        self,
        response: Response,
        discarded: Sequence[str],
        lock: Lock | None = None,
        added: Sequence[ResponseItem] = (),
        bill: Bill | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        layout = self._layout
        outcome = _Outcome(response=response, discarded=list(discarded), timeline=timeline)
        value = await self._pack(response.id, "response", outcome)
        status: Item = {"S": response.status}
        changes: Item = {"response": value, "status": status, "listed": pack_listed(layout, response, timeline)}
        if bill is not None:
            changes["owed"] = {"S": bill.model_dump_json()}
        end = Update(layout.key(response.id, "record"), changes, LIVE, LIVE_VALUES)
        if lock is not None and await self._settled_with(end, lock, response.id, added):
            return
        try:
            await layout.table.update(end.key, end.changes, end.condition, end.values)
        except ConditionFailed:
            await layout.values.discard(value)
            raise _superseded() from None

    async def _settled_with(self, end: Update, lock: Lock, holder: str, added: Sequence[ResponseItem]) -> bool:
        """False if the response is over, or if the conversation is not its own: then it ends without it."""
        writes, values = await releasing(self._layout, lock, holder, added)
        try:
            await self._layout.table.transact([end, *writes])
        except ConditionFailed:
            await asyncio.gather(*map(self._layout.values.discard, values))
            return False
        return True

    async def delete(self, response_id: str) -> None:
        await delete(self._layout, response_id)

    async def _pack(self, response_id: str, name: str, value: Wire) -> Attribute:
        return await self._layout.values.pack("response", safe(response_id), name, value.model_dump_json())

    async def _read(self, response_ids: Sequence[str], within: Allowance | None) -> dict[str, Record | None]:
        """The records by id; a record that changed meanwhile is left out."""
        layout = self._layout
        keys = [layout.key(each, sk) for each in response_ids for sk in ("record", "input")]
        items = await layout.table.get_all(keys, within)
        pairs = [
            (items.get((layout.pk(each), "record")), items.get((layout.pk(each), "input"))) for each in response_ids
        ]
        records = await asyncio.gather(*(self._record(*pair, within) for pair in pairs), return_exceptions=True)
        found: dict[str, Record | None] = {}
        for response_id, record in zip(response_ids, records, strict=True):
            if isinstance(record, BaseException):
                if not isinstance(record, Vanished):
                    raise record
            else:
                found[response_id] = record
        return found

    async def _record(self, record: Item | None, start: Item | None, within: Allowance | None) -> Record | None:
        if not record or not start or not self._layout.alive(record) or not self._layout.alive(start):
            return None
        response = record.get("response", start["response"])
        packed = await self._layout.values.unpack_all([start["input"], response], within)
        given, outcome = Given.model_validate_json(packed[0]), _Outcome.model_validate_json(packed[1])
        lease = record["lease"].get("N")
        return Record(
            response=outcome.response,
            input=given.input,
            chain=await chain_of(self._layout, start),
            lock=Lock.model_validate_json(start["lock"]["S"]) if "lock" in start else None,
            discarded=outcome.discarded,
            timeline=outcome.timeline,
            lease=None if lease is None else float(lease),
        )


def _lease(lease: float | None) -> Item:
    return {"NULL": True} if lease is None else number(lease)


def _superseded() -> Superseded:
    return Superseded("The response is over, or gone")

"""Conversations, on DynamoDB and S3.

Whatever changes the items is one transaction with the record, which says at which version, and by whom. So nothing is
added twice, nor by two at once, nor to a conversation that is being deleted.
"""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from ...core.conversations import Conversation, Lock, Piece
from ...core.errors import ConversationLocked, Superseded
from ...core.loading import Allowance, unlimited
from ...schema.items import Item as ResponseItem
from .chains import Given
from .layout import DELETED, TenantLayout
from .table import ABSENT, ConditionFailed, Item, Put, Update, number, safe
from .values import MAX_INLINE, Attribute, Vanished

_START, _END = "items#", "items#~"
_ALIVE = "attribute_exists(#holder) AND attribute_not_exists(#status)"
_FREE = f"{_ALIVE} AND #version = :expected AND #holder IN (:nobody, :gone)"
_NOBODY: Item = {"S": ""}
_AT_ONCE = 8
"""Large values that are read side by side: each takes some MB."""
_READS = 3
_PAGE, _PAGE_BYTES = 100, 256 * 1024
"""Pieces of one read, and compressed bytes that are enough for it. Most pieces have some KB."""


class DynamoConversations:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def create(self, conversation: Conversation, items: Sequence[ResponseItem]) -> None:
        layout, conversation_id = self._layout, conversation.id
        record: Item = {
            **layout.key(conversation_id, "record"),
            **_free(int(bool(items))),
            "conversation": _packed(conversation),
        }
        added = [await piece_put(layout, conversation_id, Piece(1, [*items]))] if items else []
        await layout.table.transact([Put(record, ABSENT), *added])

    async def load(self, conversation_id: str) -> Conversation | None:
        item = await self._layout.table.get(self._layout.key(conversation_id, "record"))
        if "conversation" not in item or "status" in item:
            return None
        conversation = Conversation.model_validate_json(zlib.decompress(item["conversation"]["B"]))
        lease = item["lease"].get("N")
        return conversation.model_copy(
            update={
                "version": int(item["version"]["N"]),
                "holder": item["holder"]["S"],
                "lease": None if lease is None else float(lease),
            }
        )

    async def describe(self, conversation_id: str, metadata: Mapping[str, str]) -> bool:
        conversation = await self.load(conversation_id)
        if conversation is None:
            return False
        changed = conversation.model_copy(update={"metadata": {**metadata}})
        key, changes = self._layout.key(conversation_id, "record"), {"conversation": _packed(changed)}
        try:
            await self._layout.table.update(key, changes, _ALIVE)
        except ConditionFailed:
            return False
        return True

    async def items(self, conversation_id: str, until: int, within: Allowance | None = None) -> list[ResponseItem]:
        """A query brings 1 MB, compressed: a thousand turns, or more."""
        within, keys = within or unlimited(), (_START, _sk(until))
        found, size = list[Item](), 0
        async with aclosing(self._layout.table.query(self._layout.pk(conversation_id), *keys)) as query:
            async for item in query:
                found.append(item)
                size += len(item["items"].get("B", b""))
                within.check(size)
        pieces = await self._unpacked(conversation_id, found, within)
        return [item for piece in pieces for item in piece.items]

    async def pieces(self, conversation_id: str, beyond: int | None, *, newest_first: bool) -> list[Piece]:
        first, last = _START, _END
        if beyond is not None:
            first, last = (_START, _sk(beyond - 1)) if newest_first else (_sk(beyond + 1), _END)
        if first > last:
            return []
        pk, found, size = self._layout.pk(conversation_id), list[Item](), 0
        async with aclosing(self._layout.table.query(pk, first, last, page=_PAGE, backward=newest_first)) as query:
            async for item in query:
                found.append(item)
                size += _size(item)
                if len(found) == _PAGE or size >= _PAGE_BYTES:
                    break
        return await self._unpacked(conversation_id, found, unlimited())

    async def append(self, lock: Lock, items: Sequence[ResponseItem]) -> None:
        await self._change(lock, Piece(lock.version + 1, [*items]))

    async def rewrite(self, lock: Lock, piece: Piece) -> None:
        before = await self._layout.table.get(self._layout.key(lock.conversation_id, _sk(piece.place)))
        await self._change(lock, piece)
        await self._layout.values.discard(before.get("items", {}))

    async def hold(self, lock: Lock, holder: str, lease: float) -> None:
        await self._update(taking(self._layout, lock, holder, lease), changed())

    async def renew(self, lock: Lock, holder: str, lease: float) -> None:
        key = self._layout.key(lock.conversation_id, "record")
        held = Update(key, {"lease": number(lease)}, "#holder = :self", {"self": {"S": holder}})
        await self._update(held, Superseded("The conversation is another response's now, or gone"))

    async def release(self, lock: Lock, holder: str, added: Sequence[ResponseItem] = ()) -> None:
        writes, values = await releasing(self._layout, lock, holder, added)
        try:
            await self._layout.table.transact(writes)
        except ConditionFailed:
            await asyncio.gather(*map(self._layout.values.discard, values))
            raise Superseded("The conversation is another response's now, or gone") from None

    async def delete(self, lock: Lock) -> bool:
        """The record goes last, so that a deletion that fails can be repeated."""
        layout = self._layout
        record, pk = layout.key(lock.conversation_id, "record"), layout.pk(lock.conversation_id)
        condition = "attribute_exists(#holder) AND (#status = :status OR #holder IN (:nobody, :gone))"
        try:
            await layout.table.update(record, {"status": {"S": DELETED}}, condition, _holders(lock))
        except ConditionFailed as failed:
            if is_conversation(failed.item):
                raise changed() from None
            return False
        keys = [item async for item in layout.table.query(pk, _START, _END, keys_only=True)]
        await layout.table.write_all([], keys)
        await layout.values.delete_all(safe(lock.conversation_id), ("conversation",))
        await layout.table.write_all([], [record])
        return True

    async def _change(self, lock: Lock, piece: Piece) -> None:
        layout = self._layout
        put = await piece_put(layout, lock.conversation_id, piece)
        record = layout.key(lock.conversation_id, "record")
        update = Update(record, _free(lock.version + 1), _FREE, _expected(lock))
        try:
            await layout.table.transact([update, put])
        except ConditionFailed:
            await layout.values.discard(put.item["items"])
            raise changed() from None

    async def _update(self, update: Update, refused: Exception) -> None:
        try:
            await self._layout.table.update(update.key, update.changes, update.condition, update.values)
        except ConditionFailed:
            raise refused from None

    async def _unpacked(self, conversation_id: str, found: list[Item], within: Allowance) -> list[Piece]:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def unpacked(item: Item) -> Piece:
            async with turns:
                return Piece(_place(item), await self._read(conversation_id, item, within))

        return await asyncio.gather(*map(unpacked, found))

    async def _read(self, conversation_id: str, item: Item, within: Allowance) -> list[ResponseItem]:
        """Reads a piece again that is rewritten meanwhile. One that is gone is of a conversation that is."""
        for _ in range(_READS):
            try:
                packed = await self._layout.values.unpack(item["items"], within)
            except Vanished:
                item = await self._layout.table.get(self._layout.key(conversation_id, item["sk"]["S"]))
                if not item:
                    break
            else:
                return Given.model_validate_json(packed).input
        return []


async def piece_put(layout: TenantLayout, conversation_id: str, piece: Piece) -> Put:
    given = Given(input=piece.items).model_dump_json()
    value = await layout.values.pack("conversation", safe(conversation_id), f"{piece.place}", given)
    return Put({**layout.key(conversation_id, _sk(piece.place)), "items": value})


def taking(layout: TenantLayout, lock: Lock, holder: str, lease: float | None = None) -> Update:
    """Lets a response hold the conversation: until it is over, or until `lease` if it is not stored."""
    changes: Item = {"holder": {"S": holder}, "lease": {"NULL": True} if lease is None else number(lease)}
    return Update(layout.key(lock.conversation_id, "record"), changes, _FREE, _expected(lock))


async def releasing(
    layout: TenantLayout, lock: Lock, holder: str, added: Sequence[ResponseItem]
) -> tuple[list[Put | Update], list[Attribute]]:
    """What gives a conversation free, with `added` appended; and the values to discard if it is refused."""
    key, values = layout.key(lock.conversation_id, "record"), {"self": {"S": holder}}
    if not added:
        return [Update(key, _free(lock.version), "#holder = :self", values)], []
    put = await piece_put(layout, lock.conversation_id, Piece(lock.version + 1, [*added]))
    return [Update(key, _free(lock.version + 1), "#holder = :self", values), put], [put.item["items"]]


def is_conversation(item: Item) -> bool:
    return "holder" in item


def _free(version: int) -> Item:
    return {"version": number(version), "holder": _NOBODY, "lease": {"NULL": True}}


def _holders(lock: Lock) -> Item:
    return {"nobody": _NOBODY, "gone": {"S": lock.instead_of}}


def _expected(lock: Lock) -> Item:
    return {**_holders(lock), "expected": number(lock.version)}


def _packed(conversation: Conversation) -> Attribute:
    json = conversation.model_dump_json(exclude={"version", "holder", "lease"})
    return {"B": zlib.compress(json.encode())}


def changed() -> ConversationLocked:
    return ConversationLocked("The conversation has just changed")


def _size(item: Item) -> int:
    """Compressed bytes; for an object, as many as an item may hold at least."""
    return len(item["items"].get("B", b"")) or MAX_INLINE


def _sk(place: int) -> str:
    return f"{_START}{place:010d}"


def _place(item: Item) -> int:
    return int(item["sk"]["S"].removeprefix(_START))

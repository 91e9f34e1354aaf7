"""What can be asked of conversations themselves: make, read, describe and delete one; list, add and remove items."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar

from ..core.conversations import Conversation, Lock, Piece
from ..core.credentials import refuse_credentials
from ..core.errors import ConversationLocked, NotFound, RequestError, StorageUnavailable
from ..core.ports import Ports
from ..core.storage import Storage
from ..durable.conversation import found, free, no_conversation
from ..durable.history import referenced
from ..schema.items import (
    AdditionalTools,
    CompactionTrigger,
    ConfigurationUpdate,
    InputItem,
    Item,
    ItemReference,
    ToolSearchOutput,
)
from .intake import with_id

TRIES = 6
T = TypeVar("T")


class StoredConversations:
    """The conversations of one tenant. Each method that takes an id raises NotFound if it does not have it.

    One that changes items raises ConversationLocked while a response goes on from the conversation.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def create(self, items: Sequence[InputItem], metadata: Mapping[str, str]) -> Conversation:
        """Raises RequestError, which names the item."""
        if self._ports.storage is None:
            raise RequestError("This server stores nothing, so it has no conversations", code="requires_storage")
        own = await self._own(self._ports.storage, items)
        token, created = self._ports.new_id(), int(self._ports.now())
        conversation = Conversation(id=f"conv_{token}", created_at=created, metadata={**metadata})
        await self._ports.storage.conversations.create(conversation, own)
        return conversation

    async def retrieve(self, conversation_id: str) -> Conversation:
        return await found(self._need(conversation_id), conversation_id)

    async def describe(self, conversation_id: str, metadata: Mapping[str, str]) -> Conversation:
        storage = self._need(conversation_id)
        if not await storage.conversations.describe(conversation_id, metadata):
            raise no_conversation(conversation_id, "conversation_id")
        return await found(storage, conversation_id)

    async def delete(self, conversation_id: str) -> None:
        """Its responses stay. A deletion that failed halfway, after which there is no record, is tried again."""
        conversations = self._need(conversation_id).conversations
        try:
            deleted = await self._change(conversation_id, conversations.delete)
        except NotFound:
            deleted = await conversations.delete(Lock(conversation_id=conversation_id, version=0))
        if not deleted:
            raise no_conversation(conversation_id, "conversation_id")

    async def add(self, conversation_id: str, items: Sequence[InputItem]) -> list[Item]:
        """The items as they are kept: each with an id of its own."""
        storage = self._need(conversation_id)
        own = await self._own(storage, items)
        await self._change(conversation_id, lambda lock: storage.conversations.append(lock, own))
        return own

    async def page(
        self, conversation_id: str, *, limit: int, newest_first: bool, after: str | None
    ) -> tuple[list[Item], bool]:
        """One page of the items, and whether there is more. NotFound is also for an unknown cursor."""
        storage = self._need(conversation_id)
        await found(storage, conversation_id)
        listed, begun = list[Item](), after is None
        async with aclosing(_walk(storage, conversation_id, newest_first=newest_first)) as pieces:
            async for piece in pieces:
                for item in reversed(piece.items) if newest_first else piece.items:
                    if begun:
                        listed.append(item)
                    begun = begun or item.id == after
                if len(listed) > limit:
                    break
        if not begun:
            raise _no_item(f"{after}", "after")
        return listed[:limit], len(listed) > limit

    async def item(self, conversation_id: str, item_id: str) -> Item:
        storage = self._need(conversation_id)
        await found(storage, conversation_id)
        piece = await _piece_of(storage, conversation_id, item_id)
        return next(item for item in piece.items if item.id == item_id)

    async def remove(self, conversation_id: str, item_id: str) -> Conversation:
        storage = self._need(conversation_id)

        async def without(lock: Lock) -> None:
            piece = await _piece_of(storage, conversation_id, item_id)
            left = [item for item in piece.items if item.id != item_id]
            await storage.conversations.rewrite(lock, Piece(piece.place, left))

        await self._change(conversation_id, without)
        return await found(storage, conversation_id)

    def _need(self, conversation_id: str) -> Storage:
        if self._ports.storage is None:
            raise no_conversation(conversation_id, "conversation_id")
        return self._ports.storage

    async def _change(self, conversation_id: str, change: Callable[[Lock], Awaitable[T]]) -> T:
        """Of several changes at once, one succeeds and the others are tried again."""
        storage = self._need(conversation_id)
        for attempt in range(TRIES):
            lock = await free(storage, await found(storage, conversation_id), self._ports.now())
            try:
                return await change(lock)
            except (ConversationLocked, StorageUnavailable) as error:
                again = isinstance(error, ConversationLocked) or error.nothing_done  # else it may be done already
                if not again or attempt == TRIES - 1:
                    raise
            await asyncio.sleep(random.random() * 0.05 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _own(self, storage: Storage, items: Sequence[InputItem]) -> list[Item]:
        """`items`, each with an id of its own: another item of the conversation may have the one that it came with."""
        token = self._ports.new_id()
        stored = await referenced(storage.store, items, field="items")
        own = list[Item]()
        for index, item in enumerate(items):
            if isinstance(item, AdditionalTools | CompactionTrigger | ConfigurationUpdate):
                raise RequestError(
                    f"{item.type!r} is no item that a conversation keeps",
                    param=f"items[{index}].type",
                    code="unsupported_item",
                )
            if isinstance(item, ToolSearchOutput):
                refuse_credentials(item.tools, f"items[{index}].tools")
            kept = stored[item.id] if isinstance(item, ItemReference) else item
            own.append(with_id(kept.model_copy(update={"id": ""}), token, index))
        return own


async def _walk(storage: Storage, conversation_id: str, *, newest_first: bool) -> AsyncGenerator[Piece]:
    beyond: int | None = None
    while pieces := await storage.conversations.pieces(conversation_id, beyond, newest_first=newest_first):
        for piece in pieces:
            yield piece
            beyond = piece.place


async def _piece_of(storage: Storage, conversation_id: str, item_id: str) -> Piece:
    """The piece that an item is in. Raises NotFound."""
    async with aclosing(_walk(storage, conversation_id, newest_first=True)) as pieces:
        async for piece in pieces:
            if any(item.id == item_id for item in piece.items):
                return piece
    raise _no_item(item_id, "item_id")


def _no_item(item_id: str, param: str) -> NotFound:
    return NotFound(f"There is no item {item_id!r} in this conversation", param=param, code="item_not_found")

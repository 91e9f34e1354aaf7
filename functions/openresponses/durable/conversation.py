"""Conversations and the responses that hold them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from ..core.conversations import Conversation, Lock
from ..core.errors import ConversationLocked, KitError, NotFound
from ..core.loading import Allowance
from ..core.records import Record
from ..core.run import Run
from ..core.storage import Storage
from ..schema.items import Item
from .history import inherited, too_long_is
from .journal import LEASE_SECONDS
from .tail import revive


async def found(storage: Storage, conversation_id: str, param: str = "conversation_id") -> Conversation:
    """Raises NotFound."""
    conversation = await storage.conversations.load(conversation_id)
    if conversation is None:
        raise no_conversation(conversation_id, param)
    return conversation


def no_conversation(conversation_id: str, param: str) -> NotFound:
    return NotFound(f"There is no conversation {conversation_id!r}", param=param, code="conversation_not_found")


async def free(storage: Storage, conversation: Conversation, now: float) -> Lock:
    """The right to change a conversation. Raises ConversationLocked if a response holds it.

    A holder that has died is handed to the state machine, which ends it. One of which nothing is left holds nothing.
    """
    holder, lease, lock = conversation.holder, conversation.lease, as_it_is(conversation)
    if not holder or (lease is not None and lease < now):
        return lock
    if lease is None:
        (record,) = await storage.store.load([holder])
        if record is None or record.over:
            return lock
        await revive(storage, record, now)
    raise ConversationLocked(f"The response {holder!r} goes on from this conversation")


def as_it_is(conversation: Conversation) -> Lock:
    """To read its items, or to change them if nobody holds it."""
    return Lock(conversation_id=conversation.id, version=conversation.version, instead_of=conversation.holder)


async def items_at(storage: Storage, lock: Lock, within: Allowance | None = None) -> list[Item]:
    """The items of a conversation as they were when it was locked, without what was removed since.

    Raises ContextTooLong.
    """
    with too_long_is("conversation"):
        return await storage.conversations.items(lock.conversation_id, lock.version, within)


async def before(storage: Storage, record: Record, within: Allowance | None = None) -> list[Item]:
    """What a response goes on from. Raises NotFound if part of its chain is gone, and ContextTooLong."""
    if record.lock is not None:
        return await items_at(storage, record.lock, within)
    return await inherited(storage.store, record, within)


class Unstored:
    """Holds a conversation for a response that is not stored, by a lease that it renews while it lives."""

    def __init__(self, storage: Storage, lock: Lock, response_id: str, now: Callable[[], float]) -> None:
        self._conversations, self._now = storage.conversations, now
        self._lock, self._response_id = lock, response_id

    async def hold(self) -> None:
        """Raises ConversationLocked."""
        await self._conversations.hold(self._lock, self._response_id, self._now() + LEASE_SECONDS)

    async def __aenter__(self) -> "Unstored":
        self._task = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, KitError):
            await self._task

    async def settle(self, run: Run) -> None:
        """Raises Superseded if the lease ran out, and another response holds the conversation."""
        await self._conversations.release(self._lock, self._response_id, run.added())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await self._conversations.renew(self._lock, self._response_id, self._now() + LEASE_SECONDS)

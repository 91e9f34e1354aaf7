"""Conversations, in memory."""

from collections.abc import Mapping, Sequence

from ...core.conversations import Conversation, Lock, Piece
from ...core.errors import ConversationLocked, Superseded
from ...core.loading import Allowance, unlimited
from ...schema.items import Item
from .shelf import Shelf, Talk, items_adapter


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

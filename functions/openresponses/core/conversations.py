"""Conversations at rest: lists of items that outlive the responses that they come from.

A conversation's items are kept in pieces: what one response, or one request, has added. Each piece has a place, and
later ones have higher places.
"""

from dataclasses import dataclass

from ..schema.base import Wire
from ..schema.items import Item
from ..schema.request import Metadata


class Conversation(Wire):
    """A conversation without its items.

    `version` counts the changes of its items. `holder` is the response that is to be appended when it ends; empty if
    there is none. `lease`, in Unix seconds, is how long a holder that is not stored vouches for itself; the record of
    one that is stored says whether it is over.
    """

    id: str
    created_at: int
    metadata: Metadata = {}
    version: int = 0
    holder: str = ""
    lease: float | None = None


class Lock(Wire):
    """The right to change a conversation whose items are as they were at `version`: a response holds it while it is
    made. `instead_of` is an earlier holder, of which nothing is left.
    """

    conversation_id: str
    version: int
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Items that were added together. Some of them, or all, may have been removed."""

    place: int
    items: list[Item]

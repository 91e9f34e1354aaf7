"""One request of a caller: who it is, and what they may use."""

from dataclasses import dataclass

from starlette.requests import Request

from ..core.settings import Settings
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from .access import Access


@dataclass(frozen=True, slots=True)
class Call:
    """`new` makes the caller's responses, `stored` has those that were made."""

    request: Request
    access: Access
    new: NewResponses
    stored: StoredResponses
    settings: Settings

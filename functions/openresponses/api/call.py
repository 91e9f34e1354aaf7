"""One request of a caller: who it is, and what they may use."""

from typing import NamedTuple

from starlette.requests import Request

from ..core.settings import Settings
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from .access import Access


class Call(NamedTuple):
    """`new` makes the caller's responses, `stored` has those that were made."""

    request: Request
    access: Access
    new: NewResponses
    stored: StoredResponses
    settings: Settings

"""One request of a caller: who it is, and what they may use."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request

from ..core.settings import Settings
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from .access import Access

if TYPE_CHECKING:
    from ..webhooks.endpoints import StoredEndpoints


class Call(NamedTuple):
    """`new` makes the caller's responses, `stored` has those that were made; `endpoints_of` a tenant are its
    webhooks.
    """

    request: Request
    access: Access
    new: NewResponses
    stored: StoredResponses
    settings: Settings
    endpoints_of: "Callable[[str], StoredEndpoints]"

    def endpoints(self) -> "StoredEndpoints":
        """The caller's. Raises RequestError where nothing is stored."""
        return self.endpoints_of(self.access.tenant)

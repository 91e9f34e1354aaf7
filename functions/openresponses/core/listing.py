"""A tenant's responses as a list shows them: what is known of each, without what was said in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import ConfigDict

from ..schema.base import SLUG, Wire, absent
from ..schema.request import ConversationName, Metadata
from ..schema.response import IncompleteDetails, Response, ResponseError, ResponseStatus, ShownCost, Usage
from .timeline import Timeline

MAX_READ = 1000
"""Entries that are read for one page, whatever is asked for."""
Order: TypeAlias = Literal["asc", "desc"]


class ListedResponse(Wire):
    """Fields of a response that have no text of its input or output. Those of ours are of one that is over: the target
    that answered last, the turns that ended, the seconds that it took, and what it cost.
    """

    model_config = ConfigDict(defer_build=True)

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus
    model: str
    background: bool = False
    previous_response_id: str | None = None
    conversation: ConversationName | None = absent()
    metadata: Metadata = {}
    usage: Usage | None = None
    incomplete_details: IncompleteDetails | None = None
    error: ResponseError | None = None
    target: str | None = absent(alias=f"{SLUG}:target")
    turns: int | None = absent(alias=f"{SLUG}:turns")
    seconds: float | None = absent(alias=f"{SLUG}:seconds")
    cost: ShownCost | None = absent(alias=f"{SLUG}:cost")


def listed(response: Response, timeline: Timeline | None = None) -> ListedResponse:
    shown = response.model_dump(mode="json", include=set(ListedResponse.model_fields))
    entry = ListedResponse.model_validate(shown)
    if timeline is not None:
        entry.target, entry.turns, entry.seconds = timeline.target, timeline.turns, timeline.seconds
    return entry


def place_in_time(response: Response, created: float) -> str:
    """Sorts a response among the others, to the millisecond; those of one are sorted by their ids."""
    return f"{int(max(created, response.created_at) * 1000):013d}#{response.id}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a response must have to be listed."""

    status: ResponseStatus | None = None
    model: str | None = None
    metadata: Mapping[str, str] | None = None

    def fits(self, response: ListedResponse) -> bool:
        return (
            self.status in (None, response.status)
            and self.model in (None, response.model)
            and (self.metadata or {}).items() <= response.metadata.items()
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """One page. `last_id` is of the last response that was read for it, whether or not it is wanted: the next page
    begins after that one. `more` is whether there are any.
    """

    data: list[ListedResponse]
    last_id: str | None
    more: bool

"""The conversation before a response, as the short list that its record keeps. No I/O.

A chain is a list of links, oldest first. A link is a response, or a chunk: the items of `FAN` responses in a row
(level 1), of `FAN` such chunks (level 2), and so on. Like the digits of an odometer, links of one level become a link
of the next. So a chain of any length has a few links of each level, and the highest levels come first.

A chunk always takes the oldest links of its level. So it holds the responses from a multiple of `FAN ** level` on,
counted from the start of the conversation, and every response knows where the chunks begin that it may be in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..schema.base import Wire
from ..schema.items import Item

FAN = 8


class Link(Wire):
    """The responses from `first` to `last`, by their ids: `FAN ** level` of them.

    `items` is how many items the link has. `expires`, in Unix seconds, is when the first of its responses expires; it
    is not known of a response that was not loaded as a link yet.
    """

    level: int = 0
    first: str
    last: str
    items: int = 0
    expires: float | None = None

    @property
    def responses(self) -> int:
        return FAN**self.level


@dataclass(frozen=True, slots=True)
class Passage:
    """What a link holds. `expires` is in Unix seconds."""

    items: list[Item]
    expires: float


def response_link(response_id: str, items: int = 0) -> Link:
    return Link(first=response_id, last=response_id, items=items)


def shown(given: Sequence[Item], output: Sequence[Item], discarded: Sequence[str]) -> list[Item]:
    """A response's part of a conversation. Items of dead turns are never shown again."""
    return [*given, *(item for item in output if item.id not in discarded)]


@dataclass(frozen=True, slots=True)
class Joint:
    """The links of a chain from index `start` on which `chunk` is to replace."""

    start: int
    members: list[Link]
    chunk: Link


def next_joint(chain: Sequence[Link]) -> Joint | None:
    """The next chunk to be made, of the lowest level that has enough links; None if no level has."""
    end = len(chain)
    while end:
        level = chain[end - 1].level
        start = next(index for index, link in enumerate(chain) if link.level == level)
        members = list(chain[start : start + FAN])
        expiries = [link.expires for link in members if link.level == level and link.expires is not None]
        if len(expiries) == FAN:
            count = sum(link.items for link in members)
            first, last = members[0].first, members[-1].last
            return Joint(
                start, members, Link(level=level + 1, first=first, last=last, items=count, expires=min(expiries))
            )
        end = start
    return None


def chunk_start(chain: Sequence[Link], response_id: str, level: int) -> str:
    """The first response of the chunks of a level that this response, with this chain before it, may be in."""
    position = sum(link.responses for link in chain)
    wanted, at = position - position % FAN**level, 0
    for link in chain:
        if at == wanted:
            return link.first
        at += link.responses
    return response_id

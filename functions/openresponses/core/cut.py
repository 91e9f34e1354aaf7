"""Where a conversation can be cut, and what is left of it. Pure: it counts no tokens.

A cut is at a place, an index: the items before it are not shown to the model. Instructions and compactions stay, and
so does the user's message that what is left answers. A call and its output are never parted, nor is reasoning from what
follows it.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ..schema.items import (
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
)
from ..schema.server_items import HostedToolCall


class Cut(NamedTuple):
    """`question` is the index of the user's message before the cut that stays, since what is left answers it."""

    place: int
    question: int | None = None


def cuts(items: Sequence[Item], *, amid_turns: bool = False) -> Iterator[Cut]:
    """Every place where what is left may begin, oldest first. `items` are as a turn shows them.

    A turn that began with reasoning is not cut, unless `amid_turns`: hosted calls carry their outputs, so the turns of
    a model that reasons only once can't be told from one turn with parallel calls.
    """
    amid, asks = _amid_calls(items), _asks(items)
    question, reasoned = None, False
    last = max((at for at, item in enumerate(items) if not stays(item)), default=0)
    for place in range(1, last + 1):
        before, item = items[place - 1], items[place]
        if _is_users(before):
            question = place - 1
        reasoned = isinstance(before, Reasoning) or (reasoned and _is_models(before))
        parts = isinstance(before, Reasoning) or (reasoned and _is_models(item) and not isinstance(item, Reasoning))
        if not amid[place] and (not parts or (amid_turns and not isinstance(before, Reasoning))):
            yield Cut(place, None if asks[place] else question)


def left_after(items: Sequence[Item], place: int) -> list[int]:
    """The indexes of what is still shown after a cut."""
    question = None
    if not _asks(items)[place]:
        question = next((at for at in reversed(range(place)) if _is_users(items[at])), None)
    return [*(at for at in range(place) if at == question or stays(items[at])), *range(place, len(items))]


def stays(item: Item) -> bool:
    return isinstance(item, Compaction) or (isinstance(item, Message) and item.role in ("system", "developer"))


def _is_users(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _is_models(item: Item) -> bool:
    if isinstance(item, Message):
        return item.role == "assistant"
    return isinstance(item, Reasoning | FunctionCall | CustomToolCall | HostedToolCall | ExtensionItem)


def _asks(items: Sequence[Item]) -> list[bool]:
    """Whether what begins at each index begins with a message of the user's, after instructions."""
    asks = [False] * (len(items) + 1)
    for index in reversed(range(len(items))):
        asks[index] = asks[index + 1] if stays(items[index]) else _is_users(items[index])
    return asks


def _amid_calls(items: Sequence[Item]) -> list[bool]:
    """Whether a call before each index is answered there or later. Ids may come again in later turns."""
    change = [0] * (len(items) + 1)
    waiting: dict[str, int] = {}
    for index, item in enumerate(items):
        match item:
            case FunctionCall() | CustomToolCall():
                waiting[item.call_id] = index
            case FunctionCallOutput() | CustomToolCallOutput() if item.call_id in waiting:
                change[waiting.pop(item.call_id) + 1] += 1
                change[index + 1] -= 1
            case _:
                pass
    return [depth > 0 for depth in accumulate(change)]

"""How much a provider may say: one that never stops must not fill the memory of whoever listens. Pure."""

from collections.abc import Iterable
from typing import assert_never

from ..schema.content import Annotation, LogProb
from ..schema.items import ExtensionItem, Item
from . import deltas as d
from .errors import StreamViolation

MAX_TURN = 16 * 1024 * 1024
"""Characters of one turn. A real one has half a million at most: the models that say most say 128,000 tokens."""
MAX_RESPONSE = 32 * 1024 * 1024
"""Characters of the items of a response, those of dead turns included."""
MAX_ITEMS = 1024
"""Of one turn, and of the parts of one item."""
PIECE = 32
"""What a delta counts in its turn, beside its characters: each is an object until its item is done."""
_CITATION = 1024
_Text = d.Text


class Room:
    """What is left for one turn, where its response may still have `left` characters."""

    def __init__(self, left: int = MAX_RESPONSE) -> None:
        self._most = min(MAX_TURN, left)
        self._left, self._items = self._most, 0

    def take(self, delta: d.Delta) -> None:
        """Raises StreamViolation where the answer grows too long."""
        size = len(delta.text) if type(delta) is _Text and not delta.logprobs else _size(delta)
        left = self._left = self._left - PIECE - size
        if left < 0:
            whose, most = ("turn", MAX_TURN) if self._most == MAX_TURN else ("response", MAX_RESPONSE)
            raise StreamViolation(f"The provider's answer is too long: a {whose} may have {most:,} characters")

    def begin(self) -> None:
        """Another item begins."""
        self._items += 1
        if self._items > MAX_ITEMS:
            raise StreamViolation(f"The provider's turn has more than {MAX_ITEMS:,} items")


def size_of(items: Iterable[Item]) -> int:
    """The characters that they have as JSON."""
    return sum(len(item.model_dump_json()) for item in items)


def _size(delta: d.Delta) -> int:
    match delta:
        case d.Text():
            return len(delta.text) + sum(map(_of_logprob, delta.logprobs))
        case d.Refusal() | d.Reasoning():
            return len(delta.text)
        case d.ToolCall():
            return len(delta.arguments) + len(delta.name)
        case d.Opaque() | d.Compacted():
            return len(delta.data)
        case d.Annotation():
            return _CITATION + _written(delta.annotation)
        case d.Whole():
            return _written(delta.item)
        case d.Progress():
            return sum(len(each.model_dump_json()) for each in (delta.item, delta.event) if each)
        case d.End() | d.Usage() | d.Finish():
            return 0
        case _:
            assert_never(delta)


def _of_logprob(logprob: LogProb) -> int:
    each = (logprob, *logprob.top_logprobs)
    return sum(2 * PIECE + len(one.token) + len(one.bytes) for one in each)


def _written(value: Annotation | ExtensionItem) -> int:
    return len(value.model_dump_json())

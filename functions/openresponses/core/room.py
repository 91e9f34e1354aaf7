"""How much a provider may say: one that never stops must not fill the memory of whoever listens. Pure."""

from typing import assert_never

from ..schema.content import Annotation, LogProb
from ..schema.items import ExtensionItem
from . import deltas as d
from .errors import StreamViolation

MAX_TURN = 16 * 1024 * 1024
"""Of one turn. A real one has half a million characters at most: the models that say most say 128,000 tokens."""
MAX_RESPONSE = 32 * 1024 * 1024
"""Characters of all turns of a response, those that died included."""
MAX_ITEMS = 1024
"""Of one turn, and of the parts of one item."""
PIECE = 32
"""What a delta counts in its turn, beside its characters: each is an object until its item is done."""
_CITATION = 1024


class Room:
    """What is left for one turn. `left`: the characters that its response may still have; `taken`: what it took."""

    def __init__(self, left: int = MAX_RESPONSE) -> None:
        self._left, self.taken = left, 0
        self._weight, self._items = 0, 0

    def take(self, delta: d.Delta) -> None:
        """Raises StreamViolation where the answer grows too long."""
        size = len(delta.text) if type(delta) is d.Text and not delta.logprobs else _size(delta)
        self.taken += size
        self._weight += PIECE + size
        if self._weight > MAX_TURN:
            raise StreamViolation(f"The provider's answer is too long: a turn may have {MAX_TURN:,} characters")
        if self.taken > self._left:
            raise StreamViolation(f"The response is too long: it may have {MAX_RESPONSE:,} characters")

    def begin(self) -> None:
        """Another item begins."""
        self._items += 1
        if self._items > MAX_ITEMS:
            raise StreamViolation(f"The provider's turn has more than {MAX_ITEMS:,} items")


def _size(delta: d.Delta) -> int:
    match delta:
        case d.Text():
            return len(delta.text) + sum(map(_of_logprob, delta.logprobs))
        case d.Refusal() | d.Reasoning():
            return len(delta.text)
        case d.ToolCall():
            return len(delta.arguments) + len(delta.name)
        case d.Opaque():
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

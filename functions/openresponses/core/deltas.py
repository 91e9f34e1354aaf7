"""What a provider may say.

Adapters translate a vendor's stream into these twelve values and nothing else. A `key` names a block
within one turn; the vendor's own index or id will do. The first delta with a new key opens the block.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..schema.content import Annotation as WireAnnotation
from ..schema.content import LogProb
from ..schema.events import ToolProgress
from ..schema.items import ExtensionItem, Phase
from ..schema.response import Usage as WireUsage

Key: TypeAlias = str | int
FinishReason: TypeAlias = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True)
class Text:
    """`phase` is that of the block's first delta."""

    key: Key
    text: str
    logprobs: tuple[LogProb, ...] = ()
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    key: Key
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Raw reasoning, or a part of its summary if `summary` gives the part's index. One block may have both."""

    key: Key
    text: str = ""
    summary: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`name` must come with a block's first delta. If the `call_id` is empty there, the assembler makes one."""

    key: Key
    arguments: str = ""
    call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Provider-private state of a reasoning block, echoed on the next turn (a signature, encrypted reasoning).

    It holds all that the provider needs to see of the block again. A second one for a block replaces the first.
    """

    key: Key
    data: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """A citation in the text block `key`. One that comes before its text opens the block."""

    key: Key
    annotation: WireAnnotation


@dataclass(frozen=True, slots=True)
class Whole:
    """An item that arrives complete, such as a call that the provider ran itself."""

    item: ExtensionItem


@dataclass(frozen=True, slots=True)
class Progress:
    """An item that the provider makes step by step: `item` as it is now, and the provider's own event, if any.

    A block's first delta must have the item. The event is passed on with the id and index of our item.
    """

    key: Key
    item: ExtensionItem | None = None
    event: ToolProgress | None = None


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a turn that compacts makes of its conversation: a provider's own state, sealed as it leaves."""

    data: str


@dataclass(frozen=True, slots=True)
class End:
    """The vendor said that this block is complete. Optional: `Finish` closes what is open."""

    key: Key


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that this turn has used so far. Replaces the previous value. `tier` is the service tier that the vendor
    says it was served in; empty if it says none.
    """

    usage: WireUsage
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The last delta. A stream that ends without it is a dead turn."""

    reason: FinishReason


Delta: TypeAlias = (
    Text | Refusal | Reasoning | ToolCall | Opaque | Annotation | Whole | Progress | Compacted | End | Usage | Finish
)

"""Deltas in, wire events out. Pure: no I/O, no clock, no ids of its own.

A block is one output item being built. The rules, all in this file:

- The first delta with a new key opens its block; `End`, `Finish` or `abandon` closes it.
- Prose (text, refusal, reasoning) is one block at a time: opening any block closes the open prose.
  Calls may overlap, since providers interleave parallel calls.
- A function call streams its arguments. A call that this server runs, or a custom call, is buffered and
  appears whole when it is complete; one that this server runs stays in progress until its tool has answered. If it
  needs an approval, a request for that appears in its place.
- A call that the request did not allow becomes a hosted item that is answered at once with the refusal,
  so the model reads why, and no client ever runs it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import TypeAlias

from ..schema import events as ev
from ..schema.items import ExtensionItem, Item
from ..schema.response import Usage
from ..schema.server_items import ItemStatus
from . import deltas as d
from .blocks import (
    Block,
    CallBlock,
    CitingBlock,
    NewRequestId,
    ProgressBlock,
    ReasoningBlock,
    TextBlock,
    WholeCallBlock,
)
from .citations import Source
from .errors import StreamViolation
from .room import Room
from .run import OfferedTool
from .server_calls import told
from .surrogates import Halves

NewId = Callable[[str, int], str]
"""(prefix, output index) -> the item's id."""
_OF_THE_TURN = (d.Usage, d.Finish, d.End, d.Whole, d.Compacted)
_Piece: TypeAlias = d.Text | d.Refusal | d.Reasoning | d.ToolCall | d.Opaque | d.Annotation | d.Progress


class Assembler:
    """Builds one turn's items. `first_index` is the number of items that the response already has.

    `heard`: somebody hears the events of each piece of text. If not, there are none: a finished item has all of it.
    `room` is what there is for the turn. `new_request_id` makes the ids of requests for approval.
    `sources` are those that a text may cite.
    """

    def __init__(
        self,
        first_index: int,
        new_id: NewId,
        tools: Mapping[str, OfferedTool],
        *,
        parallel_calls: bool = True,
        heard: bool = True,
        room: Room | None = None,
        new_request_id: NewRequestId | None = None,
        sources: Sequence[Source] = (),
    ) -> None:
        self._next_index = first_index
        self._new_id, self._new_request_id = new_id, new_request_id
        self._tools = tools
        self._parallel_calls = parallel_calls
        self._sources = sources
        self._heard = heard
        self._room = room or Room()
        self._open: dict[d.Key, Block] = {}
        self._unanswered: dict[int, Item] = {}
        self._halves = Halves()
        self._calls = 0
        self.usage = Usage()
        self.finish: d.FinishReason | None = None

    def feed(self, delta: d.Delta) -> Iterator[ev.Event]:
        """The events that `delta` causes. Raises StreamViolation if the provider breaks the rules of deltas."""
        if self.finish is not None and not isinstance(delta, d.Usage):
            raise StreamViolation(f"The provider sent {type(delta).__name__} after the end of its turn")
        joined = self._halves.joined(delta)
        if len(joined) == 1:
            self._room.take(joined[0])
            return iter(self._absorb(joined[0]))
        for each in joined:
            self._room.take(each)
        return chain.from_iterable(map(self._absorb, joined))

    def _absorb(self, delta: d.Delta) -> Iterable[ev.Event]:
        if isinstance(delta, _OF_THE_TURN):
            return self._turned(delta)
        block = self._open.get(delta.key)
        return self._begin(delta) if block is None else block.feed(delta)

    def _turned(self, delta: d.Usage | d.Finish | d.End | d.Whole | d.Compacted) -> Iterator[ev.Event]:
        match delta:
            case d.Usage():
                self.usage = delta.usage
            case d.Finish():
                yield from self._close_all("completed" if delta.reason == "stop" else "incomplete")
                self.finish = delta.reason
            case d.End():
                if delta.key in self._open:
                    yield from self._close(delta.key, "completed")
            case d.Whole():
                self._room.begin()
                yield from self._close_prose()
                index = self._take_index()
                item = delta.item.model_copy(update={"id": self._new_id("ext", index)})
                yield ev.OutputItemAdded(output_index=index, item=item)
                yield ev.OutputItemDone(output_index=index, item=item)
            case d.Compacted():
                raise StreamViolation("The provider compacted a conversation where it was asked for an answer")

    def abandon(self) -> Iterator[ev.Event]:
        """Close as incomplete what is open when the stream dies, or the turn is cut short.

        This server's calls that were complete are closed too, since the calls of a dead turn are never run.
        """
        yield from self._close_all("incomplete")
        while self._unanswered:
            index, item = self._unanswered.popitem()
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update={"status": "incomplete"}))

    def _begin(self, delta: _Piece) -> Iterator[ev.Event]:
        self._room.begin()
        block = self._block_for(delta)
        block.heard = self._heard
        yield from self._close_prose()
        self._open[delta.key] = block
        yield from block.open()
        yield from block.feed(delta)

    def _block_for(self, delta: d.Delta) -> Block:
        match delta:
            case d.Text() | d.Refusal() | d.Annotation():
                phase = delta.phase if isinstance(delta, d.Text) else None
                if self._sources and not isinstance(delta, d.Refusal):
                    return CitingBlock(self._take_index, self._new_id, self._sources, phase=phase)
                return TextBlock(self._take_index, self._new_id, refusal=isinstance(delta, d.Refusal), phase=phase)
            case d.Reasoning() | d.Opaque():
                return ReasoningBlock(self._take_index, self._new_id)
            case d.ToolCall():
                return self._call_block(delta)
            case d.Progress(item=ExtensionItem() as item):
                return ProgressBlock(self._take_index, self._new_id, item)
            case _:
                raise StreamViolation(f"The provider sent {type(delta).__name__} for a block that is not open")

    def _call_block(self, delta: d.ToolCall) -> Block:
        if not delta.name:
            raise StreamViolation("The provider opened a tool call without a name")
        self._calls += 1
        tool = self._tools.get(delta.name)
        if tool is None:
            why = f"There is no tool named {delta.name!r} that you may call now."
            return WholeCallBlock(self._take_index, self._new_id, delta, None, refusal=why)
        if self._calls > 1 and not self._parallel_calls:
            why = "Only one tool call at a time is allowed. Make this call again in your next turn if you need it."
            return WholeCallBlock(self._take_index, self._new_id, delta, None, refusal=why)
        if tool.kind == "function":
            return CallBlock(self._take_index, self._new_id, delta, tool)
        return WholeCallBlock(self._take_index, self._new_id, delta, tool, new_request_id=self._new_request_id)

    def _close_prose(self) -> Iterator[ev.Event]:
        for key in [key for key, block in self._open.items() if block.prose]:
            yield from self._close(key, "completed")

    def _close_all(self, status: ItemStatus) -> Iterator[ev.Event]:
        while self._open:
            yield from self._close(next(iter(self._open)), status)

    def _close(self, key: d.Key, status: ItemStatus) -> Iterator[ev.Event]:
        block = self._open.pop(key)
        for delta in self._halves.left(key):
            with suppress(StreamViolation):  # the delta that it was cut from was refused
                yield from block.feed(delta)
        for event in block.close(status):
            if isinstance(event, ev.OutputItemAdded):
                self._unanswered[event.output_index] = event.item
            elif isinstance(event, ev.OutputItemDone):
                self._unanswered.pop(event.output_index, None)
            elif isinstance(event, ev.ToolProgress) and event.output_index in self._unanswered:
                self._unanswered[event.output_index] = told(self._unanswered[event.output_index], event)
            yield event

    def _take_index(self) -> int:
        self._next_index += 1
        return self._next_index - 1

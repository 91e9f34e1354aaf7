"""The kinds of block that are not prose: calls, and what a provider runs itself. Those of several calls may overlap."""

import json
from collections.abc import Iterator

from ..schema import events as ev
from ..schema.items import REJECTED_CALL, CustomToolCall, ExtensionItem, FunctionCall, HostedToolCall, Item, ItemStatus
from . import deltas as d
from .blocks import Block, NewId, TakeIndex, alien
from .run import OfferedTool


class CallBlock(Block):
    """A function call for the client, its arguments streamed."""

    def __init__(self, take_index: TakeIndex, new_id: NewId, first: d.ToolCall, tool: OfferedTool) -> None:
        self._index = take_index()
        self._item = FunctionCall(
            id=new_id("fc", self._index),
            call_id=first.call_id or new_id("call", self._index),
            name=tool.wire_name,
            namespace=tool.namespace,
            status="in_progress",
        )
        self._chunks: list[str] = []

    def open(self) -> Iterator[ev.Event]:
        yield ev.OutputItemAdded(output_index=self._index, item=self._item)

    def feed(self, delta: d.Delta) -> Iterator[ev.Event]:
        if not isinstance(delta, d.ToolCall):
            raise alien(delta, self)
        if delta.arguments:
            self._chunks.append(delta.arguments)
            yield ev.ArgumentsDelta(item_id=self._item.id, output_index=self._index, delta=delta.arguments)

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        arguments = "".join(self._chunks)
        if not arguments and status == "completed":
            arguments = "{}"
            yield ev.ArgumentsDelta(item_id=self._item.id, output_index=self._index, delta=arguments)
        yield ev.ArgumentsDone(item_id=self._item.id, output_index=self._index, arguments=arguments)
        item = self._item.model_copy(update={"arguments": arguments, "status": status})
        yield ev.OutputItemDone(output_index=self._index, item=item)


class WholeCallBlock(Block):
    """A hosted, custom or rejected call: buffered, and added when it is complete."""

    def __init__(
        self,
        take_index: TakeIndex,
        new_id: NewId,
        first: d.ToolCall,
        tool: OfferedTool | None,
        *,
        refusal: str | None = None,
    ) -> None:
        self._take_index, self._new_id = take_index, new_id
        self._first, self._tool, self._refusal = first, tool, refusal
        self._chunks: list[str] = []

    def open(self) -> Iterator[ev.Event]:
        return iter(())

    def feed(self, delta: d.Delta) -> Iterator[ev.Event]:
        if not isinstance(delta, d.ToolCall):
            raise alien(delta, self)
        self._chunks.append(delta.arguments)
        return iter(())

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        index = self._take_index()
        item = self._item(index, "".join(self._chunks))
        yield ev.OutputItemAdded(output_index=index, item=item)
        if status == "incomplete":
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update={"status": "incomplete"}))
        elif self._refusal is not None:
            refused = {"status": "failed", "output": self._refusal}
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update=refused))
        elif isinstance(item, CustomToolCall):
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update={"status": "completed"}))

    def _item(self, index: int, arguments: str) -> Item:
        call_id = self._first.call_id or self._new_id("call", index)
        if self._tool is not None and self._tool.kind == "custom":
            return CustomToolCall(
                id=self._new_id("ctc", index),
                call_id=call_id,
                name=self._tool.wire_name,
                input=free_text(arguments),
                status="in_progress",
            )
        return HostedToolCall(
            type=self._tool.item_type if self._tool else REJECTED_CALL,
            id=self._new_id("htc", index),
            call_id=call_id,
            name=self._first.name,
            arguments=arguments or "{}",
            status="in_progress",
        )


class ProgressBlock(Block):
    """An item of a tool that the provider runs, with the provider's own events."""

    def __init__(self, take_index: TakeIndex, new_id: NewId, first: ExtensionItem) -> None:
        self._index = take_index()
        self._id = new_id("ext", self._index)
        self._item = self._ours(first)

    def open(self) -> Iterator[ev.Event]:
        item = self._item.model_copy(update={"status": "in_progress"})
        yield ev.OutputItemAdded(output_index=self._index, item=item)

    def feed(self, delta: d.Delta) -> Iterator[ev.Event]:
        if not isinstance(delta, d.Progress):
            raise alien(delta, self)
        if delta.event:
            yield delta.event.model_copy(update={"item_id": self._id, "output_index": self._index})
        if delta.item:
            self._item = self._ours(delta.item)

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        """How it ended for the provider stays; a status of an item in the making does not."""
        final = self._item.status if self._item.status in ("failed", "incomplete") else status
        yield ev.OutputItemDone(output_index=self._index, item=self._item.model_copy(update={"status": final}))

    def _ours(self, item: ExtensionItem) -> ExtensionItem:
        return item.model_copy(update={"id": self._id})


def free_text(arguments: str) -> str:
    """The text of a custom call: the model is offered it as a function with one string, `input`."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return arguments
    text = parsed.get("input") if isinstance(parsed, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return text if isinstance(text, str) else arguments

"""What the assembler builds: a block owns one item and its events. One class for each kind of item."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar

from pydantic_core import from_json

from ..schema import events as ev
from ..schema.base import fields_of
from ..schema.content import Annotation, LogProb, OutputText, ReasoningText, Refusal, SummaryText
from ..schema.items import CustomToolCall, ExtensionItem, FunctionCall, Message, Phase, Reasoning
from ..schema.server_items import ItemStatus, McpApprovalRequest, McpCall, ServerCall
from . import client_tools, server_calls
from . import deltas as d
from .citations import Citations, Source
from .errors import StreamViolation
from .json import loads
from .room import MAX_ITEMS
from .run import OfferedTool

TakeIndex = Callable[[], int]
NewId = Callable[[str, int], str]
NewRequestId = Callable[[str, OfferedTool, str], str]
"""From an item's id, the tool that it would call, and the arguments: the id of the request for approval."""


class Block(ABC):
    """`open`, then `feed` any number of times, then `close` once: the events of one item.

    `heard`: somebody hears of each piece of text. If not, the block makes no event of it.
    """

    prose: ClassVar[bool] = False
    heard = True

    @abstractmethod
    def open(self) -> Iterator[ev.Event]: ...

    @abstractmethod
    def feed(self, delta: d.Delta) -> Iterable[ev.Event]: ...

    @abstractmethod
    def close(self, status: ItemStatus) -> Iterator[ev.Event]: ...


def alien(delta: d.Delta, block: Block) -> StreamViolation:
    return StreamViolation(f"The provider sent {type(delta).__name__} for a block opened as {type(block).__name__}")


class TextBlock(Block):
    """A message with one part: text, or a refusal."""

    prose = True

    def __init__(self, take_index: TakeIndex, new_id: NewId, *, refusal: bool, phase: Phase | None = None) -> None:
        self._index = take_index()
        self._id = new_id("msg", self._index)
        self._refusal = refusal
        self._phase: Phase | None = phase
        self._delta = (ev.RefusalDelta if refusal else ev.OutputTextDelta)(
            item_id=self._id, output_index=self._index, content_index=0, delta=""
        )
        self._chunks: list[str] = []
        self._logprobs: list[LogProb] = []
        self._annotations: list[Annotation] = []

    def open(self) -> Iterator[ev.Event]:
        item = Message(id=self._id, status="in_progress", role="assistant", content=[], phase=self._phase)
        yield ev.OutputItemAdded(output_index=self._index, item=item)
        part = Refusal() if self._refusal else OutputText()
        yield ev.ContentPartAdded(item_id=self._id, output_index=self._index, content_index=0, part=part)

    def feed(self, delta: d.Delta) -> Iterable[ev.Event]:
        match delta:
            case d.Text() if not self._refusal:
                return self._said(delta.text, delta.logprobs)
            case d.Refusal() if self._refusal:
                return self._said(delta.text, ())
            case d.Annotation() if not self._refusal:
                return self._cited(delta.annotation)
            case _:
                raise alien(delta, self)

    def _said(self, text: str, logprobs: tuple[LogProb, ...]) -> Iterable[ev.Event]:
        self._logprobs += logprobs
        self._chunks.append(text)
        if not text or not self.heard:
            return ()
        event = ev.like(self._delta, text)
        return (event.model_copy(update={"logprobs": list(logprobs)}) if logprobs else event,)

    def _cited(self, annotation: Annotation) -> Iterator[ev.Event]:
        self._annotations.append(annotation)
        yield ev.AnnotationAdded(
            item_id=self._id,
            output_index=self._index,
            content_index=0,
            annotation_index=len(self._annotations) - 1,
            annotation=annotation,
        )

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        text, at = "".join(self._chunks), (self._id, self._index)
        if self._refusal:
            part = Refusal(refusal=text)
            yield ev.RefusalDone(item_id=at[0], output_index=at[1], content_index=0, refusal=text)
        else:
            part = OutputText(text=text, annotations=self._annotations, logprobs=self._logprobs)
            yield ev.OutputTextDone(
                item_id=at[0], output_index=at[1], content_index=0, text=text, logprobs=self._logprobs
            )
        yield ev.ContentPartDone(item_id=at[0], output_index=at[1], content_index=0, part=part)
        item = Message(id=self._id, status=status, role="assistant", content=[part], phase=self._phase)
        yield ev.OutputItemDone(output_index=self._index, item=item)


class CitingBlock(TextBlock):
    """A text where the model may cite what a search has found."""

    def __init__(
        self, take_index: TakeIndex, new_id: NewId, sources: Sequence[Source], *, phase: Phase | None = None
    ) -> None:
        super().__init__(take_index, new_id, refusal=False, phase=phase)
        self._citations = Citations(sources)

    def _said(self, text: str, logprobs: tuple[LogProb, ...]) -> Iterator[ev.Event]:
        yield from super()._said(text, logprobs)
        for citation in self._citations.of(text):
            yield from self._cited(citation)


class ReasoningBlock(Block):
    """Raw reasoning as one content part, summaries as their own parts, provider state beside them."""

    prose = True

    def __init__(self, take_index: TakeIndex, new_id: NewId) -> None:
        self._index = take_index()
        self._id = new_id("rs", self._index)
        self._delta = ev.ReasoningDelta(item_id=self._id, output_index=self._index, content_index=0, delta="")
        self._content: list[str] = []
        self._raw_open = False
        self._summaries: dict[int, list[str]] = {}
        self._opaque: str | None = None

    def open(self) -> Iterator[ev.Event]:
        yield ev.OutputItemAdded(output_index=self._index, item=Reasoning(id=self._id, status="in_progress"))

    def feed(self, delta: d.Delta) -> Iterable[ev.Event]:
        match delta:
            case d.Reasoning(summary=None):
                return self._raw(delta.text)
            case d.Reasoning(summary=int(part)):
                return self._summary(part, delta.text)
            case d.Opaque():
                self._opaque = delta.data
                return ()
            case _:
                raise alien(delta, self)

    def _raw(self, text: str) -> tuple[ev.Event, ...]:
        if not text:
            return ()
        self._content.append(text)
        event = (ev.like(self._delta, text),) if self.heard else ()
        if self._raw_open:
            return event
        self._raw_open = True
        part = ReasoningText()
        added = ev.ContentPartAdded(item_id=self._id, output_index=self._index, content_index=0, part=part)
        return (added, *event)

    def _summary(self, part: int, text: str) -> Iterator[ev.Event]:
        if part not in self._summaries:
            if part != len(self._summaries):
                raise StreamViolation(f"The provider opened summary {part} before summary {len(self._summaries)}")
            if part >= MAX_ITEMS:
                raise StreamViolation(f"The provider opened more than {MAX_ITEMS:,} summaries of an item")
            self._summaries[part] = []
            yield ev.SummaryPartAdded(
                item_id=self._id, output_index=self._index, summary_index=part, part=SummaryText()
            )
        self._summaries[part].append(text)
        if text and self.heard:
            yield ev.SummaryTextDelta(item_id=self._id, output_index=self._index, summary_index=part, delta=text)

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        at = (self._id, self._index)
        summaries = [SummaryText(text="".join(chunks)) for chunks in self._summaries.values()]
        for i, part in enumerate(summaries):
            yield ev.SummaryTextDone(item_id=at[0], output_index=at[1], summary_index=i, text=part.text)
            yield ev.SummaryPartDone(item_id=at[0], output_index=at[1], summary_index=i, part=part)
        content: list[ReasoningText] = []
        if self._raw_open:
            content.append(ReasoningText(text="".join(self._content)))
            yield ev.ReasoningDone(item_id=at[0], output_index=at[1], content_index=0, text=content[0].text)
            yield ev.ContentPartDone(item_id=at[0], output_index=at[1], content_index=0, part=content[0])
        item = Reasoning(
            id=self._id,
            status=status,
            summary=summaries,
            content=content,
            encrypted_content=self._opaque,
        )
        yield ev.OutputItemDone(output_index=self._index, item=item)


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
        self._delta = ev.ArgumentsDelta(item_id=self._item.id, output_index=self._index, delta="")
        self._chunks: list[str] = []

    def open(self) -> Iterator[ev.Event]:
        yield ev.OutputItemAdded(output_index=self._index, item=self._item)

    def feed(self, delta: d.Delta) -> Iterable[ev.Event]:
        if not isinstance(delta, d.ToolCall):
            raise alien(delta, self)
        self._chunks.append(delta.arguments)
        return (ev.like(self._delta, delta.arguments),) if delta.arguments and self.heard else ()

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        arguments = "".join(self._chunks)
        status = "incomplete" if is_cut(arguments) else status
        if not arguments and status == "completed":
            arguments = "{}"
            if self.heard:
                yield ev.like(self._delta, arguments)
        yield ev.ArgumentsDone(item_id=self._item.id, output_index=self._index, arguments=arguments)
        item = self._item.model_copy(update={"arguments": arguments, "status": status})
        yield ev.OutputItemDone(output_index=self._index, item=item)


class WholeCallBlock(Block):
    """A call of this server's, a custom, client's or rejected one: buffered, and added when it is complete.

    One that needs an approval becomes a request for it, unless it was cut off: then nobody could make the call.
    """

    def __init__(
        self,
        take_index: TakeIndex,
        new_id: NewId,
        first: d.ToolCall,
        tool: OfferedTool | None,
        *,
        refusal: str | None = None,
        new_request_id: NewRequestId | None = None,
    ) -> None:
        self._take_index, self._new_id, self._new_request_id = take_index, new_id, new_request_id
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
        arguments = "".join(self._chunks)
        cut = status == "incomplete" or is_cut(arguments)
        item = self._item(index, arguments)
        if self._tool is not None and self._tool.kind == "client" and not cut:
            made = client_tools.call_item(self._tool, self._new_id("clc", index), item.call_id or "", arguments)
            if made is not None:
                yield ev.OutputItemAdded(output_index=index, item=made.model_copy(update={"status": "in_progress"}))
                yield ev.OutputItemDone(output_index=index, item=made)
                return
            self._refusal = "The arguments don't fit the tool's schema. Make the call again."
        if self._tool is not None and self._tool.needs_approval and isinstance(item, McpCall) and not cut:
            request = self._request(self._tool, item, index)
            yield ev.OutputItemAdded(output_index=index, item=request)
            yield ev.OutputItemDone(output_index=index, item=request)
            return
        if isinstance(item, ServerCall):
            yield from server_calls.begun(item, index, heard=self.heard)
        else:
            yield ev.OutputItemAdded(output_index=index, item=item)
        if cut:
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update={"status": "incomplete"}))
        elif self._refusal is not None:
            refused = {"status": "failed", "output": self._refusal}
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update=refused))
        elif isinstance(item, CustomToolCall):
            yield ev.OutputItemDone(output_index=index, item=item.model_copy(update={"status": "completed"}))

    def _item(self, index: int, arguments: str) -> CustomToolCall | ServerCall:
        call_id = self._first.call_id or self._new_id("call", index)
        if self._tool is not None and self._tool.kind == "custom":
            return CustomToolCall(
                id=self._new_id("ctc", index),
                call_id=call_id,
                name=self._tool.wire_name,
                namespace=self._tool.namespace,
                input=free_text(arguments),
                status="in_progress",
            )
        prefix = server_calls.PREFIX.get(self._tool.kind, "htc") if self._tool else "htc"
        return server_calls.new_call(self._tool, self._first.name, self._new_id(prefix, index), call_id, arguments)

    def _request(self, tool: OfferedTool, call: McpCall, index: int) -> McpApprovalRequest:
        item_id = self._new_id("mcpr", index)
        if self._new_request_id is not None:
            item_id = self._new_request_id(item_id, tool, call.arguments)
        return McpApprovalRequest(
            id=item_id,
            server_label=call.server_label,
            name=call.name,
            arguments=call.arguments,
            call_id=call.call_id,
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
            self._check(delta.item)
            self._item = self._ours(delta.item)

    def close(self, status: ItemStatus) -> Iterator[ev.Event]:
        """The provider's own word that the item failed or is incomplete stays; another status becomes `status`."""
        final = self._item.status if self._item.status in ("failed", "incomplete") else status
        yield ev.OutputItemDone(output_index=self._index, item=self._item.model_copy(update={"status": final}))

    def _check(self, item: ExtensionItem) -> None:
        """Whatever is known of what the item is, stays."""
        known, now = fields_of(self._item), fields_of(item)
        if changed := [name for name in _IDENTITY if known.get(name) not in (None, now.get(name))]:
            raise StreamViolation(f"The provider changed the {changed[0]} of an item")

    def _ours(self, item: ExtensionItem) -> ExtensionItem:
        return item.model_copy(update={"id": self._id})


_IDENTITY = ("type", "call_id", "name", "role")


def is_cut(arguments: str) -> bool:
    """Whether they are the beginning of an object, and no more: the provider cut them off, whatever it says."""
    if not arguments.lstrip().startswith("{"):
        return False
    try:
        from_json(arguments)
    except ValueError as error:  # which has no class or code that tells the end of the text from a mistake in it
        return str(error).startswith("EOF while parsing")
    return False


def free_text(arguments: str) -> str:
    """The text of a custom call. The model was offered the tool as a function with one string, `input`."""
    try:
        parsed = loads(arguments)
    except ValueError:
        return arguments
    text = parsed.get("input") if isinstance(parsed, dict) else None
    return text if isinstance(text, str) else arguments

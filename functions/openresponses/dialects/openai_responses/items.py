"""The output items of one Responses stream, each building its deltas from whatever a server sends of it.

Servers differ in what they send: deltas, a `done` event for the same, the finished item, or only the last. So each
piece is told once, when it first comes: a later event adds only what the earlier ones had not.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import ClassVar, get_args

from pydantic import JsonValue, TypeAdapter, ValidationError

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...core.room import MAX_ITEMS
from ...schema.base import JsonObject
from ...schema.content import Annotation
from ...schema.events import ToolProgress
from ...schema.items import ExtensionItem, Phase
from .._shared.json import count, objects, text
from .._shared.naming import CallIds, Naming
from .._shared.values import citation_of, logprobs_of


def extension_of(item: JsonObject) -> ExtensionItem:
    return ExtensionItem.model_validate({**item, "id": "", "status": text(item.get("status")) or "completed"})


def phase_of(item: JsonObject) -> Phase | None:
    match item.get("phase"):
        case "commentary":
            return "commentary"
        case "final_answer":
            return "final_answer"
        case _:
            return None


_PLACE: JsonObject = {"filename": "", "index": 0, "start_index": 0, "end_index": 0}
"""What a citation of a file has that some servers leave out."""


def annotation_of(value: JsonObject) -> Annotation | None:
    """As it came. None for one that is not as its type has to be."""
    if value.get("type") == "url_citation":
        return citation_of(value)
    for read in (value, _PLACE | value):
        with suppress(ValidationError):
            return _ANNOTATION.validate_python(read)
    return None


def arguments_of(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else text(value)


_ANNOTATION = TypeAdapter[Annotation](Annotation)
_PROGRESS = frozenset(get_args(ToolProgress.model_fields["type"].annotation))


@dataclass(slots=True)
class _Said:
    """A text that comes in pieces."""

    chunks: list[str] = field(default_factory=list[str])
    length: int = 0
    logprobs: bool = False
    annotations: set[str] = field(default_factory=set[str])

    def __str__(self) -> str:
        return "".join(self.chunks)

    def more(self, piece: str) -> str:
        self.chunks.append(piece)
        self.length += len(piece)
        return piece

    def rest(self, whole: str) -> str:
        """What of `whole` was not said. Nothing, where it goes on otherwise than what was."""
        goes_on = len(whole) > self.length and whole.startswith(str(self))
        return self.more(whole[self.length :]) if goes_on else ""


class OutputItem(ABC):
    """`feed` it the events about it, then `close` it once with the finished item. `about` are their types' starts."""

    about: ClassVar[tuple[str, ...]] = ()

    def __init__(self, key: str, item: JsonObject) -> None:
        self.key, self.type, self.done = key, text(item.get("type")), False

    def handles(self, kind: str) -> bool:
        return kind.startswith(self.about)

    def open(self) -> Iterator[d.Delta]:
        return iter(())

    @abstractmethod
    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]: ...

    @abstractmethod
    def close(self, item: JsonObject) -> Iterator[d.Delta]: ...


class MessageItem(OutputItem):
    """Each part is a block of its own. Text stays open: what closes it is the next block, or how the turn ends.

    Bedrock's mantle sends a message again and again, under new ids, each time with more of it. So a message that
    begins with all that the one `before` it says goes on with that one. While it may, its text is held back.
    https://github.com/NousResearch/hermes-agent/issues/41321, https://github.com/openai/codex/issues/29755
    """

    about = ("response.output_text", "response.refusal.", "response.content_part.")

    def __init__(self, key: str, item: JsonObject, before: "MessageItem | None" = None) -> None:
        super().__init__(key, item)
        self._parts = defaultdict[str, _Said](_Said)
        self._phase: Phase | None = phase_of(item)
        self._repeated, self._matched = str(before) if before else "", 0
        self._before = before if self._repeated else None
        self._held: list[d.Text | d.Annotation] = []
        self._keys: dict[str, str] = {}
        self._finished = set[str]()

    def __str__(self) -> str:
        return "".join(map(str, self._parts.values()))

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        part = count(event.get("content_index"))
        match kind:
            case "response.output_text.delta":
                yield from self._text(self._key(part), text(event.get("delta")), event)
            case "response.output_text.done":
                yield from self._text(self._key(part, event), None, event)
            case "response.output_text.annotation.added" | "response.output_text_annotation.added":
                yield from self._annotations(self._key(part), [event.get("annotation")])
            case "response.refusal.delta":
                yield from self._refusal(part, text(event.get("delta")), event)
            case "response.refusal.done":
                yield from self._refusal(part, None, event)
            case "response.content_part.done":
                yield from self._part(part, event.get("part"))
            case _:
                pass

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        self._phase = self._phase or phase_of(item)
        content = item.get("content")
        self._finished = set[str]()
        for index, part in enumerate(content if isinstance(content, list) else ()):
            yield from self._part(index, part)
        yield from self.let_go()

    def let_go(self) -> Iterator[d.Delta]:
        """What is held back of a message that is one of its own, though it began as the one before it."""
        held, before, self._held, self._before = self._held, self._before, [], None
        if before and str(before) == str(self):
            self._keys[self._last_part] = before.last_key
        elif before:
            yield from held

    def _key(self, index: int, whole: JsonValue = None) -> str:
        """The part's, unless its whole text was said under another index, as servers do that count otherwise in their
        events than in the finished item.
        """
        if len(self._parts) > MAX_ITEMS:
            raise StreamViolation(f"The provider sent a message of more than {MAX_ITEMS:,} parts")
        key, said = f"{self.key}.{index}", text(whole.get("text")) if isinstance(whole, dict) else ""
        if said and not self._parts[key].chunks:
            others = ((each, part) for each, part in self._parts.items() if each not in self._finished)
            same = (each for each, part in others if part.length == len(said) and str(part) == said)
            return next(same, key)
        return key

    def _part(self, index: int, part: JsonValue) -> Iterator[d.Delta]:
        match part:
            case {"type": "output_text" | "text"}:
                key = self._key(index, part)
                self._finished.add(key)
                yield from self._text(key, None, part)
                yield from self._annotations(key, objects(part.get("annotations")))
            case {"type": "refusal"}:
                yield from self._refusal(index, None, part)
            case _:
                pass

    def _text(self, key: str, delta: str | None, said: JsonObject) -> Iterator[d.Delta]:
        """A piece, or, where `delta` is None, the whole."""
        part = self._parts[key]
        piece = part.rest(text(said.get("text"))) if delta is None else part.more(delta)
        logprobs = () if delta is None and part.logprobs else logprobs_of(said.get("logprobs"))
        if piece or logprobs:
            part.logprobs = part.logprobs or bool(logprobs)
            yield from self._tell(d.Text(key, piece, logprobs, self._phase))

    def _tell(self, delta: d.Text | d.Annotation) -> Iterator[d.Delta]:
        if self._before is None:
            yield replace(delta, key=self._keys.get(str(delta.key), delta.key))
            return
        self._held.append(delta)
        if not isinstance(delta, d.Text):
            return
        same = self._repeated[self._matched : self._matched + len(delta.text)]
        self._matched += len(same)
        if not delta.text.startswith(same) or (len(same) < len(delta.text) and self._matched < len(self._repeated)):
            yield from self.let_go()
        elif len(same) < len(delta.text):
            key = str(delta.key)
            self._keys[key], self._before, self._held = self._before.last_key, None, []
            yield d.Text(self._keys[key], delta.text[len(same) :], (), self._phase)

    @property
    def last_key(self) -> str:
        """Where the message goes on, if it does."""
        return self._keys.get(self._last_part, self._last_part)

    @property
    def _last_part(self) -> str:
        return next(key for key, part in reversed(self._parts.items()) if part.chunks)

    def _refusal(self, index: int, delta: str | None, said: JsonObject) -> Iterator[d.Delta]:
        key = f"{self.key}.{index}.refusal"
        part = self._parts[key]
        if piece := part.rest(text(said.get("refusal"))) if delta is None else part.more(delta):
            yield d.Refusal(key, piece)

    def _annotations(self, key: str, annotations: list[JsonValue] | list[JsonObject]) -> Iterator[d.Delta]:
        """Each once, though it comes in an event, and with the part, and with the item."""
        told = self._parts[key].annotations
        for annotation in annotations:
            if not isinstance(annotation, dict) or (written := json.dumps(annotation, sort_keys=True)) in told:
                continue
            if read := annotation_of(annotation):
                told.add(written)
                yield from self._tell(d.Annotation(key, read))


class ReasoningItem(OutputItem):
    """Raw reasoning goes by two names of events: the standard's, and (vLLM, OpenAI's SDKs) `reasoning_text`.

    Its state is the whole item, which is what must come back. `keep_content`: its raw text too, for servers that
    encrypt nothing.
    """

    about = ("response.reasoning", "response.content_part.")

    def __init__(self, key: str, item: JsonObject, *, keep_content: bool) -> None:
        super().__init__(key, item)
        self._keep_content = keep_content
        self._raw = defaultdict[int, _Said](_Said)
        self._summaries: dict[int, tuple[int, _Said]] = {}

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        part, index = count(event.get("content_index")), count(event.get("summary_index"))
        match kind:
            case "response.reasoning_text.delta" | "response.reasoning.delta":
                yield from self._think(self._raw[part].more(text(event.get("delta"))))
            case "response.reasoning_text.done" | "response.reasoning.done":
                yield from self._think(self._raw[part].rest(text(event.get("text"))))
            case "response.reasoning_summary_part.added":
                yield from self._summary(index, "")
            case "response.reasoning_summary_text.delta":
                yield from self._summary(index, text(event.get("delta")))
            case "response.reasoning_summary_text.done":
                yield from self._summary(index, None, event)
            case "response.reasoning_summary_part.done":
                yield from self._summary(index, None, event.get("part"))
            case "response.content_part.done":
                yield from self._part(part, event.get("part"))
            case _:
                pass

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        for index, part in enumerate(objects(item.get("summary"))):
            yield from self._summary(index, None, part)
        for index, part in enumerate(objects(item.get("content"))):
            yield from self._part(index, part)
        if state := self._state(item):
            yield d.Opaque(self.key, state)

    def _think(self, piece: str) -> Iterator[d.Delta]:
        if piece:
            yield d.Reasoning(self.key, piece)

    def _part(self, index: int, part: JsonValue) -> Iterator[d.Delta]:
        if isinstance(part, dict):
            yield from self._think(self._raw[index].rest(text(part.get("text"))))

    def _summary(self, index: int, delta: str | None, said: JsonValue = None) -> Iterator[d.Delta]:
        number, part = self._summaries.get(index, (len(self._summaries), _Said()))
        whole = text(said.get("text")) if isinstance(said, dict) else ""
        piece = part.rest(whole) if delta is None else part.more(delta)
        if piece or index not in self._summaries:
            self._summaries[index] = number, part
            yield d.Reasoning(self.key, piece, summary=number)

    def _state(self, item: JsonObject) -> str:
        dropped = ("type", "status") if self._keep_content else ("type", "status", "content")
        state = {name: value for name, value in item.items() if name not in dropped and value is not None}
        return json.dumps(state) if state.get("encrypted_content") or state.get("content") else ""


class CallItem(OutputItem):
    """A function call, or a custom one, whose input the core wants as a function's one argument.

    A `namespace` is not of our making, since we send none: it is state, which OpenAI gives with the call of a function
    that its own search found.
    """

    about = ("response.function_call_arguments.", "response.custom_tool_call_input.")

    def __init__(self, key: str, item: JsonObject, *, names: Naming, call_ids: CallIds) -> None:
        super().__init__(key, item)
        self._names, self._call_ids = names, call_ids
        self._item, self._opened = item, False
        self._said = _Said()
        self.cut = False

    def open(self) -> Iterator[d.Delta]:
        """As soon as it has a name."""
        name = text(self._item.get("name"))
        if name and not self._opened:
            self._opened = True
            call_id = self._call_ids.take(text(self._item.get("call_id")))
            if call_id and (namespace := text(self._item.get("namespace"))):
                state = {"type": "function_call", "call_id": call_id, "namespace": namespace}
                yield d.Opaque(f"{self.key}.state", json.dumps(state))
            yield d.ToolCall(self.key, call_id=call_id, name=self._names.ours(name))
            if self._said.chunks and self.type != "custom_tool_call":
                yield d.ToolCall(self.key, "".join(self._said.chunks))

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        if kind.endswith(".delta"):
            yield from self._more(self._said.more(text(event.get("delta"))))
        elif kind.endswith(".done"):
            yield from self._more(self._said.rest(arguments_of(event.get("arguments"))))

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        self._item, self.type = {**self._item, **item}, text(item.get("type")) or self.type
        yield from self.open()
        if not self._opened:
            raise StreamViolation("The provider sent a tool call without a name")
        if self.type == "custom_tool_call":
            self._said.rest(text(item.get("input")))
            arguments = json.dumps({"input": "".join(self._said.chunks)}, ensure_ascii=False)
            yield d.ToolCall(self.key, arguments)
        else:
            yield from self._more(self._said.rest(arguments_of(item.get("arguments"))))
        self.cut = item.get("status") == "incomplete"
        if not self.cut:
            yield d.End(self.key)

    def _more(self, piece: str) -> Iterator[d.Delta]:
        if piece and self._opened and self.type != "custom_tool_call":
            yield d.ToolCall(self.key, piece)


class UpstreamItem(OutputItem):
    """A tool that the provider runs itself, with its own events; another implementor's item; or one of a type that is
    newer than this code.
    """

    def __init__(self, key: str, item: JsonObject) -> None:
        super().__init__(key, item)
        self._item = item

    def handles(self, kind: str) -> bool:
        return kind in _PROGRESS and kind.startswith((f"response.{self.type}.", f"response.{self.type}_"))

    def open(self) -> Iterator[d.Delta]:
        yield d.Progress(self.key, extension_of(self._item))

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        ours: JsonObject = {"type": kind, "item_id": "", "output_index": 0, "sequence_number": -1}
        said = {name: value for name, value in event.items() if name != "obfuscation"}
        yield d.Progress(self.key, event=ToolProgress.model_validate(said | ours))

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        yield d.Progress(self.key, extension_of(item))
        yield d.End(self.key)


class CompactionItem(OutputItem):
    """What the provider made of the conversation so far: state that only it can read."""

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        return iter(())

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        if state := text(item.get("encrypted_content")):
            yield d.Opaque(self.key, json.dumps({"type": "compaction", "encrypted_content": state}))


class OtherItem(OutputItem):
    """What only clients send, or another server like this one runs: it has no place in a response."""

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        return iter(())

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        return iter(())

"""The output items of one Responses stream, each building its deltas from what a server sends of it. Messages have a
module of their own.

Servers differ in what they send: deltas, a `done` event for the same, the finished item, or only the last. So each
piece is told once, when it first comes: a later event adds only what the earlier ones had not.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, get_args

from pydantic import JsonValue

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...schema.base import JsonObject
from ...schema.events import ToolProgress
from ...schema.items import ExtensionItem
from .._shared.json import count, objects, text
from .._shared.naming import CallIds, Naming


def _extension_of(item: JsonObject) -> ExtensionItem:
    return ExtensionItem.model_validate({**item, "id": "", "status": text(item.get("status")) or "completed"})


def _arguments_of(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else text(value)


_PROGRESS = frozenset(get_args(ToolProgress.model_fields["type"].annotation))


@dataclass(slots=True)
class GrowingText:
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


class ReasoningItem(OutputItem):
    """Raw reasoning goes by two names of events: the standard's, and (vLLM, OpenAI's SDKs) `reasoning_text`.

    Its state is the whole item, which is what must come back. `keep_content`: its raw text too, for servers that
    encrypt nothing.
    """

    about = ("response.reasoning", "response.content_part.")

    def __init__(self, key: str, item: JsonObject, *, keep_content: bool) -> None:
        super().__init__(key, item)
        self._keep_content = keep_content
        self._raw = defaultdict[int, GrowingText](GrowingText)
        self._summaries: dict[int, tuple[int, GrowingText]] = {}

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
        number, part = self._summaries.get(index, (len(self._summaries), GrowingText()))
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
        self._said = GrowingText()
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
            yield from self._more(self._said.rest(_arguments_of(event.get("arguments"))))

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
            yield from self._more(self._said.rest(_arguments_of(item.get("arguments"))))
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
        yield d.Progress(self.key, _extension_of(self._item))

    def feed(self, kind: str, event: JsonObject) -> Iterator[d.Delta]:
        ours: JsonObject = {"type": kind, "item_id": "", "output_index": 0, "sequence_number": -1}
        said = {name: value for name, value in event.items() if name != "obfuscation"}
        yield d.Progress(self.key, event=ToolProgress.model_validate(said | ours))

    def close(self, item: JsonObject) -> Iterator[d.Delta]:
        yield d.Progress(self.key, _extension_of(item))
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

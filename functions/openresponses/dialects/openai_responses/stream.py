"""Events of a Responses stream to deltas. Pure.

Sources: the Open Responses specification, "Streaming"; OpenAI's API reference, "Streaming events"; vLLM, Ollama,
LM Studio and OpenRouter for what they leave out. Values of an unexpected type are passed over.
"""

from collections.abc import Iterator

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...core.room import MAX_ITEMS
from ...schema.base import SLUG, JsonObject
from ...schema.items import STANDARD
from ...schema.response import Usage
from .._shared.events import Decoder
from .._shared.json import count, fields, objects, text
from .._shared.naming import CallIds, Naming, tool_names
from .._shared.values import usage
from .items import CallItem, CompactionItem, OtherItem, OutputItem, ReasoningItem, UpstreamItem
from .message_item import MessageItem

_IMPLIED = (
    ("response.output_text", "message"),
    ("response.refusal.", "message"),
    ("response.reasoning", "reasoning"),
    ("response.function_call_arguments.", "function_call"),
    ("response.custom_tool_call_input.", "custom_tool_call"),
)
"""The item that an event without one must be about."""


class ResponsesDecoder(Decoder):
    """Finds the item that an event is about: by its id, else by its index, since some servers change an item's id
    between its events, or have none; else it is the last that it can be about.

    `names` are those of the offered tools. The turn ends with `response.completed` or
    `response.incomplete`: a stream without them has no `Finish`, whether or not there is a `[DONE]`.
    """

    def __init__(self, names: Naming | None = None, *, keep_content: bool = False) -> None:
        self._names, self._keep_content = names or tool_names(()), keep_content
        self._items: list[OutputItem] = []
        self._by_id: dict[str, OutputItem] = {}
        self._by_index: dict[int, OutputItem] = {}
        self._call_ids = CallIds()
        self._calls: set[d.Key] = set()
        self._told: set[d.Key] = set()
        self._speaking: d.Key | None = None
        self._first_summary: int | None = None

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        """What is said of a block of prose that another block has closed opens a new one, under the same key."""
        for delta in self._read(event):
            match delta:
                case d.Annotation() if delta.key in self._told and delta.key != self._speaking:
                    continue  # its text is closed already: it can't be cited any more
                case d.Annotation() | d.Text() | d.Refusal() | d.Reasoning() | d.Opaque():
                    yield self._prose(delta)
                    continue
                case d.ToolCall() | d.Progress() if delta.key not in self._calls:
                    self._calls.add(delta.key)
                    self._speaking = None
                case _:
                    pass
            yield delta

    def _prose(self, delta: d.Annotation | d.Text | d.Refusal | d.Reasoning | d.Opaque) -> d.Delta:
        """A block numbers its summaries from 0, even one that goes on where another had to end."""
        opens = delta.key != self._speaking
        self._speaking = delta.key
        self._told.add(delta.key)
        if not isinstance(delta, d.Reasoning) or delta.summary is None:
            self._first_summary = None if opens else self._first_summary
            return delta
        self._first_summary = delta.summary if opens or self._first_summary is None else self._first_summary
        return d.Reasoning(delta.key, delta.text, max(0, delta.summary - self._first_summary))

    def _read(self, event: JsonObject) -> Iterator[d.Delta]:
        match text(event.get("type")):
            case "response.completed" | "response.incomplete" as kind:
                yield from self._end(fields(event.get("response")), cut=kind == "response.incomplete")
            case "response.output_item.added":
                value = fields(event.get("item"))
                if text(value.get("id")) not in self._by_id:
                    yield from self._new(value, event).open()
            case "response.output_item.done":
                value = fields(event.get("item"))
                yield from self._close(self._finished(value, event), value, event)
            case kind:
                item = self._about(kind, event)
                if item and not item.done:
                    yield from item.feed(kind, event)

    def _close(self, item: OutputItem | None, value: JsonObject, event: JsonObject) -> Iterator[d.Delta]:
        if item is None:
            item = self._new(value, event)
            yield from item.open()
        if not item.done:
            item.done = True
            yield from item.close(value)

    def _end(self, response: JsonObject, *, cut: bool) -> Iterator[d.Delta]:
        """Some servers send an item, or all, only here."""
        known = dict.fromkeys(self._items)
        for value in objects(response.get("output")):
            same = self._by_id.get(text(value.get("id")))
            item = same or next((each for each in known if each.type == value.get("type")), None)
            if item:
                known.pop(item, None)
            yield from self._close(item, value, {})
        for item in self._items:
            if isinstance(item, MessageItem):
                yield from item.let_go()
        if objects(response.get("output")) and all(isinstance(item, OtherItem) for item in self._items):
            raise StreamViolation("The provider answered with nothing but items that have no place in an answer")
        if used := fields(response.get("usage")):
            yield d.Usage(usage_of(used), text(response.get("service_tier")))
        self.over = True
        reason = text(fields(response.get("incomplete_details")).get("reason"))
        cut = cut or bool(reason) or any(isinstance(item, CallItem) and item.cut for item in self._items)
        yield d.Finish("content_filter" if reason == "content_filter" else "length" if cut else "stop")

    def _finished(self, value: JsonObject, event: JsonObject) -> OutputItem | None:
        """The known item that this is. One that is done is another's, where some servers number all items 0."""
        if same := self._by_id.get(text(value.get("id"))):
            return same
        index = event.get("output_index")
        if not isinstance(index, int):
            return next((each for each in self._items if each.type == value.get("type") and not each.done), None)
        found = self._by_index.get(index)
        return found if found and found.type == value.get("type") and not found.done else None

    def _about(self, kind: str, event: JsonObject) -> OutputItem | None:
        item_id, index = text(event.get("item_id")), event.get("output_index")
        found = self._by_id.get(item_id) or (self._by_index.get(index) if isinstance(index, int) else None)
        if found and found.handles(kind):
            return found
        last = self._items[-1] if self._items else None
        if last and (found or not isinstance(index, int)) and last.handles(kind) and not last.done:
            return last
        implied = next((type_ for start, type_ in _IMPLIED if kind.startswith(start)), None)
        return self._new({"type": implied, "id": item_id}, event) if implied else None

    def _new(self, value: JsonObject, event: JsonObject) -> OutputItem:
        if len(self._items) >= MAX_ITEMS:
            raise StreamViolation(f"The provider's turn has more than {MAX_ITEMS:,} items")
        item = self._item(f"item{len(self._items)}", value)
        self._items.append(item)
        if item_id := text(value.get("id")):
            self._by_id[item_id] = item
        if isinstance(index := event.get("output_index"), int):
            self._by_index[index] = item
        return item

    def _item(self, key: str, value: JsonObject) -> OutputItem:
        match text(value.get("type")):
            case "message":
                return MessageItem(key, value, self._message_before())
            case "reasoning":
                return ReasoningItem(key, value, keep_content=self._keep_content)
            case "function_call" | "custom_tool_call":
                return CallItem(key, value, names=self._names, call_ids=self._call_ids)
            case "compaction":
                return CompactionItem(key, value)
            case kind if not kind or kind in STANDARD - {"tool_search_output"} or kind.startswith(f"{SLUG}:"):
                return OtherItem(key, value)
            case _:
                return UpstreamItem(key, value)

    def _message_before(self) -> MessageItem | None:
        """The last message, if only reasoning came after it."""
        for item in reversed(self._items):
            if isinstance(item, MessageItem):
                return item
            if not isinstance(item, ReasoningItem):
                return None
        return None


def usage_of(used: JsonObject) -> Usage:
    given = fields(used.get("input_tokens_details"))
    return usage(
        count(used.get("input_tokens")),
        count(used.get("output_tokens")),
        cached=given.get("cached_tokens"),
        written=given.get("cache_write_tokens"),
        reasoned=fields(used.get("output_tokens_details")).get("reasoning_tokens"),
        total=used.get("total_tokens"),
    )

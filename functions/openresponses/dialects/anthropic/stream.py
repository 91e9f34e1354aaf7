"""Events of the Messages API to deltas. Pure.

Sources: "Streaming messages", "Stop reasons" and "Citations" at platform.claude.com/docs. Events and fields that aren't
known are passed over: the API's versioning policy announces new ones. A block of any other type is an item, kept to go
back as it came.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import JsonValue

from ...core import deltas as d
from ...core.errors import ProviderUnavailable, StreamViolation
from ...core.run import SERVER_KINDS, OfferedTool
from ...schema.base import JsonObject
from ...schema.content import FileCitation, UrlCitation
from ...schema.items import ExtensionItem
from ...schema.response import Usage
from .._shared.events import Decoder
from .._shared.json import count, fields, loads, objects, text
from .._shared.naming import MAX_CALL_ID, CallIds
from .._shared.values import document_citation, usage, web_citation
from .messages import ANTHROPIC, made_together, tool_names
from .thinking import opaque_of

_LENGTH = ("max_tokens", "model_context_window_exceeded", "pause_turn")
"""`pause_turn`: a tool of the provider's needs another request, so this turn is not whole."""


@dataclass(slots=True)
class _Block:
    """One content block in the making. `index` is its place in the message, `start` its text's in our message."""

    kind: str
    key: str
    index: int
    start: int = 0
    text: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    cited: list[JsonObject] = field(default_factory=list[JsonObject])
    whole: JsonObject = field(default_factory=dict[str, JsonValue])
    grown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


class AnthropicDecoder(Decoder):
    """`tools` are those that were offered; `summarised`: the thinking is shown as a summary, as Claude's is."""

    def __init__(self, tools: Sequence[OfferedTool] = (), *, summarised: bool = True) -> None:
        self._names = tool_names(tools)
        self._of_client = {tool.name for tool in tools if tool.kind not in SERVER_KINDS}
        self._summary = 0 if summarised else None
        self._blocks: dict[int, _Block] = {}
        self._begun: set[int] = set()
        self._said = 0
        self._calls_made: list[str] = []
        self._text: str | None = None
        self._ids = CallIds(MAX_CALL_ID - 1)  # which leaves room for the mark of `made_together`
        self._answered_here = False
        self._reason, self._why = "", ""
        self._used: JsonObject = {}

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        match event.get("type"):
            case "message_start":
                yield from self._begin(fields(event.get("message")))
            case "content_block_start":
                yield from self._start(fields(event.get("content_block")), count(event.get("index")))
            case "content_block_delta":
                yield from self._delta(fields(event.get("delta")), count(event.get("index")))
            case "content_block_stop":
                yield from self._stop(count(event.get("index")))
            case "message_delta":
                delta = fields(event.get("delta"))
                self._reason = text(delta.get("stop_reason")) or self._reason
                self._why = text(fields(delta.get("stop_details")).get("explanation")) or self._why
                yield from self._usage(fields(event.get("usage")))
            case "message_stop":
                self.over = True
            case _:
                pass

    def end(self) -> Iterator[d.Delta]:
        if not (self.over or self._reason):
            raise ProviderUnavailable("The provider's stream ended before its turn did")
        if self._reason == "refusal":
            if self._why and self._text is None:
                yield d.Refusal("refusal", self._why)
            yield d.Finish("content_filter")
        else:
            yield d.Finish("length" if self._reason in _LENGTH else "stop")

    def _begin(self, message: JsonObject) -> Iterator[d.Delta]:
        """A message that begins again is another answer, as a gateway sends that asked anew. It takes the place of one
        that had said nothing; two that are mixed are no answer."""
        if self._begun:
            raise StreamViolation("The provider began another answer before its first one ended")
        self._used = {}
        yield from self._usage(fields(message.get("usage")))

    def _start(self, block: JsonObject, index: int) -> Iterator[d.Delta]:
        """A call is ended when another block begins, not when it stops: one that stops last may have been cut."""
        if index in self._begun:
            raise StreamViolation("The provider began a block of its answer twice")
        while self._calls_made:
            yield d.End(self._calls_made.pop(0))
        kind = text(block.get("type"))
        self._begun.add(index)
        made = self._blocks[index] = _Block(kind, f"{kind}_{len(self._begun)}", index)
        if kind != "text":
            self._text = None
        match kind:
            case "text":
                self._said = self._said if self._text else 0
                made.key, made.start = self._text or made.key, self._said
                made.cited = objects(block.get("citations"))
                yield from self._say(made, text(block.get("text")))
            case "thinking":
                made.signature.append(text(block.get("signature")))
                yield from self._think(made, text(block.get("thinking")))
            case "redacted_thinking":
                if data := text(block.get("data")):
                    yield d.Opaque(made.key, opaque_of({"type": kind, "data": data}, index))
            case "tool_use":
                made.whole = fields(block.get("input"))
                yield self._call(made.key, text(block.get("id")), text(block.get("name")))
            case _:
                made.whole = block

    def _delta(self, delta: JsonObject, index: int) -> Iterator[d.Delta]:
        match self._blocks.get(index), delta.get("type"):
            case _Block(kind="text") as block, "text_delta":
                yield from self._say(block, text(delta.get("text")))
            case _Block(kind="text") as block, "citations_delta":
                block.cited.append(fields(delta.get("citation")))
            case _Block(kind="thinking") as block, "thinking_delta":
                yield from self._think(block, text(delta.get("thinking")))
            case _Block(kind="thinking") as block, "signature_delta":
                block.signature.append(text(delta.get("signature")))
            case _Block(kind="tool_use") as block, "input_json_delta":
                if piece := text(delta.get("partial_json")):
                    block.text.append(piece)
                    yield d.ToolCall(block.key, piece)
            case _Block(kind="text" | "thinking" | "redacted_thinking" | "tool_use"), _:
                pass
            case _Block() as block, "input_json_delta":
                block.text.append(text(delta.get("partial_json")))
            case _Block() as block, _:
                _grow(block, delta)
            case None, _:
                raise StreamViolation("The provider sent a part of a block that is not open")

    def _stop(self, index: int) -> Iterator[d.Delta]:
        match self._blocks.pop(index, None):
            case _Block(kind="thinking") as block:
                signature, thinking = "".join(block.signature), "".join(block.text)
                if signature or thinking:
                    whole: JsonObject = {"type": "thinking", "thinking": thinking, "signature": signature}
                    yield d.Opaque(block.key, opaque_of(whole, block.index))
            case _Block(kind="tool_use") as block:
                if block.whole and not block.text:
                    yield d.ToolCall(block.key, json.dumps(block.whole, ensure_ascii=False))
                self._calls_made.append(block.key)
            case _Block(kind="text") as block:
                for each in block.cited:
                    if citation := _citation(each, block.start, self._said):
                        self._text = block.key
                        yield d.Annotation(block.key, citation)
            case None | _Block(kind="redacted_thinking"):
                pass
            case block:
                yield d.Whole(_kept(block))

    def _say(self, block: _Block, words: str) -> Iterator[d.Delta]:
        """Cited text comes in many blocks, one behind the other: they are one message."""
        if words:
            self._text = block.key
            self._said += len(words)
            yield d.Text(block.key, words)

    def _think(self, block: _Block, words: str) -> Iterator[d.Delta]:
        if words:
            block.text.append(words)
            yield d.Reasoning(block.key, words, self._summary)

    def _call(self, key: str, call_id: str, name: str) -> d.ToolCall:
        if not name:
            raise StreamViolation("The provider sent a tool call without a name")
        name, call_id = self._names.ours(name), self._ids.take(call_id)
        call_id = made_together(call_id) if self._answered_here else call_id
        self._answered_here = self._answered_here or name not in self._of_client
        return d.ToolCall(key, "", call_id, name)

    def _usage(self, used: JsonObject) -> Iterator[d.Delta]:
        """Counts are cumulative; an event tells those that it knows."""
        if told := {name: value for name, value in used.items() if value is not None}:
            self._used |= told
            yield d.Usage(_usage(self._used))


def _grow(block: _Block, delta: JsonObject) -> None:
    """Add a delta's fields to a block of a type that has no rules here: strings grow, all else is replaced."""
    for name, value in delta.items():
        before = block.whole.get(name)
        if name == "type" or value is None:
            continue
        if isinstance(before, str) and isinstance(value, str):
            block.grown.setdefault(name, [before]).append(value)
        else:
            block.whole[name] = value
            block.grown.pop(name, None)


def _kept(block: _Block) -> ExtensionItem:
    """A block of a tool that the provider ran, or of another type, kept to go back as it came: what it says is what
    later turns know."""
    whole = {**block.whole, **{name: "".join(pieces) for name, pieces in block.grown.items()}}
    if arguments := "".join(block.text):
        with suppress(ValueError):
            whole["input"] = loads(arguments)
    item = {"type": f"{ANTHROPIC}{block.kind}", "block": whole, "index": block.index}
    return ExtensionItem.model_validate(item)


def _citation(cited: JsonObject, start: int, end: int) -> UrlCitation | FileCitation | None:
    """Of a page or a search result that has an address, or else of a document."""
    url, title = text(cited.get("url")) or text(cited.get("source")), cited.get("title") or cited.get("document_title")
    document = text(cited.get("file_id")) or url
    return web_citation(url, title, start, end) or document_citation(document, title, end)


def _usage(used: JsonObject) -> Usage:
    """ "Total input tokens in a request is the summation of" three counts (API reference, `usage`)."""
    cached = count(used.get("cache_read_input_tokens"))
    written = count(used.get("cache_creation_input_tokens"))
    prompt = count(used.get("input_tokens")) + written + cached
    said = count(used.get("output_tokens"))
    thought = fields(used.get("output_tokens_details")).get("thinking_tokens")
    return usage(prompt, said, cached=cached, written=written, reasoned=thought)

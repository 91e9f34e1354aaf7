"""ConverseStream's events to deltas. Pure.

Source: the API reference of Amazon Bedrock, `ConverseStreamOutput`. Events and deltas that are unknown are passed
over, but for images, which no item can hold. `p` is padding.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from importlib import import_module
from struct import error as StructError  # noqa: N812
from typing import Any, TypeAlias
from zlib import crc32

from pydantic import JsonValue

from ...core import deltas as d
from ...core.errors import ProviderUnavailable, StreamViolation
from ...schema.base import JsonObject
from ...schema.content import FileCitation, UrlCitation
from ...schema.items import ExtensionItem
from ...schema.response import Usage
from ...transport.errors import EventTooLong
from ...transport.sse import MAX_EVENT_BYTES
from .._shared.events import Decoder, Objects, object_of
from .._shared.json import count, dumps, fields, loads, objects, text
from .._shared.naming import CallIds, Naming, tool_names
from .._shared.think_tags import ThinkSplitter
from .._shared.values import document_citation, usage, web_citation
from .messages import BEDROCK
from .thinking import kept


async def events_of(chunks: AsyncIterator[bytes]) -> Objects:
    """Raises StreamViolation for bytes that are no such stream, and EventTooLong."""
    module = await asyncio.to_thread(import_module, "botocore.eventstream")
    buffer: Any = module.EventStreamBuffer()
    async with aclosing(_messages(chunks)) as messages:
        async for message in messages:
            try:
                buffer.add_data(message)
                read = next(buffer)
                event = _event(read.headers, read.payload)
            except (module.ParserError, StructError, KeyError, UnicodeDecodeError):
                raise _no_stream() from None
            yield event


async def _messages(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Each message, whole: the buffer would copy what it has with each chunk. A message begins with its length, the
    length of its headers, and the checksum of both ("Event stream encoding", Amazon Transcribe)."""
    held, begun = bytearray(), 0
    async for chunk in chunks:
        held += chunk
        while len(held) - begun >= _LEAST:
            length, checked = int.from_bytes(held[begun : begun + 4]), int.from_bytes(held[begun + 8 : begun + 12])
            if length < _LEAST or crc32(held[begun : begun + 8]) != checked:
                raise _no_stream()
            if length > MAX_EVENT_BYTES:
                raise EventTooLong(MAX_EVENT_BYTES)
            if len(held) - begun < length:
                break
            yield bytes(held[begun : begun + length])
            begun += length
        del held[:begun]
        begun = 0


_LEAST = 16
"""Bytes of a message without headers and payload."""


def _no_stream() -> StreamViolation:
    return StreamViolation("The provider sent something that is not its event stream")


async def events_of_whole(chunks: AsyncIterator[bytes]) -> Objects:
    """Converse's answer, which comes at once, as ConverseStream's events. Raises StreamViolation for anything else."""
    answer = object_of(b"".join([chunk async for chunk in chunks]))
    yield {"messageStart": {"role": "assistant"}}
    content = objects(fields(fields(answer.get("output")).get("message")).get("content"))
    for index, block in enumerate(content):
        at: JsonObject = {"contentBlockIndex": index}
        for event in _block_events(block):
            ((name, value),) = event.items()
            yield {name: {**at, **fields(value)}}
        yield {"contentBlockStop": at}
    if reason := text(answer.get("stopReason")):
        yield {"messageStop": {"stopReason": reason}}
    yield {"metadata": {"usage": answer.get("usage")}}


def _block_events(block: JsonObject) -> Iterator[JsonObject]:
    match block:
        case {"toolUse": dict(call)}:
            yield {"contentBlockStart": {"start": {"toolUse": call}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": call.get("input")}}}}
        case {"reasoningContent": {"reasoningText": dict(thought)}}:
            for name, value in thought.items():
                yield {"contentBlockDelta": {"delta": {"reasoningContent": {name: value}}}}
        case {"image": _}:
            yield {"contentBlockStart": {"start": block}}
        case {"citationsContent": dict(cited)}:
            for citation in objects(cited.get("citations")):
                yield {"contentBlockDelta": {"delta": {"citation": citation}}}
            for said in objects(cited.get("content")):
                yield {"contentBlockDelta": {"delta": said}}
        case _:
            yield {"contentBlockDelta": {"delta": block}}


def _event(headers: dict[str, Any], payload: bytes) -> JsonObject:
    """A message is an event or an exception, by name, or an `error` that is described in its headers alone."""
    kind = headers.get(":message-type")
    if kind == "error":
        return {
            "error": {"code": str(headers.get(":error-code", "")), "message": str(headers.get(":error-message", ""))}
        }
    name = headers.get(":exception-type" if kind == "exception" else ":event-type")
    try:
        value = fields(loads(payload or b"{}"))
    except ValueError:
        raise StreamViolation("The provider sent an event that is not JSON") from None
    return {str(name): value}


_REASONS: dict[str, d.FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
}
_FAILED = ("malformed_model_output", "malformed_tool_use")
_TEXT = "text"
Index: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was sent says how the reply is read: `answer` is the tool that the model answers with, if any."""

    names: Naming = field(default_factory=lambda: tool_names(()))
    answer: str = ""
    summarised: bool = False
    plain_reasoning: bool = False
    think_tags: bool = False


@dataclass(slots=True)
class _Thought:
    text: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    redacted: list[str] = field(default_factory=list[str])

    def state(self, *, plain: bool) -> str | None:
        """None for reasoning without a signature, but for models that take it so (`plain`)."""
        if self.redacted:
            try:
                data = b"".join(base64.b64decode(each, validate=True) for each in self.redacted)
            except ValueError:
                raise StreamViolation("The provider sent encrypted reasoning that is not base64") from None
            return kept({"redactedContent": base64.b64encode(data).decode()})
        said: JsonObject = {"text": "".join(self.text)}
        if signature := "".join(self.signature):
            return kept({"reasoningText": {**said, "signature": signature}})
        return kept({"reasoningText": said}) if plain and self.text else None


@dataclass(slots=True)
class _Foreign:
    """A block of a tool that the provider ran, in the making. It is kept to go back as it came."""

    kind: str
    block: JsonObject
    arguments: list[str] = field(default_factory=list[str])
    content: list[JsonValue] = field(default_factory=list[JsonValue])

    def feed(self, delta: JsonObject) -> None:
        self.arguments.append(text(fields(delta.get("toolUse")).get("input")))
        self.content += objects(delta.get("toolResult"))

    def item(self) -> ExtensionItem:
        if self.kind == "toolResult":
            self.block["content"] = self.content
        if arguments := "".join(self.arguments):
            with suppress(ValueError):
                self.block["input"] = loads(arguments)
        return ExtensionItem.model_validate({"type": f"{BEDROCK}{self.kind}", "block": self.block})


class BedrockDecoder(Decoder):
    """Blocks are told apart by their index. Text blocks that follow one another are one message: a cited passage is
    a block of its own, and its citations come before it. The usage comes after the stop reason, so `Finish` waits for
    it, or for the end of the stream."""

    def __init__(self, reading: Reading | None = None) -> None:
        self._reading = reading or Reading()
        self._think = ThinkSplitter(opened=False) if self._reading.think_tags else None
        self._thoughts: dict[Index, _Thought] = {}
        self._calls: set[Index] = set()
        self._ids = CallIds()
        self._complete: list[Index] = []
        self._answers: set[Index] = set()
        self._foreign: dict[Index, _Foreign] = {}
        self._begun: set[Index] = set()
        self._ended: set[Index] = set()
        self._starts: dict[Index, int] = {}
        self._citations: dict[Index, list[JsonObject]] = {}
        self._length = 0
        self._stop = ""
        self._measured = False

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        for name, value in event.items():
            body = fields(value)
            index = count(body.get("contentBlockIndex"))
            if name in ("contentBlockStart", "contentBlockDelta"):
                yield from self._end_calls()
            match name:
                case "messageStart" if self._begun:
                    raise StreamViolation("The provider began another answer before its first one ended")
                case "contentBlockStart" if index in self._begun:
                    raise StreamViolation("The provider began a block of its answer twice")
                case "contentBlockDelta" if index in self._ended:
                    raise StreamViolation("The provider sent a part of a block that it had ended")
                case "contentBlockStart":
                    self._begun.add(index)
                    yield from self._begin(index, fields(body.get("start")))
                case "contentBlockDelta":
                    self._begun.add(index)
                    yield from self._delta(index, fields(body.get("delta")))
                case "contentBlockStop":
                    yield from self._close(index)
                case "messageStop":
                    self._stop = text(body.get("stopReason")) or "end_turn"
                case "metadata":
                    self._measured = True
                    yield d.Usage(_usage(fields(body.get("usage"))))
                case _:
                    pass
        self.over = bool(self._stop) and self._measured

    def end(self) -> Iterator[d.Delta]:
        if not self._stop:
            raise ProviderUnavailable("The provider's stream ended before its turn did")
        if self._stop in _FAILED:
            raise ProviderUnavailable("The provider gave up on its answer")
        yield from self._flush()
        yield d.Finish(_REASONS.get(self._stop, "stop"))

    def _begin(self, index: Index, start: JsonObject) -> Iterator[d.Delta]:
        call = fields(start.get("toolUse"))
        if "toolResult" in start:
            self._foreign[index] = _Foreign("toolResult", {**fields(start.get("toolResult")), "content": []})
        elif call.get("type") == "server_tool_use":
            self._foreign[index] = _Foreign("toolUse", {**call, "input": {}})
        elif "image" in start:
            raise StreamViolation("The provider sent an image, which no answer here can hold")
        elif call:
            yield from self._flush()
            self._length = 0
            sent = text(call.get("name"))
            if not sent:
                raise StreamViolation("The provider sent a tool call without a name")
            if sent == self._reading.answer:
                self._answers.add(index)
            else:
                self._calls.add(index)
                call_id = self._ids.take(text(call.get("toolUseId")))
                name = self._reading.names.ours(sent)
                yield d.ToolCall(f"call_{index}", call_id=call_id, name=name)

    def _end_calls(self) -> Iterator[d.Delta]:
        """Another block goes on, so those that ended are complete."""
        while self._complete:
            yield d.End(f"call_{self._complete.pop()}")

    def _delta(self, index: Index, delta: JsonObject) -> Iterator[d.Delta]:
        if foreign := self._foreign.get(index):
            foreign.feed(delta)
            return
        for kind, value in delta.items():
            match kind, value:
                case "text", str(words):
                    self._starts.setdefault(index, self._length)
                    yield from self._say(words)
                case "toolUse", dict():
                    yield from self._arguments(index, value.get("input"))
                case "reasoningContent", dict():
                    yield from self._reason(index, value)
                case "citation", dict():
                    self._citations.setdefault(index, []).append(value)
                case "image", _:
                    raise StreamViolation("The provider sent an image, which no answer here can hold")
                case _:
                    pass

    def _say(self, words: str) -> Iterator[d.Delta]:
        if self._think is None:
            yield from self._speak(words)
            return
        for is_reasoning, piece in self._think.feed(words):
            yield from (d.Reasoning("think", piece),) if is_reasoning else self._speak(piece)

    def _flush(self) -> Iterator[d.Delta]:
        for is_reasoning, piece in self._think.end() if self._think else ():
            yield from (d.Reasoning("think", piece),) if is_reasoning else self._speak(piece)

    def _speak(self, words: str) -> Iterator[d.Delta]:
        """Some models begin with empty text, which is no message."""
        if words:
            self._length += len(words)
            yield d.Text(_TEXT, words)

    def _arguments(self, index: Index, piece: JsonValue) -> Iterator[d.Delta]:
        words = piece if isinstance(piece, str) else dumps(piece).decode() if isinstance(piece, dict) else ""
        if index in self._answers:
            if words:
                yield d.Text(f"answer_{index}", words)
        elif index not in self._calls:
            raise StreamViolation("The provider sent arguments of a call that it had not begun")
        elif words:
            yield d.ToolCall(f"call_{index}", words)

    def _reason(self, index: Index, delta: JsonObject) -> Iterator[d.Delta]:
        thought = self._thoughts.setdefault(index, _Thought())
        thought.signature.append(text(delta.get("signature")))
        if redacted := text(delta.get("redactedContent")):
            thought.redacted.append(redacted)
        if words := text(delta.get("text")):
            self._length = 0
            thought.text.append(words)
            yield d.Reasoning(f"reasoning_{index}", words, 0 if self._reading.summarised else None)

    def _close(self, index: Index) -> Iterator[d.Delta]:
        """The last block is left open: Bedrock ends it too where the limit cut it, and then it is not complete."""
        self._ended.add(index)
        if foreign := self._foreign.pop(index, None):
            self._length = 0
            yield d.Whole(foreign.item())
        thought = self._thoughts.pop(index, None)
        if thought and (state := thought.state(plain=self._reading.plain_reasoning)):
            self._length = 0
            yield d.Opaque(f"reasoning_{index}", state)
        elif index in self._calls:
            self._calls.remove(index)
            self._complete.append(index)
        for citation in self._citations.pop(index, ()):
            if annotation := _annotation(citation, self._starts.get(index, 0), self._length):
                yield d.Annotation(_TEXT, annotation)


def _annotation(citation: JsonObject, start: int, end: int) -> UrlCitation | FileCitation | None:
    """Of a page or a search result that has an address, or else of a document."""
    source, title = text(citation.get("source")), citation.get("title")
    url = text(fields(fields(citation.get("location")).get("web")).get("url")) or source
    return web_citation(url, title, start, end) or document_citation(source, title, end)


def _usage(used: JsonObject) -> Usage:
    """`inputTokens` is without those that the cache had or was given; `totalTokens` is with them."""
    cached = count(used.get("cacheReadInputTokens"))
    written = count(used.get("cacheWriteInputTokens"))
    prompt = count(used.get("inputTokens")) + cached + written
    completion = count(used.get("outputTokens"))
    return usage(prompt, completion, cached=cached, written=written)

"""A message of one Responses stream: its parts, their citations, and what it repeats of the message before it."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from pydantic import JsonValue, TypeAdapter, ValidationError

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...core.room import MAX_ITEMS
from ...schema.base import JsonObject
from ...schema.content import Annotation
from ...schema.items import Phase
from .._shared.json import count, objects, text
from .._shared.values import citation_of, logprobs_of
from .items import GrowingText, OutputItem


class MessageItem(OutputItem):
    """Each part is a block of its own. Text stays open: what closes it is the next block, or how the turn ends.

    Bedrock's mantle sends a message again and again, under new ids, each time with more of it. So a message that
    begins with all that the one `before` it says goes on with that one. While it may, its text is held back.
    https://github.com/NousResearch/hermes-agent/issues/41321, https://github.com/openai/codex/issues/29755
    """

    about = ("response.output_text", "response.refusal.", "response.content_part.")

    def __init__(self, key: str, item: JsonObject, before: "MessageItem | None" = None) -> None:
        super().__init__(key, item)
        self._parts = defaultdict[str, GrowingText](GrowingText)
        self._phase: Phase | None = _phase_of(item)
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
        self._phase = self._phase or _phase_of(item)
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
            if read := _annotation_of(annotation):
                told.add(written)
                yield from self._tell(d.Annotation(key, read))


def _phase_of(item: JsonObject) -> Phase | None:
    match item.get("phase"):
        case "commentary":
            return "commentary"
        case "final_answer":
            return "final_answer"
        case _:
            return None


_PLACE: JsonObject = {"filename": "", "index": 0, "start_index": 0, "end_index": 0}
"""What a citation of a file has that some servers leave out."""


def _annotation_of(value: JsonObject) -> Annotation | None:
    """As it came. None for one that is not as its type has to be."""
    if value.get("type") == "url_citation":
        return citation_of(value)
    for read in (value, _PLACE | value):
        with suppress(ValidationError):
            return _ANNOTATION.validate_python(read)
    return None


_ANNOTATION = TypeAdapter[Annotation](Annotation)

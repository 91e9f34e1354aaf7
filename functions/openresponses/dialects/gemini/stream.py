"""Gemini's chunks to deltas. Pure.

Sources: Gemini API, "GenerateContentResponse", "Gemini thinking" and "Thought signatures". Values of an unexpected
type are passed over.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate

from pydantic import JsonValue

from ...core import deltas as d
from ...core.errors import ProviderMisconfigured, ProviderRejected, ProviderUnavailable, StreamViolation
from ...schema.base import JsonObject
from ...schema.content import FileCitation, LogProb, TopLogProb, UrlCitation
from ...schema.items import ExtensionItem
from ...schema.response import Usage
from .._shared.events import Decoder
from .._shared.json import count, dumps, fields, objects, text
from .._shared.naming import CallIds, Naming
from .._shared.values import top_logprob, usage
from .messages import GOOGLE, tool_names
from .thinking import NextPart, Spoken, State, Thought


def usage_of(used: JsonObject) -> Usage:
    """The candidates' tokens are without the thoughts', the prompt's without the results of Google's own tools."""
    thought = count(used.get("thoughtsTokenCount"))
    prompt = count(used.get("promptTokenCount")) + count(used.get("toolUsePromptTokenCount"))
    output = count(used.get("candidatesTokenCount")) + thought
    return usage(prompt, output, cached=used.get("cachedContentTokenCount"), reasoned=thought)


def _tier(used: JsonObject) -> str:
    """Vertex says `ON_DEMAND_FLEX` (its reference, `trafficType`)."""
    return text(used.get("serviceTier")) or text(used.get("trafficType")).lower().removeprefix("on_demand_")


def citations(said: str, candidate: JsonObject) -> Iterator[UrlCitation | FileCitation]:
    """Of the web, of maps and of documents: one of a file search may have no address, and then its store stands for it.
    Google counts bytes of UTF-8, an annotation counts characters.
    """
    ends = [0, *accumulate(len(character.encode(errors="replace")) for character in said)]

    def cited(source: JsonObject, segment: JsonObject) -> Iterator[UrlCitation | FileCitation]:
        start = bisect_right(ends, count(segment.get("startIndex"))) - 1
        end = bisect_right(ends, count(segment.get("endIndex"))) - 1
        title = text(source.get("title"))
        if (url := text(source.get("uri"))) and start <= end:
            yield UrlCitation(url=url, title=title, start_index=start, end_index=end)
        elif file := text(source.get("documentName")) or text(source.get("fileSearchStore")):
            yield FileCitation(file_id=file, filename=title or file, index=end)

    grounding = fields(candidate.get("groundingMetadata"))
    chunks = [_source(chunk) for chunk in objects(grounding.get("groundingChunks"))]
    for support in objects(grounding.get("groundingSupports")):
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else []:
            if isinstance(index, int) and 0 <= index < len(chunks):
                yield from cited(chunks[index], fields(support.get("segment")))
    quoted = fields(candidate.get("citationMetadata"))
    for source in objects(quoted.get("citationSources")) or objects(quoted.get("citations")):
        yield from cited(source, source)


def logprobs(value: JsonValue) -> tuple[LogProb, ...]:
    result = fields(value)
    tops = [objects(step.get("candidates")) for step in objects(result.get("topCandidates"))]
    chosen = objects(result.get("chosenCandidates"))
    tops += [[]] * (len(chosen) - len(tops))
    return tuple(
        LogProb(**_token(each).model_dump(), top_logprobs=[_token(other) for other in top])
        for each, top in zip(chosen, tops, strict=False)
    )


def _source(chunk: JsonObject) -> JsonObject:
    return fields(chunk.get("web")) or fields(chunk.get("maps")) or fields(chunk.get("retrievedContext"))


def _token(value: JsonObject) -> TopLogProb:
    token = text(value.get("token"))
    return top_logprob(token, value.get("logProbability"), [*token.encode(errors="replace")])


_FINISH: Mapping[str, d.FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
"""Of all other reasons (a call that doesn't parse, say) a new attempt is the remedy."""
_ABOUT = ("videoMetadata", "partMetadata", "mediaResolution")
"""Objects of a part that are not what it holds."""


class GeminiDecoder(Decoder):
    """`names` are those of the offered tools. A turn has ended with a `finishReason`, or with the prompt blocked.
    `Finish` waits for the end of the stream, since sources and usage may come after that.
    """

    def __init__(self, names: Naming | None = None) -> None:
        self._names = names or tool_names(())
        self._finish = ""
        self._blocked = ""
        self._open = ""
        self._stateful = False
        self._thoughts = 0
        self._calls, self._call_ids = 0, CallIds()
        self._text: list[str] = []
        self._length = 0
        self._signed: list[tuple[int, str, str]] = []
        self._silent = True
        self._about: JsonObject = {}
        self._used: JsonObject = {}

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        feedback = fields(event.get("promptFeedback"))
        if reason := text(feedback.get("blockReason")):
            self._blocked = text(feedback.get("blockReasonMessage")) or f"The prompt was blocked: {reason}"
        for candidate in objects(event.get("candidates")):
            if count(candidate.get("index")) == 0:
                yield from self._candidate(candidate)
        used = fields(event.get("usageMetadata"))
        if used and used != self._used:
            self._used = used
            yield d.Usage(usage_of(used), _tier(used))

    def end(self) -> Iterator[d.Delta]:
        finish = _FINISH.get(self._finish)
        if finish is None and self._blocked:
            finish = "content_filter"
        if finish is None:
            raise _without_answer(self._finish)
        if self._open == "text":
            for citation in citations("".join(self._text), self._about):
                yield d.Annotation("text", citation)
        if finish == "stop":
            yield from self._leave()
        elif finish == "content_filter" and self._silent:
            message = text(self._about.get("finishMessage")) or self._blocked
            yield d.Refusal("refusal", message or f"The answer was blocked: {self._finish}")
        yield d.Finish(finish)

    def _candidate(self, candidate: JsonObject) -> Iterator[d.Delta]:
        self._about |= {name: value for name, value in candidate.items() if value and name != "content"}
        tokens = logprobs(candidate.get("logprobsResult"))
        for part in objects(fields(candidate.get("content")).get("parts")):
            for delta in self._part(part, tokens):
                self._silent = False
                if isinstance(delta, d.Text):
                    tokens = ()
                yield delta
        reason = text(candidate.get("finishReason"))
        self._finish = self._finish if reason in ("", "FINISH_REASON_UNSPECIFIED") else reason

    def _part(self, part: JsonObject, tokens: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        signature = text(part.get("thoughtSignature"))
        kind = next((name for name, value in part.items() if name not in _ABOUT and isinstance(value, dict)), "")
        if kind == "functionCall":
            yield from self._call(fields(part["functionCall"]), signature)
        elif kind:
            yield from self._whole(kind, part, signature)
        elif part.get("thought") is True:
            yield from self._think(text(part.get("text")), signature)
        else:
            yield from self._say(text(part.get("text")), signature, tokens)

    def _think(self, words: str, signature: str) -> Iterator[d.Delta]:
        """Google calls its thoughts summaries: the raw ones are not shown."""
        if words:
            yield from self._reason()
            yield d.Reasoning(f"thought_{self._thoughts}", words, summary=0)
        if signature:
            yield from self._keep(Thought(thought=words, signature=signature))

    def _say(self, words: str, signature: str, tokens: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        """Nothing where there are no words: the last signature often comes on an empty text."""
        if words:
            if self._open != "text":
                yield from self._leave()
                self._open = "text"
            yield d.Text("text", words, tokens)
        if signature:
            self._signed.append((self._length, words, signature))
        self._text.append(words)
        self._length += len(words)

    def _call(self, call: JsonObject, signature: str) -> Iterator[d.Delta]:
        """Whole, with its arguments. A second call with the same id, or one with too long an id, gets none."""
        yield from self._leave()
        if signature:
            yield from self._keep(NextPart(next=signature, calls=self._calls))
        key, name = f"call_{self._calls}", text(call.get("name"))
        if not name:
            raise StreamViolation("The provider sent a tool call without a name")
        self._calls += 1
        call_id = self._call_ids.take(text(call.get("id")))
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
        yield d.ToolCall(key, arguments, call_id, self._names.ours(name))
        yield d.End(key)
        self._open = ""

    def _whole(self, kind: str, part: JsonObject, signature: str) -> Iterator[d.Delta]:
        """Code that Google ran, a call of a tool of its own, an image: kept as it came, to go back as it came."""
        yield from self._leave()
        if signature:
            yield from self._keep(NextPart(next=signature, calls=self._calls))
        name = re.sub("([A-Z])", r"_\1", re.sub("[^a-zA-Z0-9]", "_", kind)).lower()
        kept = {name: value for name, value in part.items() if name != "thoughtSignature"}
        yield d.Whole(ExtensionItem.model_validate({"type": f"{GOOGLE}{name}", "part": kept}))
        self._open = ""

    def _keep(self, state: State) -> Iterator[d.Delta]:
        """In the reasoning that is open, where that has none yet."""
        yield from self._reason()
        self._stateful = True
        yield d.Opaque(f"thought_{self._thoughts}", dumps(state.model_dump()).decode())

    def _reason(self) -> Iterator[d.Delta]:
        if self._open != "thought" or self._stateful or self._signed:
            yield from self._leave()
            self._open, self._stateful = "thought", False
            self._thoughts += 1

    def _leave(self) -> Iterator[d.Delta]:
        """The text is over. Its signatures come after it: what was said of it is out already."""
        state = Spoken(spoken=tuple(self._signed), length=self._length)
        self._signed, self._text, self._length = [], [], 0
        if state.spoken:
            self._open = "thought"
            self._stateful = True
            self._thoughts += 1
            yield d.Opaque(f"thought_{self._thoughts}", dumps(state.model_dump()).decode())


def _without_answer(reason: str) -> Exception:
    match reason:
        case "":
            return ProviderUnavailable("The provider's stream ended before its turn did")
        case "MISSING_THOUGHT_SIGNATURE":
            return ProviderRejected("The provider refused the request: it misses a thought signature")
        case "PUP_LIMITED_DISABLED":
            return ProviderMisconfigured("Our account with the provider is limited or disabled")
        case _:
            return ProviderUnavailable("The provider gave up on its answer")

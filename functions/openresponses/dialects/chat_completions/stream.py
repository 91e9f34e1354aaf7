"""Chat Completions chunks to deltas. Pure.

Sources: OpenAI, "Chat completion chunk object"; DeepSeek, Groq, Mistral, OpenRouter, Ollama and others for what they
add to it or leave out. Values of an unexpected type are passed over: servers differ, and grow.
"""

from collections.abc import Iterator

from pydantic import JsonValue, TypeAdapter, ValidationError

from ...core import deltas as d
from ...core.errors import ProviderUnavailable
from ...schema.base import JsonObject
from ...schema.content import Annotation, LogProb
from ...schema.response import Usage
from .._shared.events import DONE, Decoder
from .._shared.json import count, dumps, fields, objects, text
from .._shared.naming import Naming, tool_names
from .._shared.think_tags import ThinkSplitter
from .._shared.values import citation_of, logprobs_of, usage, web_citation
from .calls import Calls
from .models import ThinkTags
from .thinking import PARTS, Grown, State, message_fields

REASONING = ("reasoning_content", "reasoning", "reasoning_text")
_LENGTH = ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded")
_FILTERED = ("content_filter", "sensitive")
_FAILED = ("error", "abort", "insufficient_system_resource", "network_error", "function_call_filter")
"""The last is Gemini's, for a call that doesn't parse: it writes `<word>: <its own reason>`."""


class ChatDecoder(Decoder):
    """A turn has ended with a `finish_reason`, or with `[DONE]` if something was said: some servers send only one of
    them. `Finish` waits for the end of the stream, since the usage comes after the `finish_reason`.

    `names` are those of the offered tools. `echo`: reasoning is sent back later, so it is state as well: that comes
    back whatever a client is shown of it, or keeps.
    """

    def __init__(self, names: Naming | None = None, *, think_tags: ThinkTags = False, echo: bool = True) -> None:
        self._finish = ""
        self._echo = echo
        self._thoughts: list[str] = []
        self._message = Grown()
        self._calls = Calls(names or tool_names(()))
        self._think = ThinkSplitter(opened=think_tags == "open") if think_tags else None
        self._last = ""
        self._said = False
        self._cited = set[str]()
        self._uncited: list[d.Annotation] = []
        self._used: JsonValue = None

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        if event is DONE:
            self.over, self._finish = True, self._finish or ("stop" if self._said else "")
        elif self._last == "text" and not (self._think or self._uncited) and (words := _words_alone(event)):
            return iter((d.Text("text", words),))
        return self._stated(self._chunk(event))

    def end(self) -> Iterator[d.Delta]:
        return self._stated(self._end())

    def _stated(self, deltas: Iterator[d.Delta]) -> Iterator[d.Delta]:
        """`deltas`, and the state of the turn: where reasoning ends, and before the text or the first call. What comes
        later waits for the end, since it would cut the text in two, or stand before calls that came before it.
        """
        for delta in deltas:
            match delta:
                case d.Usage():
                    pass
                case d.Reasoning():
                    self._last = "reasoning"
                    self._thoughts.append(delta.text)
                case d.Finish():
                    yield from self._leave(delta.reason)
                case d.Text() | d.Refusal() | d.Annotation() | d.ToolCall():
                    opens = isinstance(delta, d.ToolCall) and bool(delta.name)
                    if self._last == "reasoning" or (self._last != delta.key and self._calls.opened == opens):
                        yield from self._state()
                    self._last = str(delta.key)
                case _:
                    pass
            yield delta

    def _state(self, after: int = 0) -> Iterator[d.Delta]:
        state = State(message=self._message.fields(), calls=self._calls.states(), after=after)
        if self._echo and not state.reasons:
            state = state.model_copy(update={"text": "".join(self._thoughts)})
        self._thoughts.clear()
        self._message = Grown()
        if state.text or state.message or state.calls:
            yield d.Opaque("reasoning", dumps(state.model_dump(exclude_defaults=True)).decode())

    def _leave(self, reason: d.FinishReason) -> Iterator[d.Delta]:
        """The calls are over before state that came after them, so that it stands after them."""
        calls = self._calls.keys
        late = [*self._state(len(calls))] if self._last != "reasoning" else [*self._state()]
        if late and reason == "stop" and self._last != "reasoning":
            yield from map(d.End, calls)
        yield from late

    def _chunk(self, chunk: JsonObject) -> Iterator[d.Delta]:
        for choice in objects(chunk.get("choices")):
            if count(choice.get("index")) == 0:
                yield from self._delta(_delta_of(choice, said=self._said), choice)
                self._finish = text(choice.get("finish_reason")) or self._finish
        if not _SOURCES.isdisjoint(chunk):
            yield from self._cite(sources(chunk))
        if (used := _used(chunk)) and used != self._used:
            self._used = used
            yield d.Usage(_usage(used), text(chunk.get("service_tier")))

    def _end(self) -> Iterator[d.Delta]:
        if not self._finish:
            raise ProviderUnavailable("The provider's stream ended before its turn did")
        finish = self._finish.partition(":")[0].lower()
        if finish in _FAILED:
            raise ProviderUnavailable("The provider gave up on its answer")
        if self._think:
            yield from self._split(self._think.end(), ())
        yield from self._held()
        self._calls.end()
        yield d.Finish("length" if finish in _LENGTH else "content_filter" if finish in _FILTERED else "stop")

    def _delta(self, delta: JsonObject, choice: JsonObject) -> Iterator[d.Delta]:
        """Most have nothing but text: what is rare is looked for only where there is more."""
        given: JsonObject = {name: value for name, value in delta.items() if value and name != "role"}
        self._said = self._said or bool(given)
        content = given.get("content")
        more = len(given) > 1 or not isinstance(content, str)
        if more:
            if state := message_fields(given):
                self._message.add(state)
            if reasoning := _reasoning(given):
                yield d.Reasoning("reasoning", reasoning)
        if content:
            logprobs = choice.get("logprobs")
            yield from self._content(content, logprobs_of(fields(logprobs).get("content")) if logprobs else ())
        if more:
            if refusal := text(given.get("refusal")):
                yield d.Refusal("refusal", refusal)
            yield from self._cite(annotations(given))
            calls = objects(given.get("tool_calls"))
            if legacy := fields(given.get("function_call")):
                calls.append({"index": 0, "function": legacy})
            for call in calls:
                yield from self._calls.feed(call)
        if "annotations" in choice:
            yield from self._cite(annotations(choice))

    def _content(self, content: JsonValue, logprobs: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        """A string, or a list of parts: of text, and of what the model thought."""
        if isinstance(content, str):
            yield from self._say(content, logprobs)
        for part in objects(content):
            if text(part.get("type")) in PARTS:
                if words := _thought(part.get("thinking")) or _thought(part.get("summary")):
                    yield d.Reasoning("reasoning", words)
            elif words := text(part.get("text")):
                yield from self._say(words, logprobs)

    def _cite(self, citations: list[Annotation]) -> Iterator[d.Delta]:
        """In the text that is open. What comes before it is held back until there is a text: it must not cut reasoning
        in two. Some vendors send all of their sources again in each chunk.
        """
        for each in citations:
            if (written := repr(each)) not in self._cited:
                self._cited.add(written)
                self._uncited.append(d.Annotation("text", each))
        if self._last == "text":
            yield from self._held()

    def _held(self) -> Iterator[d.Delta]:
        held, self._uncited = self._uncited, []
        yield from held

    def _say(self, words: str, logprobs: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        if self._think:
            yield from self._split(self._think.feed(words), logprobs)
        else:
            yield d.Text("text", words, logprobs)
            if self._uncited:
                yield from self._held()

    def _split(self, pieces: Iterator[tuple[bool, str]], logprobs: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        for is_reasoning, words in pieces:
            if is_reasoning:
                yield d.Reasoning("reasoning", words)
            else:
                yield d.Text("text", words, logprobs)
                yield from self._held()


_PLAIN = frozenset(("id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"))
_PLAIN_CHOICE = frozenset(("index", "delta"))


def _words_alone(chunk: JsonObject) -> str:
    """The text of a chunk that has nothing else to say, as nearly all in a text: one choice, and one string in it."""
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return ""
    choice = choices[0]
    if not isinstance(choice, dict) or choice.get("index") != 0:
        return ""
    delta = choice.get("delta")
    if not isinstance(delta, dict) or any(value and name not in _PLAIN for name, value in chunk.items()):
        return ""
    if any(value and name not in _PLAIN_CHOICE for name, value in choice.items()):
        return ""
    content = delta.get("content")
    if not isinstance(content, str) or any(value and name not in ("content", "role") for name, value in delta.items()):
        return ""
    return content


def _delta_of(choice: JsonObject, *, said: bool) -> JsonObject:
    """A server that doesn't stream sends the whole message in one chunk. Others send it once more at the end."""
    return fields(choice.get("delta")) or ({} if said else fields(choice.get("message")))


def _reasoning(delta: JsonObject) -> str:
    """`reasoning_content` (DeepSeek, Qwen), `reasoning` (Groq, Ollama, vLLM), `reasoning_text` (Copilot), and fields
    that say it in blocks: it often comes in one of the others as well."""
    plain = next(filter(None, (text(delta.get(name)) for name in REASONING)), "")
    return plain or _thought(delta.get("reasoning_details")) or _thought(delta.get("thinking_blocks"))


def _thought(value: JsonValue) -> str:
    """What blocks of reasoning show of it."""
    if isinstance(value, str):
        return value
    shown = (
        text(each.get("text")) or text(each.get("summary")) or text(each.get("thinking")) for each in objects(value)
    )
    return "".join(shown)


def annotations(where: JsonObject) -> list[Annotation]:
    """Without those that are state alone: what was read of a file."""
    found = [_annotation(each) for each in objects(where.get("annotations")) if each.get("type") != "file"]
    return [each for each in found if each is not None]


def _annotation(value: JsonObject) -> Annotation | None:
    """Of another type than a citation of the web, it is kept as it came."""
    if value.get("type") == "url_citation":
        cited = citation_of(fields(value.get("url_citation")) or value)
        return cited if cited.url else None
    try:
        return _ANNOTATION.validate_python(value)
    except ValidationError:
        return None


_ANNOTATION: TypeAdapter[Annotation] = TypeAdapter(Annotation)


_SOURCES = frozenset(("citations", "search_results", "web_search"))


def sources(chunk: JsonObject) -> list[Annotation]:
    """What a whole answer rests on, without places in its text: the results of a search (Perplexity; Z.ai names them
    otherwise), or their addresses alone (Perplexity, xAI)."""
    results = objects(chunk.get("search_results")) or objects(chunk.get("web_search"))
    named = [(text(each.get("url")) or text(each.get("link")), text(each.get("title"))) for each in results]
    addresses = chunk.get("citations")
    bare = [(text(each), "") for each in addresses] if isinstance(addresses, list) and not named else []
    return [cited for url, title in named + bare if (cited := web_citation(url, title, 0, 0))]


def _used(chunk: JsonObject) -> JsonObject:
    """Where Groq and Moonshot have it, too."""
    elsewhere = chunk.get("x_groq") or next(iter(objects(chunk.get("choices"))), None)
    return fields(chunk.get("usage")) or fields(fields(elsewhere).get("usage"))


def _usage(used: JsonObject) -> Usage:
    """Each number has a place of its own in OpenAI's API, and other names elsewhere: those of DeepSeek, Moonshot,
    OpenRouter, Perplexity, and of Anthropic by way of LiteLLM. xAI leaves reasoning tokens out of the completion's.
    """
    prompt, completion = count(used.get("prompt_tokens")), count(used.get("completion_tokens"))
    given, made = fields(used.get("prompt_tokens_details")), fields(used.get("completion_tokens_details"))
    cached = _first(given, "cached_tokens") or _first(used, *_CACHED)
    written = _first(given, "cache_write_tokens", "cache_creation_tokens") or _first(
        used, "cache_creation_input_tokens"
    )
    thought = _first(made, "reasoning_tokens") or _first(used, "reasoning_tokens")
    if thought and prompt + completion + thought == count(used.get("total_tokens")):
        completion += thought
    return usage(prompt, completion, cached=cached, written=written, reasoned=thought)


_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")


def _first(numbers: JsonObject, *names: str) -> int:
    return next(filter(None, (count(numbers.get(name)) for name in names)), 0)

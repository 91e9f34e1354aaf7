"""Chat Completions chunks to deltas. Pure.

Sources: OpenAI, "Chat completion chunk object"; DeepSeek, Groq, Mistral, OpenRouter and Ollama for what they
add to it or leave out. Values of an unexpected type are passed over: servers differ, and grow.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue

from ...core import deltas as d
from ...core.errors import ProviderUnavailable, StreamViolation
from ...schema.base import JsonObject
from ...schema.content import LogProb
from ...schema.response import Usage
from .._shared.events import DONE, Decoder
from .._shared.json import count, fields, objects, text
from .._shared.naming import CallIds, item_name
from .._shared.think_tags import ThinkSplitter
from .._shared.values import citation_of, logprobs_of, usage
from .models import ThinkTags


@dataclass(slots=True)
class _Call:
    key: str
    index: int | None
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])
    opened: bool = False


class Calls:
    """Which call a chunk belongs to. OpenAI: its `index`. Elsewhere:

    - Ollama gave every call index 0, with its own id (ollama/ollama#15457), or no index at all (#7881).
    - Some repeat the id in every chunk, some send none, some a new one in every chunk without a name.
    - Some give all calls of a turn the same id.

    So a known id counts first; a new id counts only together with a name; otherwise the index, or the last
    call, does. A name may come after the first arguments: until then they are held back.
    """

    def __init__(self) -> None:
        self._ids = CallIds()
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}

    def feed(self, chunk: JsonObject) -> Iterator[d.ToolCall]:
        function = fields(chunk.get("function"))
        name, arguments = item_name(text(function.get("name"))), _arguments(function.get("arguments"))
        index, call_id = chunk.get("index"), text(chunk.get("id"))
        index = index if isinstance(index, int) else None
        call = self._find(index, call_id, name, arguments) or self._new(index, call_id)
        call.name = call.name or name
        if arguments:
            call.arguments.append(arguments)
        if call.opened and arguments:
            yield d.ToolCall(call.key, arguments)
        elif call.name and not call.opened:
            call.opened = True
            yield d.ToolCall(call.key, "".join(call.arguments), call.id, call.name)

    def end(self) -> None:
        """Raises StreamViolation where a call never got a name."""
        if any(not call.opened and (call.arguments or call.id) for call in self._calls):
            raise StreamViolation("The provider sent a tool call without a name")

    def _find(self, index: int | None, call_id: str, name: str, arguments: str) -> _Call | None:
        if known := self._by_id.get(call_id):
            other = name and index is not None and known.index is not None and index != known.index
            return self._by_index.get(index) if other and index is not None else known
        call = (self._calls[-1] if self._calls else None) if index is None else self._by_index.get(index)
        if call is None or not name:
            return call
        if not call.name:
            return None if call_id and call.id else call
        repeated = not call_id and name == call.name and not (arguments and _is_object("".join(call.arguments)))
        return call if repeated else None

    def _new(self, index: int | None, call_id: str) -> _Call:
        """A second call with the same id gets none, nor does one with too long an id: the engine makes one."""
        call = _Call(f"call_{len(self._calls)}", index, self._ids.take(call_id))
        self._calls.append(call)
        if call.id:
            self._by_id[call.id] = call
        if index is not None:
            self._by_index[index] = call
        return call


def _arguments(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else text(value)


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


_LENGTH = ("length", "max_tokens", "model_length")
_FILTERED = ("content_filter", "sensitive")
_FAILED = ("error", "abort", "insufficient_system_resource", "network_error")


class ChatDecoder(Decoder):
    """A turn has ended with a `finish_reason` or with `[DONE]`; some servers send only one of them. `Finish` waits for
    the end of the stream, since the usage comes after the `finish_reason`. `echo`: reasoning is sent back later, so it
    is state as well: that comes back whatever a client is shown of it, or keeps.
    """

    def __init__(self, *, think_tags: ThinkTags = False, echo: bool = True) -> None:
        self._finish = ""
        self._echo = echo
        self._thoughts: list[str] = []
        self._calls = Calls()
        self._think = ThinkSplitter(opened=think_tags == "open") if think_tags else None
        self._speaking = False
        self._used: JsonValue = None

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        if event is DONE:
            self.over, self._finish = True, self._finish or "stop"
        return self._stated(self._chunk(event))

    def end(self) -> Iterator[d.Delta]:
        return self._stated(self._end())

    def _stated(self, deltas: Iterator[d.Delta]) -> Iterator[d.Delta]:
        """`deltas`, and the state of a reasoning block before what ends it."""
        for delta in deltas:
            if isinstance(delta, d.Reasoning) and self._echo:
                self._thoughts.append(delta.text)
            elif self._thoughts and not isinstance(delta, d.Usage):
                yield d.Opaque("reasoning", "".join(self._thoughts))
                self._thoughts.clear()
            yield delta

    def _chunk(self, chunk: JsonObject) -> Iterator[d.Delta]:
        for choice in objects(chunk.get("choices")):
            if count(choice.get("index")) == 0:
                yield from self._delta(fields(choice.get("delta")), choice)
                self._finish = text(choice.get("finish_reason")) or self._finish
        used = chunk.get("usage") or fields(chunk.get("x_groq")).get("usage")
        if used and used != self._used:
            self._used = used
            yield d.Usage(_usage(fields(used)))

    def _end(self) -> Iterator[d.Delta]:
        if not self._finish:
            raise ProviderUnavailable("The provider's stream ended before its turn did")
        if self._finish in _FAILED:
            raise ProviderUnavailable("The provider gave up on its answer")
        if self._think:
            yield from self._split(self._think.end(), ())
        self._calls.end()
        yield d.Finish(
            "length" if self._finish in _LENGTH else "content_filter" if self._finish in _FILTERED else "stop"
        )

    def _delta(self, delta: JsonObject, choice: JsonObject) -> Iterator[d.Delta]:
        if not delta:
            return
        if reasoning := _reasoning(delta):
            self._speaking = False
            yield d.Reasoning("reasoning", reasoning)
        if content := delta.get("content"):
            yield from self._content(content, logprobs_of(fields(choice.get("logprobs")).get("content")))
        if refusal := text(delta.get("refusal")):
            self._speaking = False
            yield d.Refusal("refusal", refusal)
        for annotation in objects(delta.get("annotations")):
            if self._speaking and annotation.get("type") == "url_citation":
                yield d.Annotation("text", citation_of(fields(annotation.get("url_citation")) or annotation))
        calls = objects(delta.get("tool_calls"))
        if legacy := fields(delta.get("function_call")):
            calls.append({"index": 0, "function": legacy})
        for call in calls:
            self._speaking = False
            yield from self._calls.feed(call)

    def _content(self, content: JsonValue, logprobs: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        """A string, or (Mistral) a list of parts of type `text` and `thinking`."""
        if isinstance(content, str):
            yield from self._say(content, logprobs)
        for part in objects(content):
            if thought := part.get("thinking"):
                words = text(thought) or "".join(text(each.get("text")) for each in objects(thought))
                if words:
                    self._speaking = False
                    yield d.Reasoning("reasoning", words)
            elif words := text(part.get("text")):
                yield from self._say(words, logprobs)

    def _say(self, words: str, logprobs: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        if self._think:
            yield from self._split(self._think.feed(words), logprobs)
        else:
            self._speaking = True
            yield d.Text("text", words, logprobs)

    def _split(self, pieces: Iterator[tuple[bool, str]], logprobs: tuple[LogProb, ...]) -> Iterator[d.Delta]:
        for is_reasoning, words in pieces:
            self._speaking = not is_reasoning
            yield d.Reasoning("reasoning", words) if is_reasoning else d.Text("text", words, logprobs)


def _reasoning(delta: JsonObject) -> str:
    """`reasoning_content` (DeepSeek, Qwen), `reasoning` (Groq, Ollama, vLLM), `reasoning_details` (OpenRouter)."""
    plain = text(delta.get("reasoning_content")) or text(delta.get("reasoning"))
    if plain or not delta.get("reasoning_details"):
        return plain
    details = objects(delta.get("reasoning_details"))
    return "".join(text(each.get("text")) or text(each.get("summary")) for each in details)


def _usage(used: JsonObject) -> Usage:
    """Cached tokens: DeepSeek names them otherwise. Reasoning tokens: xAI leaves them out of the completion's."""
    prompt, completion = count(used.get("prompt_tokens")), count(used.get("completion_tokens"))
    cached = fields(used.get("prompt_tokens_details")).get("cached_tokens")
    thought = count(fields(used.get("completion_tokens_details")).get("reasoning_tokens"))
    if thought and prompt + completion + thought == count(used.get("total_tokens")):
        completion += thought
    return usage(prompt, completion, cached=cached or used.get("prompt_cache_hit_tokens"), reasoned=thought)

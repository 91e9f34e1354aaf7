"""Items to Chat Completions messages. Pure.

What servers insist on, and this file therefore keeps:

- A model's turn is one assistant message: its text, its reasoning and all of its calls.
- Tool messages follow the message with their calls at once, one for every call, in the calls' order.
- A call's arguments are a JSON object (vLLM, Ollama and llama.cpp parse them for their templates).
- There is one system message, and it comes first (the templates of Qwen, Gemma and Mistral raise otherwise).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputFile, InputImage, InputText, InputVideo, Part, ReasoningText
from ...schema.items import (
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    HostedToolCall,
    Item,
    Message,
    Reasoning,
)
from .._shared.history import Call, Output, PastCalls, arguments_text
from .._shared.parts import data_url, plain_text, said, unsendable
from .models import ChatOptions


def user_content(parts: Sequence[Part]) -> JsonValue:
    """A string where there is only text: some servers know no other form."""
    if all(said(part) is not None for part in parts):
        return plain_text(parts, "user", "\n")
    return [_part(part) for part in parts]


def tool_content(output: str | Sequence[Part], call_id: str) -> tuple[str, list[JsonObject]]:
    """A tool message's text, and the parts that it can't hold: servers take only text there."""
    if isinstance(output, str):
        return output, []
    texts = [part.text for part in output if isinstance(part, InputText)]
    attached = [_part(part) for part in output if not isinstance(part, InputText)]
    if attached:
        texts.append(f"[{len(attached)} attached in the message of the user that follows]")
        attached.insert(0, {"type": "text", "text": f"Attached by the tool call {call_id}:"})
    return "\n".join(texts), attached


def _part(part: Part) -> JsonObject:
    if (text := said(part)) is not None:
        return {"type": "text", "text": text}
    match part:
        case InputImage():
            return _image(part)
        case InputFile():
            return _file(part)
        case InputVideo():
            raise unsendable("'input_video'")
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role 'user'")


def _image(part: InputImage) -> JsonObject:
    if not part.image_url:
        raise unsendable("'input_image' without 'image_url'")
    image: JsonObject = {"url": part.image_url}
    if part.detail != "auto":
        image["detail"] = "high" if part.detail == "original" else part.detail
    return {"type": "image_url", "image_url": image}


def _file(part: InputFile) -> JsonObject:
    if not part.file_data:
        raise unsendable("'input_file' without 'file_data'")
    name = part.filename or "file"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(part.file_data, name)}}


def messages(turn: Turn, options: ChatOptions) -> list[JsonValue]:
    """Raises RequestError for what this wire can't carry, and for an output that answers no call."""
    history = _History(turn, options)
    for index, item in enumerate(turn.items):
        history.add(index, item)
    return history.finished()


@dataclass(slots=True)
class _Assistant:
    """One assistant message in the making. `waiting` are the calls whose outputs come later."""

    texts: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    calls: list[JsonValue] = field(default_factory=list[JsonValue])
    outputs: list[tuple[str, Output]] = field(default_factory=list[tuple[str, Output]])
    waiting: set[str] = field(default_factory=set[str])


class _History:
    def __init__(self, turn: Turn, options: ChatOptions) -> None:
        self._options = options
        self._calls = PastCalls(turn)
        self._messages: list[JsonValue] = []
        self._system: list[JsonObject] = []
        self._open: _Assistant | None = None
        self._span: list[tuple[JsonObject, str]] = []
        if turn.instructions:
            self._instruct("system", turn.instructions)

    def add(self, index: int, item: Item) -> None:
        match item:
            case Message(role="user"):
                self._close_span()
                self._messages.append({"role": "user", "content": user_content(item.content)})
            case Message(role="assistant"):
                self._say(item)
            case Message():
                self._instruct(item.role, plain_text(item.content, item.role, "\n"))
            case Reasoning():
                shown = [part.text for part in item.content or item.summary if part.text]
                self._assistant().reasoning += [item.encrypted_content] if item.encrypted_content else shown
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                self._call(index, item)
            case FunctionCallOutput() | CustomToolCallOutput():
                if self._open:
                    self._open.waiting.discard(item.call_id)
            case Compaction():
                raise unsendable("an item of type 'compaction'")
            case ExtensionItem():
                pass

    def finished(self) -> list[JsonValue]:
        self._close_span()
        if not self._system:
            return self._messages
        text = "\n\n".join(str(each["content"]) for each in self._system)
        return [{"role": self._system[0]["role"], "content": text}, *self._messages]

    def _instruct(self, role: str, text: str) -> None:
        """Later instructions join the first ones rather than sink to the rank of a user's words."""
        message: JsonObject = {"role": role if self._options.developer_role else "system", "content": text}
        if self._options.system == "first":
            self._system.append(message)
        else:
            self._close()
            self._messages.append(message)

    def _say(self, item: Message) -> None:
        assistant = self._assistant()
        assistant.reasoning += [part.text for part in item.content if isinstance(part, ReasoningText)]
        spoken = [part for part in item.content if not isinstance(part, ReasoningText)]
        if text := plain_text(spoken, item.role):
            assistant.texts.append(text)

    def _call(self, index: int, call: Call) -> None:
        assistant = self._assistant(for_call=True)
        function: JsonObject = {"name": self._calls.name(call), "arguments": arguments_text(call)}
        assistant.calls.append({"id": call.call_id, "type": "function", "function": function})
        assistant.outputs.append((call.call_id, self._calls.output(index)))
        if index in self._calls.answers:
            assistant.waiting.add(call.call_id)

    def _assistant(self, *, for_call: bool = False) -> _Assistant:
        """The message that the next piece belongs to.

        A message whose calls are all answered is complete. Only a call after such a call may still be of the
        same turn: hosted calls carry their outputs, so parallel ones look like turns of one call each. They
        are sent as such, which keeps the prompt's start unchanged from turn to turn, for the provider's
        cache. But a model that reasons does so in each turn, so there a call without new reasoning joins.
        """
        done = self._open and self._open.calls and not self._open.waiting
        if self._open and done and not (for_call and self._open.reasoning):
            self._close()
        self._open = self._open or _Assistant()
        return self._open

    def _close(self) -> None:
        done, self._open = self._open, None
        if done is None or not (done.texts or done.calls):
            return
        message: JsonObject = {"role": "assistant", "content": "\n\n".join(done.texts) or None}
        if done.calls:
            message["tool_calls"] = done.calls
        self._messages.append(message)
        self._span.append((message, "".join(done.reasoning)))
        attached: list[JsonValue] = []
        for call_id, output in done.outputs:
            text, more = tool_content(output, call_id)
            self._messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
            attached += more
        if attached:
            self._messages.append({"role": "user", "content": attached})

    def _close_span(self) -> None:
        """A span is what the model did between two messages of the user.

        DeepSeek, "Thinking mode": reasoning in a span with calls must come back in all later requests, on
        every message of the span; without calls it is ignored, and was refused by earlier models. A span of another
        provider's comes with what that one showed of its reasoning, or empty: left out it is refused.
        """
        self._close()
        span, self._span = self._span, []
        policy, name = self._options.reasoning_echo, self._options.reasoning_field
        reasoned = policy == "required" or (policy == "tool_turns" and any(text for _, text in span))
        echoed = reasoned and any("tool_calls" in message for message, _ in span)
        for message, text in span:
            if echoed or (policy == "always" and text):
                message[name] = text

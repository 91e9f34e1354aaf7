"""Items to Chat Completions messages. Pure.

What servers insist on, and this file therefore keeps:

- A model's turn is one assistant message: its text, its reasoning and all of its calls.
- Tool messages follow the message with their calls at once, one for every call, in the calls' order.
- A call's arguments are a JSON object (vLLM, Ollama and llama.cpp parse them for their templates).
- A call's id has at most 40 characters (OpenAI: openclaw/openclaw#875), and no other call has it.
- There is one system message, and it comes first (the templates of Qwen, Gemma and Mistral raise otherwise).
"""

from collections.abc import Callable, Iterable, Sequence

from pydantic import JsonValue

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputFile, InputImage, InputText, InputVideo, Part, ReasoningText
from ...schema.items import Compaction, Message, Reasoning
from .._shared.history import Entry, ModelTurn, PastCall, Piece, Said, arguments_text, history, reasons
from .._shared.naming import Naming, tool_names
from .._shared.parts import data_url, plain_text, said, unsendable
from .models import ChatOptions
from .thinking import CallState, State, merged, state_of


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
    made = _Messages(turn, options)
    for entry in history(turn, ids=_call_ids(options), goes_on=_goes_on, split=options.system == "in_place"):
        made.add(entry)
    return made.finished()


def _call_ids(options: ChatOptions) -> Callable[[str], str]:
    """One to one, and the same in each turn, also for calls that another provider's model made."""
    short = options.call_ids == "nine_alphanumeric"
    return (Naming(9, pattern="[a-zA-Z0-9]{9}") if short else Naming(40, pattern="[!-~]+")).another


def _goes_on(turn: ModelTurn, piece: Piece) -> bool:
    """As `reasons`, but reasoning of which nothing is sent is none. State that came after the calls ends their turn."""
    if isinstance(piece, Reasoning):
        return _state(piece).after > 0
    states = [_state(each) for each in turn.pieces]
    if any(state.after for state in states):
        return False
    return reasons(turn, piece) and (any(map(_reasoning, turn.pieces)) or any(state != State() for state in states))


def _state(piece: Piece) -> State:
    return (state_of(piece.encrypted_content) if isinstance(piece, Reasoning) else None) or State()


class _Messages:
    def __init__(self, turn: Turn, options: ChatOptions) -> None:
        self._options = options
        self._names = tool_names(turn.tools)
        self._messages: list[JsonValue] = []
        self._system: list[JsonObject] = []
        self._span: list[tuple[JsonObject, str | None]] = []
        if turn.instructions:
            self._instruct("system", turn.instructions)

    def add(self, entry: Entry) -> None:
        match entry:
            case ModelTurn():
                self._model(entry)
            case Said(Message(role="user") as message):
                self._end_span()
                self._messages.append({"role": "user", "content": user_content(message.content)})
            case Said(message):
                self._instruct(message.role, plain_text(message.content, message.role, "\n"))
            case Compaction():
                raise unsendable("an item of type 'compaction'")

    def finished(self) -> list[JsonValue]:
        self._end_span()
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
            self._messages.append(message)

    def _model(self, turn: ModelTurn) -> None:
        texts = [plain_text(each.message.content, "assistant") for each in turn.pieces if isinstance(each, Said)]
        if not (any(texts) or turn.calls):
            return
        state = _folded(map(_state, turn.pieces))
        content = "\n\n".join(filter(None, texts))
        message: JsonObject = {"role": "assistant", "content": content or None}
        kept = [*state.calls]
        calls = [self._call(call, kept) for call in turn.calls]
        if calls and len(kept) == len(state.calls):
            calls[0] |= self._options.unsigned_call
        if calls:
            message["tool_calls"] = [*calls]
        for name, value in state.message.items():
            spoken: list[JsonValue] = [{"type": "text", "text": content}] if content else []
            message[name] = [*value, *spoken] if name == "content" and isinstance(value, list) else value
        self._messages.append(message)
        self._span.append((message, None if state.reasons else "".join(map(_reasoning, turn.pieces))))
        attached: list[JsonValue] = []
        for call, sent in zip(turn.calls, calls, strict=True):
            text, more = tool_content(call.output, call.call_id)
            self._messages.append({"role": "tool", "tool_call_id": sent["id"], "content": text})
            attached += more
        if attached:
            self._messages.append({"role": "user", "content": attached})

    def _call(self, call: PastCall, kept: list[CallState]) -> JsonObject:
        """With what came with it: that is taken out of `kept`."""
        name = self._names.wire(call.name)
        function: JsonObject = {"name": name, "arguments": arguments_text(call.item)}
        sent: JsonObject = {"id": call.call_id, "type": "function", "function": function}
        own = next((each for each in kept if (each.id or each.name) == (call.item.call_id if each.id else name)), None)
        if own is None:
            return sent
        kept.remove(own)
        return merged(sent, own.fields) | {"id": own.fields.get("id", call.call_id)}

    def _end_span(self) -> None:
        """A span is what the model did between two messages of the user.

        DeepSeek, "Thinking mode": reasoning in a span with calls must come back in all later requests, on
        every message of the span; without calls it is ignored, and was refused by earlier models. A span of another
        provider's comes with what that one showed of its reasoning, or empty: left out it is refused. But a message
        whose state has the reasoning needs no other.
        """
        span, self._span = self._span, []
        policy, name = self._options.reasoning_echo, self._options.reasoning_field
        reasoned = policy == "required" or (policy == "tool_turns" and any(text for _, text in span))
        echoed = reasoned and any("tool_calls" in message for message, _ in span)
        for message, text in span:
            if text is not None and (echoed or (policy == "always" and text)):
                message[name] = text or self._options.reasoning_placeholder


def _folded(states: Iterable[State]) -> State:
    """The states of one message, as one."""
    whole = State()
    for state in states:
        message = merged(whole.message, state.message)
        whole = State(message=message, calls=(*whole.calls, *state.calls))
    return whole


def _reasoning(piece: Piece) -> str:
    """What a piece shows of the model's reasoning, or the state that `stream` made of all of it."""
    match piece:
        case Reasoning():
            return _state(piece).text or "".join(part.text for part in piece.content or piece.summary)
        case Said(message):
            return "".join(part.text for part in message.content if isinstance(part, ReasoningText))
        case _:
            return ""

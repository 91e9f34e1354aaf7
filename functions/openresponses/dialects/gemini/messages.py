"""Items to Gemini's contents. Pure.

What Gemini insists on, and this file therefore keeps ("Function calling" and "Thought signatures", Gemini API):

- A step of the model is one content: its text and all of its calls. The responses to all of its calls, in the calls'
  order, are the next content, and nothing else is in it (pydantic/pydantic-ai#4210).
- A signature is on the part it came on. From Gemini 3 on, the first call of a step must have one: calls of other
  models get the value that is documented for them.
- The user has the first word and the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from mimetypes import guess_type
from urllib.parse import urlsplit

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
from .._shared.history import Call, Output, PastCalls, arguments, failed
from .._shared.naming import function_name
from .._shared.parts import plain_text, said, unsendable
from .models import GeminiModel
from .thinking import NextPart, Spoken, Thought, state_of

_IN_RESPONSES = ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")
"""What a function's response may hold, from Gemini 3 on. Earlier models refuse all of it."""


def user_parts(parts: Sequence[Part]) -> list[JsonObject]:
    """Without empty texts, which Vertex refuses."""
    sent = [_user_part(part) for part in parts]
    return [part for part in sent if part != {"text": ""}]


def response_parts(
    output: str | Sequence[Part], call_id: str, *, media: bool
) -> tuple[str, list[JsonObject], list[JsonObject]]:
    """A function's response: its text, its media, and the parts that it can't hold, for the user's turn after it.

    `media`: the model takes media in a response. A URL isn't taken there by the Gemini API, only data is.
    """
    if isinstance(output, str):
        return output, [], []
    texts = [part.text for part in output if isinstance(part, InputText)]
    parts = [_user_part(part) for part in output if not isinstance(part, InputText)]
    held = [part for part in parts if media and _mime_type(part) in _IN_RESPONSES]
    attached = [part for part in parts if part not in held]
    if attached:
        texts.append(f"[{len(attached)} attached in the user's turn that follows]")
        attached.insert(0, {"text": f"Attached by the tool call {call_id}:"})
    return "\n".join(texts), held, attached


def _mime_type(part: JsonObject) -> str:
    data = part.get("inlineData")
    return str(data["mimeType"]) if isinstance(data, dict) else ""


def _user_part(part: Part) -> JsonObject:
    if (text := said(part)) is not None:
        return {"text": text}
    match part:
        case InputImage():
            if not part.image_url:
                raise unsendable("'input_image' without 'image_url'")
            return _media(part.image_url, part.type)
        case InputVideo():
            return _media(part.video_url, part.type)
        case InputFile():
            return _file(part)
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role 'user'")


def _file(part: InputFile) -> JsonObject:
    data = part.file_data
    if not data:
        if not part.file_url:
            raise unsendable("'input_file' without 'file_data' or 'file_url'")
        return _media(part.file_url, part.type, part.filename)
    if data.startswith("data:"):
        return _media(data, part.type, part.filename)
    mime_type = guess_type(part.filename or "")[0]
    if not mime_type:
        raise unsendable("'input_file' with 'file_data' whose type neither a data URL nor 'filename' tells")
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def _media(url: str, kind: str, filename: str | None = None) -> JsonObject:
    """Google fetches URLs itself: of the web, of YouTube, of its own files and of Cloud Storage."""
    if url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        mime_type, *parameters = head.split(";")
        if "base64" not in parameters or not mime_type:
            raise unsendable(f"{kind!r} with a data URL that is not base64 or has no type")
        return {"inlineData": {"mimeType": mime_type, "data": data}}
    if not url.startswith(("https://", "http://", "gs://")):
        raise unsendable(f"{kind!r} with a URL that is neither of http, of Cloud Storage, nor of data")
    file: JsonObject = {"fileUri": url}
    if mime_type := guess_type(filename or "")[0] or guess_type(urlsplit(url).path)[0]:
        file["mimeType"] = mime_type
    return {"fileData": file}


GO_ON = "(go on)"
UNSIGNED = "skip_thought_signature_validator"
"""Of the two values that the Gemini API knows, the one that Vertex knows too (pydantic/pydantic-ai#3881)."""
GOOGLE = "google:"
"""Begins the types of items that hold a part of Google's own tools, as it came."""


def contents(turn: Turn, model: GeminiModel) -> JsonObject:
    """`contents` and `systemInstruction`. Raises RequestError for what this wire can't carry."""
    history = _History(turn, model)
    for index, item in enumerate(turn.items):
        history.add(index, item)
    return history.finished()


@dataclass(frozen=True, slots=True)
class _Answered:
    """A call, as its response tells of it. `failed`: the output says what went wrong."""

    call_id: str
    name: str
    output: Output
    failed: bool


@dataclass(slots=True)
class _Step:
    """What the model does at once. `waiting` are the calls whose outputs come later."""

    parts: list[JsonObject] = field(default_factory=list[JsonObject])
    calls: list[_Answered] = field(default_factory=list[_Answered])
    waiting: set[str] = field(default_factory=set[str])
    reasoned: bool = False

    @property
    def done(self) -> bool:
        return bool(self.calls) and not self.waiting


class _History:
    def __init__(self, turn: Turn, model: GeminiModel) -> None:
        self._model = model
        self._calls = PastCalls(turn)
        self._contents: list[JsonObject] = []
        self._system: list[str] = [turn.instructions] if turn.instructions else []
        self._open: _Step | None = None
        self._signed: NextPart | None = None

    def add(self, index: int, item: Item) -> None:
        signed, self._signed = self._signed, None
        match item:
            case Message(role="user"):
                self._close()
                self._append("user", user_parts(item.content))
            case Message(role="assistant"):
                self._say(item)
            case Message():
                self._system.append(plain_text(item.content, item.role, "\n"))
            case Reasoning():
                self._reason(item)
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                self._call(index, item, signed)
            case FunctionCallOutput() | CustomToolCallOutput():
                if self._open:
                    self._open.waiting.discard(item.call_id)
                self._signed = signed
            case Compaction():
                raise unsendable("an item of type 'compaction'")
            case ExtensionItem():
                self._echo(item, signed)

    def finished(self) -> JsonObject:
        self._close()
        if not self._contents or self._contents[0]["role"] == "model":
            self._contents.insert(0, _user_says(GO_ON))
        if self._contents[-1]["role"] == "model":
            self._contents.append(_user_says(GO_ON))
        body: JsonObject = {"contents": [*self._contents]}
        if texts := [text for text in self._system if text]:
            body["systemInstruction"] = {"parts": [{"text": text} for text in texts]}
        return body

    def _say(self, item: Message) -> None:
        step = self._step()
        spoken = [part for part in item.content if not isinstance(part, ReasoningText)]
        if text := plain_text(spoken, item.role):
            step.parts.append({"text": text})

    def _reason(self, item: Reasoning) -> None:
        """Thoughts themselves don't go back: they are summaries, and only their signatures mean something."""
        match state_of(item.encrypted_content):
            case NextPart() as state:
                self._signed = state
            case Spoken() as state:
                _sign((self._open or self._step()).parts, state)
            case Thought() as state:
                step = self._step()
                step.reasoned = True
                step.parts.append({"text": state.thought, "thought": True, "thoughtSignature": state.signature})
            case None:
                self._step().reasoned = True

    def _call(self, index: int, call: Call, signed: NextPart | None) -> None:
        """A call joins a step whose calls are all answered only where it is known to be one of its parallel calls:
        hosted calls carry their outputs, so those look like steps of one call each, and are sent as such. But a
        model that reasons does so in each step, so there a call without new reasoning joins; so does one that was
        signed as a later call of its step.
        """
        parallel = signed.calls > 0 if signed else bool(self._open and self._open.reasoned)
        step = self._step(parallel=parallel)
        name = function_name(self._calls.name(call))
        part: JsonObject = {"functionCall": {"id": call.call_id, "name": name, "args": arguments(call)}}
        if signed:
            step.reasoned = True
            part["thoughtSignature"] = signed.next
        elif self._model.is_3 and not step.calls:
            part["thoughtSignature"] = UNSIGNED
        step.parts.append(part)
        step.calls.append(_Answered(call.call_id, name, self._calls.output(index), failed(call)))
        if index in self._calls.answers:
            step.waiting.add(call.call_id)

    def _echo(self, item: ExtensionItem, signed: NextPart | None) -> None:
        """A call of Google's own tool, or its response, means something only to the model that made it."""
        part = item.__pydantic_extra__.get("part")
        if not item.type.startswith(GOOGLE) or not isinstance(part, dict):
            return
        if signed:
            self._step().parts.append(part | {"thoughtSignature": signed.next})
        elif not part.keys() & {"toolCall", "toolResponse"}:
            self._step().parts.append(part)

    def _step(self, *, parallel: bool = False) -> _Step:
        """The step that the next part belongs to."""
        if self._open and self._open.done and not parallel:
            self._close()
        self._open = self._open or _Step()
        return self._open

    def _close(self) -> None:
        done, self._open = self._open, None
        if done is None:
            return
        self._append("model", done.parts)
        responses, attached = list[JsonObject](), list[JsonObject]()
        for call in done.calls:
            text, media, more = response_parts(call.output, call.call_id, media=self._model.is_3)
            response: JsonObject = {"id": call.call_id, "name": call.name}
            response["response"] = {"error" if call.failed else "output": text}
            if media:
                response["parts"] = [*media]
            responses.append({"functionResponse": response})
            attached += more
        if responses:
            self._contents.append({"role": "user", "parts": [*responses]})
        if attached:
            self._contents.append({"role": "user", "parts": [*attached]})

    def _append(self, role: str, parts: list[JsonObject]) -> None:
        """Contents of one role become one, but for the responses to calls."""
        last = self._contents[-1] if self._contents else {}
        known = last.get("parts")
        if last.get("role") == role and isinstance(known, list) and not _are_responses(known):
            known += parts
        elif parts:
            self._contents.append({"role": role, "parts": [*parts]})


def _user_says(text: str) -> JsonObject:
    return {"role": "user", "parts": [{"text": text}]}


def _sign(parts: list[JsonObject], state: Spoken) -> None:
    """Cut the step's last text where its signed pieces begin and end. A text that was changed stays unsigned."""
    words = ""
    if state.length:
        last = parts[-1] if parts else {}
        words = str(last["text"]) if last.keys() == {"text"} else ""
        same = len(words) == state.length and all(words[at:].startswith(piece) for at, piece, _ in state.spoken)
        if not same:
            return
        parts.pop()
    end = 0
    for at, piece, signature in state.spoken:
        if end < at:
            parts.append({"text": words[end:at]})
        parts.append({"text": piece, "thoughtSignature": signature})
        end = at + len(piece)
    if end < len(words):
        parts.append({"text": words[end:]})


def _are_responses(parts: list[JsonValue]) -> bool:
    return any(isinstance(part, dict) and "functionResponse" in part for part in parts)

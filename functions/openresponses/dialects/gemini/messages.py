"""Items to Gemini's contents. Pure.

What Gemini insists on, and this file therefore keeps ("Function calling" and "Thought signatures", Gemini API):

- A step of the model is one content: its text and all of its calls. The responses to all of its calls, in the calls'
  order, are the next content, and nothing else is in it (pydantic/pydantic-ai#4210).
- A signature is on the part it came on. From Gemini 3 on, the first call of a step must have one: calls of other
  models get the value that is documented for them.
- The user has the first word and the last.
"""

from collections.abc import Iterable, Sequence
from mimetypes import guess_type
from urllib.parse import urlsplit

from pydantic import JsonValue

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputFile, InputImage, InputText, InputVideo, Part
from ...schema.items import Compaction, ExtensionItem, Message, Reasoning
from .._shared.history import Entry, ModelTurn, PastCall, Piece, Said, arguments, history, speaks
from .._shared.naming import Naming
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
    if mime_type := guess_type(filename or "")[0] or guess_type(_path(url, kind))[0]:
        file["mimeType"] = mime_type
    return {"fileData": file}


def _path(url: str, kind: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        raise unsendable(f"{kind!r} with a URL that is none") from None


GO_ON = "(go on)"
UNSIGNED = "skip_thought_signature_validator"
"""Of the two values that the Gemini API knows, the one that Vertex knows too (pydantic/pydantic-ai#3881)."""
GOOGLE = "google:"
"""Begins the types of items that hold a part of Google's own tools, as it came."""
_HARMLESS = {
    *("executableCode", "codeExecutionResult", "toolCall", "toolResponse", "inlineData", "thought"),
    *("mediaResolution", "videoMetadata", "partMetadata"),
}
"""What a part may hold that goes back whoever may have made it up: it names no file of the account (python-genai,
`types.Part`)."""


def tool_names(tools: Iterable[OfferedTool]) -> Naming:
    """Of at most 64 characters: 128 by today's reference, but 64 by that of many models and SDKs."""
    return Naming(64, (tool.name for tool in tools), pattern="[a-zA-Z_][a-zA-Z0-9_.-]*", prefix="_")


def contents(turn: Turn, model: GeminiModel, *, shared: bool) -> JsonObject:
    """`contents` and `systemInstruction`. `shared`: the account's files may be named.

    Raises RequestError for what this wire can't carry.
    """
    made = _Contents(turn, model, shared)
    for entry in history(turn, sends=_sends, goes_on=_goes_on):
        made.add(entry)
    return made.finished()


def _sends(piece: Piece) -> bool:
    return piece.type.startswith(GOOGLE) if isinstance(piece, ExtensionItem) else speaks(piece)


def _goes_on(turn: ModelTurn, piece: Piece) -> bool:
    """Whether a step goes on with `piece`, although its calls are all answered.

    A text's signature goes with the text. A signature of the part that follows says how many calls come before that
    part. As the model reasons in each step, a call without new reasoning is of the same step (see `reasons`).
    """
    match state_of(piece.encrypted_content) if isinstance(piece, Reasoning) else None:
        case NextPart() as state:
            return state.calls > 0
        case Spoken():
            return True
        case _:
            states = [state_of(each.encrypted_content) for each in turn.pieces if isinstance(each, Reasoning)]
            reasoned = any(not isinstance(state, Spoken) for state in states)
            signed = isinstance(piece, ExtensionItem) and isinstance(turn.pieces[-1], Reasoning)
            return signed or (reasoned and isinstance(piece, PastCall))


class _Contents:
    def __init__(self, turn: Turn, model: GeminiModel, shared: bool) -> None:
        self._model, self._shared = model, shared
        self._names = tool_names(turn.tools)
        self._contents: list[JsonObject] = []
        self._system: list[str] = [turn.instructions] if turn.instructions else []

    def add(self, entry: Entry) -> None:
        match entry:
            case ModelTurn():
                self._append("model", self._parts(entry))
                self._answer(entry.calls)
            case Said(Message(role="user") as message):
                self._append("user", user_parts(message.content))
            case Said(message):
                self._system.append(plain_text(message.content, message.role, "\n"))
            case Compaction():
                raise unsendable("an item of type 'compaction'")

    def finished(self) -> JsonObject:
        if not self._contents or self._contents[0]["role"] == "model":
            self._contents.insert(0, _user_says(GO_ON))
        if self._contents[-1]["role"] == "model":
            self._contents.append(_user_says(GO_ON))
        body: JsonObject = {"contents": [*self._contents]}
        if texts := [text for text in self._system if text]:
            body["systemInstruction"] = {"parts": [{"text": text} for text in texts]}
        return body

    def _parts(self, turn: ModelTurn) -> list[JsonObject]:
        """Thoughts themselves don't go back: they are summaries, and only their signatures mean something."""
        parts: list[JsonObject] = []
        signature = ""
        for piece in turn.pieces:
            signed: JsonObject = {"thoughtSignature": signature} if signature else {}
            signature = ""
            match piece:
                case Said(message):
                    if text := plain_text(message.content, message.role):
                        parts.append({"text": text})
                case PastCall():
                    first = not any("functionCall" in part for part in parts)
                    unsigned: JsonObject = {"thoughtSignature": UNSIGNED} if self._model.is_3 and first else {}
                    parts.append(self._call(piece) | (signed or unsigned))
                case ExtensionItem():
                    parts += _echo(piece, signed, self._shared)
                case Reasoning():
                    match state_of(piece.encrypted_content):
                        case NextPart() as state:
                            signature = state.next
                        case Spoken() as state:
                            _sign(parts, state)
                        case Thought() as state:
                            parts.append({"text": state.thought, "thought": True, "thoughtSignature": state.signature})
                        case None:
                            pass
        return parts

    def _call(self, call: PastCall) -> JsonObject:
        name = self._names.wire(call.name)
        return {"functionCall": {"id": call.call_id, "name": name, "args": arguments(call.item)}}

    def _answer(self, calls: Sequence[PastCall]) -> None:
        responses, attached = list[JsonObject](), list[JsonObject]()
        for call in calls:
            text, media, more = response_parts(call.output, call.call_id, media=self._model.is_3)
            response: JsonObject = {"id": call.call_id, "name": self._names.wire(call.name)}
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


def _echo(item: ExtensionItem, signed: JsonObject, shared: bool) -> list[JsonObject]:
    """A call of Google's own tool, or its response, means something only to the model that made it."""
    part = item.__pydantic_extra__.get("part")
    if not item.type.startswith(GOOGLE) or not isinstance(part, dict):
        return []
    if not shared and not part.keys() <= _HARMLESS:
        return []
    return [part | signed] if signed or not part.keys() & {"toolCall", "toolResponse"} else []


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

"""Items to Converse's messages and system blocks. Pure.

What Bedrock insists on, and this file therefore keeps:

- Roles alternate, and the user begins. A model's turn is one message: reasoning and text first, then its calls.
- All results of a message's calls come at once in the next message, before all else; for some models, alone.
- Text is never blank. A document is never without text.
- Reasoning is sent back exactly as it came, signature and all; what has none, only to models that take it so
  (DeepSeek-R1 refuses its own, aws-samples/bedrock-chat#845).
"""

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from mimetypes import guess_type
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputFile, InputImage, InputText, InputVideo, Part
from ...schema.items import Compaction, ExtensionItem, Item, Message, Reasoning
from .._shared.history import NO_OUTPUT, Entry, ModelTurn, PastCall, Said, arguments, history, place, speaks
from .._shared.json import loads, text
from .._shared.naming import Naming
from .._shared.parts import data_url, plain_text, said, unsendable, within
from .._shared.shared_state import names_shared
from .models import Traits
from .thinking import restored

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_VIDEOS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/mpeg": "mpeg",
    "video/x-matroska": "mkv",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "application/json": "txt",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
"""Every other `text/...` is a `txt`."""


class Documents:
    """Names for one request's documents: each its own, and of the characters that Bedrock takes."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._times = Counter[str]()

    def name(self, filename: str) -> str:
        stem = filename.rpartition(".")[0] or filename
        name = re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s()\[\]-]", "-", stem))[:180].strip() or "document"
        while True:
            self._times[name] += 1
            number = self._times[name]
            unique = name if number == 1 else f"{name} ({number})"
            if unique not in self._taken:
                self._taken.add(unique)
                return unique


def blocks(parts: Sequence[Part], documents: Documents, where: str) -> list[JsonObject]:
    """A user's parts. Blank text is left out: Bedrock refuses it."""
    made: list[JsonObject] = []
    for index, part in enumerate(parts):
        text = said(part)
        if text is None:
            made.append(_media(part, documents, within(where, f"[{index}]")))
        elif text.strip():
            made.append({"text": text})
    return made


def tool_result(
    output: str | Sequence[Part], call_id: str, traits: Traits, documents: Documents, where: str
) -> tuple[list[JsonValue], list[JsonObject]]:
    """A tool result's content, and the blocks that this model doesn't take there."""
    made = blocks([InputText(text=output)] if isinstance(output, str) else output, documents, where)
    inside: list[JsonValue] = []
    outside: list[JsonObject] = []
    for block in made:
        if "text" in block or traits.results & block.keys():
            inside.append(block)
        else:
            outside.append(block)
    if outside:
        inside.append({"text": f"[{len(outside)} attached, see what follows the tools' results]"})
        outside.insert(0, {"text": f"Attached by the tool call {call_id}:"})
    if traits.json_results:
        inside = [_as_json(block) for block in inside]
    return inside or [{"text": NO_OUTPUT}], outside


def _as_json(block: JsonValue) -> JsonValue:
    """Mistral's models read an object where others read text."""
    match block:
        case {"text": str(text)}:
            try:
                value = loads(text)
            except ValueError:
                value = text
            return {"json": value if isinstance(value, dict) else {"output": text}}
        case _:
            return block


def _media(part: Part, documents: Documents, where: str) -> JsonObject:
    match part:
        case InputImage(image_url=str(url)):
            return {"image": _source(url, _IMAGES, within(where, ".image_url"))}
        case InputVideo(video_url=url):
            return {"video": _source(url, _VIDEOS, within(where, ".video_url"))}
        case InputFile(file_data=str(data)):
            url = data_url(data, part.filename or "")
            return {"document": _document(part, url, within(where, ".file_data"), documents)}
        case InputFile(file_url=str(url)):
            return {"document": _document(part, url, within(where, ".file_url"), documents)}
        case InputImage() | InputFile():
            raise unsendable(f"{part.type!r} without its data: it knows no 'file_id' of ours", where)
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role 'user'", where)


def _document(part: InputFile, url: str, where: str, documents: Documents) -> JsonObject:
    name = part.filename or (url.rpartition("/")[2] if url.startswith("s3:") else "")
    return {"name": documents.name(name), **_source(url, _DOCUMENTS, where, name)}


def _source(url: str, formats: Mapping[str, str], where: str, filename: str = "") -> JsonObject:
    """Of a data URL, or of an object in a bucket."""
    if url.startswith("s3://"):
        media_type = guess_type(url)[0] or ""
        source: JsonObject = {"s3Location": {"uri": url}}
    elif url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        media_type = head.partition(";")[0].lower()
        source = {"bytes": _base64(data, where) if head.endswith(";base64") else _encoded(data)}
    else:
        raise unsendable("a web address: send it as a data URL, or from a bucket as s3://", where)
    if media_type in ("", "application/octet-stream"):
        media_type = guess_type(filename)[0] or ""
    fallback = "txt" if formats is _DOCUMENTS and media_type.startswith("text/") else None
    if (form := formats.get(media_type, fallback)) is None:
        raise unsendable(f"data of type {media_type or 'unknown'!r}, only {sorted(set(formats.values()))}", where)
    return {"format": form, "source": source}


def _base64(data: str, where: str) -> str:
    data = re.sub(r"\s+", "", data)
    try:
        if not base64.b64decode(data, validate=True):
            raise unsendable("data that is empty", where)
    except ValueError:
        raise unsendable("data that is not base64", where) from None
    return data


def _encoded(data: str) -> str:
    """A data URL without base64 is percent-encoded."""
    return base64.b64encode(unquote_to_bytes(data)).decode()


BEDROCK = "bedrock:"
"""Begins the type of an item with a block of a tool that the provider ran. The block goes back as it came."""

_FILLER: JsonObject = {"text": "."}
"""Keeps roles alternating where nobody said anything."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`called` are the names of the tools that it has calls of, as they were sent."""

    system: list[JsonObject]
    messages: list[JsonObject]
    called: list[str]


def call_ids(traits: Traits) -> Naming:
    return Naming(9, pattern="[a-zA-Z0-9]{9}") if traits.short_ids else Naming(64)


def conversation(
    turn: Turn, traits: Traits, names: Naming, *, reasoning: bool = True, shared: bool = False
) -> Conversation:
    """Raises RequestError for what this wire can't carry, and for an output that answers no call. `reasoning` may be
    left out. `shared`: buckets may be named."""
    messages = _Messages(turn, traits, names, reasoning, shared)
    ids = call_ids(traits).another
    for entry in history(turn, ids=ids, sends=lambda piece: isinstance(piece, ExtensionItem) or speaks(piece)):
        messages.add(entry)
    return messages.finished()


class _Messages:
    def __init__(self, turn: Turn, traits: Traits, names: Naming, reasoning: bool, shared: bool) -> None:
        self._turn, self._traits, self._names, self._reasoning = turn, traits, names, reasoning
        self._shared = shared
        self._documents = Documents()
        self._system = [turn.instructions or ""]
        self._messages: list[tuple[str, list[JsonObject]]] = []
        self._called: dict[str, None] = {}
        self._own: defaultdict[str, set[str]] = defaultdict(set)
        for item in turn.items:
            if block := _own_block(item, shared):
                self._own[text(block[1].get("toolUseId"))].add(block[0])

    def add(self, entry: Entry) -> None:
        match entry:
            case ModelTurn():
                self._model(entry)
            case Said(Message(role="user") as message, where):
                self._put("user", blocks(message.content, self._documents, where))
            case Said(message, where):
                self._system.append(plain_text(message.content, message.role, "\n", where))
            case Compaction():
                raise unsendable("an item of type 'compaction'", place(self._turn, self._turn.items.index(entry)))

    def finished(self) -> Conversation:
        if not self._messages:
            self._messages.append(("user", [_FILLER]))
        return Conversation(
            system=[{"text": text} for text in self._system if text.strip()],
            messages=[_message(role, content) for role, content in self._messages],
            called=list(self._called),
        )

    def _model(self, turn: ModelTurn) -> None:
        """Reasoning alone is no message."""
        said: list[JsonObject] = []
        for piece in turn.pieces:
            if (
                isinstance(piece, Said)
                and (text := plain_text(piece.message.content, "assistant", "", piece.where)).strip()
            ):
                said.append({"text": text})
            elif isinstance(piece, Reasoning) and self._reasoning and (block := restored(piece.encrypted_content)):
                said.append({"reasoningContent": block})
            elif isinstance(piece, ExtensionItem) and (block := self._echoed(piece)):
                said.append(block)
        calls = [self._call(call) for call in turn.calls]
        if calls or any("reasoningContent" not in block for block in said):
            self._put("assistant", [*said, *calls])
        results: list[JsonObject] = []
        attached: list[JsonObject] = []
        for call in turn.calls:
            content, more = tool_result(call.output, call.call_id, self._traits, self._documents, call.where)
            result: JsonObject = {"toolUseId": call.call_id, "content": content}
            if call.failed and self._traits.status:
                result["status"] = "error"
            results.append({"toolResult": result})
            attached += more
        self._put("user", results)
        self._put("user", attached)

    def _echoed(self, item: ExtensionItem) -> JsonObject | None:
        """A block of a tool that the provider ran. A call of it needs its result, and the other way round."""
        block = _own_block(item, self._shared)
        if block is None or len(self._own[text(block[1].get("toolUseId"))]) < 2:
            return None
        return {block[0]: block[1]}

    def _call(self, call: PastCall) -> JsonObject:
        name = self._names.wire(call.name)
        self._called[name] = None
        return {"toolUse": {"toolUseId": call.call_id, "name": name, "input": arguments(call.item)}}

    def _put(self, role: str, content: list[JsonObject]) -> None:
        if not content:
            return
        if not self._messages and role == "assistant":
            self._messages.append(("user", [_FILLER]))
        if self._messages and self._messages[-1][0] == role:
            if self._may_join(content):
                self._messages[-1][1].extend(content)
                return
            self._messages.append(("assistant" if role == "user" else "user", [_FILLER]))
        self._messages.append((role, list(content)))

    def _may_join(self, content: list[JsonObject]) -> bool:
        """Anthropic's models refuse documents beside tool results, and some others refuse anything."""
        if not any("toolResult" in block for block in self._messages[-1][1]):
            return True
        return all(self._traits.beside & block.keys() for block in content)


def _own_block(item: Item, shared: bool) -> tuple[str, JsonObject] | None:
    """Its kind, and what is in it. A client may have made it up: it names no bucket, where none may be named."""
    if not isinstance(item, ExtensionItem) or not item.type.startswith(BEDROCK):
        return None
    kind, block = item.type.removeprefix(BEDROCK), item.__pydantic_extra__.get("block")
    if not isinstance(block, dict) or kind not in ("toolUse", "toolResult"):
        return None
    return (kind, block) if shared or not names_shared(block) else None


def _message(role: str, content: list[JsonObject]) -> JsonObject:
    if any("document" in block for block in content) and not any("text" in block for block in content):
        content = [*content, {"text": "(See what is attached.)"}]
    made: list[JsonValue] = [*content]
    return {"role": role, "content": made}

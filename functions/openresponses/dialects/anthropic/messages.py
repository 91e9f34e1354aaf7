"""Items to the system prompt and the messages of the Messages API. Pure.

What the API insists on, and this file therefore keeps:

- The messages begin with the user's and end with the user's: an answer is never continued ("Prefill not supported").
- An assistant message goes back as it came, thinking included, in its order and in one piece ("Preserving thinking
  blocks"): what was sent once is never rearranged, for the provider's cache and for its checks of thinking.
- The next message begins with the results of all of its calls, in their order ("Handle tool calls").
- Ids of calls are unique. No text is empty.
- Instructions go to the top, or (newer models) right behind a message of the user ("Mid-conversation system
  messages"), where they leave what was said before unchanged.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from mimetypes import guess_type

from pydantic import JsonValue

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputFile, InputImage, Part, ReasoningText
from ...schema.items import Compaction, ExtensionItem, Item, Message, Reasoning
from ...schema.server_items import HostedToolCall
from .._shared.history import Entry, ModelTurn, PastCall, Piece, Said, arguments, history
from .._shared.json import fields, text
from .._shared.naming import Naming
from .._shared.parts import plain_text, said, unsendable
from .._shared.shared_state import names_shared
from .models import Profile
from .thinking import Thought, thinking_block

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"
_PDF_START = "JVBERi"
"""Base64 of `%PDF`."""

ANTHROPIC = "anthropic:"
"""Begins the type of an item with a block that only the vendor has: of a tool that it ran, a compaction, or one that is
newer than this server. The block goes back as it came."""
_CALL, _RESULT = "_tool_use", "_tool_result"
"""End the types of blocks of a tool that the vendor ran."""
_OURS = ("text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result")
"""Types of blocks that other items stand for. An item that a client made up of one is left out."""
_HARMLESS = (
    *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "tool_search_tool_result"),
    *("mcp_tool_use", "mcp_tool_result", "compaction", "fallback"),
)
"""Types of blocks that go back whoever may have made them up: they name no file and no container of the account
(anthropic-sdk-python, `types/beta/beta_content_block.py`)."""
_TOGETHER = "+"


def tool_names(tools: Iterable[OfferedTool]) -> Naming:
    return Naming(128, (tool.name for tool in tools))


def made_together(call_id: str) -> str:
    """Marks the id of a call that the model made together with the call before it, which this server runs or refuses.

    The item of such a call has its output, too: in a history, nothing else tells parallel calls from calls of several
    turns. Calls must go back as they came: a model that sees its calls answered one by one stops making them in
    parallel ("Parallel tool use"), and thinking between two calls of a message is valid only there ("Preserved
    thinking").
    """
    return call_id + _TOGETHER if call_id else ""


def text_block(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def blocks(parts: Sequence[Part], role: str) -> list[JsonValue]:
    """Texts without a word are left out: the API refuses a block of them."""
    made = [_block(part, role) for part in parts if not isinstance(part, ReasoningText)]
    return [block for block in made if block.get("type") != "text" or str(block["text"]).strip()]


def result_content(output: str | Sequence[Part]) -> JsonValue:
    """None where there is nothing: a result may be empty."""
    if isinstance(output, str):
        return output if output.strip() else None
    return blocks(output, "tool") or None


def _block(part: Part, role: str) -> JsonObject:
    if (text := said(part)) is not None:
        return text_block(text)
    match part:
        case InputImage() if role != "assistant":
            return _image(part)
        case InputFile() if role != "assistant":
            return _file(part)
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role {role!r}")


def _image(part: InputImage) -> JsonObject:
    if not part.image_url:
        raise unsendable("'input_image' without 'image_url'")
    if not part.image_url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": part.image_url}}
    media_type, data = _data_url(part.image_url)
    if media_type not in IMAGES:
        raise unsendable(f"an image of type {media_type!r}: it takes {', '.join(IMAGES)}")
    return _base64("image", media_type, data)


def _file(part: InputFile) -> JsonObject:
    if part.file_url:
        return _titled({"type": "document", "source": {"type": "url", "url": part.file_url}}, part)
    if not part.file_data:
        raise unsendable("'input_file' without 'file_data' or 'file_url'")
    media_type, data = _data_url(part.file_data)
    if not media_type:
        media_type = PDF if data.startswith(_PDF_START) else guess_type(part.filename or "")[0] or ""
    if media_type in IMAGES:
        return _base64("image", media_type, data)
    if media_type == PDF:
        return _titled(_base64("document", media_type, data), part)
    if media_type.startswith("text/") or media_type in ("application/json", "application/xml"):
        source: JsonObject = {"type": "text", "media_type": "text/plain", "data": _decoded(data)}
        return _titled({"type": "document", "source": source}, part)
    raise unsendable(f"a file of type {media_type or 'unknown'!r}: it takes PDF, text and images")


def _base64(kind: str, media_type: str, data: str) -> JsonObject:
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def _titled(document: JsonObject, part: InputFile) -> JsonObject:
    return {**document, "title": part.filename[:500]} if part.filename else document


def _data_url(value: str) -> tuple[str, str]:
    """Its media type and its base64; no type for bare base64."""
    if not value.startswith("data:"):
        return "", value
    head, _, data = value.removeprefix("data:").partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        raise unsendable("a data URL that is not base64")
    return media_type.lower(), data


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        raise unsendable("a text file that is not base64 of UTF-8") from None


BEGIN, GO_ON = "(The conversation begins with your words.)", "Go on."


@dataclass(slots=True)
class Prompt:
    """`messages` are (role, content blocks); no two neighbours have the same role."""

    system: list[str]
    messages: list[tuple[str, list[JsonValue]]]


def prompt(turn: Turn, profile: Profile, *, thinking: bool, order: str | None, shared: bool) -> Prompt:
    """`thinking`: send earlier thinking back. `order`: an instruction for this turn alone. `shared`: files of the
    account may be named.

    Raises RequestError for what this wire can't carry, and for an output that answers no call.
    """
    messages = _Messages(turn, profile, thinking, shared)
    ids = tool_names(())
    entries = history(
        turn,
        ids=lambda call_id: ids.another(call_id.removesuffix(_TOGETHER)),
        sends=lambda piece: bool(messages.blocks(piece)),
        goes_on=messages.goes_on,
    )
    for entry in entries:
        messages.add(entry)
    return messages.finished(order)


class _Messages:
    def __init__(self, turn: Turn, profile: Profile, thinking: bool, shared: bool) -> None:
        self._names = tool_names(turn.tools)
        own = [block for item in turn.items if (block := _vendor_s_block(item, shared))]
        self._called, self._found = ({text(block.get(name)) for block in own} for name in ("id", "tool_use_id"))
        self._paused = _vendor_s_block(turn.items[-1], shared) if turn.items else None
        self._profile, self._thinking, self._shared = profile, thinking, shared
        self._system = [turn.instructions] if turn.instructions else []
        self._later: list[str] = []
        self._messages: list[tuple[str, list[JsonValue]]] = []

    def goes_on(self, turn: ModelTurn, piece: Piece) -> bool:
        """Whether a message goes on with `piece`, although none of its calls waits for an answer.

        A client answers after all calls of a message: where it has answered none, the message goes on.
        """
        of_client = [call for call in turn.calls if not isinstance(call.item, HostedToolCall)]
        if of_client and all(call.answer is None for call in of_client):
            return True
        match piece:
            case PastCall():
                return piece.item.call_id.endswith(_TOGETHER)
            case Reasoning():
                found = self._thought(piece)
                return found is not None and found.goes_on
            case ExtensionItem():
                return piece.__pydantic_extra__.get("index") != 0
            case Said():
                return False

    def add(self, entry: Entry) -> None:
        match entry:
            case ModelTurn():
                self._assistant([block for piece in entry.pieces for block in self.blocks(piece)])
                self._say("user", [_result(call) for call in entry.calls])
            case Said(Message(role="user") as message):
                self._say("user", blocks(message.content, message.role))
            case Said(message):
                self._instruct(plain_text(message.content, message.role, "\n"))
            case Compaction():
                raise unsendable("an item of type 'compaction'")

    def finished(self, order: str | None) -> Prompt:
        role, content = self._messages[-1] if self._messages else ("assistant", list[JsonValue]())
        if role == "assistant" and not _is_call(content[-1:]):
            self._say("user", [text_block(GO_ON)])
        if order:
            self._instruct(order)
        self._place_instructions()
        return Prompt(self._system, self._messages)

    def blocks(self, piece: Piece) -> list[JsonValue]:
        match piece:
            case Said(message):
                return blocks(message.content, message.role)
            case Reasoning():
                found = self._thought(piece)
                return [found.block] if found else []
            case ExtensionItem():
                block = self._echoed(piece)
                return [block] if block else []
            case PastCall(call, call_id, name):
                return [{"type": "tool_use", "id": call_id, "name": self._names.wire(name), "input": arguments(call)}]

    def _thought(self, item: Reasoning) -> Thought | None:
        return thinking_block(item.encrypted_content, signed=self._profile.claude) if self._thinking else None

    def _echoed(self, item: ExtensionItem) -> JsonObject | None:
        """A block of the vendor's own, back to the vendor. A call of a tool that it ran needs its result, unless the
        turn paused there, and a result its call."""
        block = _vendor_s_block(item, self._shared) if self._profile.claude else None
        if block is None:
            return None
        if _is_call([block]):
            return block if text(block.get("id")) in self._found or block == self._paused else None
        is_result = text(block["type"]).endswith(_RESULT)
        return block if not is_result or text(block.get("tool_use_id")) in self._called else None

    def _instruct(self, words: str) -> None:
        if words.strip():
            (self._later if self._messages and self._profile.late_system else self._system).append(words)

    def _assistant(self, content: list[JsonValue]) -> None:
        if not content:
            return
        if not self._messages:
            self._say("user", [text_block(BEGIN)])
        if self._messages[-1][0] != "assistant":
            self._place_instructions()
        self._say("assistant", content)

    def _say(self, role: str, content: list[JsonValue]) -> None:
        if self._messages and self._messages[-1][0] == role:
            self._messages[-1][1].extend(content)
        elif content:
            self._messages.append((role, list(content)))

    def _place_instructions(self) -> None:
        """Behind the user's words, where an answer follows or the conversation ends."""
        later, self._later = self._later, []
        self._say("system", [text_block(each) for each in later])


def _result(call: PastCall) -> JsonObject:
    result: JsonObject = {"type": "tool_result", "tool_use_id": call.call_id}
    if call.failed:
        result["is_error"] = True
    if content := result_content(call.output):
        result["content"] = content
    return result


def _vendor_s_block(item: Item, shared: bool) -> JsonObject | None:
    if not isinstance(item, ExtensionItem) or not item.type.startswith(ANTHROPIC):
        return None
    kind, block = item.type.removeprefix(ANTHROPIC), item.__pydantic_extra__.get("block")
    if not isinstance(block, dict) or kind in _OURS:
        return None
    return {**block, "type": kind} if shared or (kind in _HARMLESS and not names_shared(block)) else None


def _is_call(content: Sequence[JsonValue]) -> bool:
    """Of a tool that the vendor ran: the last of a turn that paused ("Handling stop reasons", `pause_turn`)."""
    return any(text(fields(block).get("type")).endswith(_CALL) for block in content)

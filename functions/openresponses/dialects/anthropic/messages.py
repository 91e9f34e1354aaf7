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
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from mimetypes import guess_type

from pydantic import JsonValue

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputFile, InputImage, Part, ReasoningText
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
from .._shared.history import Call, PastCalls, arguments, failed
from .._shared.json import text
from .._shared.naming import ANTHROPIC, OF_VENDOR_S_TOOLS, is_made_together, vendor_id, wire_name
from .._shared.parts import plain_text, said, unsendable
from .models import Profile
from .thinking import thinking_block

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"
_PDF_START = "JVBERi"
"""Base64 of `%PDF`."""


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
    except (binascii.Error, UnicodeDecodeError):
        raise unsendable("a text file that is not base64 of UTF-8") from None


BEGIN, GO_ON = "(The conversation begins with your words.)", "Go on."


@dataclass(slots=True)
class Prompt:
    """`messages` are (role, content blocks); no two neighbours have the same role."""

    system: list[str]
    messages: list[tuple[str, list[JsonValue]]]


def prompt(turn: Turn, profile: Profile, *, thinking: bool, order: str | None) -> Prompt:
    """`thinking`: send earlier thinking back. `order`: an instruction for this turn alone.

    Raises RequestError for what this wire can't carry, and for an output that answers no call.
    """
    history = _History(turn, profile, thinking)
    for index, item in enumerate(turn.items):
        history.add(index, item)
    return history.finished(order)


class _History:
    def __init__(self, turn: Turn, profile: Profile, thinking: bool) -> None:
        self._calls = PastCalls(turn)
        self._found = {text(block.get("tool_use_id")) for item in turn.items if (block := _vendor_s_block(item))}
        self._profile, self._thinking = profile, thinking
        self._system = [turn.instructions] if turn.instructions else []
        self._later: list[str] = []
        self._messages: list[tuple[str, list[JsonValue]]] = []
        self._results: list[JsonValue] = []
        self._waiting: set[str] = set()
        self._calling = False
        self._ids: set[str] = set()

    def add(self, index: int, item: Item) -> None:
        match item:
            case Message(role="user"):
                self._answer()
                self._say("user", blocks(item.content, item.role))
            case Message(role="assistant"):
                if said := blocks(item.content, item.role):
                    self._assistant().extend(said)
            case Message():
                self._instruct(plain_text(item.content, item.role, "\n"))
            case Reasoning():
                self._think(item)
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                self._call(index, item)
            case FunctionCallOutput() | CustomToolCallOutput():
                self._waiting.discard(item.call_id)
                self._calling = False
            case Compaction():
                raise unsendable("an item of type 'compaction'")
            case ExtensionItem():
                self._echo(item)

    def finished(self, order: str | None) -> Prompt:
        self._answer()
        if not self._messages or self._messages[-1][0] == "assistant":
            self._say("user", [text_block(GO_ON)])
        if order:
            self._instruct(order)
        self._place_instructions()
        return Prompt(self._system, self._messages)

    def _instruct(self, words: str) -> None:
        if words.strip():
            (self._later if self._messages and self._profile.late_system else self._system).append(words)

    def _think(self, item: Reasoning) -> None:
        found = thinking_block(item.encrypted_content, signed=self._profile.claude) if self._thinking else None
        if found:
            self._assistant(go_on=found.goes_on).append(found.block)

    def _echo(self, item: ExtensionItem) -> None:
        """A block of a tool that the vendor ran, back to the vendor. A call of it needs its result."""
        block = _vendor_s_block(item)
        if block and self._profile.claude and text(block.get("id", block.get("tool_use_id"))) in self._found:
            self._assistant(go_on=item.__pydantic_extra__.get("index") != 0).append(block)

    def _call(self, index: int, call: Call) -> None:
        content, wire_id = self._assistant(go_on=is_made_together(call.call_id)), self._unique(vendor_id(call.call_id))
        name = wire_name(self._calls.name(call))
        content.append({"type": "tool_use", "id": wire_id, "name": name, "input": arguments(call)})
        answer: JsonObject = {"type": "tool_result", "tool_use_id": wire_id}
        if failed(call):
            answer["is_error"] = True
        if shown := result_content(self._calls.output(index)):
            answer["content"] = shown
        self._results.append(answer)
        self._calling = self._calling or not isinstance(call, HostedToolCall)
        if index in self._calls.answers:
            self._waiting.add(call.call_id)

    def _assistant(self, *, go_on: bool = False) -> list[JsonValue]:
        """The content that the next block belongs to. A message whose calls are all answered is complete, unless
        the block is known to `go_on` with it. Calls of the client's come first, then their outputs, if any."""
        if self._results and not self._waiting and not self._calling and not go_on:
            self._answer()
        if not self._messages:
            self._say("user", [text_block(BEGIN)])
        if self._messages[-1][0] != "assistant":
            self._place_instructions()
            self._messages.append(("assistant", []))
        return self._messages[-1][1]

    def _answer(self) -> None:
        results, self._results = self._results, []
        self._waiting.clear()
        self._calling = False
        self._say("user", results)

    def _say(self, role: str, content: list[JsonValue]) -> None:
        if self._messages and self._messages[-1][0] == role:
            self._messages[-1][1].extend(content)
        elif content:
            self._messages.append((role, list(content)))

    def _place_instructions(self) -> None:
        """Behind the user's words, where an answer follows or the conversation ends."""
        later, self._later = self._later, []
        self._say("system", [text_block(each) for each in later])

    def _unique(self, wire_id: str) -> str:
        """Some providers number their calls anew in each turn."""
        unique, count = wire_id, 1
        while unique in self._ids:
            count += 1
            unique = wire_name(f"{wire_id}_{count}")
        self._ids.add(unique)
        return unique


def _vendor_s_block(item: Item) -> JsonObject | None:
    if not isinstance(item, ExtensionItem) or not item.type.startswith(ANTHROPIC):
        return None
    kind, block = item.type.removeprefix(ANTHROPIC), item.__pydantic_extra__.get("block")
    return {**block, "type": kind} if isinstance(block, dict) and kind.endswith(OF_VENDOR_S_TOOLS) else None

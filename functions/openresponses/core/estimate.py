"""How many tokens a turn's input has, where nobody counts them: from the bytes that a model reads. Pure."""

from collections.abc import Iterable, Sequence
from math import ceil

from pydantic import JsonValue

from ..schema.content import InputFile, InputImage, InputPart, InputVideo, Part
from ..schema.items import (
    AgentMessage,
    ClientCall,
    ClientCallOutput,
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ToolSearchOutput,
)
from ..schema.request import JsonSchemaFormat
from ..schema.server_items import (
    HostedToolCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    WebSearchCall,
)
from .client_tools import shown_to_model
from .run import OfferedTool
from .turn import Turn

BYTES = 4
"""Of text, for a token: "1 token ~= 4 chars in English" (help.openai.com, "What are tokens and how to count them?";
"Tokens" at ai.google.dev says the same). A character of other scripts has more bytes, and is more of a token."""
ITEM = 4
"""Tokens around an item: 3 for a message, and its role ("How to count tokens with tiktoken", cookbook.openai.com)."""
TOOL = 8
"""Tokens around a tool: 7 to 10 for each function, by the model (the same page, "tool calls")."""
IMAGE = 1_600
"""Tokens of an image: the most that one has which Claude doesn't scale down ("Vision" at platform.claude.com/docs).
Fewer for a small one, and at OpenAI: 765 for 1024 x 1024 ("Images and vision" at developers.openai.com)."""
FILE = 3_000
"""Tokens of a file, which is most often a PDF: a page has 1,500 to 3,000 ("PDF support" at platform.claude.com/docs).
Nobody opens it here to count its pages."""
VIDEO = 18_000
"""Tokens of a video: a minute at 300 a second ("Tokens" at ai.google.dev)."""
SEALED, ENVELOPE = 0.75, 650
"""What is sealed: its bytes for each character of base64, and those that are no text (`estimate_reasoning_length`,
codex-rs/core/src/context_manager/history.rs of openai/codex)."""


def tokens_in(turn: Turn) -> int:
    """An estimate of the rendered input: instructions, items, tools, and the answer's schema. Never less for more.

    How far it is off: see docs/context.md.
    """
    form = turn.request.text.format if turn.request.text else None
    read = _text(turn.instructions or "") + sum(map(_tool, turn.tools)) + tokens_of(turn.items)
    read += sum(TOOL + _json(dict(tool.__pydantic_extra__)) for tool in turn.upstream_tools)
    return ceil(read + (_json(form.schema_) if isinstance(form, JsonSchemaFormat) else 0))


def tokens_of(items: Iterable[Item]) -> int:
    """What these items are of a turn's input."""
    return ceil(sum(ITEM + _item(item) for item in items))


def _item(item: Item) -> float:
    match item:
        case Message():
            return _parts(item.content)
        case FunctionCall():
            return _text(item.name) + _text(item.arguments)
        case CustomToolCall():
            return _text(item.name) + _text(item.input)
        case FunctionCallOutput() | CustomToolCallOutput():
            return _output(item.output)
        case HostedToolCall():
            return _text(item.name) + _text(item.arguments) + _output(item.output or "")
        case Reasoning():
            shown = sum(_text(part.text) for part in (*item.content, *item.summary))
            return max(shown, _sealed(item.encrypted_content or ""))
        case Compaction():
            return _sealed(item.encrypted_content)
        case ExtensionItem(type="image_generation_call"):
            return IMAGE
        case ExtensionItem():
            return _json(dict(item.__pydantic_extra__))
        case McpListTools() | McpCall() | McpApprovalRequest() | McpApprovalResponse() | WebSearchCall():
            return _json(item.model_dump(mode="json"))
        case ClientCall() | ClientCallOutput() | ToolSearchOutput() | AgentMessage():
            return _item(shown_to_model(item))


def _output(output: str | Sequence[InputPart]) -> float:
    return _text(output) if isinstance(output, str) else _parts(output)


def _parts(parts: Sequence[Part]) -> float:
    return sum(map(_part, parts))


def _part(part: Part) -> float:
    match part:
        case InputImage():
            return IMAGE
        case InputFile():
            return FILE + _text(part.filename or "")
        case InputVideo():
            return VIDEO
        case _:
            return _text(part.refusal if part.type == "refusal" else part.text)


def _tool(tool: OfferedTool) -> float:
    return TOOL + _text(tool.name) + _text(tool.description or "") + _json(tool.parameters or {})


def _text(text: str) -> float:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return size / BYTES


def _sealed(text: str) -> float:
    return max(0.0, len(text) * SEALED - ENVELOPE) / BYTES


def _json(value: JsonValue) -> float:
    """As if it were written out. A string that is an image's or a file's data is one of those."""
    read, left = 0.0, [value]
    while left:
        each = left.pop()
        match each:
            case str() if each.startswith("data:"):
                read += IMAGE
            case str():
                read += _text(each) + 3 / BYTES
            case list():
                read += 2 / BYTES
                left += each
            case dict():
                read += 2 / BYTES
                left += each.values()
                read += sum(_text(name) + 4 / BYTES for name in each)
            case _:
                read += 5 / BYTES
    return read

"""What the offline model reads in a turn: the user's last words, and what has happened since."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.turn import Turn
from ..schema.content import InputFile, InputImage, InputVideo, Part, Refusal
from ..schema.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    HostedToolCall,
    Item,
    Message,
    Reasoning,
)
from ._offline_script import Script, parse


@dataclass(frozen=True, slots=True)
class Context:
    """`outputs` are (tool, output) of the calls answered since the last user message."""

    script: Script
    outputs: tuple[tuple[str, str], ...]
    turns_done: int
    attachments: str
    input_words: int

    @property
    def turn(self) -> int:
        """Which turn since the last user message this is, counted from 1."""
        return self.turns_done + 1

    @classmethod
    def of(cls, turn: Turn) -> "Context":
        start = max((i for i, item in enumerate(turn.items) if _is_user(item)), default=-1)
        last = turn.items[start] if start >= 0 else None
        parts = last.content if isinstance(last, Message) else []
        script = parse(_text(parts))
        outputs = tuple(_outputs(turn.items[start + 1 :]))
        per_turn = len(script.calls) or (script.parallel or 1 if script.turns else max(1, len(outputs)))
        return cls(
            script=script,
            outputs=outputs,
            turns_done=math.ceil(len(outputs) / per_turn),
            attachments=_attachments(parts),
            input_words=_count(turn.instructions or "") + sum(_count(_read(item)) for item in turn.items),
        )


def _is_user(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _text(parts: Sequence[Part]) -> str:
    said = (part.refusal if isinstance(part, Refusal) else getattr(part, "text", "") for part in parts)
    return " ".join(each for each in said if each)


def _outputs(items: Sequence[Item]) -> list[tuple[str, str]]:
    names = {item.call_id: item.name for item in items if isinstance(item, FunctionCall | CustomToolCall)}
    found: list[tuple[str, str]] = []
    for item in items:
        match item:
            case FunctionCallOutput() | CustomToolCallOutput():
                found.append((names.get(item.call_id, item.call_id), _output_text(item)))
            case HostedToolCall() if item.output is not None:
                found.append((item.name, item.output))
            case _:
                pass
    return found


def _output_text(item: FunctionCallOutput | CustomToolCallOutput) -> str:
    return item.output if isinstance(item.output, str) else _text(item.output) or _attachments(item.output)


def _attachments(parts: Sequence[Part]) -> str:
    """`2 images and 1 file`; empty if there are none."""
    kinds = {"image": InputImage, "file": InputFile, "video": InputVideo}
    counts = {name: sum(isinstance(part, kind) for part in parts) for name, kind in kinds.items()}
    return " and ".join(f"{n} {name}{'s' if n > 1 else ''}" for name, n in counts.items() if n)


def _read(item: Item) -> str:
    """All the words of an item."""
    match item:
        case Message():
            return _text(item.content)
        case FunctionCall():
            return item.arguments
        case CustomToolCall():
            return item.input
        case FunctionCallOutput() | CustomToolCallOutput():
            return _output_text(item)
        case HostedToolCall():
            return f"{item.arguments} {item.output or ''}"
        case Reasoning():
            return " ".join(part.text for part in item.content)
        case _:
            return ""


def _count(text: str) -> int:
    return len(text.split())

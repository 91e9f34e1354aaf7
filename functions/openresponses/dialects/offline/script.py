"""The directives that script the offline model, read from a user's message. The table is in `offline`."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...core.turn import Turn
from ...schema.content import InputFile, InputImage, InputVideo, Part, Refusal
from ...schema.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    HostedToolCall,
    Item,
    Message,
    Reasoning,
)

_DIRECTIVE = re.compile(
    r"\[\[(?P<verb>slow|fail|cut|stall|error|throttle|length|filter|refuse|words|turns|parallel|call)\b"
)
_AFTER = re.compile(r"\bafter\s+(\d+)")
_IN_TURN = re.compile(r"\bin\s+turn\s+(\d+)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

EndKind: TypeAlias = Literal["fail", "cut", "stall", "throttle", "length", "filter"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn is cut short: `after` so many words, in turn `turn` only (counted from 1) or in every one."""

    kind: EndKind
    after: int = 0
    turn: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """`words` is the message without its directives. `calls` are (tool, arguments or None: make them up)."""

    words: str
    calls: tuple[tuple[str, str | None], ...] = ()
    ending: Ending | None = None
    pause: float = 0.0
    refuse: bool = False
    length: int | None = None
    turns: int | None = None
    parallel: int | None = None


def parse(message: str) -> Script:
    """Read every directive in `message`. What isn't one stays in the words."""
    kept: list[str] = []
    calls: list[tuple[str, str | None]] = []
    numbers: dict[str, int] = {}
    ending, pause, refuse, at = None, 0.0, False, 0
    while found := _DIRECTIVE.search(message, at):
        kept.append(message[at : found.start()])
        verb, (argument, at) = found["verb"], _argument(message, found)
        match verb:
            case "call":
                name, _, arguments = argument.partition(" ")
                calls.append((name, arguments.strip() or None))
            case "slow":
                unit = 1 if re.search(r"\d\s*s", argument) else 1000
                pause = _first(argument, 50.0) / unit
            case "refuse":
                refuse = True
            case "words" | "turns" | "parallel":
                numbers[verb] = int(_first(argument, 1))
            case _:
                ending = _ending(verb, argument)
    kept.append(message[at:])
    words = " ".join("".join(kept).split())
    length, turns, parallel = numbers.get("words"), numbers.get("turns"), numbers.get("parallel")
    return Script(words, tuple(calls), ending, pause, refuse, length, turns, parallel)


def _argument(message: str, found: re.Match[str]) -> tuple[str, int]:
    """A directive's argument, and where the directive ends. A call's JSON may hold `]]` itself."""
    start = found.end()
    if found["verb"] == "call" and (head := re.compile(r"\s*(\S+)\s+(?=\{)").match(message, start)):
        try:
            _, end = json.JSONDecoder().raw_decode(message, head.end())
        except ValueError:
            pass
        else:
            close = message.find("]]", end)
            return f"{head[1]} {message[head.end() : end]}", len(message) if close < 0 else close + 2
    close = message.find("]]", start)
    end = len(message) if close < 0 else close
    return message[start:end].strip(), min(end + 2, len(message))


def _ending(verb: str, argument: str) -> Ending:
    after = _AFTER.search(argument)
    turn = _IN_TURN.search(argument)
    count, only = int(after[1]) if after else 0, int(turn[1]) if turn else None
    match verb:
        case "throttle":
            return Ending("throttle", turn=only, seconds=_first(_IN_TURN.sub("", argument), 1.0))
        case "length":
            return Ending("length", int(_first(_IN_TURN.sub("", argument), 5)), only)
        case "filter":
            return Ending("filter", int(_first(_IN_TURN.sub("", argument), 5)), only)
        case "cut":
            return Ending("cut", count, only)
        case "stall":
            return Ending("stall", count, only)
        case _:
            return Ending("fail", count, only)


def _first(argument: str, otherwise: float) -> float:
    found = _NUMBER.search(argument)
    return float(found[0]) if found else otherwise


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

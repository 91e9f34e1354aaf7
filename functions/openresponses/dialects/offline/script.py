"""What the last user message asks of the offline model, and what was done about it since. Knows no deltas."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...core.turn import Turn
from ...schema.content import Part, Refusal
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

EndingKind: TypeAlias = Literal["error", "throttle", "fail", "stall", "length", "filter"]

_SEARCHED = 10_000
"""Characters of a message that are read."""
_ENDINGS: dict[EndingKind, int] = {"error": 0, "throttle": 0, "fail": 0, "stall": 0, "length": 5, "filter": 5}
_DEFAULTS: dict[str, int] = {"words": 1, "slow": 50, "refuse": 0, "parallel": 1, "turns": 1, **_ENDINGS}
"""Directive -> its number where it has none."""
_DIRECTIVE = re.compile(
    rf"\[\[(?:(?P<verb>{'|'.join(_DEFAULTS)})(?: (?:after )?(?P<number>\d{{1,5}})(?:ms)?)?(?: in turn (?P<turn>\d+))?"
    r"|call (?P<tool>[^\s\]]{1,64})(?: (?P<arguments>\{.{0,2000}?\}))?)\]\]",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn is cut short: `after` so many words, in turn `turn` (counted from 1), or in every turn if None."""

    kind: EndingKind
    after: int = 0
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The directives of a message. `words` is the rest of it; `pause` is in seconds.

    `calls` are (tool, arguments); arguments that are None are made from the tool's schema.
    """

    words: str
    calls: tuple[tuple[str, str | None], ...] = ()
    ending: Ending | None = None
    pause: float = 0.0
    refuse: bool = False
    length: int | None = None
    turns: int | None = None
    parallel: int | None = None


def parse(message: str) -> Script:
    """Read every directive in `message`. What is no directive stays in the words."""
    message = message[:_SEARCHED]
    calls: list[tuple[str, str | None]] = []
    numbers: dict[str, int] = {}
    ending = None
    for found in _DIRECTIVE.finditer(message):
        verb = found["verb"]
        if verb is None:
            calls.append((found["tool"], found["arguments"]))
            continue
        number = int(found["number"] or _DEFAULTS[verb])
        if kind := next((each for each in _ENDINGS if each == verb), None):
            ending = Ending(kind, number, int(found["turn"]) if found["turn"] else None)
        else:
            numbers[verb] = number
    return Script(
        words=" ".join(_DIRECTIVE.sub("", message).split()),
        calls=tuple(calls),
        ending=ending,
        pause=numbers.get("slow", 0) / 1000,
        refuse="refuse" in numbers,
        length=numbers.get("words"),
        turns=numbers.get("turns"),
        parallel=numbers.get("parallel"),
    )


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a turn stands. `outputs` are (tool, output) of the calls answered since the last user message."""

    script: Script
    outputs: tuple[tuple[str, str], ...]
    turns_done: int
    input_words: int

    @property
    def turn(self) -> int:
        """Which turn since the last user message this is, counted from 1."""
        return self.turns_done + 1

    @classmethod
    def of(cls, turn: Turn) -> "Situation":
        start = max((i for i, item in enumerate(turn.items) if _is_user(item)), default=-1)
        script = parse(_read(turn.items[start])) if start >= 0 else Script("")
        outputs = tuple(_outputs(turn.items[start + 1 :]))
        per_turn = len(script.calls) or (script.parallel or 1 if script.turns else max(1, len(outputs)))
        return cls(
            script=script,
            outputs=outputs,
            turns_done=math.ceil(len(outputs) / per_turn),
            input_words=len((turn.instructions or "").split()) + sum(len(_read(item).split()) for item in turn.items),
        )


def _is_user(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _outputs(items: Sequence[Item]) -> list[tuple[str, str]]:
    names = {item.call_id: item.name for item in items if isinstance(item, FunctionCall | CustomToolCall)}
    found: list[tuple[str, str]] = []
    for item in items:
        match item:
            case FunctionCallOutput() | CustomToolCallOutput():
                found.append((names.get(item.call_id, item.call_id), _read(item)))
            case HostedToolCall() if item.output is not None:
                found.append((item.name, item.output))
            case _:
                pass
    return found


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
            return item.output if isinstance(item.output, str) else _text(item.output)
        case HostedToolCall():
            return f"{item.arguments} {item.output or ''}"
        case Reasoning():
            return " ".join(part.text for part in item.content)
        case _:
            return ""


def _text(parts: Sequence[Part]) -> str:
    said = (part.refusal if isinstance(part, Refusal) else getattr(part, "text", "") for part in parts)
    return " ".join(each for each in said if each)

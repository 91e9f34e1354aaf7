"""What the last user message asks of the offline model, and what was done about it since. Knows no deltas."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...core.turn import Turn
from ...schema.content import Part, Refusal
from ...schema.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
)
from ...schema.server_items import HostedToolCall
from .budget import CALLS, COUNTED, SEARCHED

EndingKind: TypeAlias = Literal["error", "throttle", "fail", "stall", "length", "filter"]

_ENDINGS: dict[EndingKind, int] = {"error": 0, "throttle": 0, "fail": 0, "stall": 0, "length": 5, "filter": 5}
_DEFAULTS: dict[str, int] = {"words": 1, "slow": 50, "refuse": 0, "parallel": 1, "turns": 1, **_ENDINGS}
"""Directive -> its number where it has none."""
_VERB = re.compile(
    rf"\[\[(?P<verb>{'|'.join(_DEFAULTS)})(?: (?:after )?(?P<number>\d{{1,5}})(?:ms)?)?"
    r"(?: in turn (?P<turn>\d{1,5}))?\]\]"
)
_CALL = re.compile(r"\[\[call (?P<tool>[^\s\]]{1,64})(?:(?P<end>\]\])| (?=\{))")
_ARGUMENTS = 2_000
"""Characters that a call's arguments may have."""


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
    message = message[:SEARCHED]
    calls: list[tuple[str, str | None]] = []
    numbers: dict[str, int] = {}
    ending = None
    words, read, begins = "", 0, message.find("[[")
    while begins >= 0:
        if found := _VERB.match(message, begins):
            verb, ends = found["verb"], found.end()
            number = int(found["number"] or _DEFAULTS[verb])
            if verb in _ENDINGS:
                ending = Ending(verb, number, int(found["turn"]) if found["turn"] else None)
            else:
                numbers[verb] = number
        elif call := _call(message, begins):
            name, arguments, ends = call
            calls.append((name, arguments))
        else:
            begins = message.find("[[", begins + 1)
            continue
        words += message[read:begins]
        read, begins = ends, message.find("[[", ends)
    return Script(
        words=" ".join((words + message[read:]).split()),
        calls=tuple(calls[:CALLS]),
        ending=ending,
        pause=numbers.get("slow", 0) / 1000,
        refuse="refuse" in numbers,
        length=numbers.get("words"),
        turns=numbers.get("turns"),
        parallel=min(numbers["parallel"], CALLS) if "parallel" in numbers else None,
    )


def _call(message: str, begins: int) -> tuple[str, str | None, int] | None:
    """The tool that is called, its arguments, and where the directive ends."""
    found = _CALL.match(message, begins)
    if found is None or found["end"]:
        return (found["tool"], None, found.end()) if found else None
    ends = message.find("}]]", found.end() + 1, found.end() + _ARGUMENTS + 4)
    return (found["tool"], message[found.end() : ends + 1], ends + 3) if ends > 0 else None


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
            input_words=_count((turn.instructions or "", *map(_read, turn.items))),
        )


def _count(texts: Iterable[str]) -> int:
    words, left = 0, COUNTED
    for text in texts:
        counted = min(len(text), left)
        left -= counted
        words += len(text[:counted].split()) + (len(text) - counted) // 6
    return words


def spoken(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Who says what, item by item."""
    return [(item.role if isinstance(item, Message) else item.type, _read(item)) for item in items]


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
                found.append((item.name, _output(item.output)))
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
            return _output(item.output)
        case HostedToolCall():
            return f"{item.arguments} {_output(item.output or '')}"
        case Reasoning():
            return " ".join(part.text for part in item.content)
        case _:
            return ""


def _output(output: str | Sequence[Part]) -> str:
    return output if isinstance(output, str) else _text(output)


def _text(parts: Sequence[Part]) -> str:
    said = (part.refusal if isinstance(part, Refusal) else getattr(part, "text", "") for part in parts)
    return " ".join(each for each in said if each)

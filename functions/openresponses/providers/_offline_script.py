"""The directives that script the offline model, read from a user's message. The table is in `offline`."""

import json
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

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

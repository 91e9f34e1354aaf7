"""What happened in the local cloud, kept for its console: the last lines of the log, what is wrong with the project,
and which providers failed. It outlives a reload.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from openresponses_dev.local.records import Record

LINES = 1_000
PROBLEMS = 50
_REFUSALS = 100
OWN = "dev"
"""In place of a function's name: what the local cloud itself says."""
Kind: TypeAlias = Literal["tool", "template", "project", "function"]


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the log. `at` is in Unix seconds."""

    n: int
    at: float
    function: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class ProblemSeen:
    """Something of the user's own that is wrong. `text` may have many lines."""

    at: float
    kind: Kind
    title: str
    text: str


@dataclass(slots=True)
class Failures:
    """Of one provider, since the start."""

    count: int = 0
    last_error: str | None = None
    last_at: float | None = None


class History:
    """To be written in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=LINES)
        self._problems: deque[ProblemSeen] = deque(maxlen=PROBLEMS)
        self._failures: dict[str, Failures] = {}
        self._opened: dict[str, float] = {}
        self._refusals: dict[str, str] = {}
        self._next = 1

    def add(self, function: str, level: str, text: str) -> None:
        with self._lock:
            self._lines.append(Line(self._next, time.time(), function, level, text))
            self._next += 1

    def lines_from(self, number: int) -> tuple[list[Line], int]:
        """The lines from this number on, and the number to ask for next. One that was never told asks for all."""
        with self._lock:
            begin = number if number <= self._next else 0
            return [line for line in self._lines if line.n >= begin], self._next

    def wrong(self, kind: Kind, title: str, text: str) -> None:
        with self._lock:
            others = [each for each in self._problems if (each.kind, each.title) != (kind, title)]
            self._problems = deque([*others, ProblemSeen(time.time(), kind, title, text)], maxlen=PROBLEMS)

    def forget(self, kind: Kind) -> None:
        """What was wrong was changed."""
        with self._lock:
            self._problems = deque((each for each in self._problems if each.kind != kind), maxlen=PROBLEMS)

    @property
    def problems(self) -> list[ProblemSeen]:
        """The newest first."""
        with self._lock:
            return [*reversed(self._problems)]

    def recorded(self, record: Record) -> None:
        """What a function's structured record says of providers."""
        target = record.word("target")
        if record.message == "provider failed":
            why = ": ".join(filter(None, (record.word("error"), record.word("cause") or record.word("code"))))
            failures = self._failures.setdefault(target.partition("/")[0], Failures())
            failures.count += 1
            failures.last_error, failures.last_at = f"{target}: {why}", time.time()
        elif record.message == "circuit" and record.word("state") == "open":
            self._opened[target] = time.monotonic()
        elif record.message == "circuit":
            self._opened.pop(target, None)
        elif record.message == "refused" and record.word("key_id"):
            if len(self._refusals) >= _REFUSALS:
                self._refusals.clear()
            self._refusals[record.word("key_id")] = record.word("reason").replace("_", " ")

    def refusal(self, key_id: str) -> str:
        """Why an authorizer refused a key just now; empty where it did not say so, or was asked already."""
        return self._refusals.pop(key_id, "")

    def failures(self, provider: str) -> Failures:
        return self._failures.get(provider, Failures())

    def is_open(self, provider: str) -> bool:
        """Whether the circuit of one of its targets is open. It closes by itself after a while."""
        from openresponses.routing.connections import OPEN_SECONDS  # here, since it imports much

        since = time.monotonic() - OPEN_SECONDS
        return any(at > since for target, at in self._opened.items() if target.partition("/")[0] == provider)

"""The timeline of a response: its turns, the attempts before them, and its calls of tools, recorded as they end.

It is part of the run, so that whoever goes on with the response goes on with it, and it is stored with the response at
its end. A run is saved each turn, so a timeline is bounded: to `MAX_LINES` entries and attempts, `MAX_ATTEMPTS` of a
turn, and messages of `MAX_MESSAGE` characters.
"""

from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ConfigDict

from ..schema.base import Wire
from ..schema.response import Usage
from ..schema.timeline import Attempt, CallEntry, LeftOut, TimelineEntry, TurnEntry, TurnUsage
from .bill import Cost, shown_cost
from .errors import KitError

MAX_LINES = 200
MAX_ATTEMPTS = 16
MAX_MESSAGE = 200
INTERRUPTED = "interrupted"
"""What ended a turn that was cancelled, or that took longer than its worker or its connection lives."""
WORKER_DIED = "worker_died"


@dataclass(slots=True)
class TurnWatch:
    """A turn in the making, or a summary (`compacts`). Whoever asks targets appends `attempts`. `now` is in Unix
    seconds.
    """

    now: Callable[[], float]
    compacts: bool = False
    began: float = 0.0
    first: float | None = None
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    def __post_init__(self) -> None:
        self.began = self.now()

    def answered(self) -> None:
        """A target has begun to answer."""
        self.first = self.now()


class Timeline(Wire):
    """`left_out` entries would be at the index `gap`. `retries` counts the requests to a target that was asked for the
    same turn before, `fallbacks` the turns that another target than the first choice answered.

    `target`, `turns` and `seconds` sum up a response that is over: the target that answered last, the turns that ended,
    and how long it took.
    """

    model_config = ConfigDict(defer_build=True)  # runs and records alone contain it
    __setattr__ = object.__setattr__

    entries: list[TurnEntry | CallEntry] = []
    left_out: int = 0
    gap: int = 0
    retries: int = 0
    fallbacks: int = 0
    handed_off: bool = False
    target: str | None = None
    turns: int | None = None
    seconds: float | None = None

    def shown(self) -> list[TimelineEntry]:
        """As a client is shown it."""
        if not self.left_out:
            return [*self.entries]
        return [*self.entries[: self.gap], LeftOut(count=self.left_out), *self.entries[self.gap :]]

    def add_turn(
        self,
        watch: TurnWatch,
        target: str | None,
        usage: Usage,
        cost: Cost | None,
        error: BaseException | None = None,
        *,
        instead: bool = False,
    ) -> None:
        """A turn is over, or died of `error`. `target` is None if none began to answer; `instead`: another one is the
        first choice.
        """
        asked = [each.target for each in watch.attempts if each.outcome == "failed"]
        asked += [target] if target else []
        self.retries += len(asked) - len({*asked})
        self.fallbacks += instead
        entry = TurnEntry(
            target=target,
            began_at=_rounded(watch.began),
            seconds=_rounded(watch.now() - watch.began),
            first_seconds=None if watch.first is None else _rounded(watch.first - watch.began),
            where="handed_off" if self.handed_off else "inline",
            attempts=watch.attempts[:MAX_ATTEMPTS],
            more_attempts=max(0, len(watch.attempts) - MAX_ATTEMPTS) or None,
            compacts=watch.compacts or None,
        )
        if target is not None:
            entry.usage, entry.usd = _shown_usage(usage), shown_cost(cost).usd
        if error is not None:
            entry.error = error_code(error)
            entry.message = cut(error.message) if isinstance(error, KitError) else None
            entry.discarded = target is not None or None
        self._add(entry)

    def add_lost_turn(self, since: float, error: str) -> None:
        """A turn that was cut off with its worker: nobody knows more of it. It began after `since`, and after all that
        is known here.
        """
        where = "handed_off" if self.handed_off else "inline"
        self._add(TurnEntry(target=None, began_at=_rounded(self.end(since)), where=where, error=error, discarded=True))

    def add_call(self, entry: CallEntry) -> None:
        entry.began_at = _rounded(entry.began_at)
        entry.seconds = None if entry.seconds is None else _rounded(entry.seconds)
        self._add(entry)

    def has_call(self, item_id: str) -> bool:
        return any(isinstance(each, CallEntry) and each.item_id == item_id for each in self.entries)

    def end(self, since: float) -> float:
        """When the last of all that is known here was over, in Unix seconds; `since` if nothing is."""
        return max([since, *(each.began_at + (each.seconds or 0.0) for each in self.entries)])

    def ended(self, target: str | None, turns: int, seconds: float) -> "Timeline":
        """The timeline of a response that is over."""
        return self.model_copy(update={"target": target, "turns": turns, "seconds": _rounded(seconds)})

    def _add(self, entry: TurnEntry | CallEntry) -> None:
        """The first entries and the last ones are kept, of too many."""
        self.entries.append(entry)
        while len(self.entries) > 1 and sum(map(_lines, self.entries)) > MAX_LINES:
            if not self.left_out:
                self.gap = len(self.entries) // 2
            self.gap = min(self.gap, len(self.entries) - 2)  # what was just added stays
            del self.entries[self.gap]
            self.left_out += 1


def failed(target: str, error: KitError, seconds: float) -> Attempt:
    return Attempt(
        target=target, outcome="failed", error=error.code, message=cut(error.message), seconds=_rounded(seconds)
    )


def skipped(target: str, why: str) -> Attempt:
    return Attempt(target=target, outcome="skipped", message=why)


def error_code(error: BaseException) -> str:
    if isinstance(error, KitError):
        return error.code
    return INTERRUPTED if isinstance(error, CancelledError | TimeoutError) else KitError.code


def cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def _lines(entry: TurnEntry | CallEntry) -> int:
    return 1 + len(entry.attempts) if isinstance(entry, TurnEntry) else 1


def _rounded(seconds: float) -> float:
    """To the millisecond: more digits are noise, which compresses badly."""
    return round(seconds, 3)


def _shown_usage(usage: Usage) -> TurnUsage:
    return TurnUsage(
        input_tokens=usage.input_tokens,
        cached_tokens=usage.input_tokens_details.cached_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens,
    )

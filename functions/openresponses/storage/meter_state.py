"""A meter as it is kept, in memory and in DynamoDB: counts by window, and what is held. Pure; knows no table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from ..core.bill import Bill, Hold, Pico
from ..core.storage import MAX_RUNNING, Limits, Meter, Want

_NEAR = 5
"""Minutes. No two of our clocks differ by as much, so nobody counts in a window that is further away."""


class Open(NamedTuple):
    """A hold that was not settled yet, and until when it counts."""

    until: float
    hold_id: str


class Windows(NamedTuple):
    """The names of the counts that a moment belongs to. A day and a month are UTC's."""

    requests: str
    tokens: str
    today: str
    this_month: str


def windows_at(now: float) -> Windows:
    minute, day = int(now // 60), datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    return Windows(f"requests#{minute}", f"tokens#{minute}", f"pico#{day}", f"pico#{day[:7]}")


@dataclass
class Kept:
    """`counts` are by the name of their window, `holds` by the id of their response."""

    limits: Limits = Limits()
    counts: dict[str, int] = field(default_factory=dict[str, int])
    holds: dict[str, Open] = field(default_factory=dict[str, Open])

    def meter(self, now: float) -> Meter:
        requests, tokens, today, this_month = (self.counts.get(name, 0) for name in windows_at(now))
        running = len(self.holds) - len(self.over(now))
        return Meter(self.limits, requests, tokens, today, this_month, running)

    def over(self, now: float) -> list[str]:
        """The responses whose time to settle is over: their workers are dead."""
        return [response_id for response_id, each in self.holds.items() if each.until <= now]

    def stale(self, now: float) -> list[str]:
        """Counts that nobody asks for any more."""
        near = {name for minutes in range(-_NEAR, _NEAR + 1) for name in windows_at(now + 60 * minutes)}
        return [name for name in self.counts if name not in near]

    def has(self, response_id: str, hold: Hold | None) -> bool:
        """Whether this very hold is open."""
        there = self.holds.get(response_id)
        return there is not None and hold is not None and there.hold_id == hold.id

    def fits(self, want: Want, limits: Limits) -> bool:
        """Whether it may be held, by these limits, which are still the ones that count."""
        now, more = want.hold.at, self.added_by(want)
        counted = all(self.counts.get(name, 0) <= room for name, room in rooms(limits, more, now).items())
        room = want.response_id in self.holds or self.meter(now).running < most_running(want, limits)
        return self.limits == limits and counted and room

    def take(self, want: Want) -> None:
        self.add(self.added_by(want))
        self.holds[want.response_id] = Open(want.hold.until, want.hold.id)

    def settle(self, bill: Bill) -> None:
        self.add(self.corrected_by(bill))
        del self.holds[bill.response_id]

    def tidy(self, now: float) -> None:
        """Forget what nobody asks for any more."""
        for name in self.stale(now):
            del self.counts[name]
        for response_id in self.over(now):
            del self.holds[response_id]

    def added_by(self, want: Want) -> dict[str, int]:
        """What it adds to each count."""
        return added_by(want, settles=self.has(want.response_id, want.instead_of))

    def corrected_by(self, bill: Bill) -> dict[str, int]:
        """What the end of a response adds. Nothing, where it holds something else than its worker knew: what a dead
        turn held stays spent.
        """
        if bill.hold is None or not self.has(bill.response_id, bill.hold):
            return {}
        more = _correction(bill.hold, bill.spent_tokens, bill.spent_pico)
        return {name: count for name, count in more.items() if count and name in self.counts}

    def add(self, more: Mapping[str, int]) -> None:
        for name, count in more.items():
            self.counts[name] = self.counts.get(name, 0) + count


def added_by(want: Want, *, settles: bool) -> dict[str, int]:
    """What a hold adds to each count. One that `settles` the hold before it corrects that, where its windows last."""
    now = windows_at(want.hold.at)
    more = {
        now.requests: int(want.first),
        now.tokens: want.hold.tokens,
        now.today: want.hold.pico,
        now.this_month: want.hold.pico,
    }
    if settles and want.instead_of is not None:
        for name, count in _correction(want.instead_of, want.spent_tokens, want.spent_pico).items():
            if name in more:
                more[name] += count
    return more


def rooms(limits: Limits, more: Mapping[str, int], now: float) -> dict[str, int]:
    """What may be counted at most, by the name of each count that is limited, before so much `more` is added. Where
    nothing is added, nothing is limited.
    """
    by_window = (limits.requests_per_minute, limits.tokens_per_minute, limits.pico_per_day, limits.pico_per_month)
    by_name = zip(windows_at(now), by_window, strict=True)
    return {name: most - more[name] for name, most in by_name if most is not None and more[name] > 0}


def most_running(want: Want, limits: Limits) -> int:
    """A response that was let in, and held nothing while it waited, is not kept from going on."""
    if not want.first:
        return MAX_RUNNING
    return MAX_RUNNING if limits.concurrent is None else min(limits.concurrent, MAX_RUNNING)


def _correction(hold: Hold, spent_tokens: int, spent_pico: Pico) -> dict[str, int]:
    at, tokens, pico = windows_at(hold.at), spent_tokens - hold.tokens, spent_pico - hold.pico
    return {at.tokens: tokens, at.today: pico, at.this_month: pico}

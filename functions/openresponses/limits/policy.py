"""What a turn may take of limits: how much of it is held, how long its answer may be, and when it is refused. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..core.bill import Pico, Pricing, Taken, dollars
from ..core.errors import LimitReached, RequestError
from ..core.estimate import tokens_in, tokens_of
from ..core.ports import Left
from ..core.run import Run, tokens_left
from ..core.storage import MAX_RUNNING, Limits, Meter
from ..core.turn import Turn
from ..schema.response import InputTokensDetails, Usage

OUTPUT = 4_096
"""Tokens that a turn may say where its request does not tell how many."""
LEAST = 256
"""Tokens below which a limit leaves too little for an answer."""
MARGIN, FLAT = 1.5, 1_000
"""An estimate of the input is multiplied by the one, and the other is added: vendors add words about tools, and their
tokenizers differ. All 120 recorded requests in which the vendor runs no tool stay below it, the closest at 68 %
(`tests/recordings/test_held.py`)."""
BUSY = 1.0
"""Seconds until a client that finds all its places taken may try again: nobody knows when one gets free."""
MINUTE, DAY = 60, 86_400


def needs_cap(limits: Limits) -> bool:
    return (limits.tokens_per_minute, limits.pico_per_day, limits.pico_per_month) != (None, None, None)


def limits_money(limits: Limits) -> bool:
    return (limits.pico_per_day, limits.pico_per_month) != (None, None)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a turn of a response asks for. `given_back` is what the turn before holds and has not used, since `held`."""

    read: int
    say: int
    pricings: Sequence[tuple[str, Pricing]]
    first: bool
    given_back: Taken
    held: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The most that a turn takes, and the most tokens that it may say (None: any). `lowered`: it might say more."""

    most: Taken
    cap: int | None
    lowered: bool


def demand_of(run: Run, turn: Turn, pricings: Sequence[tuple[str, Pricing]]) -> Demand:
    spent, hold = run.spent(), run.hold
    left = tokens_left(run) if turn.keeps is None else None  # what the request allows is no summary's
    return Demand(
        read=_read(run, turn),
        say=OUTPUT if left is None else left,
        pricings=pricings,
        first=hold is None and not run.next_sequence,
        given_back=Taken(tokens=hold.tokens - spent.tokens, pico=hold.pico - spent.pico) if hold else Taken(),
        held=hold.at if hold else 0.0,
    )


def _read(run: Run, turn: Turn) -> int:
    """Tokens of a turn's input, surely not fewer. Of what the last turn read and said, its provider told the number."""
    asks = turn.items[-1:] if turn.keeps is not None else ()
    if run.rendered:
        return run.rendered + math.ceil(MARGIN * tokens_of([*run.settled(run.turn_start), *asks]))
    return math.ceil(MARGIN * tokens_in(turn)) + FLAT


def planned(demand: Demand, key: Meter, tenant: Meter, now: float) -> Plan:
    """Raises LimitReached, and RequestError if the price of a model is unknown that a limit needs."""
    left = Left(key, tenant, now)
    meters = (("key", key), ("tenant", tenant))
    if demand.first:
        for whose, meter in meters:
            _admit(whose, meter, left)
    if not any(needs_cap(meter.limits) for _, meter in meters):
        return Plan(Taken(), None, lowered=False)
    rooms = [room for whose, meter in meters for room in _rooms(whose, meter, demand, left)]
    tightest = min(rooms, key=lambda room: room.say)
    cap = min(demand.say, tightest.say)
    if cap < min(LEAST, demand.say):
        raise tightest.refusal(left)
    money = any(limits_money(meter.limits) for _, meter in meters)
    most = Taken(tokens=demand.read + cap, pico=cost(demand, cap) if money else 0)
    return Plan(most, cap, lowered=cap < demand.say)


def _admit(whose: str, meter: Meter, left: Left) -> None:
    limits = meter.limits
    most, places = limits.requests_per_minute, MAX_RUNNING if limits.concurrent is None else limits.concurrent
    if most is not None and meter.requests >= most:
        wait = left_of_minute(left.now)
        raise LimitReached(
            f"The {whose} has a limit of {most} requests per minute: try again in {math.ceil(wait)} seconds",
            retry_after=wait if most else math.inf,
            left=left,
        )
    if meter.running >= min(places, MAX_RUNNING):
        raise LimitReached(
            f"The {whose} may make {places} responses at once, and does: try again when one is over",
            retry_after=BUSY if places else math.inf,
            left=left,
        )


@dataclass(frozen=True, slots=True)
class _Room:
    """How many tokens a limit lets a turn say, after what it reads. `most` is the limit in words, `wait` the seconds
    until it begins anew, `never` that it would be too little then, too.
    """

    say: int
    whose: str
    most: str
    wait: float
    never: bool
    code: str | None = None

    def refusal(self, left: Left) -> LimitReached:
        if self.never:
            why = f"The {self.whose} has a limit of {self.most}, and this turn may take more than that"
            return LimitReached(why, retry_after=math.inf, code=self.code, left=left)
        why = f"The {self.whose} has a limit of {self.most}, which leaves too little: try again in {_span(self.wait)}"
        return LimitReached(why, retry_after=self.wait, code=self.code, left=left)


def _rooms(whose: str, meter: Meter, demand: Demand, left: Left) -> Iterator[_Room]:
    limits, now = meter.limits, left.now
    least = min(LEAST, demand.say)
    if (most := limits.tokens_per_minute) is not None:
        same = now // MINUTE == demand.held // MINUTE
        taken = meter.tokens - (demand.given_back.tokens if same else 0)
        words, never = f"{most} tokens per minute", most - demand.read < least
        yield _Room(most - taken - demand.read, whose, words, left_of_minute(now), never)
    today, then = (datetime.fromtimestamp(each, UTC) for each in (now, demand.held))
    for limit, taken, span, same, wait in (
        (limits.pico_per_day, meter.pico_today, "day", today.date() == then.date(), left_of_day(now)),
        (
            limits.pico_per_month,
            meter.pico_this_month,
            "month",
            (today.year, today.month) == (then.year, then.month),
            left_of_month(now),
        ),
    ):
        if limit is not None:
            room = limit - taken + (demand.given_back.pico if same else 0)
            never = _affordable(demand, limit) < least
            words = f"{dollars(limit)} US dollars per {span}"
            yield _Room(_affordable(demand, room), whose, words, wait, never, "insufficient_quota")


def cost(demand: Demand, say: int) -> Pico:
    """The highest, over all targets that may be asked, and over whether they write the input to a cache."""
    return max(_costs(demand, say), default=0)


def _costs(demand: Demand, say: int) -> Iterable[Pico]:
    plain = Usage(input_tokens=demand.read, output_tokens=say, total_tokens=demand.read + say)
    written = plain.model_copy(update={"input_tokens_details": InputTokensDetails(cache_write_tokens=demand.read)})
    for target, pricing in demand.pricings:
        for usage in (plain, written):
            if (costs := pricing(usage)) is None:
                raise RequestError(
                    f"A limit of money needs a price, and that of {target!r} is unknown: choose another model, or let "
                    "the operator set one",
                    param="model",
                    code="price_unknown",
                )
            yield costs.whole


def _affordable(demand: Demand, room: Pico) -> int:
    """Tokens that may be said for so much, at most what is asked for; below 0 if what is read costs more."""
    whole, base = cost(demand, demand.say), cost(demand, 0)
    if whole <= room:
        return demand.say
    if base > room:
        return -1
    say = (room - base) * demand.say // (whole - base)
    while say > 0 and cost(demand, say) > room:  # a price that is not in proportion
        say -= 1 + say // 64
    return max(say, 0)


def left_of_minute(now: float) -> float:
    return MINUTE - now % MINUTE


def left_of_day(now: float) -> float:
    return DAY - now % DAY


def left_of_month(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC)
    first = (today.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.timestamp() - now


def _span(seconds: float) -> str:
    for unit, size in (("days", DAY), ("hours", 3600), ("minutes", MINUTE)):
        if seconds >= 2 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} seconds"

"""What a response cost, and what it is billed by. Money is counted in picodollars, so that every sum is exact."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import TypeAlias

from pydantic import ConfigDict, Field

from ..schema.base import Wire
from ..schema.response import ShownCost, Usage
from .usage import add_usage

Pico: TypeAlias = int
"""10**-12 US dollars. A price of one millionth of a dollar for a million tokens is one for each."""
PER_DOLLAR = 10**12


class Cost(Wire):
    """In picodollars. `input` is of tokens that no cache had, and of those written to one; `cached` of those read from
    one; `output` includes reasoning. They add up to the whole.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)  # runs alone contain these, and bills

    input: Pico = 0
    cached: Pico = 0
    output: Pico = 0

    @property
    def whole(self) -> Pico:
        return self.input + self.cached + self.output


Pricing: TypeAlias = Callable[[Usage], Cost | None]
"""What a target takes for the tokens of one turn; None if its price is unknown."""


@dataclass(slots=True)
class Service:
    """How a turn is served, where that changes what it costs: the vendor tells while it answers."""

    tier: str = ""


def unpriced(usage: Usage) -> None:
    """The pricing of a target whose price nobody knows."""


class Used(Wire):
    """What one target (`provider/model`) did for a response. `cost` is of its turns but for those that are `unpriced`:
    nobody knows what these cost.
    """

    model_config = ConfigDict(defer_build=True)

    target: str
    turns: int = 0
    usage: Usage = Usage()
    cost: Cost = Field(default_factory=Cost)
    unpriced: int = 0


class Hold(Wire):
    """What is held of the limits for a turn in the making. `id` tells it from every other hold of its response, also
    from one that a dead worker made for the same turn. Times are Unix seconds; `until` is when its worker is dead,
    surely. `tokens` and `pico` are the most that the turn takes.
    """

    model_config = ConfigDict(defer_build=True)

    id: str
    at: float
    until: float
    tokens: int = 0
    pico: Pico = 0


class Taken(Wire):
    """Tokens read and said, and picodollars. These are not of the turns that are `unpriced`."""

    model_config = ConfigDict(defer_build=True)

    tokens: int = 0
    pico: Pico = 0
    unpriced: int = 0


class Bill(Wire):
    """What a response that is over is billed by, once. `day` is UTC's, as 2026-11-27. `hold` is what it still holds,
    `spent` what the turn took which that is for.
    """

    model_config = ConfigDict(defer_build=True)

    response_id: str
    key_id: str
    day: str
    used: list[Used] = []
    hold: Hold | None = None
    spent_tokens: int = 0
    spent_pico: Pico = 0


def used_by(used: list[Used], target: str, usage: Usage, cost: Cost | None) -> None:
    """Count one turn, or summary, of a target."""
    found = next((each for each in used if each.target == target), None)
    if found is None:
        used.append(found := Used(target=target))
    found.turns += 1
    found.usage = add_usage(found.usage, usage)
    if cost is None:
        found.unpriced += 1
    else:
        found.cost = added(found.cost, cost)


def taken_of(used: list[Used]) -> Taken:
    return Taken(
        tokens=sum(each.usage.input_tokens + each.usage.output_tokens for each in used),
        pico=sum(each.cost.whole for each in used),
        unpriced=sum(each.unpriced for each in used),
    )


def added(a: Cost, b: Cost) -> Cost:
    return Cost(input=a.input + b.input, cached=a.cached + b.cached, output=a.output + b.output)


def cost_of(used: list[Used]) -> Cost | None:
    """Of all of them. None if nobody knows what one of their turns cost."""
    if any(each.unpriced for each in used):
        return None
    return reduce(added, (each.cost for each in used), Cost())


def day_of(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def dollars(pico: Pico) -> str:
    """As a decimal number, exactly: `0.0123`."""
    whole, rest = divmod(abs(pico), PER_DOLLAR)
    fraction = f"{rest:012d}".rstrip("0")
    return f"{'-' if pico < 0 else ''}{whole}{'.' if fraction else ''}{fraction}"


def shown_cost(cost: Cost | None) -> ShownCost:
    """As a client is shown it."""
    if cost is None:
        return ShownCost(usd="unknown")
    parts = {"input": dollars(cost.input), "cached": dollars(cost.cached), "output": dollars(cost.output)}
    return ShownCost(usd=dollars(cost.whole), **parts)

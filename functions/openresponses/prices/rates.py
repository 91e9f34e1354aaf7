"""What tokens cost: rates in US dollars, and the cost of a turn in whole picodollars. Knows no vendor."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal

from ..core.bill import PER_DOLLAR, Cost, Pico
from ..core.settings import Price
from ..schema.response import Usage

_MILLION = 1_000_000
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars for a million tokens. A tier, (more than so many input tokens, rate), is the rate of all tokens of a
    turn whose input is larger. The last one that fits wins.
    """

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        return next((rate for start, rate in reversed(self.tiers) if input_tokens > start), self.base)


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one model. `request` are US dollars for each turn, whatever it says."""

    input: Rate
    cached: Rate
    cache_write: Rate
    output: Rate
    reasoning: Rate
    request: Decimal = Decimal(0)

    def cost(self, usage: Usage) -> Cost | None:
        """Of one turn. None if the provider told no tokens, since no turn has none: that costs nothing only where
        nothing does.
        """
        given, made = usage.input_tokens, usage.output_tokens
        if not given and not made and not self._is_free():
            return None
        cached = min(usage.input_tokens_details.cached_tokens, given)
        written = min(usage.input_tokens_details.cache_write_tokens, given - cached)
        reasoned = min(usage.output_tokens_details.reasoning_tokens, made)

        def of(tokens: int, rate: Rate) -> Decimal:
            return _EXACT.multiply(rate.at(given), Decimal(tokens))

        uncached = of(given - cached - written, self.input) + of(written, self.cache_write)
        return Cost(
            input=_pico(uncached + _EXACT.multiply(self.request, Decimal(_MILLION))),
            cached=_pico(of(cached, self.cached)),
            output=_pico(of(made - reasoned, self.output) + of(reasoned, self.reasoning)),
        )

    def _is_free(self) -> bool:
        rates = (self.input, self.cached, self.cache_write, self.output, self.reasoning)
        return not self.request and not any(rate.base or rate.tiers for rate in rates)


def _pico(dollars_for_millions: Decimal) -> Pico:
    """Rounded up to a whole one."""
    exact = _EXACT.multiply(dollars_for_millions, Decimal(PER_DOLLAR // _MILLION))
    return int(exact.to_integral_value(ROUND_CEILING, _EXACT))


def rates_of(price: Price) -> Rates:
    """The rates of an operator's price. Cached input costs as other input does, unless it says otherwise."""
    given, made = Rate(Decimal(price.input)), Rate(Decimal(price.output))
    return Rates(
        input=given,
        cached=given if price.cached is None else Rate(Decimal(price.cached)),
        cache_write=given if price.cache_write is None else Rate(Decimal(price.cache_write)),
        output=made,
        reasoning=made,
    )

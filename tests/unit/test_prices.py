"""What tokens cost: exactly, in whole parts of a dollar, and by the operator's own price where there is one."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.bill import PER_DOLLAR, Cost, Service, dollars, shown_cost
from openresponses.core.settings import Price, ProviderSettings
from openresponses.dialects._shared.values import usage
from openresponses.entry.settings import OFFLINE
from openresponses.prices import Prices, own_price
from openresponses.prices.rates import Rate, Rates, rates_of
from openresponses.routing.catalog import parse_provider
from openresponses.schema.response import Usage

PRICE = Price(input="1.25", output="10", cached="0.125", cache_write="1.5")
AMOUNTS = st.decimals(min_value=0, max_value=10_000, places=9)
TOKENS = st.integers(min_value=0, max_value=10**9)
RATES = st.builds(
    Rate, AMOUNTS, st.lists(st.tuples(TOKENS, AMOUNTS), max_size=3).map(lambda tiers: tuple(sorted(tiers)))
)
MODELS = st.builds(Rates, RATES, RATES, RATES, RATES, RATES, AMOUNTS)


@st.composite
def told(draw: st.DrawFn) -> Usage:
    """As vendors tell them, and as none should: parts that are larger than the whole."""
    tokens = [draw(TOKENS) for _ in range(5)]
    return usage(tokens[0], tokens[1], cached=tokens[2], written=tokens[3], reasoned=tokens[4])


@given(MODELS, told())
def test_the_parts_of_a_cost_are_what_their_tokens_cost_and_never_less(rates: Rates, used: Usage) -> None:
    cost = rates.cost(used)
    if cost is None:
        assert used.input_tokens == used.output_tokens == 0
        return
    given_, made = used.input_tokens, used.output_tokens
    cached = min(used.input_tokens_details.cached_tokens, given_)
    written = min(used.input_tokens_details.cache_write_tokens, given_ - cached)
    thought = min(used.output_tokens_details.reasoning_tokens, made)
    paid = {
        "input": [(given_ - cached - written, rates.input), (written, rates.cache_write)],
        "cached": [(cached, rates.cached)],
        "output": [(made - thought, rates.output), (thought, rates.reasoning)],
    }
    exact = {
        part: sum(Fraction(tokens) * Fraction(rate.at(given_)) * PER_DOLLAR / 1_000_000 for tokens, rate in tokens_at)
        for part, tokens_at in paid.items()
    }
    exact["input"] += Fraction(rates.request) * PER_DOLLAR
    assert cost.model_dump() == {part: math.ceil(amount) for part, amount in exact.items()}
    assert min(cost.input, cost.cached, cost.output) >= 0
    assert cost.whole == sum(cost.model_dump().values())


@given(st.integers(min_value=-(10**24), max_value=10**24))
def test_dollars_are_exact_and_plain(pico: int) -> None:
    shown = dollars(pico)
    assert Decimal(shown) * PER_DOLLAR == pico
    assert "e" not in shown.lower()
    assert "." not in shown or not shown.endswith(("0", "."))


@given(st.builds(Cost, input=TOKENS, cached=TOKENS, output=TOKENS))
def test_what_is_shown_adds_up(cost: Cost) -> None:
    shown = shown_cost(cost)
    parts = [Decimal(each) for each in (shown.input, shown.cached, shown.output) if each is not None]
    assert sum(parts) == Decimal(shown.usd)


def test_a_tier_is_for_all_tokens_of_a_turn_that_is_larger_than_its_start() -> None:
    rate = Rate(Decimal(1), ((100, Decimal(2)), (200, Decimal(3))))
    assert [rate.at(tokens) for tokens in (0, 100, 101, 200, 201)] == [1, 1, 2, 2, 3]


def test_an_operators_price_is_taken_by_the_million_tokens() -> None:
    used = usage(1_000_000, 100_000, cached=400_000, written=100_000, reasoned=50_000)
    cost = rates_of(PRICE).cost(used)
    assert cost is not None
    assert shown_cost(cost).model_dump() == {"usd": "1.825", "input": "0.775", "cached": "0.05", "output": "1"}


def test_what_the_cache_does_costs_as_other_input_does_unless_the_operator_says_otherwise() -> None:
    plain = Price(input="2", output="4")
    cost = rates_of(plain).cost(usage(1_000_000, 0, cached=500_000, written=250_000))
    assert cost == Cost(input=PER_DOLLAR, cached=PER_DOLLAR)


def test_a_turn_whose_tokens_nobody_told_is_unknown_unless_it_is_free() -> None:
    assert rates_of(PRICE).cost(Usage()) is None
    assert rates_of(Price(input="0", output="0")).cost(Usage()) == Cost()


NAMED = ProviderSettings(
    name="p",
    dialect="chat_completions",
    prices={
        "gpt-*": Price(input="1", output="1"),
        "gpt-5*": Price(input="2", output="2"),
        "gpt-5-mini": Price(input="3", output="3"),
        "*": Price(input="4", output="4"),
    },
)


@pytest.mark.parametrize(
    ("model", "amount"), [("gpt-5-mini", "3"), ("gpt-5", "1"), ("gpt-4", "1"), ("other", "4"), ("gpt-5-mini-x", "1")]
)
def test_a_name_wins_over_a_pattern_and_the_first_pattern_over_the_next(model: str, amount: str) -> None:
    price = own_price(NAMED, model)
    assert price is not None
    assert price.input == amount


def test_the_offline_model_costs_nothing() -> None:
    assert Prices().of(OFFLINE, "demo", Service())(usage(1_000, 1_000)) == Cost()


WRONG = {
    "no output": ({"input": "1"}, "prices.gpt.output: Field required"),
    "a number": ({"input": 1.5, "output": "1"}, "prices.gpt.input: Input should be a valid string"),
    "less than nothing": ({"input": "-1", "output": "1"}, "prices.gpt.input"),
    "an exponent": ({"input": "1e3", "output": "1"}, "prices.gpt.input"),
    "too many decimals": ({"input": "0.0000001", "output": "1"}, "prices.gpt.input"),
    "not a number": ({"input": "NaN", "output": "1"}, "prices.gpt.input"),
    "digits of another script": ({"input": "\u0661", "output": "1"}, "prices.gpt.input"),
    "an unknown part": ({"input": "1", "output": "1", "audio": "1"}, "prices.gpt.audio: there is no such field"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_price_that_is_none_is_named(what: str) -> None:
    price, why = WRONG[what]
    provider = {"dialect": "chat_completions", "prices": {"gpt": price}}
    with pytest.raises(ValueError, match="prices") as raised:
        parse_provider("p", json.dumps(provider))
    assert str(raised.value).startswith(why)

"""What a turn may take of limits: it fits all of them, or a refusal says which one it does not fit, and until when."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openresponses.core.bill import PER_DOLLAR, Cost, Taken
from openresponses.core.errors import LimitReached, RequestError
from openresponses.core.ports import Left
from openresponses.core.storage import Limits, Meter
from openresponses.limits.policy import LEAST, Demand, Plan, planned
from openresponses.schema.response import Usage

NOW = datetime(2026, 11, 27, 12, 0, 12, tzinfo=UTC).timestamp()


def price(usage: Usage) -> Cost:
    """Dearer for what is written to a cache, as Anthropic's is."""
    written = usage.input_tokens_details.cache_write_tokens
    return Cost(input=(usage.input_tokens - written) * 4 + written * 5, output=usage.output_tokens * 20)


def cheap(usage: Usage) -> Cost:
    return Cost(input=usage.input_tokens, output=usage.output_tokens)


def demand(**more: Any) -> Demand:
    given: dict[str, Any] = {"read": 1_000, "say": 4_096, "first": True, "given_back": Taken(), "held": 0.0}
    return Demand(**{"pricings": [("a/m", cheap), ("b/m", price)], **given, **more})


AMOUNT = st.none() | st.integers(0, 300_000)
LIMITS = st.builds(Limits, AMOUNT, AMOUNT, AMOUNT, AMOUNT, st.none() | st.integers(0, 5))
COUNT = st.integers(0, 200_000)
METERS = st.builds(Meter, LIMITS, st.integers(0, 300_000), COUNT, COUNT, COUNT, st.integers(0, 6))
DEMANDS = st.builds(demand, read=st.integers(0, 50_000), say=st.integers(1, 9_000), first=st.booleans())


def tried(asked: Demand, key: Meter, tenant: Meter) -> tuple[Plan | None, LimitReached | None]:
    try:
        return planned(asked, key, tenant, NOW), None
    except LimitReached as refused:
        return None, refused


@settings(max_examples=120, deadline=None)
@given(DEMANDS, METERS, METERS)
def test_what_is_held_fits_every_limit(asked: Demand, key: Meter, tenant: Meter) -> None:
    plan, refused = tried(asked, key, tenant)
    if plan is None:
        assert refused is not None
        assert refused.left == Left(key, tenant, NOW)
        assert refused.retry_after > 0
        assert ("US dollars" in refused.message) == (refused.code == "insufficient_quota")
        return
    if plan.cap is not None:
        assert min(LEAST, asked.say) <= plan.cap <= asked.say
        assert plan.lowered == (plan.cap < asked.say)
    for meter in (key, tenant):
        limits = meter.limits
        for limit, taken, more in (
            (limits.requests_per_minute, meter.requests, 1 if asked.first else -math.inf),
            (limits.concurrent, meter.running, 1 if asked.first else -math.inf),
            (limits.tokens_per_minute, meter.tokens, plan.most.tokens),
            (limits.pico_per_day, meter.pico_today, plan.most.pico),
            (limits.pico_per_month, meter.pico_this_month, plan.most.pico),
        ):
            assert limit is None or taken + more <= limit
    if plan.most.pico:
        assert plan.most.pico == asked.read * 5 + (plan.cap or 0) * 20, "the dearest target, with its input cached"


def refusal(asked: Demand, limits: Limits, **taken: int) -> LimitReached:
    with pytest.raises(LimitReached) as raised:
        planned(asked, Meter(limits, **taken), Meter(), NOW)
    return raised.value


def test_a_refusal_says_which_limit_and_until_when() -> None:
    dollar = PER_DOLLAR
    day = refusal(demand(), Limits(pico_per_day=dollar), pico_today=dollar)
    assert (day.code, day.retry_after) == ("insufficient_quota", 12 * 3600 - 12)
    assert day.message == "The key has a limit of 1 US dollars per day, which leaves too little: try again in 12 hours"
    month = refusal(demand(), Limits(pico_per_month=dollar), pico_this_month=dollar)
    assert month.retry_after == 3 * 86_400 + 12 * 3600 - 12
    assert month.message.endswith("try again in 4 days")
    minute = refusal(demand(), Limits(tokens_per_minute=5_000), tokens=4_000)
    assert (minute.code, minute.retry_after) == ("rate_limit_exceeded", 48)
    never = refusal(demand(read=6_000), Limits(tokens_per_minute=5_000))
    assert never.retry_after == math.inf
    assert "may take more than that" in never.message


def test_what_the_turn_before_did_not_take_may_be_held_again_in_its_own_window() -> None:
    limits, held = Limits(tokens_per_minute=6_000, pico_per_day=10**6), Taken(tokens=5_000, pico=10**6)
    full = {"tokens": 5_500, "pico_today": 10**6}
    again = demand(first=False, given_back=held, held=NOW - 10)
    assert planned(again, Meter(limits, **full), Meter(), NOW).cap == 4_096
    before = demand(first=False, given_back=held, held=NOW - 60)  # another minute, but the same day
    assert refusal(before, limits, **full).message.startswith("The key has a limit of 6000 tokens")
    yesterday = demand(first=False, given_back=held, held=NOW - 86_400)
    assert refusal(yesterday, Limits(pico_per_day=10**6), **full).code == "insufficient_quota"


def test_a_price_that_only_one_target_lacks_is_a_wrong_model() -> None:
    asked = demand(pricings=[("a/m", cheap), ("b/m", lambda _: None)])
    with pytest.raises(RequestError, match="'b/m'") as raised:
        planned(asked, Meter(Limits(pico_per_day=1)), Meter(), NOW)
    assert (raised.value.status, raised.value.param) == (400, "model")
    assert planned(asked, Meter(Limits(tokens_per_minute=10**6)), Meter(), NOW).most.pico == 0

"""What vendors take: our reading of genai-prices is held to its own sums, and to vendors' own pages."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from openresponses.core.bill import PER_DOLLAR, Service, shown_cost
from openresponses.core.settings import Price, ProviderSettings
from openresponses.dialects._shared.values import usage
from openresponses.prices import Prices, rates_for
from openresponses.prices.published import PROVIDERS, load, rates_of
from openresponses_dev.manage.presets import PRESETS

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def provider(preset: str, **changes: Any) -> ProviderSettings:
    known = PRESETS[preset]
    return ProviderSettings(**{"name": preset, "dialect": known.dialect, "base_url": known.base_url, **changes})


def told(model: Any, at: Any, tokens: tuple[int, int, int, int, int], *, long_cache: bool) -> Decimal:
    """What genai-prices says itself."""
    types = sys.modules["genai_prices.types"]
    given, made, cached, written, thought = tokens
    used = types.Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_reasoning_tokens=thought,
        **({"cache_write_1h_tokens": written} if long_cache else {}),
    )
    return model.calc_price(used, at, genai_request_timestamp=NOW).total_price


def test_every_known_model_costs_what_genai_prices_says() -> None:
    dice = random.Random(7)
    models = [(at, model) for at in load().providers for model in at.models]
    unpriced = 0
    for at, model in models:
        written, long_cache = dice.choice([0, 5_000]), dice.random() < 0.5
        tokens = (dice.choice([9_000, 150_000, 250_000, 900_000]), dice.randrange(9_999), 3_000, written, 0)
        rates = rates_of(vars(model.get_prices(NOW)), long_cache)
        if rates is None:
            unpriced += 1
            continue
        cost = rates.cost(usage(tokens[0], tokens[1], cached=3_000, written=written))
        assert cost is not None
        expected = told(model, at, tokens, long_cache=long_cache)
        assert 0 <= Decimal(cost.whole) / PER_DOLLAR - expected < Decimal("3e-12"), (at.id, model.id, tokens)
    assert unpriced < len(models) / 5  # of no text: what is embedded, drawn, spoken, and what is free for now


CLAUDE = "https://platform.claude.com/docs/en/about-claude/pricing"
PAGES = {
    "Claude Opus 4.5, kept for 5 minutes": (
        CLAUDE,
        provider("anthropic"),
        "claude-opus-4-5",
        usage(1_000_000, 1_000_000, cached=300_000, written=200_000, reasoned=100_000),
        {"input": "3.75", "cached": "0.15", "output": "25"},  # 500,000 at 5, 200,000 at 6.25, 300,000 at 0.50
    ),
    "Claude Opus 4.5, kept for an hour": (
        CLAUDE,
        provider("anthropic", options={"cache": "1h"}),
        "claude-opus-4-5",
        usage(1_000_000, 0, cached=300_000, written=200_000),
        {"input": "4.5", "cached": "0.15", "output": "0"},  # 500,000 at 5, 200,000 at 10
    ),
    "Claude Haiku 5.5, up to 100,000": (
        CLAUDE,
        provider("anthropic"),
        "claude-haiku-5-5",
        usage(100_000, 1_000),
        {"input": "0.01", "cached": "0", "output": "0.0005"},
    ),
    "Claude Haiku 5.5, above 100,000": (
        CLAUDE,
        provider("anthropic"),
        "claude-haiku-5-5",
        usage(100_001, 1_000),
        {"input": "0.0500005", "cached": "0", "output": "0.0025"},
    ),
    "GPT-5 mini": (
        "https://developers.openai.com/api/docs/pricing",
        provider("openai"),
        "gpt-5-mini",
        usage(10_000, 1_000, cached=4_000, reasoned=600),
        {"input": "0.0015", "cached": "0.0001", "output": "0.002"},  # 0.25, 0.025, 2
    ),
    "Gemini 2.5 Pro, up to 200,000": (
        "https://ai.google.dev/gemini-api/docs/pricing",
        provider("gemini"),
        "gemini-2.5-pro",
        usage(200_000, 1_000, reasoned=500),
        {"input": "0.25", "cached": "0", "output": "0.01"},  # 1.25, 10: output includes thoughts
    ),
    "Gemini 2.5 Pro, above 200,000": (
        "https://ai.google.dev/gemini-api/docs/pricing",
        provider("gemini"),
        "gemini-2.5-pro",
        usage(400_000, 1_000),
        {"input": "1", "cached": "0", "output": "0.015"},  # 2.50, 15
    ),
}
"""US dollars, by hand from the vendor's own page (read in November 2026)."""


@pytest.mark.parametrize("what", PAGES)
def test_a_turn_costs_what_the_vendors_page_says(what: str) -> None:
    _, settings, model, used, expected = PAGES[what]
    rates = rates_for(settings, model, NOW)
    assert rates is not None
    assert shown_cost(rates.cost(used)).model_dump(exclude={"usd"}) == expected


KNOWN = {
    "a preset without an address": (provider("bedrock"), "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "an address of a region": (
        provider("bedrock", base_url="https://bedrock-runtime.us-west-2.amazonaws.com"),
        "openai.gpt-oss-120b-1:0",
    ),
    "Bedrock's other address": (
        provider("openai", base_url="https://bedrock-mantle.us-east-1.api.aws/v1"),
        "openai.gpt-oss-120b-1:0",
    ),
    "a profile that an operator named": (
        provider("bedrock", options={"base_models": {"arn:aws:bedrock:x": "amazon.nova-pro-v1:0"}}),
        "arn:aws:bedrock:x",
    ),
    "Vertex": (
        provider("gemini", base_url="https://aiplatform.googleapis.com/v1/projects/p/publishers/google"),
        "gemini-2.5-pro",
    ),
    "a vendor that an operator named": (
        provider("openai", base_url="https://gateway.example/v1", options={"vendor": "openai"}),
        "gpt-5-mini",
    ),
    "a deployment of Azure": (provider("openai", base_url="https://mine.openai.azure.com/openai/v1"), "gpt-5-mini"),
    "whoever a suffix chooses": (provider("hf"), "openai/gpt-oss-120b:cerebras"),
    **{
        f"the preset {name}": (provider(name), PRESETS[name].model)
        for name in ("openai", "anthropic", "gemini", "deepseek", "groq", "openrouter", "mistral", "moonshot")
    },
    **{f"the preset {name}": (provider(name), PRESETS[name].model) for name in ("cerebras", "xai", "zai")},
}


@pytest.mark.parametrize("what", KNOWN)
def test_a_price_is_found(what: str) -> None:
    settings, model = KNOWN[what]
    assert rates_for(settings, model, NOW) is not None


TIERS = {"flex": "0.00125", "": "0.0025", "default": "0.0025", "auto": "0.0025", "priority": "0.0045", "new": None}
"""Of 2,000 tokens of GPT-5 mini: 0.125 and 1, 0.25 and 2, 0.45 and 3.60 (developers.openai.com/api/docs/pricing)."""


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_has_its_price_and_one_that_nobody_knows_has_none(tier: str) -> None:
    cost = Prices().of(provider("openai"), "gpt-5-mini", Service(tier))(usage(2_000, 1_000))
    assert (cost and shown_cost(cost).usd) == TIERS[tier]


UNKNOWN = {
    "a model that nobody knows": (provider("openai"), "gpt-99"),
    "a model of another vendor": (provider("anthropic"), "gpt-5-mini"),
    "a server of one's own": (provider("vllm"), "gpt-5-mini"),
    "a vendor of another name": (provider("openai", base_url="https://gateway.example/v1"), "gpt-5-mini"),
    "a dialect at another address": (provider("anthropic", base_url="https://gateway.example"), "claude-opus-4-5"),
    "a router that nobody chose from": (provider("hf"), "openai/gpt-oss-120b"),
    "a router's word for the cheapest": (provider("hf"), "openai/gpt-oss-120b:cheapest"),
    "a deployment with a name of its own": (
        provider("openai", base_url="https://mine.openai.azure.com/openai/v1"),
        "team-blue",
    ),
    "a model without any rate": (provider("openrouter"), "openai/gpt-oss-20b:free"),
    "a vendor without a list": (provider("qwen"), "qwen-plus"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_nobody_knows_is_unknown_and_never_nothing(what: str) -> None:
    settings, model = UNKNOWN[what]
    assert Prices().of(settings, model, Service())(usage(1_000, 1_000)) is None


def test_an_operators_price_wins() -> None:
    mine = {"gpt-5*": Price(input="1", output="2")}
    cost = Prices().of(provider("openai", prices=mine), "gpt-5-mini", Service())(usage(1_000_000, 1_000_000))
    assert shown_cost(cost).usd == "3"


def test_every_vendor_that_has_another_name_there_is_one_of_ours_and_one_of_theirs() -> None:
    from openresponses.dialects._shared.vendors import VENDORS

    assert set(PROVIDERS) <= VENDORS
    assert set(PROVIDERS.values()) <= {each.id for each in load().providers}


def test_a_cost_depends_on_no_state_of_what_clients_name() -> None:
    snapshot = load()
    before = len(snapshot._lookup_cache), len(snapshot._provider_cache), len(snapshot._provider_misses)
    for number in range(50):
        rates_for(provider("openai"), f"gpt-5-mini-{number}", NOW)
    assert before == (len(snapshot._lookup_cache), len(snapshot._provider_cache), len(snapshot._provider_misses))


ALONE = """
import sys
from openresponses.core.bill import Service
from openresponses.prices import Prices, rates_for
from openresponses.core.settings import ProviderSettings
from openresponses.dialects._shared.values import usage

settings = ProviderSettings(name="p", dialect="openai_responses", base_url="https://api.openai.com/v1")
pricing = Prices().of(settings, "gpt-5-mini", Service())
assert "genai_prices" not in sys.modules and "openresponses.prices.published" not in sys.modules
assert pricing(usage(1, 1)) is not None
assert "genai_prices.data" in sys.modules
print(sorted({"httpx2", "httpcore2", "anyio"} & set(sys.modules)))
"""


def test_prices_are_loaded_where_one_is_asked_for_and_without_an_http_client() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

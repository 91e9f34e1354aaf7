"""What vendors publish, as genai-prices has it: the rates of a model, and the provider there that a vendor of ours is.

Its data take 0.1 s of CPU to import, so nothing here is imported before a price is asked for.
"""

import re
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any

from .rates import Rate, Rates

PROVIDERS: Mapping[str, str] = {
    "bedrock": "aws",
    "foundry": "azure",
    "gemini": "google",
    "moonshot": "moonshotai",
    "vertex": "google",
    "xai": "x-ai",
}
"""By our vendor; all others have the same name there. An address that genai-prices knows wins."""


STANDARD = ("", "auto", "default", "standard", "on_demand")
"""Vendors' words for the service tier that a price is of."""


def rates(
    vendor: str, base_url: str, model: str, now: datetime, *, tier: str = "", long_cache: bool = False
) -> Rates | None:
    """The rates of a model in a service tier; None if they are not known. `long_cache`: what it caches, it keeps for an
    hour.
    """
    if vendor == "hf":  # its router serves a model at the price of whoever the suffix chooses
        model, _, chosen = model.partition(":")
        vendor, base_url = f"huggingface_{chosen}", ""
    snapshot = load()
    provider = _provider(snapshot, vendor, base_url)
    found: Any = provider and provider.find_model(model, all_providers=snapshot.providers)
    if not found:
        return None
    terms = {} if tier in STANDARD else {"service_tier": tier}
    own = any(each is found for each in provider.models)  # the tiers of whose model another one serves are not its own
    if terms and not (own and any(each.when == terms for each in found.price_variants or ())):
        return None
    return rates_of(found.get_prices(now, terms).__dict__, long_cache)


def _provider(snapshot: Any, vendor: str, base_url: str) -> Any:
    """By its own id, and never by one that only resembles it."""
    known = [each for each in snapshot.providers if base_url and re.match(each.api_pattern, base_url)]
    named = (each for each in snapshot.providers if each.id == PROVIDERS.get(vendor, vendor))
    return next(iter(known), None) or next(named, None)


@cache
def load() -> Any:
    """The data, imported once. Call it in a thread where somebody waits."""
    if "genai_prices" not in sys.modules:
        # Not by its `__init__`: that imports an HTTP client, to update the data, which no function does.
        spec = find_spec("genai_prices")
        assert spec is not None, "it is a dependency"
        sys.modules["genai_prices"] = module_from_spec(spec)
    return import_module("genai_prices.data_snapshot").get_snapshot()


def rates_of(prices: Mapping[str, Any], long_cache: bool) -> Rates | None:
    """None where a part has no price: what it costs is not known."""
    given, made = _rate(prices.get("input_mtok")), _rate(prices.get("output_mtok"))
    if given is None or made is None:
        return None
    written = _rate(prices.get("cache_write_mtok")) or given
    request = prices.get("requests_kcount")
    return Rates(
        input=given,
        cached=_rate(prices.get("cache_read_mtok")) or given,
        cache_write=(_rate(prices.get("cache_write_1h_mtok")) if long_cache else None) or written,
        output=made,
        reasoning=_rate(prices.get("output_reasoning_mtok")) or made,
        request=request / 1000 if request else Decimal(0),
    )


def _rate(price: Any) -> Rate | None:
    if price is None:
        return None
    if tiers := getattr(price, "tiers", None):
        return Rate(price.base, tuple((tier.start, tier.price) for tier in tiers))
    return Rate(getattr(price, "base", price))

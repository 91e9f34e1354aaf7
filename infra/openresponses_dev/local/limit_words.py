"""Limits of a key or a tenant, in words."""

from __future__ import annotations

from openresponses.core.bill import dollars
from openresponses.core.storage import Limits

NONE = "none"


def words(limits: Limits) -> str:
    """As a list shows them."""
    said = {
        "requests/minute": limits.requests_per_minute,
        "tokens/minute": limits.tokens_per_minute,
        "USD/day": usd(limits.pico_per_day),
        "USD/month": usd(limits.pico_per_month),
        "at once": limits.concurrent,
    }
    return ", ".join(f"{most} {of}" for of, most in said.items() if most is not None) or NONE


def usd(pico: int | None) -> str | None:
    return None if pico is None else dollars(pico)

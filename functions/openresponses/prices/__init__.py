"""What a turn costs: by the operator's own price of the model, else by what its vendor publishes.

What the rooms within need is imported with the first price: no answer waits for it.
"""

import asyncio
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING

from ..core.bill import Cost, Pricing, Service
from ..core.patterns import allows
from ..core.settings import Price, ProviderSettings
from ..dialects import vendor_of
from ..schema.response import Usage

if TYPE_CHECKING:
    from .rates import Rates


class Prices:
    """What all tenants of a sandbox share. What vendors publish is loaded where a price of theirs is asked for."""

    def __init__(self) -> None:
        self._loading: asyncio.Future[object] | None = None

    def begin(self, settings: ProviderSettings, model: str) -> None:
        """Load what the price of this model needs, in a thread: 0.1 s of CPU, once."""
        if self._loading is None and own_price(settings, model) is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, _load)

    async def ready(self, settings: ProviderSettings, model: str) -> None:
        """Until it is loaded."""
        self.begin(settings, model)
        if self._loading is not None:
            await asyncio.shield(self._loading)  # others wait for it, too

    def of(self, settings: ProviderSettings, model: str, service: Service) -> Pricing:
        """What a turn of this model costs. Loads what it needs if nothing did so before."""

        def pricing(usage: Usage) -> Cost | None:
            rates = rates_for(settings, model, datetime.now(UTC), service.tier)
            return rates.cost(usage) if rates else None

        return pricing


def _load() -> None:
    import_module(".published", __name__).load()


def rates_for(settings: ProviderSettings, model: str, now: datetime, tier: str = "") -> "Rates | None":
    """None where nobody knows what the model costs. An operator's price is for every service tier."""
    from . import published
    from .rates import rates_of

    if price := own_price(settings, model):
        return rates_of(price)
    long_cache = settings.options.get("cache") == "1h"
    at = (vendor_of(settings), settings.base_url, _behind(settings, model))
    return published.rates(*at, now, tier=tier, long_cache=long_cache)


def own_price(settings: ProviderSettings, model: str) -> Price | None:
    """The operator's: of the model's name, or else of the first pattern that it fits."""
    if model in settings.prices:
        return settings.prices[model]
    return next((price for pattern, price in settings.prices.items() if allows((pattern,), model)), None)


def _behind(settings: ProviderSettings, model: str) -> str:
    """The model that a profile of Bedrock's stands for, whose name doesn't tell, where the operator said it."""
    known = settings.options.get("base_models")
    return str(known.get(model, model)) if isinstance(known, dict) else model

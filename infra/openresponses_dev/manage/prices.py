"""`openresponses prices`: what models cost, and who says so."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Annotated

from cyclopts import Parameter

from openresponses.core.settings import ProviderSettings
from openresponses.entry.settings import built_in
from openresponses.prices import own_price, rates_for
from openresponses.prices.rates import Rate, Rates
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.problems import Problem, columns
from openresponses_dev.manage.providers import named_models, stored_settings

Row = tuple[str, ...]


def show_prices(
    *models: Annotated[str, Parameter(help="provider/model (default: all that the configuration names)")],
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    rows = [_row(settings, model) for settings, model in (_asked(deployment, models) or _named(deployment))]
    say("US dollars for a million tokens; the log and `serverless:cost` count by these")
    say(columns(("MODEL", "INPUT", "CACHED", "CACHE WRITE", "OUTPUT", "FROM"), rows))
    return 0


def _asked(deployment: Deployment, models: tuple[str, ...]) -> list[tuple[ProviderSettings, str]]:
    asked: list[tuple[ProviderSettings, str]] = []
    for each in models:
        name, _, model = each.partition("/")
        if not model:
            raise Problem(f"{each} is no model's name: provider/model", deployment.command("providers list"))
        asked.append((stored_settings(deployment, name), model))
    return asked


def _named(deployment: Deployment) -> list[tuple[ProviderSettings, str]]:
    names = [each.name for each in built_in(deployment.default_provider)]
    names += [each.name for each in parameters.read_all(deployment, "providers")]
    found = [stored_settings(deployment, name) for name in names]
    return [(each, model) for each in found for model in named_models(deployment, each)]


def _row(settings: ProviderSettings, model: str) -> Row:
    name, rates = f"{settings.name}/{model}", rates_for(settings, model, datetime.now(UTC))
    if rates is None:
        return name, "unknown", "-", "-", "-", "set it: providers set --price"
    origin = "the provider's document" if own_price(settings, model) else f"genai-prices {version('genai-prices')}"
    return name, *map(_amount, _parts(rates)), origin


def _parts(rates: Rates) -> tuple[Rate, Rate, Rate, Rate]:
    return rates.input, rates.cached, rates.cache_write, rates.output


def _amount(rate: Rate) -> str:
    """With its tiers: `1.25, 2.5 above 200000`."""
    return ", ".join((_plain(rate.base), *(f"{_plain(amount)} above {start}" for start, amount in rate.tiers)))


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"

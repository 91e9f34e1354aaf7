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
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.providers import named_models, stored_settings

Row = tuple[str, ...]
_PARTS = ("input", "cached", "cache_write", "output")
_UNKNOWN: dict[str, None] = dict.fromkeys(_PARTS)


def show_prices(
    *models: Annotated[str, Parameter(help="provider/model (default: all that the configuration names)")],
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    found = _asked(deployment, models) or _named(deployment)
    if not as_json:
        say("US dollars for a million tokens; the log and `serverless:cost` count by these")
    head = ("MODEL", "INPUT", "CACHED", "CACHE WRITE", "OUTPUT", "FROM")
    show([_document(*each) for each in found], head, [_row(*each) for each in found], as_json=as_json)
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


def _document(settings: ProviderSettings, model: str) -> dict[str, object]:
    """Its rates are null where nobody says what it costs."""
    rates = rates_for(settings, model, datetime.now(UTC))
    amounts = {part: _rate(each) for part, each in _parts(rates).items()} if rates else _UNKNOWN
    return {"model": f"{settings.name}/{model}", **amounts, "from": _origin(settings, model) if rates else None}


def _rate(rate: Rate) -> dict[str, object]:
    tiers = [{"above_input_tokens": start, "usd": _plain(amount)} for start, amount in rate.tiers]
    return {"usd": _plain(rate.base), "tiers": tiers}


def _row(settings: ProviderSettings, model: str) -> Row:
    name, rates = f"{settings.name}/{model}", rates_for(settings, model, datetime.now(UTC))
    if rates is None:
        return name, "unknown", "-", "-", "-", "set it: providers set --price"
    return name, *map(_amount, _parts(rates).values()), _origin(settings, model)


def _origin(settings: ProviderSettings, model: str) -> str:
    return "the provider's document" if own_price(settings, model) else f"genai-prices {version('genai-prices')}"


def _parts(rates: Rates) -> dict[str, Rate]:
    return {part: getattr(rates, part) for part in _PARTS}


def _amount(rate: Rate) -> str:
    """With its tiers: `1.25, 2.5 above 200000`."""
    return ", ".join((_plain(rate.base), *(f"{_plain(amount)} above {start}" for start, amount in rate.tiers)))


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"

"""When a price is looked up: never before the client has something to read, and always before the turn is over."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openresponses.core import deltas as d
from openresponses.core.bill import Cost, Pricing, Service
from openresponses.core.errors import ProviderUnavailable
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn, turn_of
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.schema.response import Usage
from openresponses.storage.memory.parameters import MemoryParameters
from tests.unit.kit import Said, Script, new_run, usage
from tests.unit.test_sealing import PlainSeal

TEXT, FLEX = d.Text("0", "a"), d.Usage(usage(7).usage, "flex")


class Noted:
    """Prices that note what is asked of them, among the deltas that came out."""

    def __init__(self) -> None:
        self.log: list[object] = []

    def begin(self, settings: ProviderSettings, model: str) -> None:
        self.log.append("begin")

    async def ready(self, settings: ProviderSettings, model: str) -> None:
        self.log.append("ready")

    def of(self, settings: ProviderSettings, model: str, service: Service) -> Pricing:
        def pricing(used: Usage) -> Cost:
            self.log.append((model, service.tier, used.input_tokens))
            return Cost()

        return pricing


def models(prices: Noted, turn: list[Said]) -> TenantModels:
    parameters = {"providers/openai": '{"dialect": "chat_completions", "retries": 0}'}
    catalog, script = Catalog(MemoryParameters(parameters)), Script([turn])
    router = Router(catalog, lambda _: script, Settings(), lambda: 0.0, prices=prices)
    return TenantModels(router, PlainSeal())


def turn() -> Turn:
    run = new_run(model="openai/gpt", service_tier="priority")
    return turn_of(run, run.request.model)


async def test_a_price_is_begun_after_the_first_word_and_ready_before_the_last_delta() -> None:
    prices = Noted()
    async with models(prices, [usage(3), TEXT, TEXT, FLEX, d.Finish("stop")]).ask(turn(), None) as answer:
        async for delta in answer.deltas:
            prices.log.append(type(delta).__name__)
    answer.pricing(FLEX.usage)
    expected = ["Usage", "Text", "begin", "Text", "Usage", "ready", "Finish", ("gpt", "flex", 7)]
    assert prices.log == expected


async def test_a_turn_that_dies_waits_for_no_price() -> None:
    prices = Noted()
    async with models(prices, [TEXT, ProviderUnavailable("down")]).ask(turn(), None) as answer:
        with pytest.raises(ProviderUnavailable):
            [delta async for delta in answer.deltas]
    assert prices.log == ["begin"]


async def test_before_a_turn_a_price_is_that_of_the_tier_that_was_asked_for() -> None:
    prices = Noted()
    ((target, pricing),) = await models(prices, []).pricings(turn())
    pricing(FLEX.usage)
    assert (target, prices.log) == ("openai/gpt", ["ready", ("gpt", "priority", 7)])


LOADED = """
import asyncio, sys, time
from openresponses.core import deltas as d
from openresponses.core.settings import Settings
from openresponses.entry.api import build
from openresponses.prices import Prices
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from tests.unit.kit import Script
from tests.unit.test_pricing import TEXT, turn
from tests.unit.test_sealing import PlainSeal

build({})
url = "https://api.openai.com/v1"
parameters = MemoryParameters({"providers/openai": '{"dialect": "chat_completions", "base_url": "%s"}' % url})
script = Script([[TEXT, TEXT, d.Finish("stop")]])
router = Router(Catalog(parameters), lambda _: script, Settings(), time.monotonic, prices=Prices())

async def first_word():
    async with TenantModels(router, PlainSeal()).ask(turn(), None) as answer:
        assert await anext(answer.deltas) == TEXT
        print("genai_prices" in sys.modules, "openresponses.prices.published" in sys.modules)
        async for last in answer.deltas:
            pass
        print("genai_prices.data" in sys.modules, "genai_prices.update_prices" in sys.modules)

asyncio.run(first_word())
"""


def test_no_price_is_loaded_before_the_first_word() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False", "True", "False"], done.stderr

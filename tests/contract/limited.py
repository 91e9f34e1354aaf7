"""A house whose keys and tenant have limits, and a vendor that keeps its own books."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from openresponses.core import deltas as d
from openresponses.core.bill import PER_DOLLAR, Bill, Cost, Pricing
from openresponses.core.errors import ProviderUnavailable
from openresponses.core.estimate import tokens_in
from openresponses.core.ports import Ports, Provider, TurnStream
from openresponses.core.storage import Limits, Meter, Storage
from openresponses.core.turn import Turn
from openresponses.limits.budget import NONE, TenantBudget
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.schema.items import Message
from openresponses.schema.response import Usage
from openresponses.schema.server_items import HostedToolCall
from tests.contract.machine import House
from tests.unit.kit import Models, Script, Tools

KEY = "key1"
TARGET = "vendor/m"
INPUT, OUTPUT = 2, 10
"""Picodollars of a million tokens, in millions: the price of one token is millionths of a dollar."""
MIDDAY = 1_795_780_800.0 + 12.0
"""2026-11-27T12:00:12Z: neither a minute nor a day ends soon."""


def usd(dollars: float) -> int:
    return round(dollars * PER_DOLLAR)


def price(usage: Usage) -> Cost:
    return Cost(input=usage.input_tokens * INPUT * 10**6, output=usage.output_tokens * OUTPUT * 10**6)


class Priced(Models):
    """One provider for every model, whose prices are known."""

    def __init__(self, provider: Provider, pricing: Pricing = price) -> None:
        super().__init__(provider)
        self._pricing = pricing

    @asynccontextmanager
    async def ask(self, turn: Turn, served: str | None) -> AsyncGenerator[TurnStream, None]:
        async with aclosing(self._provider.stream(turn)) as deltas:
            yield TurnStream(TARGET, deltas, self._pricing)

    async def pricings(self, turn: Turn) -> list[tuple[str, Pricing]]:
        return [(TARGET, self._pricing)]


class Vendor:
    """Reads and says as many tokens as its books say, which it tells at the end of each turn.

    What it does is the first word of what the user said: `tools` calls a tool in each of 2 turns, `ask` one that
    answers later, `fail` breaks after a word, `refuse` before it, `talk` never ends.
    """

    def __init__(self, seed: int = 1) -> None:
        self.turns: list[Turn] = []
        self.books: list[Usage] = []
        self.untold = 0
        """Turns that it was cut off in."""
        self._random = random.Random(seed)

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        self.turns.append(turn)
        said = [each for each in turn.items if isinstance(each, Message) and each.role == "user"]
        texts = [part.text for each in said[-1:] for part in each.content if part.type == "input_text"]
        word = texts[0].split()[0] if texts else "say"
        if word == "refuse":
            raise ProviderUnavailable("It has no time")
        most = turn.max_output_tokens
        wanted = self._random.randint(20, 4_000) if word != "long" else 10**6
        usage = self._read(turn, min(wanted, most) if most is not None else wanted)
        told = False
        try:
            yield d.Text("t", "So ")
            await asyncio.sleep(0)
            while word == "talk":
                yield d.Text("t", "on ")
                await asyncio.sleep(0.005)
            told = True
            self.books.append(usage)
            yield d.Usage(usage)
            if word == "fail":
                raise ProviderUnavailable("It broke")
            if turn.keeps is not None:
                yield d.Compacted("sealed")
            calls = sum(isinstance(item, HostedToolCall) for item in turn.items)
            if calls < {"tools": 2, "ask": 1}.get(word, 0):
                yield d.End("t")
                name = "calculator" if word == "tools" else "approve"
                yield d.ToolCall("c", name=name, call_id="call_1", arguments="{}")
                yield d.End("c")
            yield d.Finish("length" if most is not None and wanted > most else "stop")
        finally:
            self.untold += not told

    def _read(self, turn: Turn, output: int) -> Usage:
        read = max(1, round(tokens_in(turn) * self._random.uniform(0.5, 1.4)))
        return Usage(input_tokens=read, output_tokens=output, total_tokens=read + output)

    async def aclose(self) -> None: ...

    @property
    def billed(self) -> int:
        return sum(price(each).whole for each in self.books)


class LimitedHouse(House):
    """`key` and `tenant` are limits; every request comes with the key `KEY`."""

    def __init__(
        self,
        vendor: Vendor,
        key: Limits = NONE,
        tenant: Limits = NONE,
        *,
        pricing: Pricing = price,
        storage: Storage | None = None,
        tools: Tools | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(Script([]), tools, storage=storage, **settings)
        self.vendor = vendor
        ids, self.time = itertools.count(1), MIDDAY
        models, new_id = Priced(vendor, pricing), lambda: f"{next(ids):032x}"
        self.ports = replace(self.ports, models=models, new_id=new_id)
        self.ports = self.reached_by(self.storage)
        self.new, self.stored = NewResponses(self.ports, self.settings, KEY), StoredResponses(self.ports)
        self._limits = key, tenant

    def reached_by(self, storage: Storage) -> Ports:
        """The ports of a worker that reaches its storage so. It knows nothing of limits yet."""
        budget = TenantBudget(storage.meters, self.ports.models, self.ports.now, self.ports.new_id)
        return replace(self.ports, storage=storage, budget=budget)

    async def limited(self) -> LimitedHouse:
        key, tenant = self._limits
        await self.storage.meters.limit(KEY, key)
        await self.storage.meters.limit(None, tenant)
        return self

    async def paid(self) -> None:
        """Whoever is told of the end of a response bills it, if its worker died before it could."""
        for entry in [*self.shelf.responses.values()]:
            if entry.owed:
                await self.storage.meters.settle(Bill.model_validate_json(entry.owed), stored=True)

    async def meter(self) -> Meter:
        return (await self.storage.meters.read(KEY, self.time))[0]

    async def usage(self) -> tuple[int, int, int, int]:
        """Requests, and tokens read and said, and picodollars, of all rows."""
        rows = await self.storage.meters.usage("2026-01-01", "2027-12-31")
        return (
            sum(row.requests for row in rows),
            sum(row.input_tokens for row in rows),
            sum(row.output_tokens for row in rows),
            sum(row.pico for row in rows),
        )

"""A deployment in memory whose providers are fake upstreams, named as their dialects (or `<dialect>-2`)."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from openresponses import providers
from openresponses.api.access import Access
from openresponses.api.app import create_app
from openresponses.core.catalog import Catalog
from openresponses.core.routing import RoutedModels, Router
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.memory import MemoryParameters
from openresponses.seals import AesSeal, of_this_process
from openresponses.tools import Toolbox

from tests.contract.machine import House
from tests.conversations import folded
from tests.fakes.server import FakeUpstream, dialects, fake_upstream
from tests.fakes.wire import Rules
from tests.openresponses_schema import check_response
from tests.unit.kit import Json

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")  # as `entry` does, where the API's metrics go
DIALECTS = dialects()


@dataclass
class Vendors:
    house: House
    client: httpx2.AsyncClient
    upstreams: dict[str, FakeUpstream]

    def model(self, dialect: str) -> str:
        return f"{dialect}/{self.upstreams[dialect].wire.model}"

    @property
    def refused(self) -> list[str]:
        return [f"{name}: {why}" for name, upstream in self.upstreams.items() for why in upstream.refused]

    async def ask(self, **request: Any) -> Json:
        """The final response, as its client has it: whole, folded from its stream, or read when it's over."""
        answer = await self.client.post("/responses", json=request)
        assert answer.status_code == 200, (answer.text, self.refused)
        response = folded(answer.text) if request.get("stream") else answer.json()
        await self.house.idle()
        if request.get("background"):
            include = {"include": request.get("include", [])}
            response = (await self.client.get(f"/responses/{response['id']}", params=include)).json()
        check_response(response)
        assert response["status"] == "completed", (response["error"], self.refused)
        return response


@asynccontextmanager
async def vendors(
    names: Iterable[str] = DIALECTS, rules: Rules | None = None, **settings: Any
) -> AsyncIterator[Vendors]:
    """`settings` are the deployment's. The deployment's state machine is in memory."""
    async with AsyncExitStack() as stack:
        upstreams = {
            name: await stack.enter_async_context(fake_upstream(_dialect(name), rules=rules)) for name in names
        }
        configured = {name: ProviderSettings(name=name, **upstream.settings) for name, upstream in upstreams.items()}
        catalog = Catalog(MemoryParameters(), builtin=configured)
        router = Router(catalog, providers.connect, Settings(), time.monotonic)
        tools: Any = Toolbox()
        house = House(RoutedModels(router, AesSeal(of_this_process(), "default")), tools, **settings)
        stack.push_async_callback(router.aclose)
        served = house.service, house.stored
        app = create_app(lambda _: served, house.settings, router.aclose, lambda _: Access("default"))
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api/v1")
        yield Vendors(house, await stack.enter_async_context(client), upstreams)


def _dialect(name: str) -> str:
    return name.partition("-")[0]

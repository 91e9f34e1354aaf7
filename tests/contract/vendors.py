"""A deployment in memory whose providers are fake upstreams, named as their dialects (or `<dialect>-2`)."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from openresponses import dialects as providers
from openresponses.api.access import Access
from openresponses.api.app import create_app
from openresponses.core.settings import Settings
from openresponses.entry.settings import OFFLINE
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from openresponses.toolbox.source import ToolSource
from tests.contract.authorized import authorized
from tests.contract.machine import House
from tests.conversations import folded
from tests.fakes.server import FakeUpstream, dialects, fake_upstream
from tests.fakes.wire import Rules
from tests.openresponses_schema import check_response
from tests.unit.kit import Json

DIALECTS = dialects()


@dataclass
class Vendors:
    """`parameters` are the deployment's configuration, as texts by name. Each tenant has a house of its own."""

    upstreams: dict[str, FakeUpstream]
    parameters: dict[str, str]
    settings: Json
    sources: Sequence[ToolSource] = ()
    houses: dict[str, House] = field(default_factory=dict[str, House])

    def __post_init__(self) -> None:
        catalog, settings = Catalog(MemoryParameters(self.parameters), [OFFLINE]), replace(Settings(), **self.settings)
        self._router = Router(catalog, providers.connect, settings, time.monotonic, runs=providers.runs)
        self._keys = of_this_process()
        self._app = create_app(self._open_to, settings, self._router.aclose)
        self._client = self.client()

    @property
    def house(self) -> House:
        return self.houses["default"]

    def client(self, tenant: str = "default", seconds: float | None = None) -> httpx2.AsyncClient:
        """`seconds` are those that each invocation has left."""
        app = authorized(self._app, tenant=tenant)
        transport = httpx2.ASGITransport(app if seconds is None else _hurried(app, seconds))
        return httpx2.AsyncClient(transport=transport, base_url="http://api/v1")

    def model(self, name: str) -> str:
        return f"{name}/{self.upstreams[name].wire.model}"

    @property
    def refused(self) -> list[str]:
        return [f"{name}: {why}" for name, upstream in self.upstreams.items() for why in upstream.refused]

    async def ask(self, **request: Any) -> Json:
        """The final response, as its client has it: whole, folded from its stream, or read when it's over."""
        answer = await self._client.post("/responses", json=request)
        assert answer.status_code == 200, (answer.text, self.refused)
        response = folded(answer.text) if request.get("stream") else answer.json()
        await self.house.idle()
        if request.get("background"):
            include = {"include": request.get("include", [])}
            response = (await self._client.get(f"/responses/{response['id']}", params=include)).json()
        check_response(response)
        assert response["status"] == "completed", (response["error"], self.refused)
        return response

    async def aclose(self) -> None:
        await self._client.aclose()
        await self._router.aclose()

    def _open_to(self, access: Access) -> tuple[NewResponses, StoredResponses]:
        house = self.houses.get(access.tenant) or self._opened(access.tenant)
        return house.new, house.stored

    def _opened(self, tenant: str) -> House:
        models, tools = TenantModels(self._router, AeadSeal(self._keys, tenant)), Toolbox([ToolFiles(), *self.sources])
        house = self.houses[tenant] = House(models, tools, **self.settings)  # type: ignore[arg-type]
        return house


def _hurried(app: ASGIApp, seconds: float) -> ASGIApp:
    class Context:
        def get_remaining_time_in_millis(self) -> float:
            return seconds * 1000

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "aws.context": Context()}, receive, send)

    return serve


@asynccontextmanager
async def vendors(
    names: Iterable[str] = DIALECTS,
    rules: Rules | None = None,
    more: Json | None = None,
    sources: Sequence[ToolSource] = (),
    **settings: Any,
) -> AsyncIterator[Vendors]:
    """`more` is added to each provider's parameter; `settings` are the deployment's, `sources` are of more tools."""
    async with AsyncExitStack() as stack:
        upstreams = {
            name: await stack.enter_async_context(fake_upstream(name.partition("-")[0], rules=rules)) for name in names
        }
        texts = {f"providers/{name}": json.dumps(up.settings | (more or {})) for name, up in upstreams.items()}
        at = Vendors(upstreams, texts, settings, sources)
        stack.push_async_callback(at.aclose)
        yield at

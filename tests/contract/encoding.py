"""A deployment in memory whose providers encode each turn, and answer without a network: everything up to the wire."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import httpx2

from openresponses import dialects as providers
from openresponses.api.access import Access
from openresponses.api.app import create_app
from openresponses.core import deltas as d
from openresponses.core.ports import Provider
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn
from openresponses.dialects._shared.http_dialect import CountingDialect, HttpDialect
from openresponses.dialects._shared.json import dumps
from openresponses.entry.settings import OFFLINE
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import StoredEndpoints
from openresponses.webhooks.notify import WebhookPorts
from tests.contract.authorized import authorized
from tests.contract.machine import House
from tests.contract.serving import Serving
from tests.fakes.server import FakeUpstream, dialects, wire_of
from tests.fakes.wire import Rules

DIALECTS = dialects()


class Encodes:
    """Says what it would have sent was so long, with reasoning before it."""

    def __init__(self, dialect: HttpDialect) -> None:
        self._dialect = dialect

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        sent = dumps(self._dialect.encode(turn).body)
        yield d.Text("text", f"{len(sent)} bytes")
        yield d.Finish("stop")

    async def count(self, turn: Turn) -> int | None:
        wire = self._dialect.encode(turn)
        return len(dumps(self._dialect.counting(wire).body)) if isinstance(self._dialect, CountingDialect) else None

    async def aclose(self) -> None:
        await self._dialect.aclose()


def connect(settings: ProviderSettings) -> Provider:
    provider = providers.connect(settings)
    return Encodes(provider) if isinstance(provider, HttpDialect) else provider


async def nowhere(host: str, port: int) -> Sequence[str]:
    raise OSError("no name leads anywhere")


class Encoding:
    """`models` has a model of each provider. A tenant's house makes 999 ids at most: see `House`."""

    def __init__(self) -> None:
        kinds = {name: wire_of(name) for name in DIALECTS}
        self.models = ["offline/demo", *(f"{name}/{kind.model}" for name, kind in kinds.items())]
        texts = {
            f"providers/{name}": json.dumps(FakeUpstream(kind(Rules()), "http://127.0.0.1:9/v1").settings)
            for name, kind in kinds.items()
        }
        catalog = Catalog(MemoryParameters(texts), [OFFLINE])
        self._router = Router(catalog, connect, Settings(), time.monotonic, runs=providers.runs)
        self._keys, self._houses = of_this_process(), dict[str, House]()
        self.app = create_app(self._open_to, replace(Settings()), self._router.aclose, endpoints_of=self._endpoints_of)

    def client(self, tenant: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(authorized(self.app, tenant=tenant))
        return httpx2.AsyncClient(transport=transport, base_url="http://api")

    def house(self, tenant: str) -> House:
        if tenant not in self._houses:
            models, tools = TenantModels(self._router, AeadSeal(self._keys, tenant)), Toolbox([ToolFiles(), Serving()])
            self._houses[tenant] = House(models, tools)  # type: ignore[arg-type]
        return self._houses[tenant]

    def forget(self) -> None:
        """Everything that is stored."""
        self._houses.clear()

    def _endpoints_of(self, tenant: str) -> StoredEndpoints:
        endpoints, seal = self.house(tenant).storage.endpoints, AeadSeal(self._keys, tenant)
        guard = Guard(resolve=nowhere)
        return StoredEndpoints(WebhookPorts(endpoints, seal, guard, time.time, lambda: secrets.token_hex(16), 0.01))

    def _open_to(self, access: Access) -> tuple[NewResponses, StoredResponses]:
        house = self.house(access.tenant)
        return house.new, house.stored

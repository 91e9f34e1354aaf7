"""A house behind its API, as its clients reach it."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
from openai import AsyncOpenAI

from openresponses.api.app import create_app, no_endpoints
from openresponses.webhooks.endpoints import StoredEndpoints
from tests.contract.authorized import authorized
from tests.contract.machine import House


def client_of(
    house: House, tenant: str = "default", endpoints_of: Callable[[str], StoredEndpoints] = no_endpoints
) -> httpx2.AsyncClient:
    async def aclose() -> None:
        """Nothing is open."""

    app = create_app(lambda _: (house.new, house.stored), house.settings, aclose, endpoints_of=endpoints_of)
    transport = httpx2.ASGITransport(authorized(app, tenant=tenant))
    return httpx2.AsyncClient(transport=transport, base_url="http://api/v1")


def sdk_of(house: House, *, retries: int = 0) -> AsyncOpenAI:
    http = client_of(house)
    return AsyncOpenAI(base_url="http://api/v1", api_key="any", http_client=http, max_retries=retries)

"""A house behind its API, as its clients reach it."""

from __future__ import annotations

import os

import httpx2
from openai import AsyncOpenAI

from openresponses.api.app import create_app
from tests.contract.authorized import authorized
from tests.contract.machine import House

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")  # as `entry` does, where the API's metrics go


def client_of(house: House) -> httpx2.AsyncClient:
    async def aclose() -> None:
        """Nothing is open."""

    app = create_app(lambda _: (house.new, house.stored), house.settings, aclose)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(authorized(app)), base_url="http://api/v1")


def sdk_of(house: House, *, retries: int = 0) -> AsyncOpenAI:
    http = client_of(house)
    return AsyncOpenAI(base_url="http://api/v1", api_key="any", http_client=http, max_retries=retries)

"""The API and the recorded upstream, each behind a socket of its own on loopback.

A provider's base URL is the recorded host's, as its rules go by that: only its connections lead here instead.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx2
from starlette.types import Receive, Scope, Send

from openresponses.api.app import create_app
from openresponses.core.ports import Provider
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.prices import Prices
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from openresponses.transport.links import Links
from openresponses_dev.local.gateway.server import HttpServer
from tests.contract.authorized import authorized
from tests.contract.machine import House
from tests.conversations import folded
from tests.recordings.asking import model_of, provider_of
from tests.recordings.recordings import Json, Recording

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")  # as `entry` does, where the API's metrics go


class _Upstream:
    """An ASGI app that answers each request with the recording that its header names. `asked` has the bodies."""

    def __init__(self, recordings: list[Recording]) -> None:
        self._recordings = recordings
        self.asked: dict[int, list[Json]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        number = int(next(value for name, value in scope["headers"] if name == b"x-recording"))
        recording = self._recordings[number]
        self.asked.setdefault(number, []).append(json.loads(body))
        kind = b"application/vnd.amazon.eventstream" if recording.dialect == "bedrock" else b"text/event-stream"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": recording.body})


@dataclass
class Replay:
    """Asks the API for the answer of a recording, by its number."""

    recordings: list[Recording]
    upstream: _Upstream
    client: httpx2.AsyncClient

    async def ask(self, number: int, **request: Any) -> Json:
        """The final response, or the body that tells of an error."""
        model = f"r{number}/{model_of(self.recordings[number])}"
        answer = await self.client.post("/responses", json={"model": model, **request})
        return folded(answer.text) if "event-stream" in answer.headers["content-type"] else answer.json()

    def sent(self, number: int) -> Json:
        """The last request that went upstream."""
        return self.upstream.asked[number][-1]


@asynccontextmanager
async def replaying(recordings: list[Recording]) -> AsyncIterator[Replay]:
    upstream = _Upstream(recordings)
    behind = HttpServer(upstream, 0)
    origin = await behind.start()

    def connect(settings: ProviderSettings) -> Provider:
        """Any host is the one server."""
        links = Links("127.0.0.1", int(origin.rpartition(":")[2]), None, seconds=60, timeout=10)
        return import_module(f"openresponses.dialects.{settings.dialect}").connect(settings, links)

    providers = {
        f"providers/r{number}": json.dumps(provider_of(each) | {"headers": {"x-recording": str(number)}})
        for number, each in enumerate(recordings)
    }
    catalog = Catalog(MemoryParameters(providers))
    router = Router(catalog, connect, Settings(), time.monotonic, prices=Prices())
    house = House(TenantModels(router, AeadSeal(of_this_process(), "default")), Toolbox([ToolFiles()]))  # type: ignore[arg-type]
    api = HttpServer(authorized(create_app(lambda _: (house.new, house.stored), Settings(), router.aclose)), 0)
    try:
        base_url = f"{await api.start()}/v1"
        async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
            yield Replay(recordings, upstream, client)
    finally:
        await api.stop()
        await router.aclose()
        await behind.stop()

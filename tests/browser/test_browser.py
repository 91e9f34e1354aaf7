"""A page in Chromium, of one origin, calls the server of another with the OpenAI SDK's browser build."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from openresponses.client_keys import new_token
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.server import HttpServer
from tests.browser.chromium import dumped, opened
from tests.npm import npm_install

pytestmark = [pytest.mark.browser, pytest.mark.timeout(500)]
ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "build/browser"
OPENAI = "openai@7.57.0"


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The SDK as npm has it: a browser loads its modules as they are."""
    npm_install(PACKAGES, OPENAI)
    return PACKAGES / "node_modules/openai"


async def told_by_page(sdk: Path, profile: Path, settings: dict[str, str], cloud_origin: str) -> dict[str, Any]:
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def tell(request: Request) -> Response:
        told.set_result(await request.json())
        return Response()

    async def page(_: Request) -> Response:
        return FileResponse(Path(__file__).with_name("page.html"))

    async def given(_: Request) -> Response:
        return JSONResponse(settings)

    routes = [Route("/", page), Route("/settings", given), Route("/told", tell, methods=["POST"])]
    server = HttpServer(Starlette(routes=[*routes, Mount("/openai", StaticFiles(directory=sdk))]), 0)
    origin = await server.start()
    assert origin != cloud_origin
    try:
        async with opened(f"{origin}/", profile):
            return await asyncio.wait_for(told, 90)
    finally:
        await server.stop()


async def test_a_page_uses_the_sdk_and_sees_every_error(sdk: Path, tmp_path: Path) -> None:
    async with LocalCloud(ROOT / "template.yaml", parameters={"AllowedOrigins": "*"}) as cloud:
        settings = {"baseURL": cloud.base_url, "apiKey": cloud.api_key, "wrongKey": new_token()}
        told = await told_by_page(sdk, tmp_path, settings, cloud.origin)
    print(json.dumps(told, indent=1))
    assert told["text"]
    assert told["text"] == told["stream"] == told["followed"]
    assert told == told | {
        "request id": True,
        "models": ["offline/demo"],
        "no such model": ["NotFoundError", 404, "model_not_found"],
        "malformed key": ["AuthenticationError", 401, "invalid_api_key"],
        "wrong key": ["AuthenticationError", 401, "invalid_api_key"],
        "too large": ["APIError", 413, "body_too_large"],
        "throttled": ["RateLimitError", 429, "rate_limit_exceeded"],
        "deleted": True,
    }


async def test_without_allowed_origins_a_page_sees_no_answer(sdk: Path, tmp_path: Path) -> None:
    async with LocalCloud(ROOT / "template.yaml") as cloud:
        settings = {"baseURL": cloud.base_url, "apiKey": cloud.api_key, "wrongKey": new_token()}
        told = await told_by_page(sdk, tmp_path, settings, cloud.origin)
    without_id = ("followed", "deleted")  # the page got none: the SDK itself refuses these
    assert {each[0] for name, each in told.items() if name not in without_id} == {"APIConnectionError"}


async def test_the_documentation_is_shown_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    async with LocalCloud(ROOT / "template.yaml") as cloud:
        assert "Create a response" in await dumped(f"{cloud.origin}/docs", tmp_path, alone)

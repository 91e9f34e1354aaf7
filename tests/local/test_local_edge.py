"""The deployed template through the local gateway: methods, compressed bodies, and pages."""

from __future__ import annotations

import gzip

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.http_exchange import Exchange, Message
from tests.local.local_project import ROOT

# An operation for any method stands beside others, and has the methods that they don't name:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-any-method.html


async def test_methods_encodings_and_pages_pass_the_templates_routes() -> None:
    async with (
        LocalCloud(ROOT / "template.yaml", parameters={"AllowedOrigins": "https://a.example"}) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin) as client,
    ):
        key = {"authorization": f"Bearer {cloud.api_key}", "origin": "https://a.example"}
        free = await client.options("/v1/responses")
        assert (free.status_code, free.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        wrong = await client.put("/v1/responses/", headers=key)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert (await client.put("/v1/responses")).status_code == 401
        head = await client.head("/v1/models", headers=key)
        assert (head.status_code, head.content) == (200, b"")
        packed = await client.post(
            "/v1/responses", content=gzip.compress(b"{}"), headers={**key, "content-encoding": "gzip"}
        )
        assert (packed.status_code, packed.json()["error"]["param"]) == (415, "content-encoding")
        assert packed.headers["access-control-allow-origin"] == "https://a.example"
        refused = await client.get("/v1/models", headers={"origin": "https://a.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
        socket = await client.get("/v1/responses", headers={**key, "upgrade": "websocket", "sec-websocket-key": "x"})
        assert socket.status_code == 426


@pytest.mark.parametrize("length", ["abc", "-1", "1e9", "\u00b2", ""])
async def test_a_length_that_is_none_is_no_matter(length: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [(b"content-length", length.encode("latin-1")), (b"expect", b"100-continue")]
    scope = {"method": "POST", "raw_path": b"/v1/responses", "query_string": b"", "headers": headers}
    exchange = Exchange({**scope, "client": ("127.0.0.1", 1)}, receive, send)
    assert await exchange.read_body()
    assert exchange.request.body == b"{}"

"""A request that names an MCP server, through a deployment as its functions compose it."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from openresponses.api.app import create_app
from openresponses.entry.compose import Deployment
from tests.contract.authorized import authorized
from tests.fakes.mcp_server import TOOLS, mcp_server

SECRET = "sk-of-the-client-0123"


def sdk(**environment: str) -> AsyncOpenAI:
    deployment = Deployment({"OPENRESPONSES_EVENT_NAMES": "openai", **environment})
    use_cases = deployment.use_cases("t1", "k1", (), (), None)
    app = create_app(lambda _: use_cases, deployment.settings, deployment.router.aclose)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(authorized(app)), base_url="http://api/v1")
    return AsyncOpenAI(base_url="http://api/v1", api_key="any", http_client=http, max_retries=0)


def naming(url: str, **more: Any) -> Any:
    return {"type": "mcp", "server_label": "shop", "server_url": url, "require_approval": "never", **more}


@pytest.mark.parametrize("sessions", [False, True])
async def test_its_tools_are_listed_and_called(sessions: bool) -> None:
    async with mcp_server(sessions=sessions, token=SECRET) as server, sdk(OPENRESPONSES_LOOPBACK="true") as client:
        response = await client.responses.create(
            model="offline/demo",
            input='[[call shop__echo {"text": "hi"}]] and on',
            tools=[naming(server.url, authorization=SECRET)],
        )
        assert SECRET not in response.model_dump_json()
        begun = {headers["mcp-session-id"] for _, headers in server.requests if "mcp-session-id" in headers}
        ended = {headers["mcp-session-id"] for method, headers in server.requests if method == "DELETE"}
        assert begun == ended
        assert len(ended) == (2 if sessions else 0)
    assert [item.type for item in response.output] == ["mcp_list_tools", "mcp_call", "message"]
    listing, call, _ = response.output
    assert listing.type == "mcp_list_tools"
    assert [tool.name for tool in listing.tools] == [tool.name for tool in TOOLS]
    assert call.type == "mcp_call"
    assert (call.name, call.server_label, call.output, call.error, call.status) == (
        "echo",
        "shop",
        "hi",
        None,
        "completed",
    )


async def test_one_connection_serves_a_response_and_none_outlives_it() -> None:
    """A sandbox may be frozen after it."""
    ports: list[set[int]] = []
    async with mcp_server() as server, sdk(OPENRESPONSES_LOOPBACK="true") as client:
        for _ in range(2):
            server.ports.clear()
            asked = '[[call shop__echo {"text": "hi"}]]'
            await client.responses.create(model="offline/demo", input=asked, tools=[naming(server.url)])
            ports.append({*server.ports})
    assert [len(each) for each in ports] == [1, 1]
    assert ports[0].isdisjoint(ports[1])


async def test_a_listing_that_fails_is_a_424() -> None:
    async with mcp_server(token=SECRET) as server, sdk(OPENRESPONSES_LOOPBACK="true") as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.responses.create(model="offline/demo", input="hi", tools=[naming(server.url)])
    body: Any = caught.value.body
    assert (caught.value.status_code, body["type"], body["code"], body["param"]) == (
        424,
        "external_connector_error",
        "http_error",
        "tools",
    )
    assert "HTTP 401 Unauthorized: it asks for Bearer" in body["message"]


async def test_nothing_on_this_machine_is_asked_unless_the_deployment_is_local() -> None:
    async with mcp_server() as server, sdk() as client:
        for url in (server.url, server.url.replace("http:", "https:"), "https://localhost/mcp"):
            with pytest.raises(openai.APIStatusError) as caught:
                await client.responses.create(model="offline/demo", input="hi", tools=[naming(url)])
            assert caught.value.status_code in (400, 424)
        assert server.requests == []

"""Whatever a client names, nothing private is connected to: a server that is listed, one that is called, a page that is
opened, a webhook that is told. Each is a door that the table of `ssrf` is tried on.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from openresponses.core.errors import ConnectorFailed, RequestError
from openresponses.core.run import Run
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.schema.server_items import McpCall, McpListTools, WebSearchCall
from openresponses.schema.tools import McpTool, WebSearchTool
from openresponses.schema.webhooks import EVENT_TYPES
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from openresponses.toolbox.mcp.listing import McpClients
from openresponses.toolbox.mcp.source import McpSource
from openresponses.toolbox.source import ToolFailed
from openresponses.toolbox.web_search.page import read
from openresponses.toolbox.web_search.source import WebSearch
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import StoredEndpoints
from openresponses.webhooks.events import Ended
from openresponses.webhooks.notify import WebhookPorts, notify
from tests.contract.ssrf import Door, Listener, Refusal, redirected, tried

REFUSED = "is one that this deployment does not connect to"
KEYS = of_this_process()


async def nobody(label: str) -> None: ...


def source(guard: Guard) -> tuple[McpSource, McpClients]:
    clients = McpClients(lambda: 0.0)
    return McpSource(clients, "tenant", AeadSeal(KEYS, "tenant"), guard, nobody), clients


def run_of(**fields: object) -> Run:
    response = Response(id="resp_" + "0" * 32, created_at=0, model="m")
    return Run.model_validate({"response": response, "request": CreateResponse(model="m"), "max_turns": 1, **fields})


def server(url: str) -> McpTool:
    fields = {"type": "mcp", "server_label": "s", "server_url": url, "authorization": "planted-token"}
    return McpTool.model_validate(fields)


async def listing(url: str, guard: Guard) -> None:
    if not url:
        raise Refusal  # it names no server
    at, clients = source(guard)
    try:
        await at.offer(server(url))
    except RequestError:
        raise Refusal from None
    except ConnectorFailed as failure:
        raise (Refusal if REFUSED in failure.message else ConnectionError(failure.message)) from None
    finally:
        await closed(clients)


async def calling(url: str, guard: Guard) -> None:
    """Of a server whose tools the conversation has: nothing is asked of it before."""
    if not url:
        raise Refusal
    at, clients = source(guard)
    known = McpListTools.model_validate({"server_label": "s", "tools": [{"name": "t", "input_schema": {}}]})
    try:
        offer = await at.offer(server(url), known)
    except RequestError:
        raise Refusal from None
    assert offer
    assert offer.server
    run = run_of(tools=[*offer.tools], servers=[offer.server])
    output = await at.call(McpCall(id="mcp_1", server_label="s", name="t", arguments="{}", status="in_progress"), run)
    await closed(clients)
    assert output
    if output.failed:
        message = f"{output.text} {output.item}"
        raise Refusal if REFUSED in message or "must " in message else ConnectionError(message)


async def opening(url: str, guard: Guard) -> None:
    try:
        await read(url, guard)
    except ToolFailed as failure:
        refused = ("This page may not be opened", "This is no URL")
        raise (Refusal if str(failure).startswith(refused) else ConnectionError(str(failure))) from None


async def telling(url: str, guard: Guard) -> None:
    """Of an endpoint that is set, and told of an end; and of one that was set before the guard was as it is."""
    shelf = Shelf()
    ports = WebhookPorts(memory_storage(shelf).endpoints, AeadSeal(KEYS, "t"), guard, lambda: 1.0, lambda: "0" * 32, 2)
    stored = StoredEndpoints(ports)
    try:
        await stored.create("hook", url, EVENT_TYPES)
        refused = False
    except RequestError:
        refused = True
        made = (await stored.create("hook", "https://public.test/", EVENT_TYPES)).endpoint
        await ports.endpoints.replace([replace(made, url=url)], 1)
    failed = await notify(ports, Ended("resp_" + "0" * 32, "completed", 1))
    reasons = {each.reason for each in failed}
    if reasons & {"its URL may not be sent to", "its host leads to an address that is not public"}:
        raise Refusal
    if failed:
        assert not refused, "what may not be set may not be sent to"
        raise ConnectionError(str(failed))


async def closed(clients: McpClients) -> None:
    for kept in clients._kept.values():
        await kept.client.rest()


DOORS: dict[str, tuple[Door, tuple[str, ...]]] = {
    "a server that is listed": (listing, ()),
    "a server that is called": (calling, ()),
    "a page that is opened": (opening, ("http://public.test/",)),  # it is made https
    "a webhook that is told": (telling, ()),
}


@pytest.mark.parametrize("name", DOORS)
async def test_nothing_private_is_reached(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    door, without = DOORS[name]
    tally, redirects = await tried(door, without), await redirected(door)
    with capsys.disabled():
        print(f"\nSSRF, {name}: tried {tally.tried} and {redirects} redirects, through {len(tally.through)}")
    assert (tally.through, tally.otherwise) == ([], [])
    assert (tally.tried > 200, redirects) == (True, 75)


async def test_the_search_of_a_deployment_opens_no_page_on_its_own_machine() -> None:
    parameters = MemoryParameters({"tools/web_search": '{"backend": "brave", "key": "k"}'})
    async with Listener(body=b"hello").at("127.0.0.1") as listener:
        url = f"http://127.0.0.1:{listener.port}/"
        call = WebSearchCall.model_validate(
            {"id": "ws_1", "status": "in_progress", "action": {"type": "open_page", "url": url}}
        )
        search = WebSearch(parameters)
        offer = await search.offer(WebSearchTool(type="web_search"))
        assert offer
        with pytest.raises(ToolFailed, match="may not be opened"):
            await search.call(call, run_of(tools=[*offer.tools]))
        assert listener.connections == 0
        local = await WebSearch(parameters, loopback=True).call(call, run_of(tools=[*offer.tools]))
        assert local
        assert listener.connections == 1

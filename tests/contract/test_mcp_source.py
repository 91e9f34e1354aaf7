"""MCP servers as a source of tools: what is offered, what is kept, and how a call is made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp_types import Tool

from openresponses.core.errors import ConnectorFailed, RequestError
from openresponses.core.ports import Offer, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.schema.server_items import ListedTool, McpCall, McpListTools
from openresponses.schema.tools import HostedTool, McpTool
from openresponses.toolbox import Toolbox
from openresponses.toolbox.mcp.listing import MAX_CLIENTS, MAX_KEPT_SECONDS, MIN_KEPT_SECONDS, McpClients
from openresponses.toolbox.mcp.servers import ConfiguredServer
from openresponses.toolbox.mcp.source import McpSource
from openresponses.transport.guard import Guard
from tests.fakes.mcp_server import TOOLS, FakeMcp, mcp_server, tool
from tests.fakes.raw_mcp import Heard, as_json, discovered, error, raw_server

SECRET = "sk-of-the-client-0123"
RESPONSE = "resp_" + "0123456789abcdef" * 2


@dataclass(slots=True)
class Bound:
    """What a sandbox has. `now` is its clock; `operator` are the servers of the deployment."""

    now: float = 0.0
    operator: dict[str, ConfiguredServer] = field(default_factory=dict[str, ConfiguredServer])
    clients: McpClients = field(init=False)
    keys: Any = field(default_factory=of_this_process)

    def __post_init__(self) -> None:
        self.clients = McpClients(lambda: self.now)

    def source(self, tenant: str = "t1") -> McpSource:
        return McpSource(self.clients, tenant, AeadSeal(self.keys, tenant), Guard(loopback=True), self.find)

    async def find(self, label: str) -> ConfiguredServer | None:
        return self.operator.get(label)


@pytest.fixture
async def server() -> AsyncIterator[FakeMcp]:
    async with mcp_server() as served:
        yield served


@pytest.fixture
def bound() -> Bound:
    return Bound()


def declared(url: str | None, label: str = "shop", **more: Any) -> McpTool:
    return McpTool.model_validate({"type": "mcp", "server_label": label, "server_url": url, **more})


def run_of(*offers: Offer) -> Run:
    return Run(
        response=Response(id=RESPONSE, created_at=0, model="m"),
        request=CreateResponse(model="m"),
        max_turns=8,
        tools=[tool for offer in offers for tool in offer.tools],
        servers=[offer.server for offer in offers if offer.server],
    )


async def offer(source: McpSource, asked: McpTool, known: McpListTools | None = None) -> Offer:
    offered = await source.offer(asked, known)
    assert offered
    return offered


def calling(name: str, arguments: object = "{}", label: str = "shop") -> McpCall:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return McpCall(id="mcp_1", server_label=label, name=name, arguments=said, status="in_progress")


async def called(source: McpSource, run: Run, name: str, arguments: object = "{}", label: str = "shop") -> ToolOutput:
    return await Toolbox([source]).call(calling(name, arguments, label), run)


def listings(server: FakeMcp) -> int:
    return [headers.get("mcp-method") for _, headers in server.requests].count("tools/list")


async def test_a_tool_is_offered_by_its_label_and_its_name(server: FakeMcp, bound: Bound) -> None:
    server.tools = [
        tool(
            "find",
            {"type": "object", "properties": {"q": {"$ref": "#/$defs/q"}}, "$defs": {"q": {"type": "string"}}},
            "Finds.",
            readOnlyHint=True,
        )
    ]
    offered = await offer(bound.source(), declared(server.url, server_description="A shop."))
    assert offered.tools == [
        OfferedTool(
            name="shop__find",
            kind="mcp",
            item_type="mcp_call",
            wire_name="find",
            server_label="shop",
            description="Finds.",
            parameters={
                "type": "object",
                "properties": {"q": {"$ref": "#/$defs/q"}},
                "$defs": {"q": {"type": "string"}},
            },
            annotations={"readOnlyHint": True},
            needs_approval=True,
        )
    ]
    assert offered.server
    assert (offered.server.label, offered.server.listed) == ("shop", True)
    assert await bound.source().offer(HostedTool(type="serverless:clock")) is None


async def test_a_run_tells_addresses_apart_without_their_secrets(server: FakeMcp, bound: Bound) -> None:
    async def known_as(url: str) -> str:
        offered = await offer(bound.source(), declared(url), McpListTools(server_label="shop"))
        return offered.server.url if offered.server else ""

    plain, other = await known_as("https://a.test/secret-1"), await known_as("https://a.test/secret-2")
    assert plain != other
    assert plain == await known_as("https://a.test/secret-1")
    assert plain.startswith("https://a.test#")
    assert "secret" not in plain


async def test_every_schema_is_one_of_an_object(bound: Bound) -> None:
    schemas: list[Any] = [
        {},
        None,
        {"type": "object"},
        {"properties": {"a": {"type": "array"}}},
        {"anyOf": [{}]},
        "no",
        [1],
    ]
    tools = [{"name": f"t{n}", "inputSchema": schema} for n, schema in enumerate(schemas)]
    tools += [
        {"name": ""},
        {"name": 7},
        {"name": "x" * 257},
        {},
        {"name": "t0", "description": "again"},
        {"name": "bare"},
    ]
    marked = {"type": "array", "items": {"type": "string", "x-mcp-header": "Region"}}
    tools += [{"name": "bad", "inputSchema": {"properties": {"a": marked}}}]
    async with raw_server(lambda heard: discovered(heard) or as_json(heard, {"tools": tools})) as server:
        offered = await offer(bound.source(), declared(server.url))
    empty = {"type": "object", "properties": {}}
    assert [(each.wire_name, each.parameters) for each in offered.tools] == [
        ("t0", empty),
        ("t1", empty),
        ("t2", empty),
        ("t3", {"type": "object", "properties": {"a": {"type": "array"}}}),
        ("t4", {**empty, "anyOf": [{}]}),
        ("t5", empty),
        ("t6", empty),
        ("bare", empty),
    ]


@pytest.mark.parametrize(
    ("allowed", "names", "narrowed"),
    [
        (None, [each.name for each in TOOLS], False),
        (["add", "echo", "nowhere"], ["echo", "add"], True),
        ({"read_only": True}, ["echo"], True),
        ({"tool_names": ["add"], "read_only": True}, [], True),
    ],
)
async def test_a_request_narrows_the_tools(
    server: FakeMcp, bound: Bound, allowed: Any, names: list[str], narrowed: bool
) -> None:
    offered = await offer(bound.source(), declared(server.url, allowed_tools=allowed))
    assert [each.wire_name for each in offered.tools] == names
    assert offered.server
    assert offered.server.narrowed is narrowed


async def test_credentials_are_sealed_in_the_run_and_sent_with_the_call(server: FakeMcp, bound: Bound) -> None:
    source = bound.source()
    url = f"{server.url}?key=k-of-the-client"
    offered = await offer(source, declared(url, authorization=SECRET, headers={"X-Api-Key": "x-of-the-client"}))
    run = Run.model_validate_json(run_of(offered).at_rest())
    for secret in (SECRET, "k-of-the-client", "x-of-the-client"):
        assert secret not in run.model_dump_json()
    assert (await called(bound.source(), run, "echo", {"text": "hi"})).text == "hi"
    _, headers = server.requests[-1]
    assert (headers["authorization"], headers["x-api-key"]) == (f"Bearer {SECRET}", "x-of-the-client")
    foreign = await called(bound.source("t2"), run, "echo", {"text": "hi"})
    assert (foreign.failed, "can't be read any more" in foreign.text) == (True, True)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"headers": {"Host": "other.test"}}, "host is the server's own"),
        ({"headers": {"Mcp-Session-Id": "s"}}, "mcp-session-id is the server's own"),
        ({"headers": {"transfer-encoding": "chunked"}}, "transfer-encoding is the server's own"),
        ({"headers": {"a b": "c"}}, "a name that HTTP can't carry"),
        ({"headers": {"a": "b\r\nc: d"}}, "a has a character that HTTP can't carry"),
        ({"authorization": "ü"}, "authorization: authorization has a character"),
    ],
)
async def test_headers_that_are_not_the_client_s_are_a_400(bound: Bound, more: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        await bound.source().offer(declared("https://public.test/mcp", **more))


async def test_an_address_that_may_not_be_reached_is_a_400(bound: Bound) -> None:
    with pytest.raises(RequestError, match="shop: server_url must lead to a public address"):
        await bound.source().offer(declared("https://169.254.169.254/mcp"))


async def test_a_listing_is_kept_for_its_tenant_its_server_and_its_credentials(server: FakeMcp, bound: Bound) -> None:
    asked = declared(server.url, authorization=SECRET)
    await asyncio.gather(*(offer(bound.source(), asked) for _ in range(5)))
    assert listings(server) == 1
    await offer(bound.source("t2"), asked)
    await offer(bound.source(), declared(server.url, authorization="another-secret"))
    assert listings(server) == 3
    bound.now = MIN_KEPT_SECONDS - 1
    await offer(bound.source(), asked)
    assert listings(server) == 3
    bound.now = MIN_KEPT_SECONDS
    await offer(bound.source(), asked)
    assert listings(server) == 4


@pytest.mark.parametrize(("told", "kept"), [(90_000, 90.0), (10**12, MAX_KEPT_SECONDS), (-1, MIN_KEPT_SECONDS)])
async def test_a_server_says_how_long_its_list_stays_so(bound: Bound, told: int, kept: float) -> None:
    async with raw_server(
        lambda heard: discovered(heard) or as_json(heard, {"tools": [], "ttlMs": told, "cacheScope": "public"})
    ) as server:
        for now, listed in ((0.0, 1), (kept - 1, 1), (kept, 2)):
            bound.now = now
            await offer(bound.source(), declared(server.url))
            assert server.asked.count("tools/list") == listed


async def test_no_more_is_kept_than_a_sandbox_bears(server: FakeMcp, bound: Bound) -> None:
    for number in range(MAX_CLIENTS + 1):
        await offer(bound.source(), declared(server.url, authorization=f"secret-number-{number}"))
    await offer(bound.source(), declared(server.url, authorization="secret-number-1"))
    assert listings(server) == MAX_CLIENTS + 1
    await offer(bound.source(), declared(server.url, authorization="secret-number-0"))
    assert listings(server) == MAX_CLIENTS + 2


async def test_who_waits_for_a_listing_asks_itself_where_it_failed(bound: Bound) -> None:
    def play(heard: Heard) -> Any:
        fails = server.asked.count("tools/list") == 1
        return discovered(heard) or ([0.1, error(heard, -1, "Not now.")] if fails else as_json(heard, {"tools": []}))

    async with raw_server(play) as server:
        asked = declared(server.url)
        first, *others = await asyncio.gather(*(bound.source().offer(asked) for _ in range(3)), return_exceptions=True)
    assert isinstance(first, ConnectorFailed)
    assert all(isinstance(each, Offer) for each in others)


async def test_what_the_conversation_knows_is_not_listed_again(server: FakeMcp, bound: Bound) -> None:
    known = McpListTools(server_label="shop", tools=[ListedTool(name="echo")])
    offered = await offer(bound.source(), declared(server.url), known)
    assert [each.wire_name for each in offered.tools] == ["echo"]
    assert offered.server
    assert (offered.server.listed, listings(server)) == (False, 0)
    narrowed = known.model_copy(update={"narrowed": True})
    offered = await offer(bound.source(), declared(server.url, allowed_tools=["echo"]), narrowed)
    assert (offered.server and offered.server.listed, listings(server)) == (False, 0)
    offered = await offer(bound.source(), declared(server.url, allowed_tools=["add"]), narrowed)
    assert (offered.server and offered.server.listed, listings(server)) == (True, 1)


async def test_a_listing_that_fails_is_a_424_with_the_server_s_reason(bound: Bound) -> None:
    async with raw_server(lambda heard: error(heard, -32000, f"No such key: {SECRET}", 403)) as server:
        with pytest.raises(ConnectorFailed) as caught:
            await bound.source().offer(declared(server.url, authorization=SECRET))
    error_ = caught.value
    assert (error_.status, error_.type, error_.code, error_.param) == (
        424,
        "external_connector_error",
        "http_error",
        "tools",
    )
    assert error_.message == "Error retrieving tool list from MCP server: 'shop'. No such key: [redacted]"


async def test_arguments_that_are_no_object_reach_nobody(server: FakeMcp, bound: Bound) -> None:
    run = run_of(await offer(bound.source(), declared(server.url)))
    for said in ("not JSON", "[]", "7", '{"a": NaN}', '{"a": 1e999}', '{"a":' * 5000):
        output = await called(bound.source(), run, "echo", said)
        assert output.failed
        assert output.item["error"] == {
            "type": "mcp_protocol_error",
            "code": -32602,
            "message": output.item["error"]["message"],
        }  # type: ignore[index]
    assert server.calls == []
    assert (await called(bound.source(), run, "fail", "")).text == "It broke."
    assert server.calls == [("fail", {})]


async def test_arguments_are_mirrored_in_headers(server: FakeMcp, bound: Bound) -> None:
    run = run_of(await offer(bound.source(), declared(server.url)))
    assert (await called(bound.source(), run, "where", {"region": "zürich"})).text == "zürich"
    assert server.requests[-1][1]["mcp-param-region"] == "=?base64?esO8cmljaA==?="
    assert (await called(bound.source(), run, "where", {"region": None})).text == "None"
    assert "mcp-param-region" not in server.requests[-1][1]


async def test_a_tool_that_wants_other_headers_than_it_said_is_asked_again(server: FakeMcp, bound: Bound) -> None:
    run = run_of(await offer(bound.source(), declared(server.url)))
    server.tools = [
        Tool(
            name="where",
            input_schema={"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Area"}}},
        )
    ]
    assert (await called(bound.source(), run, "where", {"region": "eu"})).text == "eu"
    assert server.requests[-1][1]["mcp-param-area"] == "eu"
    assert listings(server) == 2


async def test_a_tool_that_is_gone_is_a_failure_of_its_call(server: FakeMcp, bound: Bound) -> None:
    run = run_of(await offer(bound.source(), declared(server.url)))
    server.tools = []
    output = await called(bound.source(), run, "nope")
    assert (output.failed, output.text) == (True, "The server 'shop' has no tool 'nope' any more. Go on without it.")
    output = await called(bound.source(), run, "echo", label="other")
    assert output.failed


async def test_a_call_that_is_cancelled_ends(server: FakeMcp, bound: Bound) -> None:
    run = run_of(await offer(bound.source(), declared(server.url)))
    task = asyncio.create_task(called(bound.source(), run, "slow"))
    while not server.calls:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while not server.given_up:
        await asyncio.sleep(0.01)


def configured(url: str, **more: Any) -> ConfiguredServer:
    return ConfiguredServer(label="docs", url=url, headers={"Authorization": f"Bearer {SECRET}"}, **more)


async def test_a_server_of_the_deployment_is_named_by_its_label_alone(server: FakeMcp, bound: Bound) -> None:
    bound.operator["docs"] = configured(server.url, approval="never", allow=("echo", "whoami"))
    offered = await offer(bound.source(), declared(None, "docs"))
    assert [(each.name, each.needs_approval) for each in offered.tools] == [
        ("docs__echo", False),
        ("docs__whoami", False),
    ]
    run = Run.model_validate_json(run_of(offered).at_rest())
    assert run.servers[0].model_dump() == {
        "label": "docs",
        "url": "",
        "sealed": "",
        "configured": True,
        "listed": True,
        "narrowed": True,
    }
    assert (await called(bound.source(), run, "whoami", label="docs")).text == "[redacted]"
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {SECRET}"}


async def test_what_the_operator_takes_away_is_gone_at_once(server: FakeMcp, bound: Bound) -> None:
    bound.operator["docs"] = configured(server.url, approval="never")
    run = run_of(await offer(bound.source(), declared(None, "docs")))
    bound.operator["docs"] = configured(server.url, approval="never", allow=("add",))
    assert (await called(bound.source(), run, "echo", {"text": "hi"}, "docs")).failed
    del bound.operator["docs"]
    assert (await called(bound.source(), run, "add", {"numbers": []}, "docs")).failed
    assert server.calls == []


OWN: dict[str, Any] = {
    "server_url": "https://mine.test/mcp",
    "headers": {"a": SECRET},
    "authorization": SECRET,
}


@pytest.mark.parametrize("name", OWN)
async def test_a_label_of_the_deployment_leads_nowhere_else_and_takes_no_credentials(bound: Bound, name: str) -> None:
    bound.operator["docs"] = configured("https://docs.test/mcp")
    with pytest.raises(RequestError, match="is an MCP server of this deployment: leave out") as raised:
        await bound.source().offer(declared(None, "docs").model_copy(update={name: OWN[name]}))
    assert (raised.value.status, raised.value.param) == (400, name)
    assert SECRET not in raised.value.message


async def test_a_label_that_nobody_knows_is_a_400(bound: Bound) -> None:
    with pytest.raises(RequestError, match="no MCP server 'docs' here"):
        await bound.source().offer(declared(None, "docs"))

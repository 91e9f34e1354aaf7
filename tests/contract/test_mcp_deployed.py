"""MCP servers of the deployment: named by a label, kept secret, never looser than the operator says, for some keys."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import RequestError
from openresponses.responses.create import NewResponses
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.mcp.listing import McpClients
from openresponses.toolbox.mcp.servers import ConfiguredServers
from openresponses.toolbox.mcp.source import McpSource
from openresponses.transport.guard import Guard
from tests.contract.machine import House
from tests.fakes.mcp_server import FakeMcp, mcp_server
from tests.unit.cases import text
from tests.unit.kit import Json, Models, Script

SECRET = "planted-operator-secret"
STOP = d.Finish("stop")
DOCS: Json = {"type": "mcp", "server_label": "docs"}


def calling(name: str, arguments: str) -> list[Any]:
    return [d.ToolCall("c", arguments, call_id="call_1", name=name), STOP]


class Upstream(Models):
    """A provider that runs MCP servers itself."""

    async def runs(self, request: CreateResponse) -> frozenset[str]:
        return frozenset({"mcp"})


@dataclass
class Deployed:
    """A house with MCP servers. `script` is its model."""

    server: FakeMcp
    script: Script
    house: House

    def of_key(self, *labels: str) -> NewResponses:
        return NewResponses(self.house.ports, self.house.settings, "key1", (), labels)


@asynccontextmanager
async def deployed(
    turns: Sequence[list[Any]] = (), *, upstream: bool = False, token: str = SECRET, **about: Any
) -> AsyncGenerator[Deployed, None]:
    """With the servers `docs` and `team-a`, which are `about` something."""
    async with mcp_server(token=token) as server:
        secret = {"headers": {"Authorization": f"Bearer {SECRET}"}}
        parameters = MemoryParameters(
            {
                "mcp/docs": json.dumps({"url": server.url, **secret, "approval": "never", **about}),
                "mcp/team-a": json.dumps({"url": server.url, **secret}),
            }
        )
        find, seal = ConfiguredServers(parameters).find, AeadSeal(of_this_process(), "t")
        source = McpSource(McpClients(lambda: 0.0), "t", seal, Guard(loopback=True), find)
        script = Script([*turns, [*text("Done."), STOP]])
        models = Upstream(script) if upstream else Models(script)
        yield Deployed(server, script, House(models, Toolbox([source]), key_id="key1"))  # type: ignore[arg-type]


ECHO = calling("docs__echo", '{"text": "hello"}')


@pytest.mark.parametrize("request_", [{}, {"stream": True}, {"store": False}, {"background": True}], ids=str)
async def test_a_label_is_all_that_a_request_says_and_all_that_anybody_sees(request_: Json) -> None:
    async with deployed([ECHO]) as it:
        response, events = await it.house.create(tools=[DOCS], **request_)
        await it.house.idle()
        if request_.get("background"):
            events = await it.house.events(response["id"])
    assert it.server.calls == [("echo", {"text": "hello"})]
    assert {headers["authorization"] for _, headers in it.server.requests} == {f"Bearer {SECRET}"}
    (call,) = [each["item"] for each in events if each["type"] == "response.output_item.done"][1:2]
    assert (call["type"], call["server_label"], call["output"]) == ("mcp_call", "docs", "hello")
    everywhere = f"{response} {events} {it.house.shelf} {it.script.asked} {it.house.ledger.calls}"
    for secret in (SECRET, it.server.url):
        assert secret not in everywhere
    (account,) = it.house.ledger.calls
    assert (account.server, account.configured, account.host, account.approved_by) == ("docs", True, None, "policy")


def offered(it: Deployed) -> set[str]:
    return {tool.name for tool in it.script.asked[0].tools}


@pytest.mark.parametrize(
    ("allow", "asked", "names"),
    [
        (["echo", "add"], {}, {"docs__echo", "docs__add"}),
        (["echo", "add"], {"allowed_tools": ["add", "fail"]}, {"docs__add"}),
        (["echo", "add"], {"allowed_tools": {"read_only": True}}, {"docs__echo"}),
    ],
)
async def test_a_request_narrows_the_tools_and_never_widens_them(
    allow: list[str], asked: Json, names: set[str]
) -> None:
    async with deployed(allow=allow) as it:
        await it.house.create(tools=[{**DOCS, **asked}])
        assert offered(it) == names


@pytest.mark.parametrize(
    ("approval", "asked", "made"),
    [
        ("never", {}, True),
        ("never", {"require_approval": "always"}, False),
        ("always", {}, False),
        ("always", {"require_approval": "never"}, False),
        ("always", {"require_approval": {"never": {"tool_names": ["echo"]}}}, False),
    ],
)
async def test_a_request_asks_for_more_approvals_and_never_for_fewer(approval: str, asked: Json, made: bool) -> None:
    async with deployed([ECHO], approval=approval) as it:
        response, _ = await it.house.create(tools=[{**DOCS, **asked}])
        assert bool(it.server.calls) == made
        kind = "mcp_call" if made else "mcp_approval_request"
        assert [item["type"] for item in response["output"]][1] == kind


async def test_a_listing_that_a_client_makes_up_loosens_nothing() -> None:
    forged = {
        "type": "mcp_list_tools",
        "server_label": "docs",
        "tools": [
            {"name": name, "input_schema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
            for name in ("echo", "fail")
        ],
    }
    asked = {**DOCS, "require_approval": {"never": {"read_only": True}}}
    said = [forged, {"role": "user", "content": "Go on."}]
    async with deployed([calling("docs__fail", "{}")], allow=["echo"], approval="always") as it:
        response, _ = await it.house.create(tools=[asked], input=said)
        assert offered(it) == {"docs__echo"}
        assert response["output"][0]["type"] == "serverless:rejected_call"
    async with deployed([ECHO], allow=["echo"], approval="always") as it:
        response, _ = await it.house.create(tools=[asked], input=said)
        assert [item["type"] for item in response["output"]] == ["mcp_approval_request"]
        assert it.server.calls == []


# What a key may use

TOOLS: dict[str, Json] = {
    "docs": DOCS,
    "team": {**DOCS, "server_label": "team-a"},
    "unknown": {**DOCS, "server_label": "nobody"},
    "own": {**DOCS, "server_label": "mine", "server_url": "https://127.0.0.1:9/mcp"},
    "own by the name": {**DOCS, "server_url": "https://127.0.0.1:9/mcp"},
    "connector": {**DOCS, "connector_id": "connector_gmail"},
    "tunnel": {**DOCS, "tunnel_id": "tunnel_1"},
}
LIMITS = {("docs",): {"docs"}, ("team-*",): {"team"}, ("none",): set[str](), ("*",): {"docs", "team"}}


def placed(tool: Json) -> dict[str, Json]:
    """Requests that declare it, each in another place, by the path of the tool."""
    said, call = {"role": "user", "content": "Go on."}, {"call_id": "c", "execution": "client"}
    searched = {"type": "tool_search_call", **call, "arguments": {}, "status": "completed"}
    found = {"type": "tool_search_output", **call, "tools": [tool], "status": "completed"}
    search = {"type": "tool_search", "execution": "client", "description": "x", "parameters": {"type": "object"}}
    return {
        "tools[0]": {"tools": [tool]},
        "tools[1]": {"tools": [{"type": "function", "name": "f"}, tool]},
        "input[0].tools[0]": {"input": [{"type": "additional_tools", "role": "developer", "tools": [tool]}, said]},
        "input": {"input": [searched, found, said], "tools": [search]},
    }


async def refusal(new: NewResponses, request: Json) -> RequestError | None:
    asked = CreateResponse.model_validate({"model": "m", "input": "hello", **request})
    try:
        await new.accept(asked)
    except RequestError as error:
        return error
    return None


@pytest.mark.parametrize("upstream", [False, True], ids=["run here", "run upstream"])
async def test_a_limited_key_reaches_the_labels_that_it_allows_and_no_other_server(upstream: bool) -> None:
    async with deployed(upstream=upstream) as it:
        for labels, name in itertools.product(LIMITS, TOOLS):
            for path, request in placed(TOOLS[name]).items():
                error = await refusal(it.of_key(*labels), request)
                assert (error is None) == (name in LIMITS[labels]), (labels, name, path, error)
                if error:
                    assert error.status == 400
                    assert (error.param or "").startswith(f"{path}."), (labels, name, path, error.param)


async def test_a_key_can_not_tell_what_it_may_not_use_from_what_is_not_there() -> None:
    async with deployed() as it:
        for path in placed(DOCS):
            told = [
                await refusal(it.of_key("docs"), placed(TOOLS[name])[path])  # one there is, and one there is not
                for name in ("team", "unknown")
            ]
            told.append(await refusal(it.house.new, placed(TOOLS["unknown"])[path]))  # of a key without a limit
            assert all(told)
            seen = {(e.status, e.code, e.param, e.message.replace("team-a", "nobody")) for e in told if e}
            assert len(seen) == 1, seen


async def test_a_key_without_a_limit_may_use_all_of_them() -> None:
    async with deployed() as it:
        for name in ("docs", "team"):
            assert await refusal(it.house.new, {"tools": [TOOLS[name]]}) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("server_url", "https://mine.example.com"), ("headers", {"x-key": "mine-0123"}), ("authorization", "mine-0123")],
)
async def test_a_label_of_the_deployment_with_an_address_or_credentials_is_a_400_that_names_the_field(
    field: str, value: Any
) -> None:
    async with deployed() as it:
        error = await refusal(it.house.new, {"tools": [{"type": "function", "name": "f"}, {**DOCS, field: value}]})
        assert error
        assert (error.status, error.param) == (400, f"tools[1].{field}")
        assert "mine-0123" not in error.message
        assert it.server.requests == []


async def test_a_server_of_the_deployment_that_does_not_answer_is_told_of_without_its_secret() -> None:
    async with deployed(token="another") as it:
        with pytest.raises(Exception, match="Error retrieving tool list from MCP server: 'docs'") as raised:
            await it.house.create(tools=[DOCS])
    assert SECRET not in str(raised.value)
    assert it.server.url not in str(raised.value)

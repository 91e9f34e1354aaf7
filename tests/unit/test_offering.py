"""What a request offers of MCP servers and of web search: by whom it is run, under which names, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import TypeAdapter

from openresponses.core.errors import KitError, RequestError
from openresponses.core.ports import Offer, Offerable, ToolOutput
from openresponses.core.run import McpServer, OfferedTool, Run
from openresponses.core.turn import callable_tools, turn_of
from openresponses.responses.offering import Offered, check_tool_choice, offered_tools
from openresponses.schema.items import Item
from openresponses.schema.limits import MAX_TOOLS
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import McpListTools, ServerCall
from openresponses.schema.tools import McpTool
from tests.unit.kit import Json, Tools, new_run

ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item])
SEARCH: Json = {"type": "web_search"}


def server(label: str = "docs", **fields: Any) -> Json:
    return {"type": "mcp", "server_label": label, **fields}


def function(name: str) -> Json:
    return {"type": "function", "name": name}


def request_for(*tools: Json, **fields: Any) -> CreateResponse:
    return CreateResponse.model_validate({"model": "m", "input": "hi", "tools": [*tools], **fields})


async def offered(*tools: Json, here: Any = None, items: list[Json] | None = None, upstream: Any = ()) -> Offered:
    return await offered_tools(request_for(*tools), here or Tools(), ITEMS.validate_python(items or []), upstream)


def names(made: Offered) -> list[str]:
    return [tool.name for tool in made.tools]


class Servers:
    """Each server has the tools that are its own. It answers when all that are to be asked were asked."""

    def __init__(self, asked_at_once: int = 1, **tools: list[str] | KitError) -> None:
        self._tools, self._all = tools, asyncio.Barrier(asked_at_once)

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        assert isinstance(tool, McpTool)
        await self._all.wait()
        label = tool.server_label
        found = self._tools[label]
        if isinstance(found, KitError):
            raise found
        kind: Json = {"kind": "mcp", "item_type": "mcp_call", "server_label": label}
        made = [OfferedTool(name=f"{label}__{name}", wire_name=name, **kind) for name in found]
        return Offer(made, McpServer(label=label, listed=True))

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        raise AssertionError


async def test_a_server_s_tools_and_a_search_are_offered_where_they_were_declared() -> None:
    made = await offered(function("f"), server(), SEARCH, function("g"))
    assert names(made) == ["f", "docs__look", "docs__note", "web_search", "open_page", "g"]
    assert [each.label for each in made.servers] == ["docs"]


async def test_servers_are_asked_side_by_side() -> None:
    made = await offered(server("a"), server("b"), server("c"), here=Servers(3, a=["x"], b=["x"], c=["x"]))
    assert names(made) == ["a__x", "b__x", "c__x"]


async def test_of_several_servers_that_fail_the_first_is_named() -> None:
    here = Servers(3, a=["x"], b=KitError("b is down"), c=KitError("c is down"))
    with pytest.raises(KitError, match="b is down"):
        await offered(server("a"), server("b"), server("c"), here=here)


async def test_what_the_conversation_knows_of_a_server_is_not_asked_again() -> None:
    here = Tools()
    listing = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "docs", "tools": [{"name": "look"}]}
    broken = {**listing, "id": "mcpl_3", "error": "It was down."}
    other = {**listing, "id": "mcpl_4", "server_label": "other"}
    made = await offered(
        server(), server("bank"), here=here, items=[listing, {**listing, "id": "mcpl_2"}, broken, other]
    )
    assert [known and known.id for known in here.known] == ["mcpl_2", None]
    assert [each.listed for each in made.servers] == [False, True]


TAKEN: dict[str, tuple[list[Json], list[str]]] = {
    "by a client's function": ([server(), function("docs__look")], ["docs__look_2", "docs__note", "docs__look"]),
    "by a client's function, twice": (
        [function("docs__look_2"), server(), function("docs__look")],
        ["docs__look_2", "docs__look_3", "docs__note", "docs__look"],
    ),
    "by a function of a namespace": (
        [server(), {"type": "namespace", "name": "docs", "tools": [function("look")]}],
        ["docs__look_2", "docs__note", "docs__look"],
    ),
    "of a search": ([SEARCH, function("open_page")], ["web_search", "open_page_2", "open_page"]),
}


@pytest.mark.parametrize(("tools", "expected"), TAKEN.values(), ids=TAKEN)
async def test_a_name_that_is_taken_is_the_client_s(tools: list[Json], expected: list[str]) -> None:
    assert names(await offered(*tools)) == expected


async def test_names_of_two_servers_that_are_the_same_stay_apart() -> None:
    here = Servers(2, a=["b__c", "a b"], a__b=["c"])
    made = await offered(server("a"), server("a__b"), here=here)
    assert [(tool.server_label, tool.wire_name) for tool in made.tools] == [("a", "b__c"), ("a", "a b"), ("a__b", "c")]
    assert names(made)[::2] == ["a__b__c", "a__b__c_2"]
    assert len({*names(made)}) == 3


async def test_a_server_is_declared_once() -> None:
    with pytest.raises(RequestError, match="'docs' is declared twice") as refused:
        await offered(function("f"), server(), server(server_url="https://other.test/"))
    assert (refused.value.param, refused.value.code) == ("tools[2].server_label", "duplicate_tool")


async def test_too_many_tools_of_a_server_are_refused() -> None:
    here = Servers(a=[f"t{number}" for number in range(MAX_TOOLS)])
    assert len((await offered(server("a"), here=here)).tools) == MAX_TOOLS
    with pytest.raises(RequestError, match="at most 1024 tools") as refused:
        await offered(function("f"), server("a"), here=here)
    assert refused.value.param == "tools[1]"


async def test_what_a_search_found_is_offered_unless_it_was_declared() -> None:
    found = {"type": "tool_search_output", "call_id": "c", "tools": [server(), server("bank"), function("f")]}
    made = await offered(server(), function("f"), items=[found, found])
    assert names(made) == ["docs__look", "docs__note", "f", "bank__pay"]


# --- here, or upstream


URL = {"server_url": "https://docs.test/mcp"}
ELSEWHERE: dict[str, tuple[Json, list[str], list[str]]] = {
    "a server": (server(**URL), ["mcp"], ["upstream:mcp:docs"]),
    "a server, where the provider runs none": (server(**URL), ["web_search"], ["docs__look", "docs__note"]),
    "a server of the deployment": (server(), ["mcp"], ["docs__look", "docs__note"]),
    "a connector": (server(connector_id="connector_x"), ["mcp"], ["upstream:mcp:docs"]),
    "a tunnel": (server(tunnel_id="t"), ["mcp"], ["upstream:mcp:docs"]),
    "a search": (SEARCH, ["web_search"], ["upstream:web_search"]),
    "a search, where the provider does not": (SEARCH, ["mcp"], ["web_search", "open_page"]),
    "a search that must not leave OpenAI's cache": (
        {**SEARCH, "external_web_access": False},
        [],
        ["upstream:web_search"],
    ),
}


@pytest.mark.parametrize(("tool", "upstream", "expected"), ELSEWHERE.values(), ids=ELSEWHERE)
async def test_the_provider_runs_what_it_can(tool: Json, upstream: list[str], expected: list[str]) -> None:
    assert names(await offered(tool, upstream=upstream)) == expected


@pytest.mark.parametrize("field", ["connector_id", "tunnel_id"])
async def test_what_only_openai_can_reach_is_refused_elsewhere(field: str) -> None:
    with pytest.raises(RequestError, match="Only OpenAI") as refused:
        await offered(function("f"), server(**{field: "x"}))
    assert (refused.value.param, refused.value.code) == (f"tools[1].{field}", "unknown_tool")


class Nothing(Tools):
    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        return None


async def test_where_nobody_asks_servers_a_server_is_refused_and_a_search_is_left_out() -> None:
    with pytest.raises(RequestError, match="asks no MCP servers") as refused:
        await offered(server(), here=Nothing())
    assert refused.value.param == "tools[0].type"
    assert names(await offered(SEARCH, here=Nothing())) == ["upstream:web_search"]


# --- the choice among them


ALL = ["f", "docs__look", "docs__note", "bank__pay", "web_search", "open_page"]
DOCS, PAY = ["docs__look", "docs__note"], {"type": "mcp", "server_label": "bank", "name": "pay"}
CHOICES: dict[str, tuple[Any, list[str], str, str | None]] = {
    "a server": (server(), DOCS, "required", None),
    "a server of one tool": (server("bank"), ["bank__pay"], "required", "bank__pay"),
    "a tool of a server": (PAY, ["bank__pay"], "required", "bank__pay"),
    "any server": ({"type": "mcp"}, [*DOCS, "bank__pay"], "required", None),
    "a search": (SEARCH, ["web_search"], "required", "web_search"),
    "a search, by an older name": ({"type": "web_search_preview"}, ["web_search"], "required", "web_search"),
    "some": (
        {"type": "allowed_tools", "tools": [server(), SEARCH, function("f")]},
        [*DOCS, "web_search", "f"],
        "auto",
        None,
    ),
    "some, of which one must be called": (
        {"type": "allowed_tools", "mode": "required", "tools": [server(name="note")]},
        ["docs__note"],
        "required",
        None,
    ),
    "none": ("none", [], "none", None),
}


@pytest.mark.parametrize(("choice", "tools", "mode", "must"), CHOICES.values(), ids=CHOICES)
async def test_a_choice_names_a_server_or_a_tool_of_it(choice: Any, tools: list[str], mode: str, must: Any) -> None:
    made = await offered(function("f"), server(), server("bank"), SEARCH)
    run = new_run(tools=made.tools, tool_choice=choice)
    check_tool_choice(run.request, run.tools)
    turn = turn_of(run, "m")
    assert ([tool.name for tool in turn.tools], turn.tool_choice, turn.must_call) == (tools, mode, must)
    assert [*callable_tools(run)] == tools


async def test_a_server_must_be_called_in_the_first_turn_only() -> None:
    made = await offered(function("f"), server(), server("bank"), SEARCH)
    run = new_run(tools=made.tools, tool_choice=server())
    run.turns = 1
    turn = turn_of(run, "m")
    assert ([tool.name for tool in turn.tools], turn.tool_choice, turn.must_call) == (ALL, "auto", None)


@pytest.mark.parametrize(
    "choice", [server("x"), server(name="pay"), {"type": "web"}, {"type": "function", "name": "docs__look"}]
)
async def test_a_choice_of_what_is_not_offered_is_refused(choice: Json) -> None:
    made = await offered(server(), server("bank"), SEARCH)
    for wanted, param in (
        (choice, "tool_choice"),
        ({"type": "allowed_tools", "tools": [SEARCH, choice]}, "tool_choice.tools[1]"),
    ):
        with pytest.raises(RequestError, match="not among the tools") as refused:
            check_tool_choice(request_for(tool_choice=wanted), made.tools)
        assert refused.value.param == param

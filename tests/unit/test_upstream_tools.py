"""Tools that the model's provider runs: what a turn offers of them, what a response shows, who refuses them."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.core.errors import RequestError
from openresponses.core.run import Run
from openresponses.core.turn import Turn, callable_tools, turn_of
from openresponses.dialects._shared.tools import refuse_upstream_tools
from openresponses.responses.intake import new_response
from openresponses.responses.offering import check_tool_choice, offered_tools
from openresponses.schema.request import CreateResponse
from tests.immediately import immediately
from tests.openresponses_schema import check_response
from tests.unit.kit import Tools

SEARCH = {"type": "web_search", "search_context_size": "low"}
FILES = {"type": "file_search", "vector_store_ids": ["vs_1"]}
MCP = {
    "type": "mcp",
    "server_label": "dice",
    "server_url": "https://user:secret@dice.test/secret/sse?key=secret",
    "headers": {"x-key": "secret"},
    "authorization": "secret",
}
OTHER = {"type": "mcp", "server_label": "maps", "connector_id": "connector_maps"}
F = {"type": "function", "name": "f"}
ROLL = {"type": "function", "name": "roll"}


def run_of(*tools: dict[str, Any], **fields: Any) -> Run:
    request = CreateResponse.model_validate({"model": "m", "input": "Hi", "tools": tools, **fields})
    offered = immediately(offered_tools(request, Tools(), (), ["mcp", "web_search"])).tools
    check_tool_choice(request, offered)
    run = Run(response=new_response(request, "resp_0", 0), request=request, tools=offered, max_turns=9)
    return Run.model_validate_json(run.model_dump_json())


def seen(turn: Turn) -> tuple[list[Any], list[str], str, str | None]:
    upstream = [tool.model_dump() for tool in turn.upstream_tools]
    return upstream, [tool.name for tool in turn.tools], turn.tool_choice, turn.must_call


ALL = [SEARCH, FILES, MCP, OTHER]
CHOICES: dict[str, tuple[Any, Any]] = {
    "none said": (None, (ALL, ["f", "roll"], "auto", None)),
    "none": ("none", ([], [], "none", None)),
    "required": ("required", (ALL, ["f", "roll"], "required", None)),
    "by type": ({"type": "web_search"}, ([SEARCH], [], "required", "upstream:web_search")),
    "a server": ({"type": "mcp", "server_label": "maps"}, ([OTHER], [], "required", "upstream:mcp:maps")),
    "a server's tool": (
        {"type": "mcp", "server_label": "dice", "name": "roll"},
        ([MCP], [], "required", "upstream:mcp:dice"),
    ),
    "some": (
        {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}, {"type": "file_search"}]},
        ([FILES], ["f"], "auto", None),
    ),
}


@pytest.mark.parametrize(("choice", "expected"), CHOICES.values(), ids=CHOICES)
def test_a_choice_counts_for_the_provider_s_tools_too(choice: Any, expected: Any) -> None:
    run = run_of(F, ROLL, *ALL, tool_choice=choice)
    assert seen(turn_of(run, "m")) == expected
    assert list(callable_tools(run)) == expected[1]


@pytest.mark.parametrize("kind", ["web_search_preview", "web_search_preview_2025_03_11", "web_search_2025_08_26"])
def test_a_choice_need_not_say_the_version(kind: str) -> None:
    name = "web_search_preview" if "preview" in kind else "web_search"
    assert turn_of(run_of({"type": kind}, tool_choice={"type": name}), "m").must_call == f"upstream:{kind}"


@pytest.mark.parametrize("choice", [{"type": "file_search"}, {"type": "mcp", "server_label": "x"}, {"type": "web"}])
def test_a_choice_of_what_is_not_there_is_refused(choice: Any) -> None:
    with pytest.raises(RequestError, match="not among the tools"):
        run_of(SEARCH, MCP, tool_choice=choice)


def test_a_tool_of_the_provider_may_have_the_name_of_a_function() -> None:
    run = run_of({"type": "function", "name": "web_search"}, SEARCH)
    assert seen(turn_of(run, "m")) == ([SEARCH], ["web_search"], "auto", None)


def test_a_server_is_declared_once() -> None:
    with pytest.raises(RequestError, match="declared twice"):
        run_of(MCP, MCP)


def test_a_response_shows_no_secret_of_the_client_and_not_the_permission_to_search() -> None:
    response = run_of(F, *ALL).response.model_dump(mode="json")
    check_response(response)
    dice = {"type": "mcp", "server_label": "dice", "server_url": "https://dice.test/<redacted>"}
    assert response["tools"][1:] == [FILES, dice, OTHER]


@pytest.mark.parametrize("tools", [[], [SEARCH], [F, SEARCH]])
def test_a_provider_without_web_search_ignores_it(tools: list[Any]) -> None:
    assert refuse_upstream_tools(turn_of(run_of(*tools), "m")) == ()


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([F, FILES], None, "tools"),
        ([MCP], "auto", "tools"),
        ([SEARCH], "required", "tool_choice"),
        ([F, SEARCH], {"type": "web_search"}, "tool_choice"),
    ],
)
def test_a_provider_refuses_what_it_cannot_run(tools: list[Any], choice: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        refuse_upstream_tools(turn_of(run_of(*tools, tool_choice=choice), "m"))
    assert raised.value.param == param

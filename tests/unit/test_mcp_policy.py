"""What a request may do with an MCP server's tools: for all combinations, nothing is looser than the operator's word,
and nothing is looser than the request's.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.schema.server_items import ListedTool
from openresponses.schema.tools import McpTool
from openresponses.toolbox.mcp.policy import allowed, needs_approval
from openresponses.toolbox.mcp.servers import ConfiguredServer

NAMES = ("search", "fetch", "delete")
URL = "https://mcp.example.com/mcp"


def tool(name: str, *, reads: Any = None) -> ListedTool:
    return ListedTool(name=name, annotations=None if reads is None else {"readOnlyHint": reads})


def asking(**fields: Any) -> McpTool:
    return McpTool.model_validate({"type": "mcp", "server_label": "docs", **fields})


def server(approval: Any = "always", *allow: str) -> ConfiguredServer:
    return ConfiguredServer("docs", URL, approval=approval, allow=allow)


tools = st.builds(tool, st.sampled_from(NAMES), reads=st.sampled_from([None, True, False, "true"]))
some_names = st.lists(st.sampled_from(NAMES), unique=True)
filters = st.fixed_dictionaries({}, optional={"tool_names": some_names, "read_only": st.booleans()})
wanted = st.none() | some_names | filters
words = st.sampled_from(["always", "never"])
approvals = st.none() | words | st.fixed_dictionaries({}, optional={"always": filters, "never": filters})
requests = st.builds(
    lambda allowed_tools, require_approval: asking(
        **{} if allowed_tools is None else {"allowed_tools": allowed_tools},
        **{} if require_approval is None else {"require_approval": require_approval},
    ),
    wanted,
    approvals,
)
servers = st.builds(lambda approval, allow: server(approval, *allow), words, some_names)
OPERATORS_ALONE = asking()


@given(tools, requests, servers)
def test_no_request_is_looser_than_the_operator(each: ListedTool, asked: McpTool, at: ConfiguredServer) -> None:
    assert allowed(each, asked, at) <= allowed(each, OPERATORS_ALONE, at)
    assert needs_approval(each, asked, at) >= needs_approval(each, OPERATORS_ALONE, at)
    assert allowed(each, asked, at) <= (not at.allow or each.name in at.allow)
    assert needs_approval(each, asked, at) >= (at.approval == "always")


@given(tools, requests, servers)
def test_no_operator_loosens_what_a_request_says(each: ListedTool, asked: McpTool, at: ConfiguredServer) -> None:
    """Without a server of the deployment, the request's word is all there is."""
    assert allowed(each, asked, at) == (allowed(each, asked) and allowed(each, OPERATORS_ALONE, at))
    if asked.require_approval is not None:
        assert needs_approval(each, asked, at) == (needs_approval(each, asked) or at.approval == "always")


@given(tools, tools, requests, servers)
def test_what_a_server_says_of_its_tools_loosens_no_word_of_the_operators(
    each: ListedTool, other: ListedTool, asked: McpTool, at: ConfiguredServer
) -> None:
    """Nor does a listing that a client made up."""
    talked = other.model_copy(update={"name": each.name})
    for one, two in ((each, talked), (talked, each)):
        assert allowed(one, OPERATORS_ALONE, at) == allowed(two, OPERATORS_ALONE, at)
        assert needs_approval(one, OPERATORS_ALONE, at) == needs_approval(two, OPERATORS_ALONE, at)


@pytest.mark.parametrize(
    ("approval", "asked", "needs"),
    [
        ("never", None, False),
        ("never", "never", False),
        ("never", "always", True),
        ("never", {"never": {"tool_names": ["search"]}}, False),
        ("never", {"never": {"tool_names": ["fetch"]}}, True),
        ("never", {"always": {"tool_names": ["search"]}}, True),
        ("always", None, True),
        ("always", "never", True),
        ("always", {"never": {"tool_names": ["search"]}}, True),
        (None, None, True),
        (None, "never", False),
        (None, "always", True),
        (None, {"never": {"tool_names": ["search"]}}, False),
        (None, {"never": {"read_only": True}}, False),
        (None, {"never": {"read_only": False}}, True),
        (None, {"never": {"read_only": True, "tool_names": ["fetch"]}}, True),
        (None, {"never": {}}, True),
        (None, {}, True),
        (None, {"always": {"tool_names": ["fetch"]}}, True),
        (None, {"always": {"tool_names": ["search"]}, "never": {"read_only": True}}, True),
    ],
)
def test_who_has_to_approve_a_call(approval: str | None, asked: Any, needs: bool) -> None:
    request = asking(**{} if asked is None else {"require_approval": asked})
    assert needs_approval(tool("search", reads=True), request, server(approval) if approval else None) == needs


@pytest.mark.parametrize(
    ("allow", "asked", "offered"),
    [
        ((), None, {"search", "fetch", "delete"}),
        (("search", "delete"), None, {"search", "delete"}),
        ((), ["search"], {"search"}),
        (("search", "delete"), ["search", "fetch"], {"search"}),
        (("search", "delete"), {"read_only": True}, {"search"}),
        (("delete",), {"read_only": True}, set[str]()),
        ((), {"read_only": False}, {"delete"}),
        ((), {"tool_names": ["search", "delete"], "read_only": True}, {"search"}),
        ((), [], set[str]()),
        ((), ["missing"], set[str]()),
    ],
)
def test_which_tools_are_offered(allow: tuple[str, ...], asked: Any, offered: set[str]) -> None:
    request = asking(**{} if asked is None else {"allowed_tools": asked})
    listed = [tool("search", reads=True), tool("fetch", reads=True), tool("delete")]
    assert {each.name for each in listed if allowed(each, request, server("always", *allow))} == offered

"""Our MCP client against the package `mcp`, in both eras, with answers as JSON and as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from mcp_types import Tool

from openresponses.toolbox.mcp.client import MAX_SESSIONS
from openresponses.toolbox.mcp.failures import HttpFailure, McpFailure, ProtocolFailure
from tests.contract.mcp_asking import Asking, asking
from tests.fakes.mcp_server import TOOLS, FakeMcp, mcp_server

TOKEN = "a-token-of-the-client"
MODES = [
    pytest.param({"sessions": sessions, "json": json}, id=f"{'sessions' if sessions else 'stateless'}-{how}")
    for sessions in (False, True)
    for json, how in ((False, "events"), (True, "json"))
]
BOTH = [pytest.param({"sessions": False}, id="stateless"), pytest.param({"sessions": True}, id="sessions")]


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[FakeMcp]:
    async with mcp_server(**request.param) as served:
        yield served


@pytest.fixture
async def asked(server: FakeMcp) -> AsyncIterator[Asking]:
    async with asking(server.url, {"X-Extra": "of the client"}, TOKEN) as asked:
        yield asked


@pytest.mark.parametrize("server", MODES, indirect=True)
async def test_tools_are_listed_and_called(server: FakeMcp, asked: Asking) -> None:
    assert await asked.names() == [tool.name for tool in TOOLS]
    assert await asked.text("echo", {"text": "grüße \U0001f600"}) == "grüße \U0001f600"
    assert await asked.text("add", {"numbers": [1, 2, 3.5]}) == "6.5"
    failed = await asked.call("fail")
    assert (failed["isError"], failed["content"][0]["text"]) == (True, "It broke.")
    assert server.calls == [
        ("echo", {"text": "grüße \U0001f600"}),
        ("add", {"numbers": [1, 2, 3.5]}),
        ("fail", {}),
    ]
    assert {headers["x-extra"] for _, headers in server.requests} == {"of the client"}
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("server", MODES, indirect=True)
async def test_pages_are_read_to_the_last(server: FakeMcp, asked: Asking) -> None:
    server.page = 3
    assert await asked.names() == [tool.name for tool in TOOLS]


@pytest.mark.parametrize("server", MODES, indirect=True)
async def test_an_error_of_the_protocol_is_the_server_s_own(server: FakeMcp, asked: Asking) -> None:
    with pytest.raises(ProtocolFailure, match="no tool nope") as caught:
        await asked.call("nope")
    assert caught.value.error == {"type": "mcp_protocol_error", "code": -32602, "message": "no tool nope"}


@pytest.mark.parametrize("server", BOTH, indirect=True)
async def test_the_era_is_asked_for_once(server: FakeMcp, asked: Asking) -> None:
    await asyncio.gather(asked.text("echo", {"text": "a"}), asked.text("echo", {"text": "b"}))
    await asked.text("echo", {"text": "c"})
    discovers = [headers for _, headers in server.requests if headers.get("mcp-method") == "server/discover"]
    assert len(discovers) == 1


@pytest.mark.parametrize("server", [{"sessions": False}], indirect=True)
async def test_a_request_that_stands_alone_says_everything_in_its_headers(server: FakeMcp, asked: Asking) -> None:
    await asked.text("echo", {"text": "a"})
    (_, headers) = server.requests[-1]
    told = {name: headers.get(name) for name in ("mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id")}
    assert told == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "echo",
        "mcp-session-id": None,
    }


@pytest.mark.parametrize("server", [{"sessions": False}], indirect=True)
async def test_a_name_that_no_header_carries_is_encoded(server: FakeMcp, asked: Asking) -> None:
    for name in ("zürich", " a ", "=?base64?eA==?="):
        server.tools.append(Tool(name=name, input_schema={"type": "object"}))
        with pytest.raises(ProtocolFailure, match="no tool"):
            await asked.call(name)
    assert [name for name, _ in server.calls] == ["zürich", " a ", "=?base64?eA==?="]


@pytest.mark.parametrize("server", [{"sessions": False}], indirect=True)
async def test_a_question_to_the_user_fails_the_call(server: FakeMcp, asked: Asking) -> None:
    with pytest.raises(ProtocolFailure, match="no user can be asked"):
        await asked.call("ask")


@pytest.mark.parametrize("server", [{"sessions": True}], indirect=True)
async def test_a_response_has_a_session_of_its_own_that_ends_with_it(server: FakeMcp, asked: Asking) -> None:
    counted = [await asked.text("count", holder=holder) for holder in ("resp_1", "resp_2", "resp_1")]
    assert counted == ["1", "1", "2"]
    for holder in ("resp_1", "resp_2", "resp_1"):
        await asked.client.leave(asked.credentials, holder)
    ended = [headers["mcp-session-id"] for method, headers in server.requests if method == "DELETE"]
    assert len(set(ended)) == len(ended) == 2


@pytest.mark.parametrize("server", [{"sessions": True}], indirect=True)
async def test_calls_side_by_side_share_the_session_of_their_response(server: FakeMcp, asked: Asking) -> None:
    await asyncio.gather(*(asked.text("count") for _ in range(8)))
    assert [*server.counts.values()] == [8]


@pytest.mark.parametrize("server", [{"sessions": True}], indirect=True)
async def test_listing_leaves_no_session_behind(server: FakeMcp, asked: Asking) -> None:
    await asked.names()
    assert [method for method, _ in server.requests][-1] == "DELETE"


@pytest.mark.parametrize("server", [{"sessions": True}], indirect=True)
async def test_sessions_are_bounded(server: FakeMcp, asked: Asking) -> None:
    for number in range(MAX_SESSIONS + 3):
        await asked.text("count", holder=f"resp_{number}")
    assert [method for method, _ in server.requests].count("DELETE") == 3


@pytest.mark.parametrize("server", [{"sessions": True}], indirect=True)
async def test_a_session_that_the_server_lost_is_begun_anew(server: FakeMcp, asked: Asking) -> None:
    assert await asked.text("count") == "1"
    server.forget()
    assert await asked.text("count") == "1"
    assert len(server.counts) == 2


@pytest.mark.parametrize("server", BOTH, indirect=True)
async def test_a_call_that_is_cancelled_is_given_up_at_the_server(server: FakeMcp, asked: Asking) -> None:
    call = asyncio.create_task(asked.call("slow"))
    while not server.calls:
        await asyncio.sleep(0.01)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    while not server.given_up:
        await asyncio.sleep(0.01)
    assert server.given_up == ["slow"]


@pytest.mark.parametrize("server", BOTH, indirect=True)
async def test_a_call_that_takes_too_long_is_given_up_at_the_server(server: FakeMcp, asked: Asking) -> None:
    await asked.text("echo", {"text": "the era is known"})
    with pytest.raises(HttpFailure, match=r"longer than 0\.3 seconds") as caught:
        await asked.call("slow", seconds=0.3)
    assert caught.value.code == 504
    while not server.given_up:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("server", [{"token": TOKEN}, {"token": TOKEN, "sessions": True}], indirect=True)
async def test_a_401_says_what_the_server_asks_for(server: FakeMcp) -> None:
    async with asking(server.url, authorization="another-token") as other:
        for ask in (other.names(), other.call("echo")):
            with pytest.raises(HttpFailure) as caught:
                await ask
            assert caught.value.code == 401
            assert "HTTP 401 Unauthorized: it asks for Bearer resource_metadata=" in caught.value.message


@pytest.mark.parametrize("server", MODES, indirect=True)
async def test_what_the_server_knows_of_credentials_never_comes_back(server: FakeMcp, asked: Asking) -> None:
    assert await asked.text("whoami") == "[redacted]"


@pytest.mark.parametrize("server", MODES, indirect=True)
async def test_a_large_result_fails_the_call_alone(server: FakeMcp, asked: Asking) -> None:
    with pytest.raises(McpFailure, match="longer than 4194304 bytes"):
        await asked.call("large", {"characters": 10_000_000})
    assert await asked.text("echo", {"text": "still here"}) == "still here"

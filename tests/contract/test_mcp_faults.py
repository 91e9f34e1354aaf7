"""What a proper MCP server never does. Each is one clear failure, and the client goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from openresponses.toolbox.mcp.client import MAX_PAGES
from openresponses.toolbox.mcp.failures import HttpFailure, McpFailure, ProtocolFailure
from openresponses.transport.http import MAX_WHOLE_BYTES
from tests.contract.mcp_asking import asking
from tests.fakes.raw_mcp import STREAM, Heard, Json, Play, Sent, as_json, discovered, error, event, raw_server, reply

FINE: Json = {"resultType": "complete", "content": [{"type": "text", "text": "fine"}]}
SECRET = "sk-secret-of-the-client"


def after_discovery(play: Play) -> Play:
    """A server of 2026-07-28, whose other answers are `play`'s."""
    return lambda heard: discovered(heard) or play(heard)


def answering(*sent: Sent) -> Play:
    return after_discovery(lambda _: [*sent])


def body(text: str | bytes, kind: str = "application/json") -> Play:
    return answering(reply(200, text.encode() if isinstance(text, str) else text, content_type=kind))


def of_a_session(play: Play, session: str = "s1") -> Play:
    """A server of 2025-11-25."""

    def answer(heard: Heard) -> list[Sent] | bytes:
        match heard.asks:
            case "server/discover":
                return error(heard, -32600, "Bad Request: Missing session ID", 400)
            case "initialize":
                return as_json(heard, {"protocolVersion": "2025-06-18", "capabilities": {}}, mcp_session_id=session)
            case "notifications/initialized" | "notifications/cancelled":
                return reply(202)
            case _:
                return play(heard)

    return answer


async def failure(play: Play, **credentials: Any) -> McpFailure:
    async with raw_server(play) as server, asking(server.url, **credentials) as asked:
        with pytest.raises(McpFailure) as caught:
            await asked.call("echo")
        return caught.value


def streamed(*messages: Any) -> Play:
    return answering(STREAM, *(event(each) for each in messages))


HUGE = b'{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"' + b"x" * 10_000_000 + b'"}]}}'
DEEP = '{"jsonrpc":"2.0","id":2,"result":' + '{"a":' * 100 + "1" + "}" * 100 + "}"
DEEPER = '{"jsonrpc":"2.0","id":2,"result":' + "[" * 100_000


@pytest.mark.parametrize(
    ("play", "code", "words"),
    [
        pytest.param(body("not JSON"), -32700, "is not JSON", id="garbage"),
        pytest.param(body("<html>"), -32700, "is not JSON", id="a web page"),
        pytest.param(body(b"\xff\xfe\xfa"), -32700, "is not JSON", id="not UTF-8"),
        pytest.param(body("[]"), -32700, "no message of JSON-RPC", id="a batch"),
        pytest.param(body("{}"), -32700, "something else", id="an empty message"),
        pytest.param(body('{"jsonrpc":"2.0","id":99,"result":{}}'), -32700, "something else", id="another id"),
        pytest.param(body('{"jsonrpc":"2.0","id":true,"result":{}}'), -32700, "something else", id="a truth for an id"),
        pytest.param(body('{"jsonrpc":"2.0","id":2,"method":"ping"}'), -32700, "something else", id="a request"),
        pytest.param(body('{"jsonrpc":"2.0","id":2,"result":7}'), -32700, "has no result", id="a number"),
        pytest.param(body(DEEP), -32700, "nested too deeply", id="deep"),
        pytest.param(body(DEEPER), -32700, "is not JSON", id="deeper"),
        pytest.param(
            body('{"jsonrpc":"2.0","id":2,"result":{"a":' + "9" * 5000 + "}}"),
            -32700,
            "is not JSON",
            id="a long number",
        ),
        pytest.param(body('{"jsonrpc":"2.0","id":2,"error":{"code":7,"message":"no"}}'), 7, "no", id="an error"),
        pytest.param(
            body('{"jsonrpc":"2.0","id":null,"error":{"code":7,"message":"no"}}'), 7, "no", id="an error of no id"
        ),
        pytest.param(body('{"jsonrpc":"2.0","id":2,"error":"no"}'), -32700, "no reason", id="an error that is a text"),
        pytest.param(
            body('{"jsonrpc":"2.0","id":2,"error":{"code":1e300,"message":7}}'), -32700, "no reason", id="an odd error"
        ),
        pytest.param(
            body('{"jsonrpc":"2.0","id":2,"result":{"resultType":"task"}}'), -32700, "nobody asked for", id="a task"
        ),
        pytest.param(body(HUGE), 502, "longer than 4194304 bytes", id="10 MB"),
        pytest.param(
            answering(STREAM, b"data: " + HUGE + b"\n\n"), 502, "longer than 4194304 bytes", id="10 MB as an event"
        ),
        pytest.param(
            streamed(*[{"method": "notifications/message"}] * 9),
            502,
            "ended without an answer",
            id="only notifications",
        ),
        pytest.param(
            streamed({"id": 2, "method": "sampling/createMessage"}), 502, "ended without", id="a request in a stream"
        ),
        pytest.param(streamed({"id": 3, "result": FINE}), 502, "ended without", id="an answer to another"),
        pytest.param(streamed(b"not JSON"), -32700, "is not JSON", id="garbage in a stream"),
        pytest.param(answering(STREAM), 502, "ended without an answer", id="an empty stream"),
        pytest.param(answering(STREAM + b'data: {"id":2,"res'), -32700, "is not JSON", id="a cut stream"),
        pytest.param(answering(b""), 502, "connection to the server broke", id="no answer"),
        pytest.param(answering(b"SSH-2.0-x\r\n"), 502, "connection to the server broke", id="another protocol"),
        pytest.param(answering(reply(202)), 502, "accepted the request, and answered nothing", id="202"),
        pytest.param(answering(reply(200)), -32700, "is not JSON", id="an empty answer"),
        pytest.param(
            answering(reply(500, b"Traceback...")), 500, "HTTP 500 Internal Server Error: Traceback...", id="500"
        ),
        pytest.param(answering(reply(503, b"<html>")), 503, "^HTTP 503 Service Unavailable$", id="503 with a page"),
        pytest.param(
            answering(reply(403, b'{"error":"forbidden","error_description":"No."}')), 403, "Forbidden: No", id="403"
        ),
        pytest.param(
            answering(reply(302, location="https://other.test/mcp")), 502, "redirects to another address", id="302"
        ),
        pytest.param(
            answering(reply(307, location="https://other.test/mcp")), 502, "redirects to another address", id="307"
        ),
    ],
)
async def test_each_fault_is_one_clear_failure(play: Play, code: int, words: str) -> None:
    raised = await failure(play)
    assert raised.code == code
    assert len(raised.message) <= 1000
    with pytest.raises(McpFailure, match=words):
        raise raised


async def test_what_is_no_text_becomes_one() -> None:
    odd = '{"jsonrpc":"2.0","id":2,"result":{"content":["\\ud83d","\\ud83d\\ude00",NaN,1e999,-Infinity],"\\ude00":1}}'
    async with raw_server(body(odd)) as server, asking(server.url) as asked:
        result = await asked.call("echo")
    assert result == {"content": ["\ufffd", "\U0001f600", None, None, None], "\ufffd": 1}
    json.dumps(result, allow_nan=False).encode()


async def test_a_flood_of_notifications_ends() -> None:
    noise = event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 9_000}})
    flood = noise * (MAX_WHOLE_BYTES // len(noise) + 2)
    raised = await failure(answering(STREAM, flood))
    assert (raised.code, raised.message) == (502, f"The server's answer is longer than {MAX_WHOLE_BYTES} bytes")


async def test_an_answer_is_found_among_other_messages() -> None:
    noise = [{"method": "notifications/progress"}, {"id": 1, "result": {}}, {"id": 2, "method": "ping"}]
    async with (
        raw_server(
            after_discovery(
                lambda heard: [
                    STREAM,
                    *map(event, noise),
                    b": ping\n\nid: 1\ndata:\n\n",
                    event({"id": heard.id, "result": FINE}),
                    30.0,
                ]
            )
        ) as server,
        asking(server.url) as asked,
    ):
        assert await asked.text("echo") == "fine"


async def test_a_slow_server_is_given_up_and_hears_it() -> None:
    async with raw_server(answering(30.0)) as server, asking(server.url) as asked:
        with pytest.raises(HttpFailure, match=r"longer than 0\.2 seconds") as caught:
            await asked.call("echo", seconds=0.2)
        assert caught.value.error == {"type": "http_error", "code": 504, "message": caught.value.message}
        while not server.cut:
            await asyncio.sleep(0.01)


async def test_a_trickle_is_given_up_too() -> None:
    trickle: list[Sent] = [STREAM, *([b": still there\n\n", 0.05] * 200)]
    async with raw_server(answering(*trickle)) as server, asking(server.url) as asked:
        with pytest.raises(HttpFailure, match=r"longer than 0\.3 seconds"):
            await asked.call("echo", seconds=0.3)


async def test_nobody_there_is_a_failure() -> None:
    async with raw_server(answering()) as server:
        url = server.url
    async with asking(url) as asked:
        with pytest.raises(HttpFailure, match="can't be reached"):
            await asked.names()


async def test_a_redirect_within_the_origin_is_followed_with_its_method_and_credentials() -> None:
    def play(heard: Heard) -> bytes:
        if heard.target == "/mcp":
            return reply(307, location="/mcp/")
        return discovered(heard) or as_json(heard, FINE)

    async with raw_server(play) as server, asking(server.url, authorization=SECRET) as asked:
        assert await asked.text("echo") == "fine"
    assert {heard.headers["authorization"] for heard in server.heard} == {f"Bearer {SECRET}"}
    assert {(heard.method, heard.target) for heard in server.heard} == {("POST", "/mcp"), ("POST", "/mcp/")}


@pytest.mark.parametrize("again", [0, 1, 2])
async def test_a_call_reaches_its_server_once(again: int) -> None:
    """Whether the connection was kept, or breaks with the first byte."""

    def play(heard: Heard) -> list[Sent] | bytes:
        return discovered(heard) or ([] if len(server.heard) > again + 1 else as_json(heard, FINE))

    async with raw_server(play) as server, asking(server.url) as asked:
        for _ in range(again):
            await asked.call("echo")
        with pytest.raises(HttpFailure, match="broke"):
            await asked.call("echo")
        assert server.asked.count("tools/call") == again + 1


@pytest.mark.parametrize("method", ["server/discover", "initialize", "tools/list"])
async def test_what_is_no_call_is_sent_again_where_its_connection_breaks(method: str) -> None:
    """As a kept connection does after a sandbox was frozen."""
    in_session = of_a_session(lambda heard: as_json(heard, {"tools": [{"name": "echo"}]}))
    async with (
        raw_server(
            lambda heard: [] if server.asked.count(method) == 1 and heard.asks == method else in_session(heard)
        ) as server,
        asking(server.url) as asked,
    ):
        assert await asked.names() == ["echo"]
    assert server.asked.count(method) == 2


SAID = [
    answering(reply(400, f"Unknown token {SECRET}".encode())),
    answering(reply(401, www_authenticate=f'Bearer error="bad", token="{SECRET}"')),
    body(json.dumps({"jsonrpc": "2.0", "id": 2, "error": {"code": 1, "message": f"no: {SECRET}"}})),
]


@pytest.mark.parametrize("play", SAID)
@pytest.mark.parametrize("given", [{"authorization": SECRET}, {"headers": {"X-Api-Key": SECRET}}])
async def test_no_failure_tells_a_secret(play: Play, given: Any) -> None:
    raised = await failure(play, **given)
    assert SECRET not in json.dumps(raised.error)
    assert "[redacted]" in raised.message


async def test_no_failure_tells_a_secret_of_the_url() -> None:
    def play(heard: Heard) -> bytes:
        return discovered(heard) or reply(400, f"bad request: {heard.target}".encode())

    async with raw_server(play) as server, asking(f"{server.url}/a-long-secret-in-a-path?key=k-0123456789") as asked:
        with pytest.raises(McpFailure) as caught:
            await asked.call("echo")
    assert caught.value.message.endswith("/mcp/[redacted]?key=[redacted]")


async def test_pages_without_an_end_are_a_failure() -> None:
    def play(heard: Heard) -> bytes:
        return discovered(heard) or as_json(heard, {"tools": [], "nextCursor": f"c{len(server.heard)}"})

    async with raw_server(play) as server, asking(server.url) as asked:
        with pytest.raises(ProtocolFailure, match="more than 64 pages"):
            await asked.names()
    assert server.asked.count("tools/list") == MAX_PAGES


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"tools": {"a": 1}}, "is no list"),
        ({}, "is no list"),
        ({"tools": [{"name": f"t{n}"} for n in range(1025)]}, "more tools than a model can be offered"),
        ({"tools": [{"name": "a", "description": "x" * 1_100_000}]}, "more tools than a model can be offered"),
    ],
)
async def test_a_list_that_can_t_be_used_is_a_failure(result: Json, words: str) -> None:
    async with (
        raw_server(after_discovery(lambda heard: as_json(heard, result))) as server,
        asking(server.url) as asked,
    ):
        with pytest.raises(ProtocolFailure, match=words):
            await asked.names()


@pytest.mark.parametrize("status", [400, 404])
async def test_a_session_that_is_lost_is_begun_anew_once(status: int) -> None:
    lost = False

    def play(heard: Heard) -> bytes:
        if heard.method == "DELETE":
            return reply(405)
        return (
            error(heard, -32000, "Bad Request: No valid session ID provided", status) if lost else as_json(heard, FINE)
        )

    async with raw_server(of_a_session(play)) as server, asking(server.url) as asked:
        assert await asked.text("echo") == "fine"
        lost = True
        with pytest.raises(McpFailure, match="No valid session ID"):
            await asked.call("echo")
        await asked.client.leave(asked.credentials, "resp_1")
    assert server.asked.count("initialize") == 2
    assert server.asked.count("tools/call") == 3


@pytest.mark.parametrize(
    "refused",
    [
        lambda heard: error(heard, -32601, "Method not found"),
        lambda heard: error(heard, -32000, "Server not initialized"),
        lambda _: reply(400, b"Bad Request: Server not initialized"),
        lambda _: reply(404, b"Invalid session ID"),
        lambda _: reply(405),
        lambda _: reply(406, b"<html>"),
        lambda _: reply(422, b'{"detail": "jsonrpc"}'),
        lambda _: reply(500),
        lambda _: reply(200, b"<html>welcome"),
        lambda _: reply(202),
        lambda heard: as_json(heard, {"supportedVersions": ["2025-11-25"]}),
        lambda heard: as_json(heard, {}),
    ],
)
async def test_whatever_is_no_sign_of_the_new_era_means_the_old_one(refused: Callable[[Heard], bytes]) -> None:
    """Servers differ: modelcontextprotocol/csharp-sdk#1765 and #1790, and `negotiate_auto` of `mcp` 2.3.0."""
    in_session = of_a_session(lambda heard: as_json(heard, FINE))
    async with (
        raw_server(lambda heard: refused(heard) if heard.asks == "server/discover" else in_session(heard)) as server,
        asking(server.url) as asked,
    ):
        assert await asked.text("echo") == "fine"
        assert await asked.text("echo") == "fine"
    assert server.asked == ["server/discover", "initialize", "notifications/initialized", "tools/call", "tools/call"]
    assert [heard.headers.get("mcp-session-id") for heard in server.heard] == [None, None, "s1", "s1", "s1"]
    versions = [heard.headers.get("mcp-protocol-version") for heard in server.heard]
    assert versions == ["2026-07-28", None, "2025-06-18", "2025-06-18", "2025-06-18"]


async def test_a_server_of_the_old_era_need_not_have_sessions() -> None:
    def play(heard: Heard) -> bytes:
        match heard.asks:
            case "initialize":
                return as_json(heard, {"protocolVersion": "2025-03-26"})
            case "tools/call":
                return as_json(heard, FINE)
            case "notifications/initialized":
                return reply(400)
            case _:
                return error(heard, -32601, "Method not found")

    async with raw_server(play) as server, asking(server.url) as asked:
        assert await asked.text("echo") == "fine"
        await asked.client.leave(asked.credentials, "resp_1")
    assert server.asked == ["server/discover", "initialize", "notifications/initialized", "tools/call"]


async def test_a_version_that_is_not_spoken_is_a_failure() -> None:
    def play(heard: Heard) -> bytes:
        if heard.asks == "initialize":
            return as_json(heard, {"protocolVersion": "2030-01-01"})
        return reply(404)

    async with raw_server(play) as server, asking(server.url) as asked:
        with pytest.raises(ProtocolFailure, match="no version of MCP that is spoken here"):
            await asked.names()


@pytest.mark.parametrize(
    ("supported", "asked_for"),
    [
        (["2026-07-28", "2025-11-25"], "tools/call"),
        (["2025-11-25"], "initialize"),
        (["2030-01-01"], None),
    ],
)
async def test_a_refused_version_names_those_that_the_server_speaks(
    supported: list[str], asked_for: str | None
) -> None:
    def play(heard: Heard) -> bytes:
        if heard.asks == "server/discover":
            if "2026-07-28" in supported:
                return error(heard, -32020, "Header mismatch", 400)
            return error(heard, -32022, "Unsupported protocol version", 400, {"supported": supported})
        return of_a_session(lambda heard: as_json(heard, FINE))(heard)

    async with raw_server(play) as server, asking(server.url) as asked:
        if asked_for is None:
            with pytest.raises(ProtocolFailure, match="Unsupported protocol version"):
                await asked.call("echo")
        else:
            assert await asked.text("echo") == "fine"
            assert server.asked[1] == asked_for


async def test_a_server_that_changes_its_era_is_asked_again() -> None:
    old = True

    def play(heard: Heard) -> Any:
        if old:
            return of_a_session(lambda heard: as_json(heard, FINE))(heard)
        if heard.headers.get("mcp-protocol-version") != "2026-07-28":
            return error(heard, -32020, "Header mismatch", 400)
        return discovered(heard) or as_json(heard, FINE)

    async with raw_server(play) as server, asking(server.url) as asked:
        assert await asked.text("echo") == "fine"
        old = False
        assert await asked.text("echo", holder="resp_2") == "fine"
        old = True
        with suppress(McpFailure):
            await asked.text("echo", holder="resp_3")
    assert server.asked.count("tools/call") == 3

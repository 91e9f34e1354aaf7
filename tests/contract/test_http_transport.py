"""The transport that every dialect shares: events from bytes, failures to errors, connections kept."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import httpx2
import pytest

from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.dialects.chat_completions import connect
from openresponses.schema.content import InputText
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse
from openresponses.transport.errors import EventTooLong
from openresponses.transport.sse import MAX_EVENT_BYTES, SseEvent, SseParser
from tests.fakes.network import Answered
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.fakes.wire import Rules

KEY = "sk-secret-0123456789"


def turn(model: str) -> Turn:
    return Turn(
        model=model,
        items=(Message(role="user", content=[InputText(text="PROMPT")]),),
        instructions=None,
        tools=(),
        tool_choice="none",
        must_call=None,
        max_output_tokens=None,
        request=CreateResponse(model=model),
    )


def settings(base_url: str, **more: Any) -> ProviderSettings:
    timeouts = {"connect_timeout": 5.0, "first_byte_timeout": 5.0, "idle_timeout": 5.0}
    return ProviderSettings(
        name="v", dialect="chat_completions", base_url=base_url, **{"api_key": KEY, **timeouts, **more}
    )


async def said(provider: HttpDialect, model: str) -> list[d.Delta]:
    async with aclosing(provider.stream(turn(model))) as deltas:
        return [delta async for delta in deltas]


async def told(provider: HttpDialect, model: str) -> tuple[list[str], errors.ProviderError]:
    """The texts before the error, and the error."""
    texts: list[str] = []
    try:
        async with aclosing(provider.stream(turn(model))) as deltas:
            async for delta in deltas:
                assert not isinstance(delta, d.Finish)
                texts += [delta.text] if isinstance(delta, d.Text) else []
    except errors.ProviderError as error:
        return texts, error
    raise AssertionError("the turn ended without an error")


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with fake_upstream("chat_completions") as fake:
        yield fake


@pytest.fixture
async def provider(upstream: FakeUpstream) -> AsyncIterator[HttpDialect]:
    connected = connect(settings(upstream.url))
    yield connected
    await connected.aclose()


STREAMS: dict[str, tuple[bytes, list[SseEvent]]] = {
    "LF": (b"data: a\n\ndata: b\n\n", [SseEvent("", "a"), SseEvent("", "b")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [SseEvent("", "a"), SseEvent("", "b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [SseEvent("", "a"), SseEvent("", "b")]),
    "mixed line ends": (b"data: a\r\n\ndata: b\n\r\n", [SseEvent("", "a"), SseEvent("", "b")]),
    "no space": (b"data:a\n\ndata:  b\n\n", [SseEvent("", "a"), SseEvent("", " b")]),
    "lines of data": (b"data: a\ndata\ndata: b\n\n", [SseEvent("", "a\n\nb")]),
    "names": (b"event: x\ndata: a\n\ndata: b\n\n", [SseEvent("x", "a"), SseEvent("", "b")]),
    "a name without data": (b"event: x\n\ndata: b\n\n", [SseEvent("", "b")]),
    "comments and other fields": (b": hi\n\nid: 1\nretry: 5\nfoo\ndata: a\n\n", [SseEvent("", "a")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [SseEvent("", "a")]),
    "characters of many bytes": ("data: ä€😀\u2028x\n\n".encode(), [SseEvent("", "ä€😀\u2028x")]),
    "an unfinished event": (b"data: a\n\ndata: b\n", [SseEvent("", "a")]),
    "colons": (b"data: a: b\n\n", [SseEvent("", "a: b")]),
}


@pytest.mark.parametrize(("data", "expected"), STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_are_the_same_however_their_bytes_are_cut(data: bytes, expected: list[SseEvent], size: int) -> None:
    parser = SseParser()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [event for piece in pieces for event in parser.feed(piece)] == expected


@pytest.mark.parametrize("data", [b"data: " + b"x" * 100, b"data: xxxx\n" * 30, b"x" * 101, b"\n" + b"x" * 101])
def test_an_event_without_end_is_not_kept_without_end(data: bytes) -> None:
    parser = SseParser(max_event_bytes=100)
    with pytest.raises(EventTooLong):
        deque(map(parser.feed, (bytes([byte]) for byte in data)))


def test_events_before_one_that_is_too_long_still_count() -> None:
    parser = SseParser(max_event_bytes=100)
    assert parser.feed(b"data: x\n\ndata: " + b"y" * 200) == [SseEvent("", "x")]
    with pytest.raises(EventTooLong):
        parser.feed(b"y")


def test_many_small_events_are_not_one_long_one() -> None:
    assert len(SseParser(max_event_bytes=100).feed(b"data: x\n\n" * 100)) == 100


FAILED = "The provider failed (HTTP 500)"
BROKEN = "The connection to the provider broke"
REPLIES: dict[str, tuple[int, Any, dict[str, str], type[errors.ProviderError], str]] = {
    "wrong key": (
        401,
        {"error": {"message": f"Incorrect API key provided: {KEY}"}},
        {},
        errors.ProviderMisconfigured,
        "The provider refused our credentials (HTTP 401)",
    ),
    "no permission": (403, {}, {}, errors.ProviderMisconfigured, "The provider refused our credentials (HTTP 403)"),
    "no credit": (
        402,
        {"error": {"message": "Insufficient Balance"}},
        {},
        errors.ProviderMisconfigured,
        "Our account with the provider is out of credit or quota (HTTP 402)",
    ),
    "no quota": (
        429,
        {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
        {"retry-after": "1"},
        errors.ProviderMisconfigured,
        "Our account with the provider is out of credit or quota (HTTP 429)",
    ),
    "no such model": (
        404,
        {"error": {"message": "model 'x' not found", "type": "not_found_error"}},
        {},
        errors.ProviderRejected,
        "The provider refused the request (HTTP 404): model 'x' not found",
    ),
    "no such path": (
        404,
        {"detail": "Not Found"},
        {},
        errors.ProviderMisconfigured,
        "The provider's address has no such API (HTTP 404)",
    ),
    "a web server's 404": (
        404,
        "<html>nginx</html>",
        {},
        errors.ProviderMisconfigured,
        "The provider's address has no such API (HTTP 404)",
    ),
    "a redirect": (
        301,
        "",
        {"location": "https://elsewhere.test"},
        errors.ProviderMisconfigured,
        "The provider's address answers as no API does (HTTP 301)",
    ),
    "a refused request": (
        400,
        {"error": {"message": f"Invalid\n'tools'\x00 {KEY}"}},
        {},
        errors.ProviderRejected,
        "The provider refused the request (HTTP 400): Invalid 'tools' [redacted]",
    ),
    "pydantic's refusal, without the input it quotes": (
        422,
        {"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted", "input": "PROMPT"}]},
        {},
        errors.ProviderRejected,
        "The provider refused the request (HTTP 422): body.top_k: Extra inputs are not permitted",
    ),
    "too large": (
        413,
        "too large",
        {},
        errors.InputTooLong,
        "The input is too long for the model (HTTP 413): it gave no reason",
    ),
    "a long message": (
        400,
        {"error": "x" * 9999},
        {},
        errors.ProviderRejected,
        "The provider refused the request (HTTP 400): " + "x" * 499 + "…",
    ),
    "request timeout": (408, "", {}, errors.ProviderUnavailable, "The provider asks to try again (HTTP 408)"),
    "conflict": (409, "", {}, errors.ProviderUnavailable, "The provider asks to try again (HTTP 409)"),
    "crashed": (
        500,
        {"error": {"message": "PROMPT"}},
        {},
        errors.ProviderUnavailable,
        "The provider failed (HTTP 500)",
    ),
    "overloaded": (529, b"\xff\xfe", {}, errors.ProviderUnavailable, "The provider failed (HTTP 529)"),
}


def answering(status: int, body: Any, headers: Mapping[str, str]) -> Answered:
    content = {"content": body} if isinstance(body, str | bytes) else {"json": body}
    return Answered(lambda _: httpx2.Response(status, headers=dict(headers), **content))


@pytest.mark.parametrize(("status", "body", "headers", "kind", "message"), REPLIES.values(), ids=REPLIES)
async def test_a_reply_that_is_no_success_is_an_error(
    status: int, body: Any, headers: dict[str, str], kind: type[errors.ProviderError], message: str
) -> None:
    provider = connect(settings("http://vendor.test/v1"), answering(status, body, headers))
    texts, error = await told(provider, "m")
    assert (texts, type(error), error.message) == ([], kind, message)
    await provider.aclose()


DATES = {"date": "Wed, 21 Oct 2026 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}
WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"retry-after": "20"}, 20.0),
    "part of a second": ({"retry-after": "0.5"}, 0.5),
    "milliseconds": ({"retry-after": "1", "retry-after-ms": "250"}, 0.25),
    "a date": (DATES, 30.0),
    "a date gone by": ({**DATES, "retry-after": "Wed, 21 Oct 2026 07:00:00 GMT"}, 0.0),
    "below zero": ({"retry-after": "-5"}, 0.0),
    "nonsense": ({"retry-after": "soon"}, None),
    "not a number": ({"retry-after": "nan"}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), WAITS.values(), ids=WAITS)
async def test_a_throttled_request_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    provider = connect(settings("http://vendor.test/v1"), answering(429, {}, headers))
    _, error = await told(provider, "m")
    assert isinstance(error, errors.ProviderThrottled)
    assert (error.message, error.retry_after) == ("The provider limits our rate (HTTP 429)", seconds)
    await provider.aclose()


T = ["token0 ", "token1 ", "token2 "]
FAULTS: dict[str, tuple[str, list[str], type[errors.ProviderError], str]] = {
    "throttle": ("throttle;after=7", [], errors.ProviderThrottled, "The provider limits our rate (HTTP 429)"),
    "server error": ("status;code=500", [], errors.ProviderUnavailable, "The provider failed (HTTP 500)"),
    "unknown model": (
        "gpt-none",
        [],
        errors.ProviderRejected,
        "The provider refused the request (HTTP 404): The model `gpt-none` does not exist",
    ),
    "web page": (
        "html",
        [],
        errors.StreamViolation,
        "The provider answered with a web page",
    ),
    "error object in place of a stream": (
        "object",
        [],
        errors.ProviderUnavailable,
        "The provider failed (in its stream)",
    ),
    "throttled in place of a stream": ("object;code=429", [], errors.ProviderThrottled, "The provider limits our rate"),
    "error in the stream": ("error", T, errors.ProviderUnavailable, "The provider failed (in its stream)"),
    "garbage in the stream": ("garbage", T, errors.StreamViolation, "The provider sent an event that is not JSON"),
    "cut before the first byte": (
        "cut;bytes=0",
        [],
        errors.ProviderUnavailable,
        BROKEN,
    ),
    "cut in the first event": ("cut;bytes=99", [], errors.ProviderUnavailable, BROKEN),
    "cut later": ("cut;bytes=700", T[:2], errors.ProviderUnavailable, BROKEN),
    "reset": ("reset", [], errors.ProviderUnavailable, "The provider closed the connection before it answered"),
}


@pytest.mark.parametrize(("model", "texts", "kind", "message"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_upstream_is_an_error(
    provider: HttpDialect, model: str, texts: list[str], kind: type[errors.ProviderError], message: str
) -> None:
    before, error = await told(provider, model)
    assert (before, type(error), error.message) == (texts, kind, message)


@pytest.mark.parametrize("model", [model for model, *_ in FAULTS.values()])
async def test_a_provider_works_again_after_a_fault(provider: HttpDialect, model: str) -> None:
    await told(provider, model)
    assert (await said(provider, "text"))[-1] == d.Finish("stop")


async def test_an_event_that_is_too_long_is_an_error() -> None:
    provider = connect(settings("http://vendor.test/v1"), answering(200, b"data: " + b"x" * MAX_EVENT_BYTES, {}))
    _, error = await told(provider, "m")
    expected = "The provider sent an event longer than 8388608 bytes"
    assert (type(error), error.message) == (errors.StreamViolation, expected)
    await provider.aclose()


async def test_a_refused_connection_is_an_error() -> None:
    async with fake_upstream("chat_completions") as gone:
        pass
    provider = connect(settings(gone.url))
    _, error = await told(provider, "text")
    expected = "The provider could not be reached: the connection was refused"
    assert (type(error), error.message, error.cause) == (errors.ProviderUnavailable, expected, "connection")
    await provider.aclose()


async def test_a_server_without_tls_is_an_error(upstream: FakeUpstream) -> None:
    provider = connect(settings(upstream.url.replace("http:", "https:")))
    _, error = await told(provider, "text")
    expected = "The provider could not be reached: it does not speak TLS there"
    assert (type(error), error.message, error.cause) == (errors.ProviderUnavailable, expected, "tls")
    await provider.aclose()


@pytest.mark.parametrize("reply", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nda"])
async def test_a_server_that_does_not_speak_http_is_an_error(reply: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        provider = connect(settings(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        _, error = await told(provider, "text")
        assert (type(error), error.message) == (errors.ProviderUnavailable, BROKEN)
        await provider.aclose()


async def test_an_answer_that_does_not_begin_is_a_timeout(upstream: FakeUpstream) -> None:
    provider = connect(settings(upstream.url, first_byte_timeout=0.1))
    texts, error = await told(provider, "stall;tokens=-1")
    assert (texts, type(error), error.message) == (
        [],
        errors.ProviderTimeout,
        "The provider did not start to answer in time",
    )
    await provider.aclose()


async def test_an_answer_that_stops_is_a_timeout(upstream: FakeUpstream) -> None:
    provider = connect(settings(upstream.url, idle_timeout=0.6))
    texts, error = await told(provider, "stall")
    assert (texts, type(error), error.message) == (
        T,
        errors.ProviderTimeout,
        "The provider did not go on with its answer in time",
    )
    await provider.aclose()


async def test_a_slow_answer_is_no_timeout_however_long_it_takes(upstream: FakeUpstream) -> None:
    provider = connect(settings(upstream.url, first_byte_timeout=1.5, idle_timeout=1.5))
    deltas = await said(provider, "text;tokens=40;delay_ms=50")
    assert (len([delta for delta in deltas if isinstance(delta, d.Text)]), deltas[-1]) == (40, d.Finish("stop"))
    await provider.aclose()


async def test_a_connection_that_cannot_be_made_in_time_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        provider = connect(settings(url, connect_timeout=0.1))
        _, error = await told(provider, "text")
        assert (type(error), error.message) == (errors.ProviderTimeout, "The provider could not be reached in time")
        await provider.aclose()


async def test_turns_share_a_connection(upstream: FakeUpstream, provider: HttpDialect) -> None:
    for model in ("text", "echo", "text;done=0", "status", "refusal"):
        try:
            await said(provider, model)
        except errors.ProviderUnavailable:
            assert model == "status"
    assert (len(upstream.requests), upstream.connections) == (5, 1)


async def test_a_kept_connection_that_is_dead_is_replaced(upstream: FakeUpstream, provider: HttpDialect) -> None:
    await said(provider, "text")
    deltas = await said(provider, "reset;fails=1")
    assert (deltas[-1], upstream.seen["reset;fails=1"]) == (d.Finish("stop"), 2)


async def test_a_new_connection_that_is_reset_is_not_tried_again(upstream: FakeUpstream, provider: HttpDialect) -> None:
    await told(provider, "reset")
    assert upstream.seen["reset"] == 1


async def test_a_reader_that_goes_away_ends_the_upstream_s_work(upstream: FakeUpstream, provider: HttpDialect) -> None:
    async with aclosing(provider.stream(turn("endless"))) as deltas:
        first = [await anext(deltas) for _ in range(3)]
    assert first == [d.Text("text", "token ")] * 3
    async with asyncio.timeout(10):
        while upstream.writers:
            await asyncio.sleep(0.01)


async def test_a_cancelled_turn_ends_the_upstream_s_work(upstream: FakeUpstream, provider: HttpDialect) -> None:
    task = asyncio.ensure_future(said(provider, "stall"))
    async with asyncio.timeout(10):
        while not upstream.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while upstream.writers:
            await asyncio.sleep(0.01)


async def test_turns_run_side_by_side(upstream: FakeUpstream, provider: HttpDialect) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(said(provider, f"text;say=answer{i};delay_ms=1")) for i in range(8)]
    texts = [[delta.text for delta in task.result() if isinstance(delta, d.Text)] for task in tasks]
    assert texts == [[f"answer{i} "] for i in range(8)]


async def test_the_key_and_the_settings_headers_are_sent_and_nothing_of_the_machine_s() -> None:
    async with fake_upstream("chat_completions", rules=Rules(api_key=KEY)) as upstream:
        provider = connect(settings(upstream.url + "/?api-version=1", headers={"x-title": "t", "accept": "*/*"}))
        assert (await said(provider, "text"))[-1] == d.Finish("stop")
        await provider.aclose()
        headers = upstream.requests[0].headers
        assert {name: headers[name] for name in sorted(set(headers) - {"host", "content-length", "user-agent"})} == {
            "accept": "*/*",
            "accept-encoding": "identity",
            "authorization": f"Bearer {KEY}",
            "connection": "keep-alive",
            "content-type": "application/json",
            "x-title": "t",
        }


async def test_no_error_tells_the_key() -> None:
    async with fake_upstream("chat_completions", rules=Rules(api_key="another")) as upstream:
        provider = connect(settings(upstream.url))
        _, error = await told(provider, "text")
        assert (type(error), error.message) == (
            errors.ProviderMisconfigured,
            "The provider refused our credentials (HTTP 401)",
        )
        assert (KEY in repr(error), error.__cause__, KEY in repr(settings(upstream.url))) == (False, None, False)
        assert KEY not in repr(provider) + repr(provider.errors)
        await provider.aclose()


@pytest.mark.parametrize("key", ["line\nbreak-in-the-key", "käse-statt-schlüssel"])
async def test_a_key_that_no_header_can_hold_is_the_operator_s_error(upstream: FakeUpstream, key: str) -> None:
    try:
        provider = connect(settings(upstream.url, api_key=key))
    except ValueError as error:
        assert key not in str(error)  # noqa: PT017
        return
    _, error = await told(provider, "text")
    assert (type(error), key in error.message) == (errors.ProviderMisconfigured, False)
    await provider.aclose()

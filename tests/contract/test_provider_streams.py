"""What a provider can do to whoever listens: its words are read in time, in bounds, and never raise what isn't ours."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import pytest

from openresponses.aws.functions import LambdaFunctions
from openresponses.core import deltas as d
from openresponses.core.errors import ProviderError, ProviderTimeout, StreamViolation
from openresponses.core.json import DEPTH
from openresponses.dialects._shared.checking import misfit
from openresponses.dialects._shared.errors import MAX_MESSAGE, MAX_WAIT, UpstreamErrors, retry_after
from openresponses.dialects._shared.events import Decoder, decoded, objects_of
from openresponses.dialects._shared.http_dialect import HttpDialect, WireTurn
from openresponses.dialects._shared.json import MAX_COUNT, count, loads
from openresponses.dialects.anthropic.stream import AnthropicDecoder
from openresponses.dialects.bedrock.stream import BedrockDecoder, events_of
from openresponses.dialects.chat_completions import connect
from openresponses.dialects.chat_completions.stream import ChatDecoder
from openresponses.dialects.gemini.stream import GeminiDecoder
from openresponses.dialects.openai_responses.stream import ResponsesDecoder
from openresponses.schema.base import JsonObject
from openresponses.transport.errors import EventTooLong, TimedOut, TooLong
from openresponses.transport.http import MAX_STREAM_BYTES, MAX_WHOLE_BYTES, PIECE, Reply
from openresponses.transport.links import Request
from openresponses.transport.sse import MAX_EVENT_BYTES, SseParser
from tests.contract.test_http_transport import said, settings, turn
from tests.recordings.mutations import Event, frame_of

Json = dict[str, Any]
FAULTS = (TypeError, KeyError, ValueError, AttributeError, RecursionError, OverflowError, IndexError, MemoryError)


class Broken(Decoder):
    def __init__(self, fault: Exception, *, at_the_end: bool) -> None:
        self._fault, self._at_the_end = fault, at_the_end

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        yield d.Text("t", "Hi")
        if not self._at_the_end:
            raise self._fault

    def end(self) -> Iterator[d.Delta]:
        raise self._fault


class Slow:
    """A reply whose next bytes come after `seconds`, forever."""

    def __init__(self, seconds: float, chunk: bytes) -> None:
        self.status, self.headers = 200, dict[str, str]()
        self._seconds, self.chunk = seconds, chunk

    async def send(self, request: Request, until: float) -> Slow:
        return self

    async def read(self, until: float) -> bytes:
        async with asyncio.timeout_at(until):
            await asyncio.sleep(self._seconds)
        return self.chunk

    def done(self) -> None: ...

    def close(self) -> None: ...


async def replay(events: Iterable[Any]) -> AsyncIterator[Any]:
    for event in events:
        yield event


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("fault", [fault("SECRET words") for fault in FAULTS], ids=lambda fault: type(fault).__name__)
async def test_whatever_a_decoder_raises_is_the_provider_s_fault_and_logged_by_its_place(
    fault: Exception, at_the_end: bool, caplog: pytest.LogCaptureFixture
) -> None:
    deltas = decoded(replay([{"a": 1}]), Broken(fault, at_the_end=at_the_end), UpstreamErrors())
    assert await anext(deltas) == d.Text("t", "Hi")
    with pytest.raises(StreamViolation, match="The provider sent something that could not be read") as raised:
        await anext(deltas)
    assert raised.value.__suppress_context__
    [logged] = caplog.messages
    assert type(fault).__name__ in logged
    assert "test_provider_streams.py" in logged
    assert "SECRET" not in logged


async def test_a_fault_of_ours_in_what_is_sent_is_not_the_provider_s() -> None:
    def wire(_: Any) -> WireTurn:
        raise TypeError("a bug")

    dialect = HttpDialect(settings=settings("https://a.test"), errors=UpstreamErrors(), wire=wire, headers={})
    with pytest.raises(TypeError, match="a bug"):
        await said(dialect, "m")


SHAPES: dict[str, Callable[[int], bytes]] = {
    "a line": lambda n: b"data: x" if n == 0 else b"x" * 50,
    "lines of data": lambda _: b"data: xxxxxxxx\n",
    "empty lines of data": lambda _: b"data:\n",
    "a line's name alone": lambda _: b"data\n",
    "errors": lambda _: b"error\n",
    "a name": lambda n: b"event: " if n == 0 else b"x" * 50,
    "an id": lambda n: b"id: " if n == 0 else b"x" * 50,
    "a comment": lambda n: b": " if n == 0 else b"x" * 50,
    "a field without a name": lambda _: b"x" * 50,
    "data between comments": lambda _: b": hi\r\ndata: x\r\n",
    "ends of lines cut in two": lambda n: b"data:x\r" if n % 2 else b"\ndata:y\r",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_event_without_end_is_cut_in_every_shape(shape: Callable[[int], bytes]) -> None:
    limit, sent = 10_000, list[bytes]()
    parser = SseParser(max_event_bytes=limit)

    def send(n: int) -> None:
        sent.append(shape(n))
        parser.feed(sent[-1])

    with pytest.raises(EventTooLong):
        deque(map(send, range(limit)))
    assert sum(map(len, sent)) < 3 * limit


@pytest.mark.parametrize("line", [b": hi\n", b"\n", b"\r", b"\r\n", b"event: x\n", b"id: 1\n\n", b"retry: 1\n"])
def test_lines_that_say_nothing_are_not_kept(line: bytes) -> None:
    parser = SseParser(max_event_bytes=100)
    assert not [event for _ in range(1000) for event in parser.feed(line)]
    assert parser.feed(b"\n\ndata: x\n\n")


async def test_a_frame_of_a_binary_stream_is_cut_by_its_length_and_refused_by_its_checksum() -> None:
    frame = frame_of(Event("messageStart", {"role": "assistant"}))
    events = [event async for event in events_of(replay([frame[:3], frame[3:14], frame[14:] + frame]))]
    assert events == [{"messageStart": {"role": "assistant"}}] * 2
    long = frame_of(Event("x", {"a": "y" * MAX_EVENT_BYTES}))
    with pytest.raises(EventTooLong):
        [event async for event in events_of(replay([long[:16]]))]
    for wrong in (b"\0" * 16, frame[:8] + b"wrong" + frame[13:], frame[:-1] + b"x", b"\xff" * 16):
        with pytest.raises(StreamViolation):
            [event async for event in events_of(replay([wrong]))]


async def test_a_reply_is_cut_however_it_goes_on() -> None:
    now = asyncio.get_running_loop().time()
    lengths = list[int]()

    async def read_all(chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            lengths.append(len(chunk))

    for read, limit in ((Reply.whole, MAX_WHOLE_BYTES), (Reply.stream, MAX_STREAM_BYTES)):
        lengths.clear()
        with pytest.raises(TooLong):
            await read_all(read(Reply(Slow(0, b"x" * 2 * 1024 * 1024), now + 60, 60, 60)))
        assert sum(lengths) == limit
    assert max(lengths) <= PIECE


async def test_comments_alone_hold_off_the_idle_timeout_for_no_longer_than_the_first_event_may_take() -> None:
    """OpenRouter sends comments while it waits for a model (https://openrouter.ai/docs/api-reference/streaming)."""
    comments = (b": OPENROUTER PROCESSING\n\n", b":", b"\n", b"\r\n", b"id: 1\n", b"event: ping\n\n")
    providers = [connect_to(Slow(0.02, comment), first_byte_timeout=2.0, idle_timeout=0.8) for comment in comments]
    failures = await asyncio.gather(*(said(each, "m") for each in providers), return_exceptions=True)
    assert {type(each) for each in failures} == {ProviderTimeout}
    assert {str(each) for each in failures} == {"The provider did not start to answer in time"}


async def test_comments_after_an_answer_began_hold_it_off_as_long_as_that() -> None:
    slow = Slow(0.02, b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\n')
    deltas = connect_to(slow, first_byte_timeout=1.2, idle_timeout=0.5).stream(turn("m"))
    assert await anext(deltas) == d.Text("text", "Hi")
    slow.chunk, began = b": OPENROUTER PROCESSING\n\n", time.monotonic()
    with pytest.raises(ProviderTimeout, match="did not go on with its answer in time"):
        await anext(deltas)
    assert time.monotonic() - began >= 0.8


async def test_events_hold_it_off_though_they_say_nothing() -> None:
    """Anthropic's `ping` is an event ("Streaming messages": "there may be any number of ping events")."""
    reply = Reply(Slow(0.04, b'data: {"type": "ping"}\n\n'), asyncio.get_running_loop().time() + 0.6, 0.6, 0.6)
    pings = 0
    async with aclosing(reply.stream()) as chunks, aclosing(objects_of(chunks)) as events:
        async for _ in events:
            reply.heard()
            pings += 1
            if pings == 20:
                break
    assert pings == 20


async def test_a_silent_reply_is_idle() -> None:
    reply = Reply(Slow(0.2, b"data: 1\n\n"), asyncio.get_running_loop().time() + 5, 5, 0.1)
    with pytest.raises(TimedOut) as raised:
        [chunk async for chunk in reply.stream()]
    assert raised.value.phase == "idle"


def connect_to(network: Slow, **limits: float) -> HttpDialect:
    return connect(settings("https://a.test/v1", **limits), network)


DEEP = '{"message":' * 900 + "1" + "}" * 900
HOSTILE: dict[str, str] = {
    "deep": f'{{"error": {DEEP}}}',
    "lists in lists": f'{{"error": {"[" * 900}{"]" * 900}}}',
    "a number that Python does not read": '{"error": {"code": "%s", "message": "x"}}' % ("9" * 5000),
    "a number that Python does not write": '{"error": {"code": 1e999, "status": %s}}' % ("9" * 4000),
    "control characters": json.dumps({"error": {"message": "\0\x1b[31m\r\n\x7f" * 500, "code": 400}}),
    "a long message": json.dumps({"error": {"message": "x" * 60_000, "code": "invalid_request"}}),
    "half of a pair": '{"error": {"message": "\\ud83d", "code": 400}}',
    "other types": '{"error": {"message": [{"msg": "a", "loc": [{}, [], null]}], "code": [400], "details": [{}, 1]}}',
    "truth": '{"error": true}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_an_error_s_words_are_bounded_whatever_they_are(body: str, status: int) -> None:
    errors = UpstreamErrors()
    found = errors.of_body(body.encode()) if status == 200 else errors.of_reply(status, body.encode(), {})
    assert isinstance(found, ProviderError)
    assert len(found.message.encode()) < MAX_MESSAGE + 100
    assert not [character for character in found.message if character < " " or character == "\x7f"]


WAITS: dict[str, float | None] = {
    "1e308": MAX_WAIT,
    "1e999": None,
    "nan": None,
    "-1": 0.0,
    "9" * 5000: None,
    "99999999": MAX_WAIT,
    "Fri, 31 Dec 9999 23:59:59 GMT": MAX_WAIT,
    "Fri, 31 Dec 9999 23:59:59 -9999999999999999": None,
    "Fri, 31 Dec 99999 23:59:59 GMT": None,
    "soon": None,
}


@pytest.mark.parametrize("said", WAITS)
def test_a_wait_is_a_day_at_most(said: str) -> None:
    assert retry_after({"retry-after": said}) == WAITS[said]
    assert (retry_after({"retry-after-ms": said}) or 0.0) <= MAX_WAIT


def test_numbers_that_json_lacks_are_nothing_and_counts_have_an_end() -> None:
    assert loads('{"a": NaN, "b": [Infinity, -Infinity]}') == {"a": None, "b": [None, None]}
    numbers: list[tuple[Any, int]] = [(-1, 0), (float("nan"), 0), (float("inf"), MAX_COUNT), (10**400, MAX_COUNT)]
    assert [(number, count(number)) for number, _ in numbers] == numbers
    assert [count(each) for each in ("7", None, [], {}, 2.9)] == [0, 0, 0, 0, 2]


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"a":'])
def test_what_is_nested_too_deeply_is_not_read(opened: str) -> None:
    def nested(depth: int) -> str:
        begun = (opened * depth)[: len(opened) * depth]
        closed = "".join({"[": "]", "{": "}"}[each] for each in reversed(begun) if each in "[{")
        return f"{begun}1{closed}"

    levels = len(opened.replace('"a":', ""))
    assert loads(nested(DEPTH // levels))
    for depth in (DEPTH // levels + 10, 500, 100_000):
        with pytest.raises(ValueError, match="nested"):
            loads(nested(depth))


def test_an_answer_is_held_to_a_schema_that_multiplies_for_so_long_only() -> None:
    schema: Json = {"anyOf": [{"type": "array", "items": {"$ref": "#"}}] * 2}
    value: Any = 1
    for _ in range(60):
        value = [value]
    began = time.process_time()
    assert misfit(value, schema, schema) == ""
    assert time.process_time() - began < 5


class Answer:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def client(self, _: str) -> Answer:
        return self

    def invoke(self, **_: Any) -> Json:
        return {"Payload": self, "FunctionError": "Unhandled"} if b"errorType" in self._body else {"Payload": self}

    def read(self) -> bytes:
        return self._body

    async def run(self, function: Callable[[], Any]) -> Any:
        return function()


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b"[" * 100_000, True),
        (b"[" * 900 + b"]" * 900, False),
        (b"9" * 5000, True),
        (b"\xff", True),
        (b"NaN", False),
        (b"", False),
        (b'"\\ud83d"', False),
        (b'{"errorType": [[]], "errorMessage": {"a": 1}}', True),
    ],
)
async def test_a_lambda_tool_s_answer_is_words_for_the_model_whatever_it_is(body: bytes, failed: bool) -> None:
    functions = LambdaFunctions("eu-central-1")
    functions._aws.close()
    functions._aws = Answer(body)  # type: ignore[assignment]
    assert (await functions.invoke("f", {})).failed == failed


def choice(**delta: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta}]}


def detail(words: str) -> Json:
    return choice(reasoning=words, reasoning_details=[{"type": "reasoning.text", "text": words, "index": 0}])


def web(n: int) -> Json:
    return {"type": "url_citation", "url_citation": {"url": f"https://a.test/{n}", "title": "A"}}


def call(words: str, **more: Any) -> Json:
    return choice(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": words}, **more}])


def responses(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", "output_index": 0, **fields}


def message(n: int) -> Json:
    return responses("output_item.added", output_index=n, item={"type": "message", "id": f"m{n}"})


def anthropic(kind: str, **fields: Any) -> Json:
    return {"type": f"content_block_{kind}", "index": 0, **fields}


GROUNDED = {"groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}], "groundingSupports": []}
W = "é" * 40
GROWTH: dict[str, tuple[Callable[[], Decoder], Callable[[int], list[Json]]]] = {
    "Chat Completions, details of reasoning": (ChatDecoder, lambda n: [detail(W)] * n),
    "Chat Completions, citations": (
        ChatDecoder,
        lambda n: [choice(content="a", annotations=[web(i)]) for i in range(n)],
    ),
    "Chat Completions, a call that repeats its name": (ChatDecoder, lambda n: [call('{"a": "'), *[call(W)] * n]),
    "Chat Completions, space": (lambda: ChatDecoder(think_tags=True), lambda n: [choice(content=" " * 40)] * n),
    "Anthropic, an unknown block": (
        AnthropicDecoder,
        lambda n: [anthropic("start", content_block={"type": "x", "a": ""}), *[anthropic("delta", delta={"a": W})] * n],
    ),
    "Bedrock, a signature": (
        BedrockDecoder,
        lambda n: [{"contentBlockDelta": {"delta": {"reasoningContent": {"signature": W}}}}] * n,
    ),
    "Bedrock, a result of a tool of its own": (
        BedrockDecoder,
        lambda n: [
            {"contentBlockStart": {"start": {"toolResult": {"toolUseId": "1"}}}},
            *[{"contentBlockDelta": {"delta": {"toolResult": [{"text": W}]}}}] * n,
        ],
    ),
    "Gemini, text": (GeminiDecoder, lambda n: [{"candidates": [{"content": {"parts": [{"text": W}]}}]}] * n),
    "Gemini, citations": (
        GeminiDecoder,
        lambda n: [
            *[{"candidates": [{"content": {"parts": [{"text": W}]}}]}] * n,
            {
                "candidates": [
                    {
                        "finishReason": "STOP",
                        "groundingMetadata": GROUNDED
                        | {
                            "groundingSupports": [
                                {"groundingChunkIndices": [0], "segment": {"endIndex": i}} for i in range(n)
                            ]
                        },
                    }
                ]
            },
        ],
    ),
    "Responses, done again and again": (
        ResponsesDecoder,
        lambda n: [
            message(0),
            *[responses("output_text.delta", delta=W), responses("output_text.done", text="")] * n,
        ],
    ),
    "Responses, annotations": (
        ResponsesDecoder,
        lambda n: [
            message(0),
            responses("output_text.delta", delta=W),
            *[responses("output_text.annotation.added", annotation=web(i) | {"url": str(i)}) for i in range(n)],
        ],
    ),
    "Responses, a message that says what the one before it said": (
        ResponsesDecoder,
        lambda n: [
            message(0),
            *[responses("output_text.delta", delta=W)] * n,
            message(1),
            *[responses("output_text.delta", delta=W, output_index=1)] * n,
        ],
    ),
}
SMALL, TIMES = 1_000, 8


@pytest.mark.parametrize(("decoder", "events"), GROWTH.values(), ids=GROWTH)
def test_eight_times_the_events_take_eight_times_as_long_to_decode(
    decoder: Callable[[], Decoder], events: Callable[[int], list[Json]]
) -> None:
    def seconds(n: int) -> float:
        reading, sent = decoder(), events(n)
        gc.collect()
        gc.disable()  # a collection costs what the whole test run has allocated
        try:
            began = time.thread_time()
            for event in sent:
                deque(reading.feed(event), maxlen=0)
            with suppress(ProviderError):
                deque(reading.end(), maxlen=0)
            return time.thread_time() - began
        finally:
            gc.enable()

    few, many = (min(seconds(n) for _ in range(3)) for n in (SMALL, SMALL * TIMES))
    assert many < 3 * TIMES * few, "it grows with the square"

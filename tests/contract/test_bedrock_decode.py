"""Bedrock's streams, from their bytes on: whatever comes, it is deltas that the assembler takes, or an error."""

import base64
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.run import OfferedTool
from openresponses.dialects._shared.events import decoded as decode
from openresponses.dialects._shared.naming import Naming
from openresponses.dialects.bedrock import errors as bedrock
from openresponses.dialects.bedrock.stream import BedrockDecoder, Reading, events_of, events_of_whole
from openresponses.schema.content import FileCitation, UrlCitation
from openresponses.schema.items import ExtensionItem
from openresponses.schema.response import InputTokensDetails, Usage
from tests.contract.fuzz import check_deltas, junk, shape
from tests.fakes import bedrock_frames as frames
from tests.fakes.bedrock_shapes import operation

TOOLS = {name: OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ("f", "a.b")}
MESSAGE = {"messageStart": {"role": "assistant"}}
STOP = {"messageStop": {"stopReason": "end_turn"}}
END = [d.Finish("stop")]
ERRORS = replace(bedrock.ERRORS, secrets=("s3cret",))


async def decoded(*events: Any, reading: Reading | None = None) -> list[d.Delta]:
    async def replay() -> AsyncIterator[Any]:
        for event in events:
            yield event

    return [delta async for delta in decode(replay(), BedrockDecoder(reading), ERRORS)]


def delta(index: int, **fields: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": fields, "p": "abc"}}


def start(index: int, name: str, call_id: str = "c1", **more: Any) -> dict[str, Any]:
    call = {"toolUse": {"toolUseId": call_id, "name": name, **more}}
    return {"contentBlockStart": {"contentBlockIndex": index, "start": call}}


def stop(index: int) -> dict[str, Any]:
    return {"contentBlockStop": {"contentBlockIndex": index}}


def thought(index: int, **fields: Any) -> dict[str, Any]:
    return delta(index, reasoningContent=fields)


def stopped(reason: str) -> dict[str, Any]:
    return {"messageStop": {"stopReason": reason}}


def state(**block: Any) -> str:
    return json.dumps(block, separators=(",", ":"))


async def test_text_blocks_that_follow_one_another_are_one_message() -> None:
    events = [{"messageStart": {"role": "assistant"}}, delta(0, text=""), delta(0, text="Hel"), stop(0)]
    assert await decoded(*events, delta(1, text="lo"), stop(1), STOP) == [
        d.Text("text", "Hel"),
        d.Text("text", "lo"),
        *END,
    ]


async def test_reasoning_keeps_what_must_go_back_to_the_letter() -> None:
    signed = [thought(0, text="Hm"), thought(0, text=", so"), thought(0, signature="ab"), thought(0, signature="cd")]
    kept = state(reasoningText={"text": "Hm, so", "signature": "abcd"})
    assert await decoded(*signed, stop(0), STOP) == [
        d.Reasoning("reasoning_0", "Hm"),
        d.Reasoning("reasoning_0", ", so"),
        d.Opaque("reasoning_0", kept),
        *END,
    ]


async def test_reasoning_that_is_a_summary_is_told_as_one() -> None:
    summarised = await decoded(thought(0, text="Hm"), stop(0), STOP, reading=Reading(summarised=True))
    assert summarised == [d.Reasoning("reasoning_0", "Hm", 0), *END]


async def test_reasoning_whose_text_is_left_out_still_goes_back() -> None:
    kept = state(reasoningText={"text": "", "signature": "ab"})
    assert await decoded(thought(0, signature="ab"), stop(0), STOP) == [
        d.Opaque("reasoning_0", kept),
        *END,
    ]


async def test_reasoning_without_a_signature_is_kept_for_models_that_take_it_so() -> None:
    events = [thought(0, text="Hm"), stop(0), STOP]
    assert await decoded(*events) == [d.Reasoning("reasoning_0", "Hm"), *END]
    kept = d.Opaque("reasoning_0", state(reasoningText={"text": "Hm"}))
    assert await decoded(*events, reading=Reading(plain_reasoning=True)) == [
        d.Reasoning("reasoning_0", "Hm"),
        kept,
        *END,
    ]


async def test_encrypted_reasoning_is_one_piece_however_it_comes() -> None:
    pieces = [base64.b64encode(each).decode() for each in (b"a", b"bc")]
    events = [*(thought(0, redactedContent=each) for each in pieces), stop(0), STOP]
    kept = state(redactedContent=base64.b64encode(b"abc").decode())
    assert await decoded(*events) == [d.Opaque("reasoning_0", kept), *END]
    with pytest.raises(errors.StreamViolation):
        await decoded(thought(0, redactedContent="?"), stop(0), STOP)


async def test_calls_come_in_pieces_one_after_the_other() -> None:
    events = [
        start(0, Naming(64).wire("a.b"), "t1"),
        delta(0, toolUse={"input": ""}),
        delta(0, toolUse={"input": '{"x":'}),
        delta(0, toolUse={"input": "1}"}),
        stop(0),
        start(1, "made up!", "x" * 257),
        delta(1, toolUse={"input": {"y": 2}}),
        stop(1),
        stopped("tool_use"),
    ]
    assert await decoded(*events, reading=Reading(Naming(64, ["a.b"]))) == [
        d.ToolCall("call_0", call_id="t1", name="a.b"),
        d.ToolCall("call_0", '{"x":'),
        d.ToolCall("call_0", "1}"),
        d.End("call_0"),
        d.ToolCall("call_1", name="made_up_"),
        d.ToolCall("call_1", '{"y":2}'),
        *END,
    ]


async def test_the_second_call_with_an_id_has_none() -> None:
    events = [start(0, "f", "t1"), stop(0), start(1, "f", "t1"), stop(1), stopped("tool_use")]
    assert await decoded(*events, reading=Reading(Naming(64, ["f"]))) == [
        d.ToolCall("call_0", call_id="t1", name="f"),
        d.End("call_0"),
        d.ToolCall("call_1", name="f"),
        *END,
    ]


async def test_the_arguments_of_the_tool_to_answer_with_are_the_answer() -> None:
    events = [delta(0, text="Well."), stop(0), start(1, "answer"), delta(1, toolUse={"input": '{"n":1}'}), stop(1)]
    assert await decoded(*events, stopped("tool_use"), reading=Reading(answer="answer")) == [
        d.Text("text", "Well."),
        d.Text("answer_1", '{"n":1}'),
        *END,
    ]


async def test_what_the_provider_s_own_tools_do_are_items() -> None:
    own = start(0, "nova_code_interpreter", type="server_tool_use")
    begun = {"toolResult": {"toolUseId": "c1", "status": "success"}}
    result = {"contentBlockStart": {"contentBlockIndex": 1, "start": begun}}
    events = [own, delta(0, toolUse={"input": "{}"}), stop(0), result, delta(1, toolResult=[{"json": {}}]), stop(1)]
    call = {"toolUseId": "c1", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {}}
    found = {"toolUseId": "c1", "status": "success", "content": [{"json": {}}]}
    assert await decoded(*events, delta(2, text="7"), stop(2), STOP) == [
        d.Whole(ExtensionItem.model_validate({"type": "bedrock:toolUse", "block": call})),
        d.Whole(ExtensionItem.model_validate({"type": "bedrock:toolResult", "block": found})),
        d.Text("text", "7"),
        *END,
    ]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([MESSAGE, start(0, "f"), delta(0, toolUse={"input": '{"x'}), MESSAGE, delta(1, text="A")], "another answer"),
        ([start(0, "f"), start(0, "f")], "began a block"),
        ([delta(0, text="A"), stop(0), delta(0, text="A")], "had ended"),
    ],
)
async def test_an_answer_that_begins_twice_is_none(events: list[Any], why: str) -> None:
    with pytest.raises(errors.StreamViolation, match=why):
        await decoded(*events, STOP)
    assert await decoded(MESSAGE, MESSAGE, delta(0, text="A"), STOP) == [d.Text("text", "A"), *END]


@pytest.mark.parametrize(
    "events",
    [
        [delta(0, toolUse={"input": "{}"})],
        [start(0, "")],
        [start(0, "f"), stop(0), delta(0, toolUse={"input": "{}"})],
    ],
)
async def test_a_call_that_was_not_begun_breaks_the_turn(events: list[Any]) -> None:
    with pytest.raises(errors.StreamViolation):
        await decoded(*events, STOP)


async def test_an_answer_that_comes_at_once_is_read_as_a_stream_is() -> None:
    """As Converse gives it to models that take no tools in a stream."""
    calls = [{"toolUse": {"toolUseId": f"t{i}", "name": "f", "input": {"x": i}}} for i in range(2)]
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "ab"}}}
    message = {"role": "assistant", "content": [thought, {"text": "Well."}, *calls]}
    used = {"inputTokens": 2, "outputTokens": 3, "totalTokens": 5}
    answer = json.dumps({"output": {"message": message}, "stopReason": "tool_use", "usage": used, "metrics": {}})

    async def chunks() -> AsyncIterator[bytes]:
        yield answer[:9].encode()
        yield answer[9:].encode()

    decoder = BedrockDecoder(Reading(Naming(64, ["f"])))
    assert [delta async for delta in decode(events_of_whole(chunks()), decoder, ERRORS)] == [
        d.Reasoning("reasoning_0", "Hm"),
        d.Opaque("reasoning_0", state(reasoningText={"text": "Hm", "signature": "ab"})),
        d.Text("text", "Well."),
        d.ToolCall("call_2", call_id="t0", name="f"),
        d.ToolCall("call_2", '{"x":0}'),
        d.End("call_2"),
        d.ToolCall("call_3", call_id="t1", name="f"),
        d.ToolCall("call_3", '{"x":1}'),
        d.Usage(Usage(input_tokens=2, output_tokens=3, total_tokens=5)),
        *END,
    ]


async def test_an_image_is_not_lost_in_silence() -> None:
    for event in (
        delta(0, image={"source": {"bytes": "AA=="}}),
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}},
    ):
        with pytest.raises(errors.StreamViolation, match="image"):
            await decoded(event, STOP)


async def test_events_and_blocks_that_are_unknown_are_passed_over() -> None:
    assert await decoded({"messageStart": None}, {"newEvent": {"a": 1}}, delta(0, new={"a": 1}), stop(7), STOP) == END


def cited(index: int, **citation: Any) -> dict[str, Any]:
    return delta(index, citation=citation)


async def test_citations_of_addresses_mark_the_passage_that_comes_after_them() -> None:
    events = [
        delta(0, text="It is "),
        stop(0),
        cited(1, title="A", location={"web": {"url": "https://a.example", "domain": "a.example"}}),
        cited(1, title="B", source="https://b.example", location={"searchResultLocation": {"start": 0, "end": 1}}),
        cited(1, title="C", location={"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}),
        delta(1, text="no"),
        delta(1, text="on"),
        stop(1),
        STOP,
    ]
    at = {"start_index": 6, "end_index": 10}
    assert await decoded(*events) == [
        d.Text("text", "It is "),
        d.Text("text", "no"),
        d.Text("text", "on"),
        d.Annotation("text", UrlCitation(url="https://a.example", title="A", **at)),
        d.Annotation("text", UrlCitation(url="https://b.example", title="B", **at)),
        d.Annotation("text", FileCitation(file_id="", filename="C", index=10)),
        *END,
    ]
    alone = cited(0, location={"web": {"url": "https://a.example"}})
    none = UrlCitation(url="https://a.example", title="", start_index=0, end_index=0)
    assert await decoded(alone, stop(0), STOP) == [d.Annotation("text", none), *END]


async def test_reasoning_between_tags_is_told_apart_from_the_text() -> None:
    events = [delta(0, text=" <think> Hm"), delta(0, text=" </thi"), delta(0, text="nk> Yes"), stop(0), start(1, "f")]
    assert await decoded(*events, stop(1), STOP, reading=Reading(Naming(64, ["f"]), think_tags=True)) == [
        d.Reasoning("think", " Hm"),
        d.Reasoning("think", " "),
        d.Text("text", "Yes"),
        d.ToolCall("call_1", call_id="c1", name="f"),
        *END,
    ]


FINISHES: dict[str, d.FinishReason] = {
    "end_turn": "stop",
    "tool_use": "stop",
    "stop_sequence": "stop",
    "something_new": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
}
GIVEN_UP = ["malformed_model_output", "malformed_tool_use"]


@pytest.mark.parametrize(("reason", "finish"), FINISHES.items())
async def test_stop_reasons(reason: str, finish: d.FinishReason) -> None:
    assert await decoded(delta(0, text="a"), stopped(reason)) == [d.Text("text", "a"), d.Finish(finish)]


@pytest.mark.parametrize("reason", GIVEN_UP)
async def test_a_model_that_gave_up_is_a_failure(reason: str) -> None:
    with pytest.raises(errors.ProviderUnavailable, match="gave up"):
        await decoded(delta(0, text="a"), stopped(reason))


def test_every_stop_reason_that_botocore_knows_is_one_of_these() -> None:
    known: Any = operation().service_model.shape_for("StopReason")
    assert set(known.enum) <= {*FINISHES, *GIVEN_UP}


async def test_a_stream_without_a_stop_reason_is_a_dead_turn() -> None:
    with pytest.raises(errors.ProviderUnavailable, match="ended before its turn did"):
        await decoded(delta(0, text="a"), stop(0), {"metadata": {}})


async def test_usage_comes_after_the_stop_reason_and_counts_what_the_cache_had() -> None:
    used = {"inputTokens": 2, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 1222, "outputTokens": 5}
    events = [delta(0, text="a"), STOP, {"metadata": {"usage": {**used, "totalTokens": 1329}}}, delta(0, text="more")]
    usage = Usage(
        input_tokens=1324,
        input_tokens_details=InputTokensDetails(cached_tokens=100, cache_write_tokens=1222),
        output_tokens=5,
        total_tokens=1329,
    )
    assert await decoded(*events) == [d.Text("text", "a"), d.Usage(usage), *END]


EXCEPTIONS: list[tuple[str, dict[str, Any], type[errors.ProviderError], str]] = [
    ("internalServerException", {}, errors.ProviderUnavailable, "The provider failed"),
    ("serviceUnavailableException", {}, errors.ProviderUnavailable, "The provider is not available"),
    ("modelStreamErrorException", {"originalStatusCode": 500}, errors.ProviderUnavailable, "The model's stream failed"),
    ("modelTimeoutException", {}, errors.ProviderTimeout, "The model did not answer in time"),
    ("throttlingException", {}, errors.ProviderThrottled, "The provider limits our rate"),
    (
        "validationException",
        {"message": "Bad\n s3cret"},
        errors.ProviderRejected,
        "The provider refused the request (in its stream): Bad [redacted]",
    ),
    ("newException", {"message": "s3cret"}, errors.ProviderUnavailable, "The provider failed (in its stream)"),
    ("error", {"code": "x", "message": "s3cret"}, errors.ProviderUnavailable, "The provider failed (in its stream)"),
]


@pytest.mark.parametrize(("name", "value", "kind", "message"), EXCEPTIONS)
async def test_errors_in_the_stream(
    name: str, value: dict[str, Any], kind: type[errors.ProviderError], message: str
) -> None:
    with pytest.raises(errors.ProviderError) as raised:
        await decoded(delta(0, text="a"), {name: value})
    assert (type(raised.value), raised.value.message) == (kind, message)


def named(name: str) -> dict[str, str]:
    return {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}


REPLIES: list[tuple[int, str, type[errors.ProviderError], str]] = [
    (400, "ValidationException", errors.ProviderRejected, "The provider refused the request (HTTP 400): why"),
    (404, "ResourceNotFoundException", errors.ProviderRejected, "The provider refused the request (HTTP 404): why"),
    (403, "AccessDeniedException", errors.ProviderMisconfigured, "The provider refused our credentials, or they may"),
    (403, "ExpiredTokenException", errors.ProviderMisconfigured, "The provider refused our credentials, or they may"),
    (400, "IncompleteSignatureException", errors.ProviderMisconfigured, "The provider refused our credentials"),
    (403, "", errors.ProviderMisconfigured, "The provider refused our credentials (HTTP 403)"),
    (400, "ServiceQuotaExceededException", errors.ProviderMisconfigured, "Our account with the provider is out of"),
    (408, "ModelTimeoutException", errors.ProviderTimeout, "The model did not answer in time"),
    (424, "ModelErrorException", errors.ProviderUnavailable, "The model failed"),
    (429, "ThrottlingException", errors.ProviderThrottled, "The provider limits our rate"),
    (429, "ModelNotReadyException", errors.ProviderUnavailable, "The model is not ready yet"),
    (500, "InternalServerException", errors.ProviderUnavailable, "The provider failed"),
    (503, "ServiceUnavailableException", errors.ProviderUnavailable, "The provider is not available"),
    (502, "", errors.ProviderUnavailable, "The provider failed (HTTP 502)"),
]


@pytest.mark.parametrize(("status", "name", "kind", "message"), REPLIES)
def test_errors_in_place_of_a_stream(status: int, name: str, kind: type[errors.ProviderError], message: str) -> None:
    error = ERRORS.of_reply(status, b'{"message": "why"}', named(name) if name else {})
    assert type(error) is kind
    assert error.message.startswith(message)


def test_an_error_may_be_named_in_its_body_and_say_when_to_come_back() -> None:
    body = b'{"__type": "com.amazon.coral.service#ThrottlingException", "message": "x"}'
    error = ERRORS.of_reply(400, body, {"retry-after": "7"})
    assert isinstance(error, errors.ProviderThrottled)
    assert error.retry_after == 7


STREAM = [
    frames.event("messageStart", {"role": "assistant"}),
    frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "caf\u00e9"}}),
    frames.exception("throttlingException", {"message": "slow down"}),
    frames.error("InternalError", "An internal server error occurred"),
    frames.frame({":message-type": "event", ":event-type": "empty"}, b""),
]
EVENTS: list[Any] = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "caf\u00e9"}}},
    {"throttlingException": {"message": "slow down"}},
    {"error": {"code": "InternalError", "message": "An internal server error occurred"}},
    {"empty": {}},
]


async def read(pieces: Iterable[bytes]) -> list[Any]:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [event async for event in events_of(chunks())]


async def test_frames_are_read_however_they_are_cut() -> None:
    whole = b"".join(STREAM)
    assert await read([whole]) == EVENTS
    assert await read(bytes([byte]) for byte in whole) == EVENTS
    for cut in range(0, len(whole), 7):
        assert await read([whole[:cut], whole[cut:]]) == EVENTS
        assert await read([whole[:cut]]) == EVENTS[: len(await read([whole[:cut]]))]


@pytest.mark.parametrize("at", range(0, len(STREAM[1]), 3))
async def test_a_byte_that_is_wrong_breaks_the_stream(at: int) -> None:
    """In the prelude, a header, the payload or a checksum. A length that grew may also just wait for more."""
    broken = bytearray(STREAM[1])
    broken[at] ^= 0x10
    with pytest.raises(errors.StreamViolation, match="not its event stream"):
        await read([STREAM[0], bytes(broken), *STREAM])


GARBAGE = [
    frames.frame({":message-type": "event", ":event-type": "x"}, b"{not json"),
    b"data: {}\n\n" * 9,
    b"\x00" * 64,
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_what_comes_before_garbage_is_read_though_it_came_with_it(garbage: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield STREAM[0] + STREAM[1] + garbage

    events = events_of(chunks())
    assert [list(await anext(events)) for _ in range(2)] == [["messageStart"], ["contentBlockDelta"]]
    with pytest.raises(errors.StreamViolation):
        await anext(events)


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_breaks_the_stream(garbage: bytes) -> None:
    with pytest.raises(errors.StreamViolation):
        await read([STREAM[0], garbage])


words = st.sampled_from(["", "a", "<think>", "</think>", "{", "}", "\u00e9"])
index = st.integers(0, 2)
a_call = shape(name=st.sampled_from(["", "f", "a_b", "made up", "answer"]), toolUseId=words, type=words)
some_reasoning = shape(text=words, signature=words, redactedContent=st.sampled_from(["", "AAEC", "?"]))
a_citation = shape(title=words, source=words, location=shape(web=shape(url=st.just("https://a.example"))))
a_delta = shape(text=words, toolUse=shape(input=words), reasoningContent=some_reasoning, citation=a_citation)
an_event = shape(
    contentBlockStart=shape(contentBlockIndex=index, start=shape(toolUse=a_call, toolResult=junk)),
    contentBlockDelta=shape(contentBlockIndex=index, delta=a_delta),
    contentBlockStop=shape(contentBlockIndex=index),
    messageStop=shape(stopReason=st.sampled_from(["end_turn", "max_tokens", "tool_use"])),
    metadata=shape(usage=shape(inputTokens=st.integers(), outputTokens=st.integers())),
    newThing=junk,
).filter(lambda event: isinstance(event, dict))


@settings(max_examples=400)
@given(events=st.lists(an_event, max_size=12), think_tags=st.booleans())
async def test_whatever_comes_is_deltas_that_the_assembler_takes(events: Sequence[Any], think_tags: bool) -> None:
    reading = Reading(Naming(64, TOOLS), "answer", True, True, think_tags)
    await check_deltas(decoded(*events, reading=reading), TOOLS.values())

"""Streams part by part, and streams that nobody documents: whatever comes, it is deltas that the assembler takes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    StreamViolation,
)
from openresponses.core.run import OfferedTool
from openresponses.dialects._shared.naming import Naming
from openresponses.dialects.gemini.errors import ERRORS
from openresponses.dialects.gemini.stream import GeminiDecoder
from openresponses.dialects.gemini.thinking import NextPart, Spoken, State, Thought, state_of
from openresponses.schema.content import FileCitation, LogProb, TopLogProb, UrlCitation
from openresponses.schema.items import ExtensionItem
from openresponses.schema.response import InputTokensDetails, OutputTokensDetails, Usage
from tests.contract import turns
from tests.contract.fuzz import check_deltas, junk, mostly, shape

TOOLS = {name: OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ("f", "g")}
STOP: dict[str, Any] = {"candidates": [{"finishReason": "STOP", "index": 0}]}


async def decoded(*chunks: Any, names: Naming | None = None) -> list[d.Delta]:
    return await turns.decoded(GeminiDecoder(names), chunks)


def says(*parts: Any, **candidate: Any) -> dict[str, Any]:
    made = [{"text": part} if isinstance(part, str) else part for part in parts]
    return {"candidates": [{"content": {"parts": made, "role": "model"}, "index": 0, **candidate}]}


def call(name: str, signature: str = "", call_id: str = "", **args: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args}}
    if call_id:
        part["functionCall"]["id"] = call_id
    return {**part, "thoughtSignature": signature} if signature else part


def think(text: str, signature: str = "") -> dict[str, Any]:
    return {"text": text, "thought": True, **({"thoughtSignature": signature} if signature else {})}


def signed(text: str, signature: str) -> dict[str, Any]:
    return {"text": text, "thoughtSignature": signature}


def keeps(key: int, state: State) -> d.Opaque:
    return d.Opaque(f"thought_{key}", state.model_dump_json())


def whole_call(index: int, name: str, call_id: str = "", arguments: str = "{}") -> list[d.Delta]:
    return [d.ToolCall(f"call_{index}", arguments, call_id, name), d.End(f"call_{index}")]


CODE = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
STREAMS: dict[str, tuple[list[Any], list[d.Delta]]] = {
    "text": ([says("a"), says("b")], [d.Text("text", "a"), d.Text("text", "b")]),
    "thoughts are a summary": (
        [says(think("T")), says(think("U")), says("a")],
        [d.Reasoning("thought_1", "T", 0), d.Reasoning("thought_1", "U", 0), d.Text("text", "a")],
    ),
    "an empty thought is none": ([says(think(""), "a")], [d.Text("text", "a")]),
    "thoughts after text are another block": (
        [says(think("T"), "a", think("U"))],
        [d.Reasoning("thought_1", "T", 0), d.Text("text", "a"), d.Reasoning("thought_2", "U", 0)],
    ),
    "a signature of a call joins the thoughts before it": (
        [says(think("T")), says(call("f", "S", "i", a=1), call("g"))],
        [
            d.Reasoning("thought_1", "T", 0),
            keeps(1, NextPart(next="S")),
            *whole_call(0, "f", "i", '{"a": 1}'),
            *whole_call(1, "g"),
        ],
    ),
    "a signature of a call without thoughts has its own block": (
        [says("a"), says(call("f", "S"))],
        [d.Text("text", "a"), keeps(1, NextPart(next="S")), *whole_call(0, "f")],
    ),
    "each signature of parallel calls has its own block": (
        [says(call("f", "S"), call("g", "U"))],
        [keeps(1, NextPart(next="S")), *whole_call(0, "f"), keeps(2, NextPart(next="U", calls=1)), *whole_call(1, "g")],
    ),
    "a signature on an empty text": (
        [says("a"), says(signed("", "S"))],
        [d.Text("text", "a"), keeps(1, Spoken(spoken=((1, "", "S"),), length=1))],
    ),
    "a signature without a text at all": (
        [says("a"), says({"thoughtSignature": "S"})],
        [d.Text("text", "a"), keeps(1, Spoken(spoken=((1, "", "S"),), length=1))],
    ),
    "a signed empty text after other things": (
        [says("a", call("f"), signed("", "S"), think("T"))],
        [
            d.Text("text", "a"),
            *whole_call(0, "f"),
            keeps(1, Spoken(spoken=((0, "", "S"),), length=0)),
            d.Reasoning("thought_2", "T", 0),
        ],
    ),
    "signatures within a text": (
        [says("ab", signed("c", "S")), says("d"), says(signed("e", "U"))],
        [
            d.Text("text", "ab"),
            d.Text("text", "c"),
            d.Text("text", "d"),
            d.Text("text", "e"),
            keeps(1, Spoken(spoken=((2, "c", "S"), (4, "e", "U")), length=5)),
        ],
    ),
    "a signed text before a signed call": (
        [says(signed("a", "S"), call("f", "U"))],
        [
            d.Text("text", "a"),
            keeps(1, Spoken(spoken=((0, "a", "S"),), length=1)),
            keeps(2, NextPart(next="U")),
            *whole_call(0, "f"),
        ],
    ),
    "signed thoughts are blocks of their own": (
        [says(think("T", "S"), think("U", "V"), call("f", "W"))],
        [
            d.Reasoning("thought_1", "T", 0),
            keeps(1, Thought(thought="T", signature="S")),
            d.Reasoning("thought_2", "U", 0),
            keeps(2, Thought(thought="U", signature="V")),
            keeps(3, NextPart(next="W")),
            *whole_call(0, "f"),
        ],
    ),
    "repeated and over-long ids are none": (
        [says(call("f", "", "i"), call("f", "", "i"), call("f", "", "x" * 257))],
        [*whole_call(0, "f", "i"), *whole_call(1, "f"), *whole_call(2, "f")],
    ),
    "a name that no tool can have": ([says(call("get weather"))], whole_call(0, "get_weather")),
    "what Google ran itself": (
        [says("a", {**CODE, "thoughtSignature": "S"}), says({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, "2")],
        [
            d.Text("text", "a"),
            keeps(1, NextPart(next="S")),
            d.Whole(ExtensionItem.model_validate({"type": "google:executable_code", "part": CODE})),
            d.Whole(
                ExtensionItem.model_validate(
                    {
                        "type": "google:code_execution_result",
                        "part": {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
                    }
                )
            ),
            d.Text("text", "2"),
        ],
    ),
    "only the first candidate counts": (
        [{"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}, says("a")["candidates"][0]]}],
        [d.Text("text", "a")],
    ),
    "nothing": ([{}, {"candidates": []}, says()], []),
}


@pytest.mark.parametrize(("chunks", "expected"), STREAMS.values(), ids=STREAMS)
async def test_parts_become_deltas(chunks: list[Any], expected: list[d.Delta]) -> None:
    assert await decoded(*chunks, STOP) == [*expected, d.Finish("stop")]


async def test_a_tool_has_our_name_again() -> None:
    names = Naming(64, ["3d"], prefix="_")
    deltas = await decoded(says(call(names.wire("3d"))), STOP, names=names)
    assert deltas == [*whole_call(0, "3d"), d.Finish("stop")]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
    ],
)
async def test_a_turn_ends_for_google_s_reason(reason: str, finish: Any) -> None:
    assert await decoded(says("a", finishReason=reason)) == [d.Text("text", "a"), d.Finish(finish)]


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (None, ProviderUnavailable),
        ("FINISH_REASON_UNSPECIFIED", ProviderUnavailable),
        ("MALFORMED_FUNCTION_CALL", ProviderUnavailable),
        ("UNEXPECTED_TOOL_CALL", ProviderUnavailable),
        ("OTHER", ProviderUnavailable),
        ("A_NEW_ONE", ProviderUnavailable),
        ("MISSING_THOUGHT_SIGNATURE", ProviderRejected),
        ("PUP_LIMITED_DISABLED", ProviderMisconfigured),
    ],
)
async def test_a_turn_without_an_answer_is_dead(reason: Any, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        await decoded(says("a", finishReason=reason))


async def test_a_cut_text_keeps_no_signature() -> None:
    deltas = await decoded(says(signed("a", "S"), finishReason="MAX_TOKENS"))
    assert deltas == [d.Text("text", "a"), d.Finish("length")]


BLOCKED: dict[str, tuple[Any, str]] = {
    "the prompt": ({"promptFeedback": {"blockReason": "SAFETY"}}, "The prompt was blocked: SAFETY"),
    "the prompt, on Vertex": (
        {"promptFeedback": {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "Blocked by us."}},
        "Blocked by us.",
    ),
    "the answer": (says(finishReason="SPII"), "The answer was blocked: SPII"),
    "the answer, with a reason": (says(finishReason="SAFETY", finishMessage="Unsafe."), "Unsafe."),
}


@pytest.mark.parametrize(("chunk", "message"), BLOCKED.values(), ids=BLOCKED)
async def test_what_is_blocked_is_a_refusal(chunk: Any, message: str) -> None:
    assert await decoded(chunk) == [d.Refusal("refusal", message), d.Finish("content_filter")]


async def test_usage_counts_thoughts_and_results_of_google_s_own_tools() -> None:
    used = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 8,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 22,
    }
    first = {"promptTokenCount": 10}
    expected = Usage(
        input_tokens=15,
        input_tokens_details=InputTokensDetails(cached_tokens=8),
        output_tokens=7,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=4),
        total_tokens=22,
    )
    assert await decoded({"usageMetadata": first}, {"usageMetadata": first}, STOP, {"usageMetadata": used}) == [
        d.Usage(Usage(input_tokens=10, total_tokens=10)),
        d.Usage(expected),
        d.Finish("stop"),
    ]


async def test_log_probabilities_come_with_their_text() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 1, "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -1}]}],
    }
    assert await decoded(says("é", "b", logprobsResult=result), STOP) == [
        d.Text(
            "text",
            "é",
            (
                LogProb(
                    token="é",
                    logprob=-0.5,
                    bytes=[195, 169],
                    top_logprobs=[TopLogProb(token="a", logprob=-1.0, bytes=[97])],
                ),
                LogProb(token="b", logprob=-9999.0, bytes=[98], top_logprobs=[]),
            ),
        ),
        d.Text("text", "b"),
        d.Finish("stop"),
    ]


def support(start: int | None, end: int, *chunks: int) -> dict[str, Any]:
    segment = {"endIndex": end, **({"startIndex": start} if start is not None else {})}
    return {"segment": segment, "groundingChunkIndices": [*chunks]}


async def test_sources_count_characters_where_google_counts_bytes() -> None:
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.test", "title": "A"}},
            {"maps": {"uri": "https://b.test", "title": "B"}},
            {"web": {"title": "without an address"}},
        ],
        "groundingSupports": [support(None, 5, 0), support(6, 16, 1, 0, 2, 9), support(3, 1, 0)],
    }
    cited = {"citationSources": [{"startIndex": 6, "endIndex": 10, "uri": "https://c.test", "license": "MIT"}]}
    deltas = await decoded(
        says("née, "), says("Жюль", groundingMetadata=grounding), says(finishReason="STOP", citationMetadata=cited)
    )
    expected = [("https://a.test", "A", 0, 4), ("https://b.test", "B", 5, 9), ("https://a.test", "A", 5, 9)]
    expected += [("https://c.test", "", 5, 7)]
    assert deltas == [
        d.Text("text", "née, "),
        d.Text("text", "Жюль"),
        *(
            d.Annotation("text", UrlCitation(url=url, title=title, start_index=start, end_index=end))
            for url, title, start, end in expected
        ),
        d.Finish("stop"),
    ]


async def test_a_source_without_an_address_is_a_file() -> None:
    """As recorded of the file search of Gemini 3 Flash, and of a document that has a name."""
    grounding = {
        "groundingChunks": [
            {"retrievedContext": {"text": "Paris is ...", "fileSearchStore": "fileSearchStores/s"}},
            {"retrievedContext": {"documentName": "fileSearchStores/s/documents/d", "title": "d.txt"}},
            {"retrievedContext": {"uri": "https://a.test", "title": "A"}},
        ],
        "groundingSupports": [support(None, 6, 0, 1, 2)],
    }
    deltas = await decoded(says("Paris."), says(finishReason="STOP", groundingMetadata=grounding))
    assert [delta.annotation for delta in deltas if isinstance(delta, d.Annotation)] == [
        FileCitation(file_id="fileSearchStores/s", filename="fileSearchStores/s", index=6),
        FileCitation(file_id="fileSearchStores/s/documents/d", filename="d.txt", index=6),
        UrlCitation(url="https://a.test", title="A", start_index=0, end_index=6),
    ]


async def test_sources_of_a_text_that_is_over_are_dropped() -> None:
    cited = {"citationSources": [{"endIndex": 1, "uri": "https://c.test"}]}
    deltas = await decoded(says("a", call("f")), says(finishReason="STOP", citationMetadata=cited))
    assert deltas == [d.Text("text", "a"), *whole_call(0, "f"), d.Finish("stop")]


@pytest.mark.parametrize("data", ["", "{", "null", "gAAAAA", "[]", '{"next": 1}', '{"spoken": [["a"]]}', '{"x": "y"}'])
def test_state_that_is_not_ours_is_none(data: str) -> None:
    assert state_of(data) is None


@pytest.mark.parametrize(
    "state",
    [NextPart(next="S", calls=2), Thought(thought="T", signature="S"), Spoken(spoken=((0, "a", "S"),), length=1)],
)
def test_state_is_read_as_it_was_written(state: State) -> None:
    assert state_of(state.model_dump_json()) == state


async def test_a_call_without_a_name_breaks_the_turn() -> None:
    with pytest.raises(StreamViolation, match="without a name"):
        await decoded(says({"functionCall": {"args": {}}}), STOP)


@pytest.mark.parametrize("data", ["[1]", "null", '"text"', "", "{", "[" * 100_000])
async def test_an_event_that_is_no_object_breaks_the_turn(data: str) -> None:
    with pytest.raises(StreamViolation):
        await decoded(data)


def error(code: int, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": "Told so", "status": status, "details": list(details)}}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "21.5s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


async def test_an_error_in_the_stream_says_how_long_to_wait() -> None:
    with pytest.raises(ProviderThrottled) as raised:
        await decoded(says("a"), error(429, "RESOURCE_EXHAUSTED", RETRY))
    assert raised.value.retry_after == 21.5


STATUSES: dict[str, tuple[int, Any, dict[str, str], Any]] = {
    "throttled": (429, error(429, "RESOURCE_EXHAUSTED", RETRY), {}, (ProviderThrottled, 21.5)),
    "throttled, with a header": (429, error(429, "", RETRY), {"retry-after": "3"}, (ProviderThrottled, 3.0)),
    "in an array": (429, [error(429, "RESOURCE_EXHAUSTED", RETRY)], {}, (ProviderThrottled, 21.5)),
    "a bad delay": (429, error(429, "", {**RETRY, "retryDelay": "soon"}), {}, (ProviderThrottled, None)),
    "a wrong key": (400, error(400, "INVALID_ARGUMENT", BAD_KEY), {}, (ProviderMisconfigured, None)),
    "a wrong request": (400, error(400, "INVALID_ARGUMENT"), {}, (ProviderRejected, None)),
    "overloaded": (503, error(503, "UNAVAILABLE"), {}, (ProviderUnavailable, None)),
}


@pytest.mark.parametrize(("status", "body", "headers", "expected"), STATUSES.values(), ids=STATUSES)
def test_google_s_errors_are_told_apart(status: int, body: Any, headers: dict[str, str], expected: Any) -> None:
    found = ERRORS.of_reply(status, json.dumps(body).encode(), headers)
    assert (type(found), getattr(found, "retry_after", None)) == expected


def test_an_error_in_place_of_a_stream_may_come_in_an_array() -> None:
    assert isinstance(ERRORS.of_body(json.dumps([error(503, "UNAVAILABLE")]).encode()), ProviderUnavailable)
    assert isinstance(ERRORS.of_body(b"[]"), StreamViolation)


words = st.sampled_from(["", "a", "é", "\ud83d", "\ude00"])
part = shape(
    text=words,
    thought=st.booleans(),
    thoughtSignature=words,
    functionCall=shape(name=st.sampled_from(["f", "g", "made up", "é" * 200]), id=words, args=junk),
    executableCode=shape(code=words),
)
source = shape(uri=words, title=words)
segment = shape(startIndex=st.integers(-1, 3), endIndex=st.integers(-1, 3))
grounding = shape(
    groundingChunks=st.lists(shape(web=source, maps=source), max_size=2),
    groundingSupports=st.lists(
        shape(segment=segment, groundingChunkIndices=st.lists(st.integers(-1, 2), max_size=2)), max_size=2
    ),
)
token = shape(token=words, logProbability=st.floats())
candidate = shape(
    index=st.integers(0, 1),
    content=shape(parts=st.lists(part, max_size=4)),
    finishReason=st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER"]),
    finishMessage=words,
    groundingMetadata=grounding,
    citationMetadata=shape(citations=st.lists(source, max_size=1)),
    logprobsResult=shape(
        chosenCandidates=st.lists(token, max_size=2),
        topCandidates=st.lists(shape(candidates=st.lists(token, max_size=1)), max_size=2),
    ),
)
chunk = st.fixed_dictionaries(
    {"candidates": mostly(st.lists(candidate, min_size=1, max_size=2))},
    optional={
        "usageMetadata": shape(promptTokenCount=st.integers(), thoughtsTokenCount=st.floats()),
        "promptFeedback": shape(blockReason=words),
    },
)


@given(st.lists(chunk, max_size=6), st.booleans())
async def test_any_stream_is_deltas_that_the_assembler_takes_or_an_error(chunks: list[Any], stops: bool) -> None:
    await check_deltas(decoded(*chunks, *([STOP] if stops else [])), TOOLS.values())

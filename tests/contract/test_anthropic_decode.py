"""Streams that no document shows: whatever comes, it is deltas that the assembler takes, or a provider's error."""

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    StreamViolation,
)
from openresponses.core.run import OfferedTool
from openresponses.core.settings import ProviderSettings
from openresponses.dialects._shared import values
from openresponses.dialects.anthropic import connect
from openresponses.dialects.anthropic.messages import tool_names
from openresponses.dialects.anthropic.stream import AnthropicDecoder
from openresponses.dialects.anthropic.thinking import opaque_of, thinking_block
from openresponses.schema.content import FileCitation, UrlCitation
from openresponses.schema.items import ExtensionItem
from openresponses.schema.response import InputTokensDetails, OutputTokensDetails, Usage
from tests.contract import turns
from tests.contract.fuzz import check_deltas, mostly, shape
from tests.contract.test_anthropic_encode import turn
from tests.fakes.network import Answered

FUNCTIONS = [OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ("f", "g.h")]
CLOCK = OfferedTool(name="clock", kind="hosted", item_type="serverless:clock", wire_name="clock")
TOOLS = [*FUNCTIONS, CLOCK]
STOP = {"type": "message_stop"}


async def decoded(*events: Any, summarised: bool = True) -> list[d.Delta]:
    return await turns.decoded(AnthropicDecoder(TOOLS, summarised=summarised), events)


def start(index: int, kind: str, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **block}}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def text(index: int, *words: str) -> list[Any]:
    return [start(index, "text", text=""), *(delta(index, "text_delta", text=each) for each in words), stop(index)]


def thinking(index: int, words: str, signature: str = "sig") -> list[Any]:
    return [
        start(index, "thinking", thinking="", signature=""),
        delta(index, "thinking_delta", thinking=words),
        delta(index, "signature_delta", signature=signature),
        stop(index),
    ]


def use(index: int, call_id: str, name: str, *pieces: str, **given: Any) -> list[Any]:
    started = start(index, "tool_use", id=call_id, name=name, input=given)
    return [started, *(delta(index, "input_json_delta", partial_json=each) for each in pieces), stop(index)]


def more(index: int, words: str) -> list[Any]:
    return [delta(index, "text_delta", text=words), stop(index)]


def begin(message_id: str, prompt: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": message_id, "usage": {"input_tokens": prompt}}}


def told(prompt: int) -> d.Usage:
    return d.Usage(values.usage(prompt, 0))


PAGE = {"type": "web_search_result_location", "url": "https://x.test", "title": "X", "cited_text": "…"}


def cites(index: int) -> dict[str, Any]:
    return delta(index, "citations_delta", citation=PAGE)


def page(start: int, end: int) -> d.Annotation:
    return d.Annotation("text_1", UrlCitation(url="https://x.test", title="X", start_index=start, end_index=end))


def over(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def state(index: int, words: str, signature: str = "sig") -> str:
    return opaque_of({"type": "thinking", "thinking": words, "signature": signature}, index)


STREAMS: dict[str, tuple[list[Any], list[d.Delta]]] = {
    "calls, told apart": (
        [*use(0, "a", "f", "", '{"x":', "1}"), *use(1, "b", "f"), over("tool_use"), STOP],
        [
            d.ToolCall("tool_use_1", "", "a", "f"),
            d.ToolCall("tool_use_1", '{"x":'),
            d.ToolCall("tool_use_1", "1}"),
            d.End("tool_use_1"),
            d.ToolCall("tool_use_2", "", "b", "f"),
            d.Finish("stop"),
        ],
    ),
    "calls, interleaved": (
        [
            start(0, "tool_use", id="a", name="f", input={}),
            start(1, "tool_use", id="b", name="f", input={}),
            delta(1, "input_json_delta", partial_json="{}"),
            delta(0, "input_json_delta", partial_json="{ }"),
            stop(0),
            stop(1),
            over("tool_use"),
        ],
        [
            d.ToolCall("tool_use_1", "", "a", "f"),
            d.ToolCall("tool_use_2", "", "b", "f"),
            d.ToolCall("tool_use_2", "{}"),
            d.ToolCall("tool_use_1", "{ }"),
            d.Finish("stop"),
        ],
    ),
    "arguments at once": (
        [*use(0, "a", "f", x="é"), over("tool_use")],
        [d.ToolCall("tool_use_1", "", "a", "f"), d.ToolCall("tool_use_1", '{"x": "é"}'), d.Finish("stop")],
    ),
    "names are ours": (
        [*use(0, "a", tool_names([]).wire("g.h")), *use(1, "b", "made up"), *use(2, "c", "f"), over("tool_use")],
        [
            d.ToolCall("tool_use_1", "", "a", "g.h"),
            d.End("tool_use_1"),
            d.ToolCall("tool_use_2", "", "b", "made_up"),
            d.End("tool_use_2"),
            d.ToolCall("tool_use_3", "", "c+", "f"),
            d.Finish("stop"),
        ],
    ),
    "ids that no item can have, and ids that come again": (
        [*use(0, "x" * 256, "f"), *use(1, "a", "f"), *use(2, "a", "f"), over("tool_use")],
        [
            d.ToolCall("tool_use_1", "", "", "f"),
            d.End("tool_use_1"),
            d.ToolCall("tool_use_2", "", "a", "f"),
            d.End("tool_use_2"),
            d.ToolCall("tool_use_3", "", "", "f"),
            d.Finish("stop"),
        ],
    ),
    "calls made together with one that runs here": (
        [*use(0, "a", "f"), *use(1, "b", "clock"), *use(2, "c", "clock"), *use(3, "e", "f"), over("tool_use")],
        [
            d.ToolCall("tool_use_1", "", "a", "f"),
            d.End("tool_use_1"),
            d.ToolCall("tool_use_2", "", "b", "clock"),
            d.End("tool_use_2"),
            d.ToolCall("tool_use_3", "", "c+", "clock"),
            d.End("tool_use_3"),
            d.ToolCall("tool_use_4", "", "e+", "f"),
            d.Finish("stop"),
        ],
    ),
    "thinking before and between calls": (
        [*thinking(0, "Hm."), *use(1, "a", "f"), *thinking(2, "Then.", "tail"), *use(3, "b", "f"), over("tool_use")],
        [
            d.Reasoning("thinking_1", "Hm.", 0),
            d.Opaque("thinking_1", state(0, "Hm.")),
            d.ToolCall("tool_use_2", "", "a", "f"),
            d.End("tool_use_2"),
            d.Reasoning("thinking_3", "Then.", 0),
            d.Opaque("thinking_3", state(2, "Then.", "tail")),
            d.ToolCall("tool_use_4", "", "b", "f"),
            d.Finish("stop"),
        ],
    ),
    "thinking that isn't shown": (
        [
            start(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking=""),
            delta(0, "signature_delta", signature="si"),
            delta(0, "signature_delta", signature="g"),
            stop(0),
            *text(1, "A"),
            over(),
        ],
        [d.Opaque("thinking_1", state(0, "")), d.Text("text_2", "A"), d.Finish("stop")],
    ),
    "redacted thinking": (
        [
            start(0, "redacted_thinking", data="x"),
            stop(0),
            start(1, "redacted_thinking"),
            stop(1),
            *text(2, "A"),
            over(),
        ],
        [
            d.Opaque("redacted_thinking_1", opaque_of({"type": "redacted_thinking", "data": "x"}, 0)),
            d.Text("text_3", "A"),
            d.Finish("stop"),
        ],
    ),
    "thinking that is cut": (
        [
            start(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="Hm"),
            over("max_tokens"),
        ],
        [d.Reasoning("thinking_1", "Hm", 0), d.Finish("length")],
    ),
    "a call that is cut is never ended": (
        [*use(0, "a", "f", "{}"), *use(1, "b", "f", '{"x'), over("max_tokens"), STOP],
        [
            d.ToolCall("tool_use_1", "", "a", "f"),
            d.ToolCall("tool_use_1", "{}"),
            d.End("tool_use_1"),
            d.ToolCall("tool_use_2", "", "b", "f"),
            d.ToolCall("tool_use_2", '{"x'),
            d.Finish("length"),
        ],
    ),
    "the context's end": (
        [*text(0, "A"), over("model_context_window_exceeded")],
        [d.Text("text_1", "A"), d.Finish("length")],
    ),
    "a stop sequence": ([*text(0, "A"), over("stop_sequence")], [d.Text("text_1", "A"), d.Finish("stop")]),
    "a reason that isn't known": ([*text(0, "A"), over("bored")], [d.Text("text_1", "A"), d.Finish("stop")]),
    "no reason": ([*text(0, "A"), over(None), STOP], [d.Text("text_1", "A"), d.Finish("stop")]),
    "nothing at all": ([over(), STOP], [d.Finish("stop")]),
    "nothing after the end": ([*text(0, "A"), STOP, "{"], [d.Text("text_1", "A"), d.Finish("stop")]),
    "a refusal of what was said so far": (
        [*text(0, "A"), {**over(), "delta": {"stop_reason": "refusal", "stop_details": {"explanation": "Because."}}}],
        [d.Text("text_1", "A"), d.Finish("content_filter")],
    ),
    "texts of one answer are one text; an empty one is none": (
        [*text(0), *text(1, "A", "B"), *text(2, "C"), *use(3, "a", "f"), *text(4, "D"), over()],
        [
            d.Text("text_2", "A"),
            d.Text("text_2", "B"),
            d.Text("text_2", "C"),
            d.ToolCall("tool_use_4", "", "a", "f"),
            d.End("tool_use_4"),
            d.Text("text_5", "D"),
            d.Finish("stop"),
        ],
    ),
    "what isn't known": (
        [
            {"type": "ping"},
            {"type": "news"},
            stop(7),
            start(0, "text"),
            delta(0, "hologram_delta"),
            *more(0, "A"),
            over(),
        ],
        [d.Text("text_1", "A"), d.Finish("stop")],
    ),
    "a message that begins again before it said anything": (
        [begin("msg_1", 9), begin("msg_2", 7), *text(0, "A"), over()],
        [told(9), told(7), d.Text("text_1", "A"), d.Finish("stop")],
    ),
    "citations before their text, and with none": (
        [start(0, "text"), cites(0), *more(0, "A"), stop(0), start(1, "text"), cites(1), stop(1), over()],
        [d.Text("text_1", "A"), page(0, 1), page(1, 1), d.Finish("stop")],
    ),
    "citations of nothing": (
        [start(0, "text", citations=[PAGE]), stop(0), over()],
        [page(0, 0), d.Finish("stop")],
    ),
}


@pytest.mark.parametrize(("events", "expected"), STREAMS.values(), ids=STREAMS)
async def test_a_stream_s_events_are_deltas(events: list[Any], expected: list[d.Delta]) -> None:
    assert await decoded(*events) == expected


async def test_thinking_that_is_no_summary_is_raw_and_may_have_no_signature() -> None:
    deltas = await decoded(*thinking(0, "Hm.", ""), over(), summarised=False)
    opaque = state(0, "Hm.", "")
    assert deltas == [d.Reasoning("thinking_1", "Hm."), d.Opaque("thinking_1", opaque), d.Finish("stop")]
    assert thinking_block(opaque, signed=True) is None
    assert thinking_block(opaque, signed=False) is not None


async def test_citations_of_pages_are_annotations_of_the_words_they_support() -> None:
    page = {"type": "web_search_result_location", "url": "https://x.test", "title": None, "cited_text": "…"}
    found = {"type": "search_result_location", "source": "http://y.test", "title": "Y"}
    document = {"type": "char_location", "document_title": "D", "cited_text": "…"}
    cited = text(1, "Bcd")
    cited[1:1] = [delta(1, "citations_delta", citation=each) for each in (page, document, found)]
    deltas = await decoded(*text(0, "Aé "), *cited, *text(2, "."), over())
    assert deltas == [
        d.Text("text_1", "Aé "),
        d.Text("text_1", "Bcd"),
        d.Annotation("text_1", UrlCitation(url="https://x.test", title="", start_index=3, end_index=6)),
        d.Annotation("text_1", FileCitation(file_id="", filename="D", index=6)),
        d.Annotation("text_1", UrlCitation(url="http://y.test", title="Y", start_index=3, end_index=6)),
        d.Text("text_1", "."),
        d.Finish("stop"),
    ]


async def test_a_block_of_a_type_that_has_no_rules_here_is_an_item() -> None:
    """A compaction, as recorded from the vendor in 2026, and what may come after it."""
    events = [
        start(0, "compaction", content=None),
        delta(0, "compaction_delta", content="They "),
        delta(0, "compaction_delta", content="greeted.", encrypted_content="x"),
        stop(0),
        *text(1, "A"),
        start(2, "mcp_tool_use", id="m", name="n", input={}),
        delta(2, "input_json_delta", partial_json='{"q":'),
        delta(2, "input_json_delta", partial_json="1}"),
        stop(2),
        over(),
    ]
    compaction = {"type": "compaction", "content": "They greeted.", "encrypted_content": "x"}
    call = {"type": "mcp_tool_use", "id": "m", "name": "n", "input": {"q": 1}}
    assert await decoded(*events) == [
        d.Whole(item(compaction, 0)),
        d.Text("text_2", "A"),
        d.Whole(item(call, 2)),
        d.Finish("stop"),
    ]


def item(block: dict[str, Any], index: int) -> ExtensionItem:
    return ExtensionItem.model_validate({"type": f"anthropic:{block['type']}", "block": block, "index": index})


async def test_usage_is_the_sum_of_what_was_told_last() -> None:
    counts = {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000}
    started = {"type": "message_start", "message": {"usage": {**counts, "output_tokens": 1, "server_tool_use": None}}}
    told = over(output_tokens=50, output_tokens_details={"thinking_tokens": 20}, cache_read_input_tokens=None)

    def used(said: int, thought: int) -> d.Usage:
        return d.Usage(
            Usage(
                input_tokens=3210,
                input_tokens_details=InputTokensDetails(cached_tokens=3000, cache_write_tokens=200),
                output_tokens=said,
                output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
                total_tokens=3210 + said,
            )
        )

    deltas = await decoded(started, *text(0, "A"), told, STOP)
    assert deltas == [used(1, 0), d.Text("text_1", "A"), used(50, 20), d.Finish("stop")]


BROKEN: dict[str, tuple[list[Any], type[ProviderError], str]] = {
    "no end": (text(0, "A"), ProviderUnavailable, "ended before its turn did"),
    "nothing": ([], ProviderUnavailable, "ended before its turn did"),
    "overloaded": (
        [{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}],
        ProviderUnavailable,
        "failed",
    ),
    "refused": (
        [{"type": "error", "error": {"type": "invalid_request_error", "message": "Too long"}}],
        ProviderRejected,
        "Too long",
    ),
    "a call without a name": ([start(0, "tool_use", id="a", input={})], StreamViolation, "without a name"),
    "a part of nothing": ([delta(0, "text_delta", text="A")], StreamViolation, "not open"),
    "a part of what ended": ([*text(0, "A"), delta(0, "text_delta", text="B")], StreamViolation, "not open"),
    "another answer amid the first": (
        [begin("msg_1", 9), *use(0, "a", "f", '{"x')[:2], begin("msg_2", 9), *text(0, "A"), over()],
        StreamViolation,
        "began another answer",
    ),
    "the same answer again": (
        [begin("msg_1", 9), *thinking(0, "Hm."), begin("msg_1", 9), *thinking(0, "Hm."), over()],
        StreamViolation,
        "began another answer",
    ),
    "a block that begins again": ([*text(0, "A"), *text(0, "B")], StreamViolation, "began a block"),
    "no JSON": (["{"], StreamViolation, "not JSON"),
    "no object": (["[1]"], StreamViolation, "not a JSON object"),
}


@pytest.mark.parametrize(("events", "error", "why"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_stream_is_an_error(events: list[Any], error: type[ProviderError], why: str) -> None:
    with pytest.raises(error, match=why):
        await decoded(*events)


words = st.sampled_from(["", "a", "{", "}", "\ud83d", "\ude00"])
kinds = st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"])
parts = st.sampled_from(["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"])
index = st.integers(0, 2)
block = shape(
    type=kinds,
    text=words,
    thinking=words,
    signature=words,
    data=words,
    id=st.sampled_from(["", "a", "b", "x" * 300]),
    name=st.sampled_from(["f", "clock", "made up", "é" * 200]),
    input=shape(a=words),
)
citation = shape(type=st.just("web_search_result_location"), url=st.just("https://x.test"), title=words)
part = shape(type=parts, text=words, thinking=words, signature=words, partial_json=words, citation=citation)
usage = shape(
    input_tokens=st.integers(), output_tokens=st.floats(), output_tokens_details=shape(thinking_tokens=st.integers())
)
event = st.one_of(
    st.fixed_dictionaries({"type": st.just("message_start"), "message": shape(usage=usage)}),
    st.fixed_dictionaries({"type": st.just("content_block_start"), "index": index, "content_block": block}),
    st.fixed_dictionaries({"type": st.just("content_block_delta"), "index": index, "delta": part}),
    st.fixed_dictionaries({"type": st.just("content_block_stop"), "index": index}),
    st.fixed_dictionaries({"type": st.just("message_delta"), "delta": shape(stop_reason=words), "usage": usage}),
    st.fixed_dictionaries({"type": mostly(st.just("ping"))}),
)
ends = st.sampled_from(["end_turn", "max_tokens", "refusal", "tool_use"])


@given(st.lists(event, max_size=10), ends)
async def test_any_stream_is_deltas_that_the_assembler_takes_or_an_error(events: list[Any], end: str) -> None:
    await check_deltas(decoded(*events, over(end), STOP), TOOLS)


async def sent_headers(**settings: Any) -> dict[str, str]:
    seen: dict[str, str] = {}

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.update({**request.headers, "url": str(request.url)})
        return httpx2.Response(200, text='data: {"type":"message_stop"}\n\n')

    configured = ProviderSettings(**{"name": "v", "dialect": "anthropic", "api_key": "sk-ant-1 ", **settings})
    provider = connect(configured, Answered(answer))
    assert [delta async for delta in provider.stream(turn())] == [d.Finish("stop")]
    await provider.aclose()
    return {name: seen[name] for name in ("url", "x-api-key", "anthropic-version", "anthropic-beta") if name in seen}


async def test_the_vendor_s_headers_are_sent() -> None:
    beta = "thinking-binding-controls-2026-08-01"
    version = {"x-api-key": "sk-ant-1", "anthropic-version": "2023-06-01"}
    base = "https://api.anthropic.com/v1"
    assert await sent_headers(base_url=base) == {"url": f"{base}/messages", **version, "anthropic-beta": beta}
    more = {"Anthropic-Beta": "a,b", "anthropic-version": "2099-01-01"}
    assert await sent_headers(base_url=base, headers=more) == {
        "url": f"{base}/messages",
        **version,
        "anthropic-version": "2099-01-01",
        "anthropic-beta": f"a,b,{beta}",
    }
    other, options = "http://localhost:1/anthropic/v1", {"drop_stale_thinking": False}
    assert await sent_headers(base_url=other, api_key="", options=options) == {
        "url": f"{other}/messages",
        "anthropic-version": "2023-06-01",
    }
    beta_of_theirs = {"anthropic-beta": "c"}
    assert await sent_headers(base_url=other, headers=beta_of_theirs, options=options) == {
        "url": f"{other}/messages",
        **version,
        **beta_of_theirs,
    }


UNPAID = ["Your credit balance is too low to access the API.", "You have reached your specified API usage limits."]


@pytest.mark.parametrize("message", UNPAID)
async def test_an_unpaid_account_is_the_operator_s_error_though_it_comes_as_a_wrong_request(message: str) -> None:
    body = {"error": {"type": "invalid_request_error", "message": message}}
    configured = ProviderSettings(name="v", dialect="anthropic", base_url="http://vendor.test/v1")
    provider = connect(configured, Answered(lambda _: httpx2.Response(400, json=body)))
    with pytest.raises(ProviderMisconfigured, match="out of credit or quota"):
        await anext(provider.stream(turn()))
    await provider.aclose()

"""Streams that no vendor documents: whatever comes, it is deltas that the assembler takes, or a provider's error."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderUnavailable, StreamViolation
from openresponses.core.run import OfferedTool
from openresponses.dialects._shared.think_tags import ThinkSplitter
from openresponses.dialects.chat_completions.stream import ChatDecoder
from tests.contract import turns
from tests.contract.fuzz import check_deltas, junk, mostly, shape

TOOLS = {name: OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ("f", "g")}


async def decoded(*chunks: Any, think_tags: Any = False, echo: bool = True) -> list[d.Delta]:
    return await turns.decoded(ChatDecoder(think_tags=think_tags, echo=echo), chunks)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def tool_calls(*calls: dict[str, Any]) -> dict[str, Any]:
    return delta(tool_calls=list(calls))


def call(name: str | None = None, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"name": name, "arguments": arguments}}


ids = st.sampled_from(["", "a", "b", "x" * 300])
words = st.sampled_from(["", "a", "<think>", "</thi", "nk>", "{", "}", "\ud83d", "\ude00"])
function = shape(name=st.sampled_from(["", "f", "g", "made up", "é" * 200]), arguments=words)
one_call = shape(index=st.integers(0, 2), id=ids, function=function)
details = st.lists(shape(text=words, summary=words), max_size=2)
parts = st.lists(shape(type=st.just("text"), text=words, thinking=st.lists(shape(text=words))), max_size=2)
citation = shape(type=st.just("url_citation"), url_citation=shape(url=words, title=words, start_index=st.integers()))
logprob = shape(token=words, logprob=st.floats(), bytes=st.lists(st.integers()), top_logprobs=st.lists(junk))
body = shape(
    content=words | parts,
    reasoning=words,
    reasoning_content=words,
    reasoning_details=details,
    refusal=words,
    annotations=st.lists(citation, max_size=2),
    tool_calls=st.lists(one_call, max_size=3),
    function_call=function,
)
choice = shape(
    index=st.integers(0, 1),
    delta=body,
    finish_reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter", "error"]),
    logprobs=shape(content=st.lists(logprob, max_size=1)),
)
usage = shape(
    prompt_tokens=st.integers(),
    completion_tokens=st.integers(),
    total_tokens=st.integers(),
    prompt_tokens_details=shape(cached_tokens=st.integers()),
)
error = shape(message=words, code=st.integers(0, 999) | words, type=words)
chunk = st.fixed_dictionaries(
    {"choices": mostly(st.lists(choice, min_size=1, max_size=2))},
    optional={"usage": usage, "x_groq": shape(usage=usage)},
)
failed = st.lists(st.fixed_dictionaries({"error": error}), max_size=1)


@settings(deadline=None)
@given(st.lists(chunk, max_size=6), failed, st.sampled_from([False, True, "open"]))
async def test_any_stream_is_deltas_that_the_assembler_takes_or_an_error(
    chunks: list[Any], end: list[Any], think_tags: Any
) -> None:
    await check_deltas(decoded(*chunks, *end, "[DONE]", think_tags=think_tags), TOOLS.values())


@settings(deadline=None)
@given(st.lists(st.integers(0, 60)), st.booleans())
def test_think_tags_are_found_however_the_stream_cuts_them(cuts: list[int], opened: bool) -> None:
    whole = ("" if opened else " \n<think>") + "a < b </thin c</think>\n\n d <think> e</think>"
    splitter = ThinkSplitter(opened=opened)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [piece for a, b in itertools.pairwise(edges) for piece in splitter.feed(whole[a:b])]
    pieces += splitter.end()
    said = {kind: "".join(text for inside, text in pieces if inside is kind) for kind in (True, False)}
    assert said == {True: "a < b </thin c", False: "d <think> e</think>"}


@pytest.mark.parametrize("text", ["<thin", "<think", " ", "\n<", "no tags", "<thinking>"])
async def test_text_that_only_looks_like_a_tag_is_text(text: str) -> None:
    deltas = await decoded(delta(content=text), "[DONE]", think_tags=True)
    assert deltas == [d.Text("text", text), d.Finish("stop")]


async def test_reasoning_that_is_never_closed_is_reasoning() -> None:
    deltas = await decoded(delta(content="<think>a</th"), "[DONE]", think_tags=True)
    assert deltas == [
        d.Reasoning("reasoning", "a"),
        d.Reasoning("reasoning", "</th"),
        d.Opaque("reasoning", "a</th"),
        d.Finish("stop"),
    ]


async def test_reasoning_that_is_never_sent_back_is_no_state() -> None:
    deltas = await decoded(delta(content="<think>a</think>b"), "[DONE]", think_tags=True, echo=False)
    assert deltas == [d.Reasoning("reasoning", "a"), d.Text("text", "b"), d.Finish("stop")]


CALLS: dict[str, tuple[list[Any], list[d.ToolCall]]] = {
    "interleaved": (
        [
            tool_calls(call("f", "", index=0, id="a"), call("g", "", index=1, id="b")),
            tool_calls(call(None, "{", index=1), call(None, "{", index=0)),
            tool_calls(call(None, "}", index=0)),
            tool_calls(call(None, "}", index=1)),
        ],
        [
            d.ToolCall("call_0", "", "a", "f"),
            d.ToolCall("call_1", "", "b", "g"),
            d.ToolCall("call_1", "{"),
            d.ToolCall("call_0", "{"),
            d.ToolCall("call_0", "}"),
            d.ToolCall("call_1", "}"),
        ],
    ),
    "the name in every chunk": (
        [tool_calls(call("f", "{", index=0, id="a")), tool_calls(call("f", "}", index=0, id="a"))],
        [d.ToolCall("call_0", "{", "a", "f"), d.ToolCall("call_0", "}")],
    ),
    "the name in every chunk, without ids": (
        [tool_calls(call("f", "{", index=0)), tool_calls(call("f", "}", index=0))],
        [d.ToolCall("call_0", "{", "", "f"), d.ToolCall("call_0", "}")],
    ),
    "neither ids nor indices": (
        [tool_calls(call("f", "{")), tool_calls(call(None, "}")), tool_calls(call("g", "{}"))],
        [d.ToolCall("call_0", "{", "", "f"), d.ToolCall("call_0", "}"), d.ToolCall("call_1", "{}", "", "g")],
    ),
    "a name that no tool can have, and an id that no item can": (
        [tool_calls(call("get weather", "{}", index=0, id="x" * 257))],
        [d.ToolCall("call_0", "{}", "", "get_weather")],
    ),
}


@pytest.mark.parametrize(("chunks", "expected"), CALLS.values(), ids=CALLS)
async def test_calls_are_told_apart(chunks: list[Any], expected: list[d.ToolCall]) -> None:
    assert await decoded(*chunks, "[DONE]") == [*expected, d.Finish("stop")]


async def test_a_call_without_a_name_breaks_the_turn() -> None:
    with pytest.raises(StreamViolation, match="without a name"):
        await decoded(tool_calls(call(None, "{}", index=0, id="a")), "[DONE]")


@pytest.mark.parametrize("data", ["[1]", "null", '"text"', "", "{", "[" * 100_000])
async def test_an_event_that_is_no_object_breaks_the_turn(data: str) -> None:
    with pytest.raises(StreamViolation):
        await decoded(data)


async def test_another_choice_than_the_first_is_passed_over() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}]}
    assert await decoded(delta(content="a"), other, delta("stop")) == [d.Text("text", "a"), d.Finish("stop")]


async def test_a_citation_without_open_text_is_dropped() -> None:
    cited = delta(annotations=[{"type": "url_citation", "url_citation": {"url": "https://x.test"}}])
    deltas = await decoded(delta(content="a"), tool_calls(call("f", "{}", id="a")), cited, "[DONE]")
    assert deltas == [d.Text("text", "a"), d.ToolCall("call_0", "{}", "a", "f"), d.Finish("stop")]


async def test_nothing_at_all_is_a_dead_turn() -> None:
    with pytest.raises(ProviderUnavailable):
        await decoded()

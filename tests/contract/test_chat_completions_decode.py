"""Streams that no vendor documents: whatever comes, it is deltas that the assembler takes, or a provider's error."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.assembler import Assembler
from openresponses.core.errors import ProviderUnavailable, StreamViolation
from openresponses.core.run import OfferedTool
from openresponses.dialects._shared.json import loads
from openresponses.dialects._shared.naming import Naming
from openresponses.dialects._shared.think_tags import ThinkSplitter
from openresponses.dialects._shared.values import usage as usage_of
from openresponses.dialects.chat_completions.stream import ChatDecoder
from openresponses.schema.content import ExtensionAnnotation, FileCitation, UrlCitation
from openresponses.schema.events import OutputItemDone
from openresponses.schema.items import FunctionCall
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
state = shape(google=shape(thought_signature=words))
one_call = shape(index=st.integers(0, 2), id=ids, function=function, extra_content=state)
block = shape(
    type=st.sampled_from(["reasoning.text", "thinking"]),
    index=st.integers(0, 1),
    text=words,
    signature=words,
    data=words,
)
details = st.lists(block | shape(summary=words), max_size=2)
parts = st.lists(shape(type=st.just("text"), text=words, thinking=st.lists(shape(text=words))), max_size=2)
citation = shape(type=st.just("url_citation"), url_citation=shape(url=words, title=words, start_index=st.integers()))
logprob = shape(token=words, logprob=st.floats(), bytes=st.lists(st.integers()), top_logprobs=st.lists(junk))
body = shape(
    content=words | parts,
    reasoning=words,
    reasoning_content=words,
    reasoning_details=details,
    thinking_blocks=details,
    reasoning_opaque=words,
    extra_content=state,
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
sources = {"citations": st.lists(words | junk), "search_results": st.lists(shape(url=words, title=words))}
chunk = st.fixed_dictionaries(
    {"choices": mostly(st.lists(choice, min_size=1, max_size=2))},
    optional={"usage": usage, "x_groq": shape(usage=usage)} | sources,
)
failed = st.lists(st.fixed_dictionaries({"error": error}), max_size=1)


@given(st.lists(chunk, max_size=6), failed, st.sampled_from([False, True, "open"]))
async def test_any_stream_is_deltas_that_the_assembler_takes_or_an_error(
    chunks: list[Any], end: list[Any], think_tags: Any
) -> None:
    await check_deltas(decoded(*chunks, *end, "[DONE]", think_tags=think_tags), TOOLS.values())


plain = st.builds(
    lambda text, role, **more: {**delta(content=text, **role), **more},
    st.text(max_size=3),
    st.sampled_from([{}, {"role": "assistant"}, {"refusal": None}, {"tool_calls": []}, {"reasoning": "hm"}]),
    citations=st.sampled_from([None, ["https://a.test/"]]),
    usage=st.sampled_from([None, {}, {"prompt_tokens": 1, "completion_tokens": 1}]),
)


@given(st.lists(st.one_of(plain, chunk.filter(lambda each: isinstance(each, dict))), max_size=8), st.booleans())
def test_what_is_read_quickly_is_read_as_all_else_is(chunks: list[Any], tags: bool) -> None:
    """A field that nobody knows makes the decoder look at all of a chunk."""

    def told(chunks: list[Any]) -> list[Any]:
        decoder, said = ChatDecoder(think_tags=tags), list[Any]()
        try:
            for each in chunks:
                said += decoder.feed(each)
            said += decoder.end()
        except (ProviderUnavailable, StreamViolation) as error:
            said.append(repr(error))
        return said

    assert told(chunks) == told([{**each, "unknown": 1} for each in chunks])


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(st.none() | st.booleans() | st.integers() | FINITE | st.text(), st.lists))
@example("\ud83d")
@example([[[[[[[[[[0]]]]]]]]]])
def test_the_quick_reader_of_json_reads_what_the_other_does(value: Any) -> None:
    for ascii_only in (True, False):
        written = json.dumps(value, ensure_ascii=ascii_only)
        assert loads(written) == json.loads(written)


@pytest.mark.parametrize("data", ["", "{", "nan", '{"a":1,}', '"\x01"', "[" * 100_000, "{'a':1}", '{"a":1}x'])
def test_what_is_no_json_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        loads(data)


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
        d.Opaque("reasoning", '{"text":"a</th"}'),
        d.Finish("stop"),
    ]


async def test_reasoning_that_is_never_sent_back_is_no_state() -> None:
    deltas = await decoded(delta(content="<think>a</think>b"), "[DONE]", think_tags=True, echo=False)
    assert deltas == [d.Reasoning("reasoning", "a"), d.Text("text", "b"), d.Finish("stop")]


LONG = "x" * 257
CALLS: dict[str, tuple[list[Any], list[d.Delta]]] = {
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
        [tool_calls(call("get weather", "{}", index=0, id=LONG))],
        [
            d.Opaque("reasoning", f'{{"calls":[{{"id":"","name":"get weather","fields":{{"id":"{LONG}"}}}}]}}'),
            d.ToolCall("call_0", "{}", "", "get_weather"),
        ],
    ),
}


@pytest.mark.parametrize(("chunks", "expected"), CALLS.values(), ids=CALLS)
async def test_calls_are_told_apart(chunks: list[Any], expected: list[d.Delta]) -> None:
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


async def test_nothing_at_all_is_a_dead_turn() -> None:
    with pytest.raises(ProviderUnavailable):
        await decoded()


def used(prompt: int, completion: int, cached: int = 0, written: int = 0, reasoned: int = 0) -> d.Usage:
    return d.Usage(usage_of(prompt, completion, cached=cached, written=written, reasoned=reasoned))


COUNTED: dict[str, tuple[dict[str, Any], d.Usage]] = {
    # https://platform.openai.com/docs/api-reference/chat/object, 2026-11
    "OpenAI": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            }
        },
        used(9, 5, cached=4, reasoned=3),
    ),
    # https://api-docs.deepseek.com/guides/kv_cache, 2026-11
    "DeepSeek": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}},
        used(9, 5, cached=4),
    ),
    # @ai-sdk/moonshotai 2.0.61: `convertMoonshotAIChatUsage`, and `choice.usage` of its chunks
    "Moonshot": (
        {"choices": [{"delta": {}, "usage": {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}}]},
        used(9, 5, cached=4),
    ),
    # router.huggingface.co in the recordings, "deepseek-ai/DeepSeek-R1"
    "Hugging Face, of Together": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}},
        used(9, 5, cached=4),
    ),
    # api.groq.com in the recordings
    "Groq": (
        {
            "x_groq": {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 5,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                }
            }
        },
        used(9, 5, cached=4, reasoned=3),
    ),
    # openrouter.ai in the recordings
    "OpenRouter": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            }
        },
        used(9, 5, cached=4, written=2),
    ),
    # litellm 1.110, `litellm.types.utils.Usage`
    "LiteLLM, of Anthropic": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 2,
            }
        },
        used(9, 5, cached=4, written=2),
    ),
    # @ai-sdk/perplexity 3.0.61: `convertPerplexityUsage`
    "Perplexity": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 5, "reasoning_tokens": 3}},
        used(9, 5, reasoned=3),
    ),
}


@pytest.mark.parametrize(("chunk", "expected"), COUNTED.values(), ids=COUNTED)
async def test_tokens_are_counted_wherever_a_vendor_reports_them(chunk: dict[str, Any], expected: d.Usage) -> None:
    assert await decoded(delta("stop", content="a"), chunk) == [d.Text("text", "a"), expected, d.Finish("stop")]


def cited(url: str, title: str = "", start: int = 0, end: int = 0) -> d.Annotation:
    return d.Annotation("text", UrlCitation(url=url, title=title, start_index=start, end_index=end))


A, B = "https://a.test", "https://b.test"
NOTED = [{"type": "url_citation", "url_citation": {"url": A, "title": "A", "start_index": 2, "end_index": 4}}]
OTHER = {"type": "document_citation", "document_citation": {"document_id": "d", "start_index": 0, "end_index": 1}}
CITED: dict[str, tuple[list[Any], list[d.Delta]]] = {
    # openrouter.ai in the recordings, "deepseek/deepseek-chat"
    "in the text": (
        [delta(content="ab"), delta(content="cd", annotations=NOTED)],
        [d.Text("text", "ab"), d.Text("text", "cd"), cited(A, "A", 2, 4)],
    ),
    "before the text, with reasoning between": (
        [delta(annotations=NOTED), delta(reasoning="R"), delta(content="abcd")],
        [
            d.Reasoning("reasoning", "R"),
            d.Opaque("reasoning", '{"text":"R"}'),
            d.Text("text", "abcd"),
            cited(A, "A", 2, 4),
        ],
    ),
    "on the choice": (
        [{"choices": [{"delta": {"content": "abcd"}, "annotations": NOTED}]}],
        [d.Text("text", "abcd"), cited(A, "A", 2, 4)],
    ),
    # @ai-sdk/perplexity 3.0.61; https://docs.perplexity.ai/docs/sonar/openai-compatibility, 2026-11
    "on every chunk (Perplexity)": (
        [{**delta(content=each), "citations": [A, B]} for each in "ab"],
        [d.Text("text", "a"), cited(A), cited(B), d.Text("text", "b")],
    ),
    "on every chunk, with titles (Perplexity)": (
        [
            {**delta(content=each), "citations": [A], "search_results": [{"url": A, "title": "A", "date": None}]}
            for each in "ab"
        ],
        [d.Text("text", "a"), cited(A, "A"), d.Text("text", "b")],
    ),
    # @ai-sdk/xai 3.0.138, `xai-chat-language-model`
    "at the end (xAI)": (
        [delta(content="a"), delta("stop"), {"choices": [], "citations": [A]}],
        [d.Text("text", "a"), cited(A)],
    ),
    # https://docs.z.ai/guides/tools/web-search, 2026-11
    "the results of a search (Z.ai)": (
        [{**delta(content="a"), "web_search": [{"title": "A", "link": A, "content": "..."}]}],
        [d.Text("text", "a"), cited(A, "A")],
    ),
    # https://console.groq.com/docs/api-reference, 2026-11
    "of another type, kept as it came": (
        [
            delta(
                content="a", annotations=[OTHER, {"type": "file_citation", "file_id": "f", "filename": "n", "index": 1}]
            )
        ],
        [
            d.Text("text", "a"),
            d.Annotation("text", ExtensionAnnotation.model_validate(OTHER)),
            d.Annotation("text", FileCitation(file_id="f", filename="n", index=1)),
        ],
    ),
    "broken": (
        [delta(content="a", annotations=[{"type": "file_citation"}, {"type": "url_citation"}, {}, {"type": 1}])],
        [d.Text("text", "a")],
    ),
    "behind a call": (
        [delta(content="a"), tool_calls(call("f", "{}", id="a")), {"choices": [], "citations": [A]}],
        [d.Text("text", "a"), d.ToolCall("call_0", "{}", "a", "f"), cited(A)],
    ),
    "no text at all": (
        [delta(tool_calls=[call("f", "{}", id="a")], annotations=NOTED)],
        [d.ToolCall("call_0", "{}", "a", "f"), cited(A, "A", 2, 4)],
    ),
    "no address": ([{**delta(content="a"), "citations": ["", "doc 1", None]}], [d.Text("text", "a")]),
}


@pytest.mark.parametrize(("chunks", "expected"), CITED.values(), ids=CITED)
async def test_a_citation_is_kept_wherever_it_comes(chunks: list[Any], expected: list[d.Delta]) -> None:
    assert await decoded(*chunks, "[DONE]") == [*expected, d.Finish("stop")]


async def test_a_message_that_comes_whole_is_its_text_and_its_calls() -> None:
    message = {"role": "assistant", "content": "a", "tool_calls": [call("f", {"x": 1}, id="a")]}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    said = [d.Text("text", "a"), d.ToolCall("call_0", '{"x": 1}', "a", "f")]
    assert await decoded(whole) == [*said, d.Finish("stop")]
    assert await decoded(delta(content="a"), tool_calls(call("f", {"x": 1}, id="a")), whole) == [
        *said,
        d.Finish("stop"),
    ]


FINISHES = {
    "length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "content_filter: PROHIBITED_CONTENT": "content_filter",
    "sensitive": "content_filter",
    "stop": "stop",
    "eos": "stop",
    "a word of tomorrow": "stop",
}


@pytest.mark.parametrize(("word", "reason"), FINISHES.items())
async def test_the_word_for_how_a_turn_ended_is_understood(word: str, reason: Any) -> None:
    assert await decoded(delta(word, content="a")) == [d.Text("text", "a"), d.Finish(reason)]


CUT = {
    "a finish that says otherwise": [tool_calls(call("f", '{"x": "a', index=0, id="a")), delta("tool_calls")],
    "a word of tomorrow": [tool_calls(call("f", '{"x": ', index=0, id="a")), delta("exhausted")],
    "[DONE] alone": [tool_calls(call("f", '{"x', index=0, id="a"))],
    "state behind it": [
        tool_calls(call("f", '{"x', index=0, id="a")),
        delta("tool_calls", reasoning_details=[{"type": "reasoning.encrypted", "data": "E"}]),
    ],
    "the length": [tool_calls(call("f", '{"x": 1', index=0, id="a")), delta("length")],
    "the context's length": [tool_calls(call("f", '{"x": 1', index=0, id="a")), delta("model_context_window_exceeded")],
}


@pytest.mark.parametrize("chunks", CUT.values(), ids=CUT)
async def test_a_call_whose_arguments_were_cut_off_is_incomplete(chunks: list[Any]) -> None:
    assembler = Assembler(0, lambda prefix, index: f"{prefix}_{index}", TOOLS)
    events = [event for each in await decoded(*chunks, "[DONE]") for event in assembler.feed(each)]
    done = [event.item for event in events if isinstance(event, OutputItemDone)]
    assert [item.status for item in done if isinstance(item, FunctionCall)] == ["incomplete"]


async def test_a_call_is_of_the_tool_whose_name_was_fitted() -> None:
    names = Naming(64, ["x" * 70, "a.b"])
    decoder = ChatDecoder(names)
    chunks = [tool_calls(call(names.wire(name), "{}", index=at)) for at, name in enumerate(["a.b", "x" * 70])]
    made = [each for each in await turns.decoded(decoder, [*chunks, "[DONE]"]) if isinstance(each, d.ToolCall)]
    assert [each.name for each in made] == ["a.b", "x" * 70]


async def test_half_a_character_in_a_token_s_log_probability_is_told_as_unknown() -> None:
    token = {"token": "\ud83d", "logprob": -1, "bytes": [], "top_logprobs": []}
    choice = {"delta": {"content": "a"}, "logprobs": {"content": [token]}, "finish_reason": "stop"}
    [said, _] = await decoded({"choices": [choice]})
    assert isinstance(said, d.Text)
    assert [each.token for each in said.logprobs] == ["\ufffd"]

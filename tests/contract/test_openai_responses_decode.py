"""Streams that no vendor documents: whatever comes, it is deltas that the assembler takes, or a provider's error."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.errors import (
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    StreamViolation,
)
from openresponses.core.run import OfferedTool
from openresponses.dialects._shared.events import objects_of
from openresponses.dialects._shared.naming import Naming
from openresponses.dialects._shared.values import usage
from openresponses.dialects.openai_responses.errors import ERRORS
from openresponses.dialects.openai_responses.stream import ResponsesDecoder
from openresponses.schema.content import FileCitation, UrlCitation
from openresponses.schema.events import ToolProgress
from openresponses.schema.items import ExtensionItem
from tests.contract import turns
from tests.contract.fuzz import check_deltas, junk, mostly, shape

Json = dict[str, Any]
TOOLS = {name: OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ("f", "g")}
TOOLS["c"] = OfferedTool(name="c", kind="custom", item_type="custom", wire_name="c")
COMPLETED = {"type": "response.completed", "response": {"status": "completed"}}
STOP = d.Finish("stop")
CITED = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
CITATION = UrlCitation(url="u", title="t", start_index=0, end_index=1)


async def decoded(*events: Any, keep_content: bool = False, names: Naming | None = None) -> list[d.Delta]:
    return await turns.decoded(ResponsesDecoder(names, keep_content=keep_content), events, ERRORS)


def event(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", **fields}


def added(index: int | None = None, **item: Any) -> Json:
    return event("output_item.added", item=item, **({} if index is None else {"output_index": index}))


def done(index: int | None = None, **item: Any) -> Json:
    return {**added(index, **item), "type": "response.output_item.done"}


def text_delta(text: str, **where: Any) -> Json:
    return event("output_text.delta", delta=text, **where)


def message(*texts: str, **item: Any) -> Json:
    return {"type": "message", "content": [{"type": "output_text", "text": text} for text in texts], **item}


def growing(item_id: str, index: int, *pieces: str) -> list[Json]:
    """A message of these pieces."""
    deltas = [text_delta(piece, item_id=item_id, output_index=index) for piece in pieces]
    return [added(index, type="message", id=item_id), *deltas, done(index, **message("".join(pieces), id=item_id))]


COMPUTER = ExtensionItem.model_validate({"type": "computer_call", "call_id": "1"})
FOUND = ExtensionItem.model_validate(
    {"type": "tool_search_output", "call_id": None, "execution": "server", "tools": [{"defer_loading": True}]}
)
SHELL = ExtensionItem.model_validate({"type": "shell_call", "call_id": "1"})
PATCH = ExtensionItem.model_validate({"type": "apply_patch_call", "call_id": "1"})
PLACE: Json = {"item_id": "", "output_index": 0}
COMMAND = ToolProgress.model_validate(
    {"type": "response.shell_call_command.delta", **PLACE, "command_index": 0, "delta": "ls"}
)
DIFF = ToolProgress.model_validate({"type": "response.apply_patch_call_operation_diff.delta", **PLACE, "delta": "+a"})
UNCALLED = ExtensionItem(type="computer_call")
WRITTEN = {"cached_tokens": 2, "cache_write_tokens": 3}
STREAMS: dict[str, tuple[list[Any], list[d.Delta]]] = {
    "deltas without an item": ([text_delta("a"), text_delta("b")], [d.Text("item0.0", "a"), d.Text("item0.0", "b")]),
    "what the done event adds": (
        [
            added(0, type="message", id="m"),
            text_delta("a", item_id="m"),
            event("output_text.done", item_id="m", text="abc"),
        ],
        [d.Text("item0.0", "a"), d.Text("item0.0", "bc")],
    ),
    "what the finished part adds": (
        [
            text_delta("a", output_index=0),
            event(
                "content_part.done", output_index=0, part={"type": "output_text", "text": "ab", "annotations": [CITED]}
            ),
        ],
        [d.Text("item0.0", "a"), d.Text("item0.0", "b"), d.Annotation("item0.0", CITATION)],
    ),
    "what the finished item adds": (
        [text_delta("a", output_index=0), done(0, **message("ab", "c"))],
        [d.Text("item0.0", "a"), d.Text("item0.0", "b"), d.Text("item0.1", "c")],
    ),
    "what the finished response adds": (
        [text_delta("a"), event("completed", response={"output": [message("ab", id="x"), message("c", id="y")]})],
        [d.Text("item0.0", "a"), d.Text("item0.0", "b"), d.Text("item1.0", "c"), STOP],
    ),
    "a finished text that is another": (
        [text_delta("a", output_index=0), done(0, **message("xy"))],
        [d.Text("item0.0", "a")],
    ),
    "an item that the finished response has at another place": (
        [
            added(0, **message(id="m")),
            text_delta("a", item_id="m"),
            event(
                "completed",
                response={
                    "output": [
                        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "t"}]},
                        message("a", id="m"),
                    ]
                },
            ),
        ],
        [d.Text("item0.0", "a"), d.Reasoning("item1", "t"), STOP],
    ),
    "ids that change within an item": (
        [
            added(0, type="message", id="m0"),
            text_delta("a", item_id="m1", output_index=0),
            done(0, **message("ab", id="m2")),
        ],
        [d.Text("item0.0", "a"), d.Text("item0.0", "b")],
    ),
    "two calls under one index": (
        [
            added(0, type="function_call", id="a", call_id="1", name="f"),
            added(0, type="function_call", id="b", call_id="2", name="g"),
            event("function_call_arguments.delta", item_id="a", output_index=0, delta="{"),
            event("function_call_arguments.delta", item_id="b", output_index=0, delta="{}"),
            done(0, type="function_call", id="b", call_id="2", name="g", arguments="{}"),
            done(0, type="function_call", id="a", call_id="1", name="f", arguments="{}"),
        ],
        [
            d.ToolCall("item0", "", "1", "f"),
            d.ToolCall("item1", "", "2", "g"),
            d.ToolCall("item0", "{"),
            d.ToolCall("item1", "{}"),
            d.End("item1"),
            d.ToolCall("item0", "}"),
            d.End("item0"),
        ],
    ),
    "arguments before the call": (
        [
            event("function_call_arguments.delta", item_id="a", delta='{"x"'),
            event("function_call_arguments.done", item_id="a", arguments='{"x":1}'),
            done(type="function_call", id="a", call_id="1", name="f", arguments='{"x":1}'),
        ],
        [d.ToolCall("item0", "", "1", "f"), d.ToolCall("item0", '{"x":1}'), d.End("item0")],
    ),
    "two calls with one id, and one that is too long": (
        [
            done(n, type="function_call", call_id=i, name="f", arguments="{}")
            for n, i in enumerate(("1", "1", "x" * 257))
        ],
        [
            delta
            for key, call_id in (("item0", "1"), ("item1", ""), ("item2", ""))
            for delta in (d.ToolCall(key, "", call_id, "f"), d.ToolCall(key, "{}"), d.End(key))
        ],
    ),
    "names that no item can hold": (
        [done(0, type="function_call", call_id="1", name="a b", arguments="")],
        [d.ToolCall("item0", "", "1", "a_b"), d.End("item0")],
    ),
    "a custom call that is only done": (
        [done(0, type="custom_tool_call", call_id="1", name="c", input='say "é"')],
        [d.ToolCall("item0", "", "1", "c"), d.ToolCall("item0", '{"input": "say \\"é\\""}'), d.End("item0")],
    ),
    "both names of raw reasoning": (
        [
            event("reasoning_text.delta", item_id="r", output_index=0, delta="a"),
            event("reasoning.delta", item_id="r", output_index=0, delta="b"),
            event("reasoning.done", item_id="r", output_index=0, text="abc"),
        ],
        [d.Reasoning("item0", "a"), d.Reasoning("item0", "b"), d.Reasoning("item0", "c")],
    ),
    "summaries by odd numbers": (
        [
            event("reasoning_summary_text.delta", output_index=0, summary_index=3, delta="a"),
            event("reasoning_summary_text.delta", output_index=0, summary_index=1, delta="b"),
            event("reasoning_summary_text.done", output_index=0, summary_index=3, text="ac"),
        ],
        [d.Reasoning("item0", "a", 0), d.Reasoning("item0", "b", 1), d.Reasoning("item0", "c", 0)],
    ),
    "summaries that go on after other items": (
        [
            event("reasoning_summary_text.delta", item_id="r", output_index=0, summary_index=0, delta="a"),
            text_delta("x", output_index=1),
            event("reasoning_summary_text.delta", item_id="r", output_index=0, summary_index=1, delta="b"),
            event("reasoning_summary_text.delta", item_id="r", output_index=0, summary_index=2, delta="c"),
        ],
        [
            d.Reasoning("item0", "a", 0),
            d.Text("item1.0", "x"),
            d.Reasoning("item0", "b", 0),
            d.Reasoning("item0", "c", 1),
        ],
    ),
    "state without any text": (
        [done(0, type="reasoning", id="r", status="completed", summary=[], content=None, encrypted_content="E")],
        [d.Opaque("item0", '{"id": "r", "summary": [], "encrypted_content": "E"}')],
    ),
    "reasoning without any state": ([done(0, type="reasoning", id="r", summary=[])], []),
    "a citation of a text that is closed": (
        [
            text_delta("a", output_index=0),
            added(1, type="function_call", call_id="1", name="f"),
            event("output_text.annotation.added", output_index=0, annotation=CITED),
        ],
        [d.Text("item0.0", "a"), d.ToolCall("item1", "", "1", "f")],
    ),
    "a citation of a file by its id alone": (
        [text_delta("a"), event("output_text.annotation.added", annotation={"type": "file_citation", "file_id": "f"})],
        [d.Text("item0.0", "a"), d.Annotation("item0.0", FileCitation(file_id="f", filename="", index=0))],
    ),
    "a citation of nothing": (
        [text_delta("a"), event("output_text.annotation.added", annotation={"type": "file_citation"})],
        [d.Text("item0.0", "a")],
    ),
    "an item of a type that is newer than this code": (
        [done(0, type="computer_call", id="c", call_id="1", status="completed")],
        [d.Progress("item0", COMPUTER), d.Progress("item0", COMPUTER), d.End("item0")],
    ),
    "a namespace of a call whose function is in none": (
        [added(0, type="function_call", id="c", call_id="1", name="f", namespace="n"), done(0, id="c", arguments="{}")],
        [
            d.Opaque("item0.state", '{"type": "function_call", "call_id": "1", "namespace": "n"}'),
            d.ToolCall("item0", "", "1", "f"),
            d.ToolCall("item0", "{}"),
            d.End("item0"),
        ],
    ),
    "a compaction of the provider's own": (
        [added(0, type="compaction", id="c", encrypted_content=""), done(0, type="compaction", encrypted_content="E")],
        [d.Opaque("item0", '{"type": "compaction", "encrypted_content": "E"}')],
    ),
    "what a search for tools found": (
        [done(0, type="tool_search_output", id="t", call_id=None, execution="server", tools=[{"defer_loading": True}])],
        [d.Progress("item0", FOUND), d.Progress("item0", FOUND), d.End("item0")],
    ),
    "a shell that the provider runs": (
        [
            added(0, type="shell_call", id="s", call_id="1"),
            event(
                "shell_call_command.delta", item_id="s", output_index=0, command_index=0, delta="ls", obfuscation="x"
            ),
            done(0, type="shell_call", id="s", call_id="1"),
        ],
        [d.Progress("item0", SHELL), d.Progress("item0", event=COMMAND), d.Progress("item0", SHELL), d.End("item0")],
    ),
    "a patch that comes in pieces": (
        [
            added(0, type="apply_patch_call", id="p", call_id="1"),
            event("apply_patch_call_operation_diff.delta", item_id="p", output_index=0, delta="+a"),
        ],
        [d.Progress("item0", PATCH), d.Progress("item0", event=DIFF)],
    ),
    "reasoning whose parts are of the answer's kind (Bedrock's gpt-oss, BerriAI/litellm#40775)": (
        [
            added(0, type="reasoning", id="r"),
            event("content_part.done", item_id="r", content_index=0, part={"type": "output_text", "text": "hm"}),
            done(0, type="reasoning", id="r", content=[{"type": "output_text", "text": "hm"}]),
            done(1, **message("a", id="m")),
        ],
        [d.Reasoning("item0", "hm"), d.Text("item1.0", "a")],
    ),
    "an event's index that is not the finished item's": (
        [
            added(0, type="message", id="m"),
            text_delta("a", item_id="m", content_index=1),
            text_delta("b", item_id="m", content_index=1),
            event("output_text.done", item_id="m", content_index=1, text="ab"),
            event("content_part.done", item_id="m", content_index=0, part={"type": "output_text", "text": "ab"}),
            done(0, **message("ab", id="m")),
            COMPLETED | {"response": {"output": [message("ab", id="m")]}},
        ],
        [d.Text("item0.1", "a"), d.Text("item0.1", "b"), STOP],
    ),
    "two parts that say the same": ([done(0, **message("a", "a"))], [d.Text("item0.0", "a"), d.Text("item0.1", "a")]),
    "a message again, with more of it": (
        [*growing("m1", 0, "The ", "sun"), *growing("m2", 1, "The ", "sun", " shines")],
        [d.Text("item0.0", "The "), d.Text("item0.0", "sun"), d.Text("item0.0", " shines")],
    ),
    "a message again and again, and reasoning between": (
        [
            *growing("m1", 0, "The "),
            *growing("m2", 1, "The "),
            done(2, type="reasoning", id="r", summary=[{"type": "summary_text", "text": "hm"}]),
            *growing("m3", 3, "The ", "sun"),
            done(4, **message("The sun shines", id="m4")),
        ],
        [
            d.Text("item0.0", "The "),
            d.Reasoning("item2", "hm", summary=0),
            d.Text("item0.0", "sun"),
            d.Text("item0.0", " shines"),
        ],
    ),
    "a message that begins as the one before it": (
        [*growing("m1", 0, "The sun"), *growing("m2", 1, "The ", "moon")],
        [d.Text("item0.0", "The sun"), d.Text("item1.0", "The "), d.Text("item1.0", "moon")],
    ),
    "a message that begins as the one before it, and ends": (
        [*growing("m1", 0, "The sun"), *growing("m2", 1, "The")],
        [d.Text("item0.0", "The sun"), d.Text("item1.0", "The")],
    ),
    "the same message after a call": (
        [*growing("m1", 0, "a"), done(1, type="computer_call"), *growing("m2", 2, "a")],
        [
            d.Text("item0.0", "a"),
            d.Progress("item1", UNCALLED),
            d.Progress("item1", UNCALLED),
            d.End("item1"),
            d.Text("item2.0", "a"),
        ],
    ),
    "an item that is done under another id, and no index": (
        [added(type="message", id="m"), text_delta("a", item_id="m"), done(**message("ab", id="n"))],
        [d.Text("item0.0", "a"), d.Text("item0.0", "b")],
    ),
    "a call that its server says is incomplete": (
        [done(0, type="function_call", call_id="1", name="f", arguments="{}", status="incomplete"), COMPLETED],
        [d.ToolCall("item0", "", "1", "f"), d.ToolCall("item0", "{}"), d.Finish("length")],
    ),
    "tokens written to a cache": (
        [event("completed", response={"usage": {"input_tokens": 9, "input_tokens_details": WRITTEN}})],
        [d.Usage(usage(9, 0, cached=2, written=3)), STOP],
    ),
    "another deployment's own calls": ([done(0, type="serverless:rejected_call", id="h", status="failed")], []),
    "progress of nothing": ([event("web_search_call.searching", item_id="ws", output_index=0)], []),
    "a refusal that is only done": (
        [event("refusal.done", output_index=0, refusal="No.")],
        [d.Refusal("item0.0.refusal", "No.")],
    ),
    "an end without a response": ([{"type": "response.completed"}], [STOP]),
    "a response that is incomplete for another reason": (
        [event("incomplete", response={"incomplete_details": {"reason": "max_turns"}})],
        [d.Finish("length")],
    ),
    "what comes after the end": ([COMPLETED, text_delta("a")], [STOP]),
}


@pytest.mark.parametrize(("events", "deltas"), STREAMS.values(), ids=STREAMS)
async def test_a_stream_is_read_whatever_it_leaves_out(events: list[Any], deltas: list[d.Delta]) -> None:
    assert await decoded(*events) == deltas


ANNOTATIONS: list[Json] = [
    {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 1},
    {
        "type": "container_file_citation",
        "container_id": "cntr",
        "file_id": "f",
        "filename": "a.png",
        "start_index": 0,
        "end_index": 1,
    },
    {"type": "file_path", "file_id": "f", "index": 0},
    {"type": "of_another_kind", "page": 3},
]


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=[each["type"] for each in ANNOTATIONS])
async def test_every_annotation_is_kept_as_it_came_and_told_once(annotation: Json) -> None:
    part = {"type": "output_text", "text": "ab", "annotations": [annotation]}
    told = event("output_text.annotation.added", item_id="m", annotation=annotation)
    part_done = event("content_part.done", item_id="m", part=part)
    item = {"type": "message", "id": "m", "content": [part]}
    events = [added(0, type="message", id="m"), text_delta("ab", item_id="m"), told, part_done, done(0, **item)]
    text, cited = await decoded(*events)
    assert (text, isinstance(cited, d.Annotation)) == (d.Text("item0.0", "ab"), True)
    assert isinstance(cited, d.Annotation)
    assert cited.annotation.model_dump(mode="json") == annotation


async def test_an_answer_of_nothing_that_can_be_told_is_no_success() -> None:
    with pytest.raises(StreamViolation):
        await decoded(event("completed", response={"output": [{"type": "function_call_output", "output": "x"}]}))


async def test_event_types_may_be_said_beside_the_data_only() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b'event: response.output_text.delta\ndata: {"delta": "a"}\n\nevent: response.completed\ndata: {}\n\n'

    assert [event["type"] async for event in objects_of(stream())] == [
        "response.output_text.delta",
        "response.completed",
    ]


async def test_a_name_is_led_back_to_ours() -> None:
    names = Naming(64, ["fs.read"])
    call = done(0, type="function_call", call_id="1", name=names.wire("fs.read"), arguments="{}")
    assert (await decoded(call, names=names))[0] == d.ToolCall("item0", "", "1", "fs.read")


async def test_raw_reasoning_is_state_where_nothing_is_encrypted_and_the_option_says_so() -> None:
    item: Json = {"type": "reasoning", "id": "r", "content": [{"type": "reasoning_text", "text": "t"}], "summary": []}
    assert await decoded(done(0, **item)) == [d.Reasoning("item0", "t")]
    state = json.dumps({"id": "r", "content": item["content"], "summary": []})
    assert await decoded(done(0, **item), keep_content=True) == [d.Reasoning("item0", "t"), d.Opaque("item0", state)]


FAILURES: dict[str, tuple[Any, type[ProviderError], str]] = {
    "an error object": (
        {"type": "error", "error": {"code": "invalid_prompt", "message": "Bad."}},
        ProviderRejected,
        "Bad.",
    ),
    "a flat error": ({"type": "error", "code": "invalid_image_url", "message": "Bad."}, ProviderRejected, "Bad."),
    "a flat error with a status": (
        {"type": "error", "message": "Bad.", "status": 400},
        ProviderRejected,
        "Bad.",
    ),
    "a flat error whose status says to come again": (
        {"type": "error", "message": "Busy.", "status_code": 429},
        ProviderThrottled,
        "limits our rate",
    ),
    "an error without anything": ({"type": "error"}, ProviderUnavailable, "failed"),
    "an error without a type": ({"error": {"code": 503, "message": "x"}}, ProviderUnavailable, "failed"),
    "a failed response": (
        event("failed", response={"error": {"code": "bio_policy", "message": "No."}}),
        ProviderRejected,
        "No.",
    ),
    "a failed response without an error": (event("failed"), ProviderUnavailable, "failed"),
    "a completed response that failed": (
        event("completed", response={"status": "failed"}),
        ProviderUnavailable,
        "failed",
    ),
    "what is not JSON": ("{", StreamViolation, "not JSON"),
    "what is no object": ("[]", StreamViolation, "not a JSON object"),
    "a call without a name": (done(0, type="function_call", call_id="1"), StreamViolation, "without a name"),
}


@pytest.mark.parametrize(("failure", "kind", "said"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_is_the_turn_s_error(failure: Any, kind: type[ProviderError], said: str) -> None:
    with pytest.raises(kind, match=said):
        await decoded(failure, COMPLETED)


@pytest.mark.parametrize("events", [[], ["[DONE]"], [text_delta("a"), "[DONE]", COMPLETED]])
async def test_a_stream_without_its_end_does_not_finish(events: list[Any]) -> None:
    assert STOP not in await decoded(*events)


words = st.sampled_from(["", "a", "ab", "{", "{}", "\ud83d", "é"])
ids = st.sampled_from(["", "x", "y", "z"])
part = shape(
    type=st.sampled_from(["output_text", "refusal", "reasoning_text", "summary_text"]),
    text=words,
    refusal=words,
    annotations=st.lists(shape(type=st.just("url_citation"), url=words, start_index=st.integers()), max_size=2),
    logprobs=st.lists(shape(token=words, logprob=st.floats(), top_logprobs=st.lists(junk)), max_size=1),
)
item = shape(
    type=st.sampled_from(
        [
            *("message", "reasoning", "function_call", "custom_tool_call", "web_search_call", "mcp_call", "acme:x"),
            *("tool_search_call", "tool_search_output", "shell_call", "compaction", "other"),
        ]
    ),
    id=ids,
    status=st.sampled_from(["in_progress", "completed", "incomplete", "failed"]),
    name=st.sampled_from(["f", "g", "c", "made up"]),
    call_id=ids,
    namespace=words,
    arguments=words,
    input=words,
    content=st.lists(part, max_size=2),
    summary=st.lists(part, max_size=2),
    encrypted_content=words,
    phase=st.sampled_from(["commentary", "other"]),
)
KINDS = ["output_item.added", "output_item.done", "content_part.added", "content_part.done", "output_text.delta"]
KINDS += ["output_text.done", "output_text.annotation.added", "refusal.delta", "refusal.done", "reasoning.delta"]
KINDS += ["reasoning_text.done", "reasoning_summary_part.added", "reasoning_summary_text.delta", "created", "other"]
KINDS += ["reasoning_summary_text.done", "function_call_arguments.delta", "function_call_arguments.done"]
KINDS += [
    "shell_call_command.delta",
    "custom_tool_call_input.delta",
    "web_search_call.searching",
    "mcp_call_arguments.delta",
    "mcp_call.failed",
]
any_event = st.fixed_dictionaries(
    {"type": mostly(st.sampled_from([f"response.{kind}" for kind in KINDS]))},
    optional={
        "item": item,
        "part": part,
        "item_id": mostly(ids),
        "output_index": mostly(st.integers(0, 2)),
        "content_index": mostly(st.integers(0, 1)),
        "summary_index": mostly(st.integers(0, 2)),
        "delta": mostly(words),
        "text": mostly(words),
        "arguments": mostly(words),
        "annotation": shape(type=st.just("url_citation"), url=words),
    },
)
end = st.fixed_dictionaries(
    {"type": st.sampled_from(["response.completed", "response.incomplete", "response.failed"])},
    optional={"response": shape(output=st.lists(item, max_size=3), usage=junk, incomplete_details=junk)},
)


@given(st.lists(any_event, max_size=8), end, st.booleans())
async def test_any_stream_is_deltas_that_the_assembler_takes_or_an_error(
    events: list[Any], last: Any, keep_content: bool
) -> None:
    await check_deltas(decoded(*events, last, keep_content=keep_content), TOOLS.values())

"""The assembler: any deltas, legal or not, make a well-formed stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.assembler import Assembler
from openresponses.core.blocks import free_text
from openresponses.core.errors import StreamViolation
from openresponses.core.ids import item_ids
from openresponses.schema.content import UrlCitation
from openresponses.schema.events import ToolProgress
from openresponses.schema.items import ExtensionItem
from tests.stream_checker import check_items
from tests.unit.kit import TOOLS

CITATION = UrlCitation(url="https://example.com/", start_index=0, end_index=1, title="")
SEARCH = ExtensionItem.model_validate({"type": "web_search_call", "status": "searching", "action": {"query": "q"}})
SEARCHING = ToolProgress(type="response.web_search_call.searching", item_id="theirs", output_index=7)
ARGUMENTS_DONE = "response.mcp_call_arguments.done"
OFFERED = {tool.name: tool for tool in TOOLS}

# Few keys, so that blocks of different kinds meet under one.
keys = st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"]))
words = st.text(st.one_of(st.characters(), st.sampled_from(["\ud83d", "\ude00"])), max_size=3)
NAMES = ["calculator", "get_weather", "shell", "mcp__search", "docs__look", "bank__pay", "web_search", "nope"]
names = st.sampled_from(["", "", *NAMES])
delta = st.one_of(
    st.builds(d.Text, keys, words),
    st.builds(d.Refusal, keys, words),
    st.builds(d.Reasoning, keys, words, st.sampled_from([None, None, 0, 0, 1, 2])),
    st.builds(d.ToolCall, keys, words, st.sampled_from(["", "call_1"]), names),
    st.builds(d.Opaque, keys, words),
    st.builds(d.Annotation, keys, st.just(CITATION)),
    st.builds(d.End, keys),
    st.builds(d.Whole, st.just(ExtensionItem.model_validate({"type": "acme:x", "status": "completed"}))),
    st.builds(d.Progress, keys, st.sampled_from([None, SEARCH]), st.sampled_from([None, SEARCHING])),
    st.just(d.Usage(usage=d.WireUsage(output_tokens=1))),
)
finish = st.builds(d.Finish, st.sampled_from(["stop", "length", "content_filter"]))


class Contract:
    """The delta contract, said a second time: which deltas may come next. `accepts` also takes the step."""

    def __init__(self) -> None:
        self._open: dict[d.Key, str] = {}
        self._summaries: dict[d.Key, int] = {}
        self._finished = False

    def accepts(self, delta: d.Delta) -> bool:
        match delta:
            case d.Usage():
                return True
            case _ if self._finished:
                return False
            case d.Finish():
                self._finished = True
            case d.End(key):
                self._open.pop(key, None)
            case d.Whole():
                self._close_prose()
            case _:
                return self._block(delta.key, delta)
        return True

    def _block(self, key: d.Key, delta: d.Delta) -> bool:
        kind = "Text" if isinstance(delta, d.Annotation) else type(delta).__name__.replace("Opaque", "Reasoning")
        if key not in self._open:
            if isinstance(delta, d.ToolCall) and not delta.name:
                return False
            if isinstance(delta, d.Progress) and delta.item is None:
                return False
            self._close_prose()
            self._open[key], self._summaries[key] = kind, 0
        if self._open[key] != kind:
            return False
        if isinstance(delta, d.Reasoning) and delta.summary is not None:
            seen = self._summaries[key]
            self._summaries[key] = max(seen, delta.summary + 1)
            return delta.summary <= seen
        return True

    def _close_prose(self) -> None:
        self._open = {key: kind for key, kind in self._open.items() if kind in ("ToolCall", "Progress")}


def assemble(deltas: list[d.Delta], **settings: Any) -> tuple[Assembler, list[dict[str, Any]], int | None]:
    """The assembler, its events, and the index of the delta that it refused."""
    assembler = Assembler(0, item_ids("resp_1"), OFFERED, **settings)
    events: list[dict[str, Any]] = []

    def keep(made: Iterator[Any]) -> None:
        events.extend(json.loads(event.model_dump_json()) for event in made)

    for index, each in enumerate(deltas):
        try:
            keep(assembler.feed(each))
        except StreamViolation:
            keep(assembler.abandon())
            return assembler, events, index
    if assembler.finish is None:
        keep(assembler.abandon())
    return assembler, events, None


def answer_hosted(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events, and the outputs of the calls that wait for their tools."""
    done = {event["output_index"] for event in events if event["type"] == "response.output_item.done"}
    waiting = [
        event for event in events if event["type"] == "response.output_item.added" and event["output_index"] not in done
    ]
    arguments = {event["output_index"]: event["arguments"] for event in events if event["type"] == ARGUMENTS_DONE}
    answers: list[dict[str, Any]] = []
    for event in waiting:
        item = {**event["item"], "status": "completed", "output": "2"}
        if item["type"] == "mcp_call":
            item["arguments"] = arguments[event["output_index"]]
        answers.append({**event, "type": "response.output_item.done", "item": item})
    assert {event["item"]["type"].partition(":")[0] for event in waiting} <= {
        "serverless",
        "mcp_call",
        "web_search_call",
    }
    return events + answers


@settings(max_examples=600)
@given(st.lists(delta, max_size=20), st.none() | finish, st.lists(delta, max_size=2), st.booleans())
@example([d.ToolCall(0, "{}", "c", "calculator"), d.End(0)], None, [], True)
@example([d.ToolCall(0, "{}", "c", "docs__look"), d.End(0)], None, [], True)
@example([d.ToolCall(0, '"\ud83d', "c", "docs__look"), d.ToolCall(0, '\ude00"')], d.Finish("stop"), [], True)
@example([d.ToolCall(0, '{"query": "\\ud83d"}', "c", "web_search")], d.Finish("stop"), [], True)
@example([d.ToolCall(0, "{}", "c", "calculator"), d.End(0), d.Annotation(9, CITATION)], None, [], True)
@example([d.Reasoning(0, "a", 1)], None, [], True)
def test_any_delta_sequence_makes_a_well_formed_stream(
    deltas: list[d.Delta], end: d.Finish | None, late: list[d.Delta], parallel: bool
) -> None:
    said = [*deltas, *([end, *late] if end else [])]
    contract = Contract()
    legal = [contract.accepts(each) for each in said]
    assembler, events, refused = assemble(said, parallel_calls=parallel)
    assert refused == (legal.index(False) if False in legal else None)
    died = assembler.finish is None or refused is not None
    items = check_items(events if died else answer_hosted(events))
    if died and assembler.finish is None:
        kept = [item for item in items if item.get("status") == "incomplete"]
        assert all("output" not in item or item["output"] is None for item in kept)


@settings(max_examples=300)
@given(st.lists(delta, max_size=20), st.none() | finish)
@example([d.ToolCall(0, "", "c", "get_weather"), d.ToolCall(0, "{}")], None)
@example([d.ToolCall(0, "", "c", "get_weather")], d.Finish("stop"))
@example([d.Reasoning(0, "\ud800", 1)], None)
def test_without_a_hearer_there_are_no_deltas_and_all_else_is_the_same(
    deltas: list[d.Delta], end: d.Finish | None
) -> None:
    said = [*deltas, *([end] if end else [])]
    heard, unheard = assemble(said), assemble(said, heard=False)
    theirs = SEARCHING.type  # the provider's own events are passed on
    expected = [event for event in heard[1] if not event["type"].endswith(".delta") or event["type"] == theirs]
    assert (unheard[1], unheard[2]) == (expected, heard[2])


def one(kind: Any, *texts: str) -> str:
    """The whole text, or arguments, of one block that came as `texts`."""
    said = [kind(text) for text in texts]
    _, events, _ = assemble([*said, d.Finish("stop")])
    deltas = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    item = events[-1]["item"]
    whole = item.get("arguments") or (item["content"] or item["summary"])[0]
    whole = whole if isinstance(whole, str) else whole.get("text") or whole.get("refusal")
    assert deltas == whole
    return deltas


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(lambda text: d.Text("t", text), id="text"),
        pytest.param(lambda text: d.Refusal("t", text), id="refusal"),
        pytest.param(lambda text: d.Reasoning("t", text), id="reasoning"),
        pytest.param(lambda text: d.Reasoning("t", text, 0), id="summary"),
        pytest.param(lambda text: d.ToolCall("t", text, "c", "get_weather"), id="arguments"),
    ],
)
@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["a\ud83d", "\ude00b"], "a😀b"),
        (["a\ud83d", "", "\ude00b"], "a😀b"),
        (["\ud83d\ude00\ud83d", "\ude00"], "😀😀"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["a", "\ude00b"], "a\ufffdb"),
        (["a\ud83d"], "a\ufffd"),
    ],
)
def test_a_character_that_was_cut_over_two_deltas_is_joined(kind: Any, texts: list[str], whole: str) -> None:
    assert one(kind, *texts) == whole


def test_a_half_is_not_joined_with_another_block() -> None:
    said = [d.Text("a", "x\ud83d"), d.Text("b", "\ude00y"), d.Finish("stop")]
    _, events, _ = assemble([*said])
    assert [e["text"] for e in events if e["type"] == "response.output_text.done"] == ["x\ufffd", "\ufffdy"]


def test_a_half_in_what_is_kept_as_it_came_becomes_a_replacement_character() -> None:
    item = ExtensionItem.model_validate({"type": "acme:x", "result": {"a\ud83d": ["\ude00", "\ud83d\ude00"]}})
    cited = CITATION.model_copy(update={"title": "\ud83d"})
    _, events, _ = assemble([d.Annotation("t", cited), d.Text("t", "a"), d.Whole(item), d.Finish("stop")])
    assert events[-1]["item"]["result"] == {"a\ufffd": ["\ufffd", "😀"]}
    assert next(e for e in events if "annotation" in e)["annotation"]["title"] == "\ufffd"


def test_a_citation_before_its_text_opens_the_text() -> None:
    _, events, _ = assemble([d.Annotation("t", CITATION), d.Text("t", "a"), d.Finish("stop")])
    assert [event["type"].removeprefix("response.") for event in events] == [
        "output_item.added",
        "content_part.added",
        "output_text.annotation.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert events[-1]["item"]["content"][0]["annotations"] == [CITATION.model_dump()]


@pytest.mark.parametrize(
    "arguments", ["{", '{"a', '{"a": ', '{"a": "b\\', '{"a": [1, 2', '{"a": tru', ' {"a": {"b": 1}']
)
@pytest.mark.parametrize("name", ["get_weather", "calculator", "shell", "nope"])
def test_a_call_that_the_provider_cut_off_is_incomplete_whatever_it_says(name: str, arguments: str) -> None:
    _, events, _ = assemble([d.ToolCall(0, arguments, "c", name), d.End(0), d.Finish("stop")])
    assert events[-1]["item"]["status"] == "incomplete"


@pytest.mark.parametrize("arguments", ["", "{}", '{"a": 1}}', "{a: 1}", "ls -l", '"x', "[1", "{'a': 1", '{"a": "b" c'])
def test_a_call_whose_arguments_are_merely_wrong_was_not_cut_off(arguments: str) -> None:
    _, events, _ = assemble([d.ToolCall(0, arguments, "c", "get_weather"), d.Finish("stop")])
    assert events[-1]["item"]["status"] == "completed"


@given(st.lists(delta, max_size=12), st.integers(0, 40))
def test_items_begin_at_the_next_index(deltas: list[d.Delta], first: int) -> None:
    assembler = Assembler(first, item_ids("resp_1"), OFFERED)
    legal = takewhile(Contract().accepts, deltas)
    events = [event.model_dump(mode="json") for each in legal for event in assembler.feed(each)]
    events += [event.model_dump(mode="json") for event in assembler.abandon()]
    check_items(events, first_index=first)


def test_abandoning_twice_says_nothing_more() -> None:
    assembler = Assembler(0, item_ids("resp_1"), OFFERED)
    said: list[d.Delta] = [d.ToolCall(0, "{}", "c", "calculator"), d.End(0), d.Text(1, "a")]
    events = [event for each in said for event in assembler.feed(each)]
    assert len(list(assembler.abandon())) == 4
    assert list(assembler.abandon()) == []
    assert events


def test_item_ids_embed_their_response_and_place() -> None:
    new_id = item_ids("resp_0a1b")
    assert [new_id("msg", 0), new_id("fc", 31)] == ["msg_0a1b0000", "fc_0a1b001f"]


@pytest.mark.parametrize(
    ("tool", "arguments", "item"),
    [
        (
            "get_weather",
            "",
            {
                "type": "function_call",
                "id": "fc_10000",
                "call_id": "call_10000",
                "name": "get_weather",
                "arguments": "{}",
            },
        ),
        (
            "mcp__search",
            '{"q": 1}',
            {
                "type": "function_call",
                "id": "fc_10000",
                "call_id": "call_10000",
                "name": "search",
                "arguments": '{"q": 1}',
                "namespace": "mcp",
            },
        ),
        (
            "shell",
            '{"input": "ls"}',
            {"type": "custom_tool_call", "id": "ctc_10000", "call_id": "call_10000", "name": "shell", "input": "ls"},
        ),
    ],
)
def test_a_clients_call_carries_the_clients_own_names(tool: str, arguments: str, item: dict[str, Any]) -> None:
    _, events, _ = assemble([d.ToolCall(0, arguments, "", tool), d.Finish("stop")])
    assert events[-1]["item"] == {**item, "status": "completed"}


def test_a_rejected_call_tells_the_model_why() -> None:
    _, events, _ = assemble([d.ToolCall(0, '{"a": 1}', "c1", "nope"), d.Finish("stop")])
    assert [event["type"] for event in events] == ["response.output_item.added", "response.output_item.done"]
    assert events[-1]["item"] == {
        "type": "serverless:rejected_call",
        "id": "htc_10000",
        "call_id": "c1",
        "name": "nope",
        "arguments": '{"a": 1}',
        "status": "failed",
        "output": "There is no tool named 'nope' that you may call now.",
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "ls -l"}', "ls -l"),
        ('{"input": 3}', '{"input": 3}'),
        ('{"other": "x"}', '{"other": "x"}'),
        ("ls -l", "ls -l"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_a_custom_calls_text_is_its_input(arguments: str, text: str) -> None:
    assert free_text(arguments) == text


def test_a_reasoning_item_keeps_text_summaries_and_state_apart() -> None:
    said: list[d.Delta] = [
        d.Reasoning("r", "think"),
        d.Reasoning("r", "sum", 0),
        d.Opaque("r", "S1"),
        d.Reasoning("r", "ing"),
        d.Opaque("r", "S2"),
        d.Finish("stop"),
    ]
    _, events, _ = assemble(said)
    assert events[-1]["item"] == {
        "type": "reasoning",
        "id": "rs_10000",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": "sum"}],
        "content": [{"type": "reasoning_text", "text": "thinking"}],
        "encrypted_content": "S2",
    }


def test_a_whole_item_gets_an_id_of_this_response() -> None:
    item = ExtensionItem.model_validate({"type": "acme:search", "id": "theirs", "status": "completed", "query": "x"})
    _, events, _ = assemble([d.Whole(item), d.Finish("stop")])
    assert events[-1]["item"] == {"type": "acme:search", "id": "ext_10000", "status": "completed", "query": "x"}


def test_a_tool_that_the_provider_runs_has_one_item_and_the_provider_s_own_events() -> None:
    done = SEARCH.model_copy(update={"status": "completed"})
    said = [d.Progress("s", SEARCH), d.Progress("s", event=SEARCHING), d.Progress("s", done), d.End("s")]
    _, events, _ = assemble([*said, d.Finish("stop")])
    item = {"type": "web_search_call", "id": "ext_10000", "status": "in_progress", "action": {"query": "q"}}
    at = {"sequence_number": -1, "output_index": 0}
    assert events == [
        {"type": "response.output_item.added", **at, "item": item},
        {"type": "response.web_search_call.searching", **at, "item_id": "ext_10000"},
        {"type": "response.output_item.done", **at, "item": {**item, "status": "completed"}},
    ]


@pytest.mark.parametrize("kind", ["shell_call", "computer_call", "shell_call_output", "tool_search_output"])
def test_an_item_of_a_client_s_tool_that_the_provider_ran_stays_whole(kind: str) -> None:
    item = ExtensionItem.model_validate({"type": kind, "id": "theirs", "call_id": "c", "output": [], "tools": []})
    _, events, _ = assemble([d.Progress("s", item), d.End("s"), d.Finish("stop")])
    whole = {"type": kind, "id": "ext_10000", "status": "completed", "call_id": "c", "output": [], "tools": []}
    assert events[-1]["item"] == whole


@pytest.mark.parametrize(
    ("status", "reason", "final"),
    [("searching", "stop", "completed"), ("searching", "length", "incomplete"), ("failed", "stop", "failed")],
)
def test_a_tool_s_item_that_the_provider_does_not_end_is_closed(status: str, reason: Any, final: str) -> None:
    item = SEARCH.model_copy(update={"status": status})
    _, events, _ = assemble([d.Progress("s", item), d.Finish(reason)])
    assert events[-1]["item"]["status"] == final

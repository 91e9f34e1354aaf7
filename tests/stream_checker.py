"""What makes a stream of events well formed, whoever made it. Works on the events' JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Json = dict[str, Any]

TERMINAL = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
LIFECYCLE = {"response.created", "response.queued", "response.in_progress", *TERMINAL}
# event prefix -> (type of the part, the field that its `done` carries, which is also the part's own field)
CONTENT = {
    "response.output_text": ("output_text", "text"),
    "response.refusal": ("refusal", "refusal"),
    "response.reasoning": ("reasoning_text", "text"),
    "response.reasoning_text": ("reasoning_text", "text"),
}
UPSTREAM = re.compile(
    r"response\.(?P<item>(web_search|file_search|code_interpreter|image_generation|mcp)_call|mcp_list_tools)"
    r"(_code|_arguments)?\.[a-z_]+$"
)
ARGUMENTS = {"response.function_call_arguments": "function_call", "response.mcp_call_arguments": "mcp_call"}
WITHOUT_STATUS = {"compaction", "mcp_list_tools", "mcp_approval_request"}
PARTS = {"response.content_part": "content", "response.reasoning_summary_part": "summary"}


@dataclass
class _Part:
    added: Json
    text: str = ""
    annotations: list[Json] = field(default_factory=list)
    text_done: bool = False
    done: Json | None = None


@dataclass
class _Item:
    added: Json
    parts: dict[str, list[_Part]] = field(default_factory=lambda: {"content": [], "summary": []})
    arguments: str = ""
    arguments_done: bool = False
    done: Json | None = None


def check_stream(events: list[Json], *, deaths: int = 0) -> Json:
    """Asserts that `events` are a whole well-formed stream. Returns the final response.

    `deaths` is how many turns or workers may have died meanwhile. Each may leave one gap in the numbers, and items in
    a row that the final response leaves out.
    """
    check_numbers(events, gaps=deaths)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "response.created", f"the first event is {kinds[0]}"
    opening = kinds[: kinds.index("response.in_progress") + 1]
    assert opening in (["response.created", "response.in_progress"], [*opening[:1], "response.queued", *opening[-1:]])
    assert kinds[-1] in TERMINAL, f"the last event is {kinds[-1]}"
    middle = events[len(opening) : -1]
    assert not LIFECYCLE & {event["type"] for event in middle}, "a lifecycle event amid the stream"
    final = events[-1]["response"]
    _check_lifecycle([event["response"] for event in events[: len(opening)]], final, kinds[-1])
    done, output = check_items(middle), final["output"]
    left_out = [n for n, item in enumerate(done) if item["id"] not in {item["id"] for item in output}]
    assert [item for n, item in enumerate(done) if n not in left_out] == output, (
        "the done items are not the final response's output"
    )
    assert sum(n - 1 not in left_out for n in left_out) <= deaths, f"items of no dead turn are left out: {left_out}"
    return final


def check_numbers(events: list[Json], *, gaps: int = 0) -> None:
    """Asserts that the sequence numbers count from 0, with so many gaps at most."""
    numbers = [event["sequence_number"] for event in events]
    steps = [after - before for before, after in pairwise([-1, *numbers])]
    assert all(step > 0 for step in steps), f"sequence numbers do not increase: {numbers}"
    assert steps[:1] in ([], [1]), f"sequence numbers start at {numbers[0]}"
    assert sum(step > 1 for step in steps) <= gaps, f"sequence numbers have gaps: {numbers}"


def check_resumed(seen: list[Json], rest: list[Json], log: list[Json]) -> Json:
    """Asserts what a client may rely on whose stream broke off with its worker: `seen` is what it got before that,
    `rest` what it got when it went on after the last number, and `log` the response's whole log. Returns the final
    response.

    A delta that it saw last may be in no log: what counts is said when its item is done.
    """
    check_numbers([*seen, *rest], gaps=1)
    final, last = check_stream(log, deaths=1), seen[-1]["sequence_number"]
    assert rest == [event for event in log if event["sequence_number"] > last]
    logged = {event["sequence_number"]: event for event in log}
    for event in seen:
        assert logged.get(event["sequence_number"], event) == event, "a number stands for two events"
    state: dict[int, str] = {}
    for event in (event for event in [*seen, *rest] if "output_index" in event):
        kind, at = event["type"], event["output_index"]
        if kind == "response.output_item.added":
            assert at not in state, f"item {at} was added twice"
            state[at] = "open"
        else:
            assert state.get(at) == "open", f"{kind} for item {at}, which is {state.get(at, 'not there')}"
        if kind == "response.output_item.done":
            state[at] = "done"
    assert {*state.values()} <= {"done"}, f"an item is left open: {state}"
    return final


def check_items(events: list[Json], first_index: int = 0) -> list[Json]:
    """Asserts that `events`, without the lifecycle, build each item in order. Returns the done items."""
    items: list[_Item] = []
    for event in events:
        at = event["output_index"] - first_index
        if event["type"] == "response.output_item.added":
            assert at == len(items), f"item added at {at}, not at the next index {len(items)}"
            items.append(_Item(event["item"]))
            continue
        assert 0 <= at < len(items), f"{event['type']} for an item that was not added"
        item = items[at]
        assert item.done is None, f"{event['type']} for an item that is done"
        if event["type"] == "response.output_item.done":
            _close(item, event["item"])
        else:
            assert event["item_id"] == item.added["id"], "item_id and output_index disagree"
            _feed(item, event)
    done = [item.done for item in items if item.done is not None]
    assert len(done) == len(items), "an item was added and is not done"
    ids = [item["id"] for item in done]
    assert len(set(ids)) == len(ids), "two items share an id"
    return done


def _check_lifecycle(opening: list[Json], final: Json, kind: str) -> None:
    for response in opening:
        assert response["id"] == final["id"]
        assert response["status"] in ("queued", "in_progress")
        assert response["output"] == []
    assert final["status"] == TERMINAL[kind] or (final["status"], kind) == ("cancelled", "response.incomplete")
    assert (final["completed_at"] is not None) == (final["status"] == "completed")
    assert (final["incomplete_details"] is not None) == (final["status"] == "incomplete")
    assert (final["error"] is not None) == (final["status"] == "failed")
    assert all(item.get("status") != "in_progress" for item in final["output"])


def _feed(item: _Item, event: Json) -> None:
    prefix, _, verb = event["type"].rpartition(".")
    if prefix in PARTS:
        _feed_part(item, event, PARTS[prefix], verb)
    elif prefix in ARGUMENTS and not item.added["id"].startswith("ext_"):
        assert item.added["type"] == ARGUMENTS[prefix], f"{event['type']} for a {item.added['type']}"
        assert not item.arguments_done
        if verb == "delta":
            item.arguments += event["delta"]
        else:
            item.arguments_done = True
            assert event["arguments"] == item.arguments, "the deltas are not the arguments"
    elif prefix == "response.output_text.annotation":
        part = _open_part(item, "content", event["content_index"], "output_text")
        assert event["annotation_index"] == len(part.annotations)
        part.annotations.append(event["annotation"])
    elif prefix == "response.reasoning_summary_text":
        _feed_text(_open_part(item, "summary", event["summary_index"], "summary_text"), event, verb, "text")
    elif prefix == "response.compaction":
        assert (item.added["type"], verb) == ("compaction", "compacting")
    elif match := UPSTREAM.match(event["type"]):
        assert item.added["type"] == match["item"], f"{event['type']} for a {item.added['type']}"
    else:
        assert prefix in CONTENT, f"unknown event {event['type']}"
        kind, name = CONTENT[prefix]
        _feed_text(_open_part(item, "content", event["content_index"], kind), event, verb, name)


def _feed_text(part: _Part, event: Json, verb: str, name: str) -> None:
    assert not part.text_done, f"{event['type']} after its done"
    if verb == "delta":
        part.text += event["delta"]
    else:
        assert verb == "done"
        part.text_done = True
        assert event[name] == part.text, "the deltas are not the done text"


def _feed_part(item: _Item, event: Json, place: str, verb: str) -> None:
    index = event["content_index" if place == "content" else "summary_index"]
    if verb == "added":
        assert item.added["type"] in ("message", "reasoning"), f"a part of a {item.added['type']}"
        assert index == len(item.parts[place]), "a part was not added at the next index"
        item.parts[place].append(_Part(event["part"]))
        return
    part = _open_part(item, place, index, event["part"]["type"])
    assert part.text_done, "a part is done before its text is"
    part.done = event["part"]
    assert part.done.get("text", part.done.get("refusal")) == part.text, "the deltas are not the part's text"
    assert part.done.get("annotations", []) == part.annotations


def _open_part(item: _Item, place: str, index: int, kind: str) -> _Part:
    assert 0 <= index < len(item.parts[place]), f"there is no {place} part {index}"
    part = item.parts[place][index]
    assert part.done is None, f"{place} part {index} is done already"
    assert part.added["type"] == kind, f"{place} part {index} is {part.added['type']}, not {kind}"
    return part


def _close(item: _Item, done: Json) -> None:
    added = item.added
    made_elsewhere = added["id"].startswith("ext_")  # it may come to be known later what such an item is
    for name in ("id", "type", "call_id", "name", "role"):
        later = made_elsewhere and added.get(name) is None
        assert later or done.get(name) == added.get(name), f"{name} changed between added and done"
    status = done.get("status", "completed") if done["type"] in WITHOUT_STATUS else done["status"]
    assert status in ("completed", "incomplete", "failed"), f"done with status {status}"
    for place, parts in item.parts.items():
        assert all(part.done is not None for part in parts), f"a {place} part is not done before its item"
        if done["type"] in ("message", "reasoning"):
            assert done.get(place, []) == [part.done for part in parts], f"{place} is not what was streamed"
    if done["type"] in ("function_call", "mcp_call") and not made_elsewhere:
        assert item.arguments_done, "a call is done before its arguments are"
        assert done["arguments"] == item.arguments
    item.done = done

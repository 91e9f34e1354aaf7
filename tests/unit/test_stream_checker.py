"""The stream checker itself: a stream with any one fault is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.stream_checker import check_resumed, check_stream
from tests.unit.cases import CASES
from tests.unit.kit import Script, new_run, play


async def stream(name: str) -> list[dict[str, Any]]:
    case = CASES[name]
    return await play(new_run(**case.request), Script(case.turns))


def renumbered(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


@pytest.mark.parametrize(
    "name", ["reasoning, raw and summarised, with state to echo", "a hosted call", "a function call"]
)
async def test_no_event_can_be_left_out_or_said_twice(name: str) -> None:
    events = await stream(name)
    check_stream(events)
    for index, event in enumerate(events):
        for broken in (events[:index] + events[index + 1 :], events[: index + 1] + events[index:]):
            with pytest.raises((AssertionError, ValueError, KeyError)):
                check_stream(renumbered(copy.deepcopy(broken)))
        with pytest.raises((AssertionError, TypeError)):
            check_stream([*events[:index], {**event, "sequence_number": 99}, *events[index + 1 :]])


async def test_a_delta_of_arguments_is_only_for_a_function_call() -> None:
    events = await stream("a hosted call")
    at = next(
        i
        for i, event in enumerate(events)
        if event["type"] == "response.output_item.added" and event["output_index"] == 1
    )
    item = events[at]["item"]
    delta = {
        "type": "response.function_call_arguments.delta",
        "item_id": item["id"],
        "output_index": 1,
        "delta": "{}",
    }
    with pytest.raises(AssertionError, match="for a serverless:calculator"):
        check_stream(renumbered([*events[: at + 1], delta, *events[at + 1 :]]))


async def test_the_final_response_must_hold_the_done_items() -> None:
    events = await stream("text")
    events[-1]["response"]["output"][0]["content"][0]["text"] = "something else"
    with pytest.raises(AssertionError, match="not the final response's output"):
        check_stream(events)


async def test_only_a_death_may_leave_a_gap_or_leave_out_items() -> None:
    events = await stream("hosted calls in parallel, over two turns")
    later = [{**event, "sequence_number": event["sequence_number"] + 64 * (n > 8)} for n, event in enumerate(events)]
    with pytest.raises(AssertionError, match="gaps"):
        check_stream(later)
    check_stream(later, deaths=1)
    shorter = copy.deepcopy(events)
    del shorter[-1]["response"]["output"][:2]
    with pytest.raises(AssertionError, match="left out"):
        check_stream(shorter)
    check_stream(shorter, deaths=1)
    del shorter[-1]["response"]["output"][1]
    with pytest.raises(AssertionError, match="left out"):
        check_stream(shorter, deaths=1)


async def test_what_a_client_saw_before_a_cut_and_after_it_belongs_together() -> None:
    log = await stream("text, then a refusal")
    last = next(n for n, event in enumerate(log) if event["type"] == "response.output_text.delta")
    seen, rest = log[: last + 1], log[last + 1 :]
    check_resumed(seen, rest, log)
    with pytest.raises(AssertionError, match="two events"):
        check_resumed([*seen[:-1], {**seen[-1], "delta": "else"}], rest, log)
    with pytest.raises(AssertionError):
        check_resumed(seen, rest[1:], log)
    again = [*seen, {**seen[2], "sequence_number": last + 1}]
    with pytest.raises(AssertionError):
        check_resumed(again, rest[1:], log)
    done = next(n for n, event in enumerate(log) if event["type"] == "response.output_item.done")
    twice = [{**event, "sequence_number": event["sequence_number"] + 64} for event in log[done:]]
    with pytest.raises(AssertionError, match="is done"):
        check_resumed(log[: done + 1], twice, [*log[:done], *twice])

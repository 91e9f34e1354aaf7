"""How much a provider may say: what there is room for, and how a turn ends that has none left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import repeat

import pytest

from openresponses.core import deltas as d
from openresponses.core.assembler import Assembler
from openresponses.core.errors import StreamViolation
from openresponses.core.ids import item_ids
from openresponses.core.room import MAX_ITEMS, MAX_RESPONSE, MAX_TURN, PIECE, Room
from openresponses.schema.content import FileCitation, LogProb, TopLogProb, UrlCitation
from openresponses.schema.events import Event
from openresponses.schema.items import ExtensionItem
from openresponses.schema.response import Usage
from tests.stream_checker import check_items
from tests.unit.kit import TOOLS, Script, new_run, play

MEGA = "x" * 1024 * 1024
CITED = UrlCitation(url="https://a.test/", title="A", start_index=0, end_index=1)
LOGPROB = LogProb(token="a", logprob=-1.0, top_logprobs=[TopLogProb(token="a", logprob=-1.0)] * 20)
GROWING: dict[str, Callable[[int], d.Delta]] = {
    "text": lambda _: d.Text("t", MEGA),
    "refusal": lambda _: d.Refusal("r", MEGA),
    "reasoning": lambda _: d.Reasoning("r", MEGA),
    "summary": lambda _: d.Reasoning("r", MEGA, 0),
    "summaries": lambda n: d.Reasoning("r", "x", n),
    "arguments": lambda n: d.ToolCall("c", MEGA, name="" if n else "get_weather"),
    "calls": lambda n: d.ToolCall(n, "{}", name="get_weather"),
    "calls of no tool": lambda n: d.ToolCall(n, "{}", name=f"tool{n}"),
    "state": lambda n: d.Opaque(n, MEGA),
    "blocks": lambda n: d.Text(n, "x"),
    "citations": lambda _: d.Annotation("t", CITED),
    "long citations": lambda _: d.Annotation("t", FileCitation(file_id=MEGA, filename="", index=0)),
    "log probabilities": lambda _: d.Text("t", "a", (LOGPROB,)),
    "items": lambda n: d.Whole(ExtensionItem(type="web_search_call")),
    "long items": lambda n: d.Whole(ExtensionItem.model_validate({"type": "web_search_call", "query": MEGA})),
    "progress": lambda n: d.Progress("p", ExtensionItem.model_validate({"type": "web_search_call", "query": MEGA})),
}


@pytest.mark.parametrize("growing", GROWING.values(), ids=GROWING)
def test_no_answer_grows_without_end(growing: Callable[[int], d.Delta]) -> None:
    room, events = Room(), list[Event]()
    assembler = Assembler(0, item_ids("resp_0"), {tool.name: tool for tool in TOOLS}, heard=False, room=room)

    def say_all() -> None:
        for n in range(MAX_TURN):
            events.extend(assembler.feed(growing(n)))

    with pytest.raises(StreamViolation, match=r"too long|more than 1,024"):
        say_all()
    events += assembler.abandon()
    added = [event for event in events if event.type == "response.output_item.added"]
    assert len(added) <= MAX_ITEMS
    assert len(added) == len([event for event in events if event.type == "response.output_item.done"])


def test_an_answer_of_128_000_tokens_has_room_though_each_comes_alone_with_its_usage() -> None:
    room, token, used = Room(), d.Text("t", " token"), d.Usage(Usage())
    for _ in range(128_000):
        room.take(token)
        room.take(used)
    with pytest.raises(StreamViolation):  # it had an end, all the same
        room.take(d.Text("t", "x" * MAX_TURN))


@pytest.mark.parametrize("piece", [d.Text("t", ""), d.ToolCall("c", "é"), d.End("t"), d.Usage(Usage())])
def test_small_pieces_have_an_end_too(piece: d.Delta) -> None:
    room, most = Room(), MAX_TURN // PIECE
    deque(map(room.take, repeat(piece, most // 2)))
    with pytest.raises(StreamViolation, match="a turn may have"):
        deque(map(room.take, repeat(piece, most)))


async def test_what_was_said_before_there_was_no_room_is_kept_and_closed() -> None:
    run = new_run(tools=[])
    with pytest.raises(StreamViolation, match=r"a turn may have 16,777,216 characters"):
        await play(run, Script([[d.Text("t", MEGA), *[d.Text("t", MEGA * 4)] * 4]]))
    [item] = run.response.output
    assert item.status == "incomplete"  # type: ignore[union-attr]
    assert MAX_TURN / 2 < run.said < MAX_TURN


async def test_the_turns_of_a_response_share_its_room() -> None:
    run = new_run(max_turns=8)
    call = d.ToolCall("c", "{}", name="calculator")
    turn = [d.Text("t", MEGA * 7), call, d.Finish("stop")]
    with pytest.raises(StreamViolation, match=r"too long: a response may have 33,554,432 characters"):
        await play(run, Script([turn] * 5))
    assert (run.turns, run.said > MAX_RESPONSE - MAX_TURN) == (4, True)


def test_a_turn_that_ran_out_of_room_is_well_formed() -> None:
    assembler = Assembler(0, item_ids("resp_0"), {})
    events = [*assembler.feed(d.Text("t", "Hi")), *assembler.feed(d.Reasoning("r", "Hm"))]
    with pytest.raises(StreamViolation):
        assembler.feed(d.Text("u", MEGA * 17))
    events += assembler.abandon()
    assert [item["status"] for item in check_items([event.model_dump() for event in events])] == [
        "completed",
        "incomplete",
    ]

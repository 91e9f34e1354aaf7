"""`context_management`: a conversation is compacted by itself, wherever its loop runs, and only where that helps."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from openresponses.api.body import parse_create
from openresponses.core import deltas as d
from openresponses.core.compaction import due
from openresponses.core.errors import ProviderUnavailable, RequestError
from openresponses.core.steps import Compact, next_step
from tests.contract.compacting import Reader, house, said, text_in, text_of
from tests.contract.deaths import Life
from tests.unit.kit import Json, new_run

TOOLS: list[Json] = [{"type": "serverless:calculator"}]
LONG = "old-words " * 500
CALLS = 24


def managed(threshold: int | None = 1000) -> Json:
    return {"context_management": [{"type": "compaction", "compact_threshold": threshold}]}


def compactions(response: Json) -> list[Json]:
    return [item for item in response["output"] if item["type"] == "compaction"]


def checked(response: Json, reader: Reader, threshold: int) -> None:
    """The loop ended, knows the fact, and was never shown what stood before a compaction."""
    assert (response["status"], text_of(response)) == ("completed", "I know fact-blue")
    assert len([item for item in response["output"] if item["type"] == "serverless:calculator"]) == CALLS
    for turn in reader.asked:
        assert sum(len(item.model_dump_json()) for item in turn.items) < 8 * threshold
        assert "fact-blue" in text_in(turn)


async def test_what_is_too_long_is_compacted_before_the_first_turn() -> None:
    reader = Reader()
    talk = [said("developer", "Be exact."), said("user", "fact-blue"), said("assistant", LONG), said("user", "So?")]
    response, events = await house(reader).create(input=talk, stream=True, **managed())
    assert [item["type"] for item in response["output"]] == ["compaction", "message"]
    assert response["output"][0]["created_by"] == "serverless:context_management"
    assert text_of(response) == "I know fact-blue"
    seen = reader.asked[-1]
    assert [getattr(item, "role", item.type) for item in seen.items] == ["developer", "user", "user"]
    assert "So?" in seen.items[1].model_dump_json()
    assert "old-words" not in text_in(seen)
    kinds = [event["type"] for event in events]
    assert kinds.index("response.compaction.compacting") == kinds.index("response.output_item.added") + 1
    assert response["usage"]["total_tokens"] == 40


@pytest.mark.parametrize("where", ["inline", "handed off", "background"])
async def test_a_long_loop_is_compacted_between_its_turns(where: str) -> None:
    reader = Reader(calls=CALLS)
    here = house(reader, inline_turns=5 if where == "handed off" else 99, max_turns=99)
    response, events = await here.create(
        input="Remember fact-blue.", tools=TOOLS, stream=where != "background", background=where == "background",
        **managed(),
    )  # fmt: skip
    await here.idle()
    response = json.loads((await here.stored.retrieve(response["id"])).model_dump_json())
    checked(response, reader, 1000)
    assert 2 <= len(compactions(response)) == len(reader.summaries) <= CALLS / 2
    events = await here.events(response["id"])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert sum(event["type"] == "response.compaction.compacting" for event in events) == len(compactions(response))
    # Who goes on from it, or sends all of it back, is shown nothing of what was compacted either.
    before = len(reader.asked)
    chained, _ = await here.create(input="So?", previous_response_id=response["id"], **managed())
    listed, _ = await here.create(
        input=[said("user", "Remember fact-blue."), *response["output"], said("user", "So?")], store=False, **managed()
    )
    assert (text_of(chained), text_of(listed)) == ("I know fact-blue", "I know fact-blue")
    assert len(reader.asked) == before + 2
    last = response["output"].index(compactions(response)[-1])
    for turn in reader.asked[before:]:
        shown = [item for item in turn.items if item.type == "serverless:calculator"]
        assert len(shown) == len(response["output"][last:]) - 2


@pytest.mark.parametrize("at", [0, 1, 2, 3, 5])
async def test_a_worker_that_dies_amid_a_compaction_is_followed_by_one_that_makes_it(at: int) -> None:
    reader, life = Reader(calls=CALLS), Life()
    here = house(reader, max_turns=99)
    mortals = [replace(here.ports, storage=life.over(here.storage))]
    here.worker_ports = lambda: mortals.pop() if mortals else here.ports
    stream = reader.stream

    def dying(turn: Any) -> Any:
        async def mortal() -> Any:
            if turn.keeps is not None and not life.ended:
                for n in range(at):
                    yield d.Text(0, f"w{n} ")
                    await asyncio.sleep(0.03 * n)  # the log has some of it
                life.die()
            async for delta in stream(turn):
                yield delta

        return mortal()

    reader.stream = dying  # type: ignore[method-assign]
    response, _ = await here.create(input="Remember fact-blue.", tools=TOOLS, background=True, **managed())
    await here.idle()
    response = json.loads((await here.stored.retrieve(response["id"])).model_dump_json())
    assert here.deaths == 1
    checked(response, reader, 1000)
    assert all(item["encrypted_content"] and "status" not in item for item in compactions(response))
    events = await here.events(response["id"])
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    done = {event["item"]["id"] for event in events if event["type"] == "response.output_item.done"}
    assert set(added) == done


async def test_a_summary_that_fails_in_the_state_machine_is_asked_for_again() -> None:
    reader = Reader(calls=CALLS, fails=[ProviderUnavailable("gone"), [d.Finish("stop")]])
    here = house(reader, max_turns=99)
    response, _ = await here.create(input="Remember fact-blue.", tools=TOOLS, background=True, **managed())
    await here.idle()
    response = json.loads((await here.stored.retrieve(response["id"])).model_dump_json())
    checked(response, reader, 1000)
    assert len(compactions(response)) == len(reader.summaries) - 2


async def test_instructions_longer_than_the_threshold_do_not_have_it_compact_in_vain() -> None:
    reader = Reader(calls=CALLS)
    response, _ = await house(reader, max_turns=99).create(
        input="Remember fact-blue.", tools=TOOLS, instructions="i " * 8000, store=False, **managed(2000)
    )
    assert text_of(response) == "I know fact-blue"
    assert len(compactions(response)) <= CALLS / 2
    kinds = [item["type"] for item in response["output"]]
    assert all(pair != ("compaction", "compaction") for pair in itertools.pairwise(kinds))


async def test_an_open_call_outlives_a_compaction() -> None:
    reader = Reader()
    here = house(reader)
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    talk = [said("user", "fact-blue"), said("assistant", LONG), said("user", "Look."), call]
    response, _ = await here.create(input=talk, **managed())
    output = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    for request in (
        {"input": [output], "previous_response_id": response["id"]},
        {"input": [*talk, *response["output"], output]},
    ):
        await here.create(**request, **managed())
        shown = [item for item in reader.asked[-1].items if getattr(item, "call_id", "") == "c1"]
        assert [item.type for item in shown] == ["function_call", "function_call_output"]
        assert "old-words" not in text_in(reader.asked[-1])


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([{"type": "other"}], "context_management[0].type"),
        ([{"type": "compaction", "compact_threshold": 0}], "context_management[0].compact_threshold"),
        ([{"type": "compaction"}] * 17, "context_management"),
    ],
)
def test_what_is_no_context_management_is_refused(value: Any, param: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_create(json.dumps({"model": "m", "input": "x", "context_management": value}).encode())
    assert refused.value.param == param


def test_a_run_that_has_a_threshold_of_its_own_is_compacted_past_it_alone() -> None:
    run = new_run(said="word " * 4000, **managed(None))
    assert not due(run)
    run.rendered = 100_001
    assert not due(run), "there is too little to take away"
    run.request = run.request.model_copy(update={"context_management": None})
    assert not due(run)
    run = new_run(said="word " * 4000, **managed())
    assert next_step(run) == Compact()

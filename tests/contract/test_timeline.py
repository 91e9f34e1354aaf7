"""What is recorded of a response: its turns, the attempts before them, its calls; and what a list shows of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core.accounts import CallAccount, call_entry_of
from openresponses.core.errors import ProviderThrottled, ProviderUnavailable
from openresponses.core.settings import Settings
from openresponses.core.timeline import MAX_ATTEMPTS, MAX_LINES, MAX_MESSAGE, Timeline, TurnWatch, failed
from openresponses.durable.journal import nowhere
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Usage
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.storage.memory.storage import memory_storage
from tests.contract.machine import House, Killed
from tests.contract.served import client_of
from tests.contract.test_durable import DECLARED, Fragile
from tests.openresponses_schema import check_response
from tests.unit.cases import ANSWER, STOP, call, text
from tests.unit.kit import Json, Script
from tests.unit.test_routing import DONE, DOWN, Scripted, provider
from tests.unit.test_sealing import PlainSeal

PARAMETERS = {
    "providers/first": provider(retries=1),
    "providers/second": provider(retries=0),
    "models/fast": json.dumps({"targets": ["gone/model", "first/small", "second/large"]}),
}


def routed(first: list[list[Any]], second: list[list[Any]], **settings: Any) -> House:
    """A house whose alias `fast` has three targets, one of a provider that is not configured."""
    catalog, scripted = Catalog(MemoryParameters(PARAMETERS)), Scripted({"first": first, "second": second})
    router = Router(catalog, scripted.connect, Settings(), lambda: 0.0)
    return House(TenantModels(router, PlainSeal()), **settings)


async def told(house: House, response_id: str) -> Json:
    """The response, as its client reads it that asks for its timeline."""
    async with client_of(house) as client:
        answer = await client.get(f"/responses/{response_id}", params={"include[]": "serverless:timeline"})
        plain = await client.get(f"/responses/{response_id}")
    response = answer.json()
    assert plain.json() == {name: value for name, value in response.items() if name != "serverless:timeline"}
    check_response(plain.json())
    return response


async def timeline(house: House, response_id: str) -> list[Json]:
    return (await told(house, response_id))["serverless:timeline"]


SKIPPED = {"target": "gone/model", "outcome": "skipped", "message": "its provider is not configured"}


async def test_a_turn_has_the_attempts_before_the_target_that_answered() -> None:
    house = routed([[ProviderThrottled("The provider limits our rate", retry_after=0.0)], [DOWN]], [DONE])
    response, events = await house.create(model="fast", stream=True)
    (turn,) = await timeline(house, response["id"])
    assert turn == {
        "type": "turn",
        "target": "second/large",
        "began_at": 2.0,
        "seconds": 0.0,
        "first_seconds": 0.0,
        "where": "inline",
        "usage": {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0},
        "usd": "unknown",
        "attempts": [
            SKIPPED,
            {
                "target": "first/small",
                "outcome": "failed",
                "error": "rate_limit_exceeded",
                "message": "The provider limits our rate",
                "seconds": 0.0,
            },
            {
                "target": "first/small",
                "outcome": "failed",
                "error": "provider_unavailable",
                "message": "down",
                "seconds": 0.0,
            },
        ],
    }
    (account,) = house.ledger.accounts
    assert (account.retries, account.fallbacks) == (1, 1)
    assert "timeline" not in json.dumps(events)


async def test_a_list_shows_what_came_of_each_response() -> None:
    house = routed([DONE], [DONE])
    first, _ = await house.create(model="first/small")
    async with client_of(house) as client:
        (entry,) = (await client.get("/responses")).json()["data"]
    shown = {name: value for name, value in entry.items() if name.startswith("serverless:")}
    assert shown == {
        "serverless:target": "first/small",
        "serverless:turns": 1,
        "serverless:seconds": 0.0,
        "serverless:cost": first["serverless:cost"],
    }


async def test_calls_are_told_and_where_a_turn_was_made() -> None:
    house = House(Script([[*call("clock"), *STOP], [*call("calculator", '"fail"'), *STOP], ANSWER]), inline_turns=1)
    response, _ = await house.create(tools=DECLARED)
    entries = await timeline(house, response["id"])
    assert [(each["type"], each.get("where")) for each in entries] == [
        ("turn", "inline"),
        ("call", None),
        ("turn", "handed_off"),
        ("call", None),
        ("turn", "handed_off"),
    ]
    item = response["output"][0]["id"]
    assert entries[1] == {
        "type": "call",
        "item_id": item,
        "tool": "clock",
        "kind": "hosted",
        "began_at": 2.0,
        "seconds": 0.0,
        "outcome": "completed",
    }
    assert entries[3]["outcome"] == "failed"


async def test_where_no_target_answers_each_attempt_is_kept() -> None:
    house = routed([[DOWN]], [[ProviderUnavailable("The provider could not be reached: " + "x" * 500)]])
    queued, _ = await house.create(model="fast", background=True)
    await house.idle()
    response = await told(house, queued["id"])
    entries = response["serverless:timeline"]
    assert response["status"] == "failed"
    assert [(each["target"], each["error"]) for each in entries] == [(None, "provider_unavailable")] * 6
    assert [each["target"] for each in entries[0]["attempts"]] == [
        "gone/model",
        "first/small",
        "first/small",
        "second/large",
    ]
    assert [len(each["message"]) for each in entries[0]["attempts"]][-1] == MAX_MESSAGE
    assert entries[-1]["attempts"][1]["outcome"] == "failed", "all of them keep failing, so none is asked last"
    async with client_of(house) as client:
        (entry,) = (await client.get("/responses", params={"status": "failed"})).json()["data"]
    assert (entry["serverless:turns"], "serverless:target" in entry) == (0, False)


async def test_a_target_that_keeps_failing_is_told_as_skipped() -> None:
    house = routed([[ProviderThrottled("busy", retry_after=9.0)]], [DONE])
    for _ in range(2):
        response, _ = await house.create(model="fast")
    (turn,) = await timeline(house, response["id"])
    assert turn["attempts"] == [
        SKIPPED,
        {"target": "first/small", "outcome": "skipped", "message": "it kept failing, so it is asked last"},
    ]


async def test_a_turn_that_died_is_marked_and_so_is_its_successor() -> None:
    house = House(Script([[*text("Half an"), ProviderUnavailable("gone")], ANSWER]))
    queued, _ = await house.create(background=True)
    await house.idle()
    dead, lives = await timeline(house, queued["id"])
    assert (dead["discarded"], dead["error"], dead["message"]) == (True, "provider_unavailable", "gone")
    assert not {"error", "discarded"} & {*lives}


class Once(Script):
    """Its worker dies amid the first turn, once its words are in the log."""

    async def stream(self, turn: Any):  # type: ignore[override]
        first = not self.asked
        self.asked.append(turn)
        for said in text("Half an"):
            yield said
        if first:
            await self.written()  # type: ignore[attr-defined]
            raise Killed
        for said in STOP:
            yield said


async def test_a_turn_that_died_with_its_worker_is_marked() -> None:
    house = House(script := Once([]))

    async def written() -> None:
        while not any(b"Half" in each for entry in house.shelf.responses.values() for each in entry.log.values()):
            await asyncio.sleep(0.02)

    script.written = written  # type: ignore[attr-defined]
    queued, _ = await house.create(background=True)
    await house.idle()
    assert house.deaths == 1
    dead, lives = await timeline(house, queued["id"])
    assert dead == {
        "type": "turn",
        "target": None,
        "began_at": 2.0,
        "seconds": None,
        "first_seconds": None,
        "where": "handed_off",
        "attempts": [],
        "error": "worker_died",
        "discarded": True,
    }
    assert (lives["target"], "error" in lives) == ("m", False)


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
async def test_whatever_write_a_worker_dies_at_each_call_that_was_answered_is_told(after: bool) -> None:
    turns = [[*call("clock"), *STOP], [*call("calculator"), *STOP], ANSWER]

    class Again(Script):
        async def stream(self, turn: Any):  # type: ignore[override]
            for said in self.turns[sum(item.type.startswith("serverless:") for item in turn.items)]:
                yield said

    for n in range(1, 100):
        house = House(Again(turns))
        fragile = Fragile(house.storage, n, after=after)
        house.worker_ports = lambda h=house, f=fragile: replace(h.ports, storage=replace(h.storage, log=f, runs=f))
        queued, _ = await house.create(tools=DECLARED, background=True)
        await house.idle()
        response = await told(house, queued["id"])
        entries = response["serverless:timeline"]
        calls = {each["item_id"] for each in entries if each["type"] == "call"}
        assert {item["id"] for item in response["output"] if item["type"].startswith("serverless:")} <= calls
        lived = [each for each in entries if each["type"] == "turn" and not each.get("discarded")]
        assert len(lived) == 3, f"killed at write {n}"
        if not house.deaths:
            break
    assert n > 5


class Held:
    """A state machine that does not begin. `asked` is set once it should."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def start(self, response_id: str, generation: int) -> None:
        self.asked.set()

    async def stop(self, response_id: str, generation: int) -> None: ...


async def test_one_that_is_not_over_has_the_timeline_that_was_saved_last() -> None:
    script = Script([[*call("clock"), *STOP], [*call("clock"), *STOP], ANSWER])
    held = Held()
    house = House(script, storage=replace(memory_storage(), launcher=held), inline_turns=2)
    run, record = await house.new.accept(CreateResponse.model_validate({"model": "m", "input": "x", "tools": DECLARED}))
    invocation = asyncio.ensure_future(house.new.respond(run, record, nowhere, seconds=None, committed=lambda: True))
    await held.asked.wait()
    assert not invocation.done()
    invocation.cancel()
    await asyncio.wait([invocation])
    response = await told(house, run.response.id)
    assert response["status"] == "in_progress"
    assert [each["type"] for each in response["serverless:timeline"]] == ["turn", "call", "turn"]


def test_a_timeline_is_bounded() -> None:
    timeline, watch = Timeline(), TurnWatch(lambda: 1_790_000_000.123)
    watch.attempts = [failed("provider/model", ProviderUnavailable("why " * 99), 1.5)] * (MAX_ATTEMPTS + 3)
    account = CallAccount("resp_1", "key", "htc_1", "hosted", "calculator", "completed", 0.25)
    for _ in range(300):
        timeline.add_turn(watch, "provider/model", Usage(), None)
        timeline.add_call(call_entry_of(account, 1_790_000_000.5))
    shown = timeline.shown()
    (gap,) = (place for place, each in enumerate(shown) if each.type == "left_out")
    assert 0 < gap < len(shown) - 1
    assert sum(getattr(each, "count", 0) for each in shown) + len(shown) - 1 == 600
    turns = [each for each in timeline.entries if each.type == "turn"]
    assert {(len(each.attempts), each.more_attempts) for each in turns} == {(MAX_ATTEMPTS, 3)}
    assert len(timeline.entries) + sum(len(each.attempts) for each in turns) <= MAX_LINES
    assert len(timeline.model_dump_json()) < 80_000
    assert timeline.retries == 300 * (MAX_ATTEMPTS + 3)
    assert Timeline.model_validate_json(timeline.model_dump_json()) == timeline

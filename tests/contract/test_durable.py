"""Stored responses over storage in memory: handed off, followed, killed, cancelled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.engine import OUTCOME_UNKNOWN
from openresponses.core.errors import Cancelled, NotFound, ProviderUnavailable, RequestError
from openresponses.core.records import Batch
from openresponses.core.run import Run
from openresponses.core.storage import Storage
from openresponses.responses.worker import HISTORY_PER_RETRY, HISTORY_PER_TASK
from openresponses.schema.server_items import OURS
from tests.contract.machine import LIFE, House, Killed
from tests.openresponses_schema import check_response
from tests.stream_checker import check_stream
from tests.unit.cases import ANSWER, CASES, STOP, call, text
from tests.unit.kit import Json, Script

DECLARED: list[Any] = [
    {"type": "serverless:calculator"},
    {"type": "serverless:clock"},
    {"type": "function", "name": "get_weather"},
    {"type": "custom", "name": "shell"},
    {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "search"}]},
]
SERVED: list[Any] = [
    {"type": "mcp", "server_label": "docs", "require_approval": "never"},
    {"type": "mcp", "server_label": "bank"},
    {"type": "web_search"},
]
SUCCEEDING = {
    name: case
    for name, case in CASES.items()
    if not case.run and not any(isinstance(said, BaseException) for t in case.turns for said in t)
}
FOUR_TURNS = [
    [*call("calculator"), *STOP],
    [*call("clock"), *call("calculator", key=1), *STOP],
    [*call("nope"), *STOP],
    ANSWER,
]


def house_for(name: str, **settings: Any) -> House:
    return House(Script(CASES[name].turns), **{"max_turns": 8, **settings})


def asked(name: str) -> Json:
    case = CASES[name]
    return {"tools": [*DECLARED, *(SERVED if OURS & {*case.types} else ())], **case.request}


def without_times(events: list[Json]) -> list[Json]:
    return [{k: v for k, v in event.items() if k != "completed_at"} for event in events]


@pytest.mark.parametrize("name", SUCCEEDING)
async def test_a_run_handed_off_at_any_turn_makes_the_same_events(name: str) -> None:
    expected = await house_for(name, inline_turns=99).create(**asked(name))
    check_stream(expected[1])
    check_response(expected[0])
    assert expected[0]["output"] or name == "empty"
    for turns in range(len(CASES[name].turns)):
        house = house_for(name, inline_turns=turns)
        response, events = await house.create(**asked(name))
        assert (response, events) == expected, f"handed off after {turns} turns"
        await house.idle()
        assert await house.events(response["id"]) == expected[1]
        assert (await house.stored.retrieve(response["id"])).model_dump(mode="json") == expected[0]


@pytest.mark.parametrize("name", SUCCEEDING)
async def test_a_background_response_ends_the_same(name: str) -> None:
    inline, _ = await house_for(name, inline_turns=99).create(**asked(name))
    house = house_for(name)
    queued, none = await house.create(**asked(name), background=True)
    assert queued["status"] == "queued"
    assert [event["type"] for event in none] == ["response.created", "response.queued"]
    await house.idle()
    done = (await house.stored.retrieve(queued["id"])).model_dump(mode="json")
    assert {**done, "background": False} == inline
    events = await house.events(queued["id"])
    assert [event["type"] for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_a_stream_can_be_resumed_after_every_event() -> None:
    house = House(Script(FOUR_TURNS), inline_turns=2)
    response, events = await house.create(tools=DECLARED, stream=True)
    for after in range(-1, len(events)):
        assert await house.events(response["id"], after) == events[after + 1 :]


class Fragile:
    """Storage whose writer is killed at its nth write of events, alone or with the run: before it, or after it and
    before the writer knows.
    """

    def __init__(self, storage: Storage, n: int, *, after: bool) -> None:
        self._storage, self._n, self._after = storage, n, after
        self._written = 0

    async def _write(self, write: Coroutine[Any, Any, None]) -> None:
        self._written += 1
        if self._written == self._n and not self._after:
            write.close()
            raise Killed
        await write
        if self._written == self._n:
            raise Killed

    async def append(self, response_id: str, batch: Batch) -> None:
        await self._write(self._storage.log.append(response_id, batch))

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        return await self._storage.log.read(response_id, after_batch)

    async def save(self, run: Run, batch: Batch | None = None) -> None:
        await self._write(self._storage.runs.save(run, batch))

    async def load(self, response_id: str) -> Run | None:
        return await self._storage.runs.load(response_id)


class Again(Script):
    """Says a turn by how many calls were answered in it, so that a turn can be asked for again."""

    async def stream(self, turn: Any):  # type: ignore[override]
        answered = sum(item.type.startswith("serverless:") for item in turn.items)
        for said in self.turns[[0, 1, 2, 2, 3][answered] if answered < 5 else 3]:
            yield said


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
async def test_a_worker_killed_at_any_write_loses_nothing(after: bool) -> None:
    expected, _ = await House(Again(FOUR_TURNS), inline_turns=99).create(tools=DECLARED)
    kills = 0
    for n in range(1, 100):
        house = House(Again(FOUR_TURNS))
        fragile = Fragile(house.storage, n, after=after)
        house.worker_ports = lambda h=house, f=fragile: replace(h.ports, storage=replace(h.storage, log=f, runs=f))
        queued, _ = await house.create(tools=DECLARED, background=True)
        await house.idle()
        if not house.deaths:
            break
        kills += house.deaths
        record = (await house.storage.store.load([queued["id"]]))[0]
        assert record is not None
        settled = [i for i in record.response.output if i.id not in record.discarded]
        assert [item.type for item in settled] == [item["type"] for item in expected["output"]]
        events = await house.events(queued["id"])
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [e["type"] for e in events if e["type"] in ("response.completed", "response.failed")] == [
            "response.completed"
        ]
        check_response(record.response.model_dump(mode="json"))
    assert kills == n - 1 >= 5


WITH_SERVERS = [
    [*call("docs__look", '{"what": "it"}'), *STOP],
    [*call("docs__note"), *call("web_search", '{"query": "it"}', key=1), *STOP],
    [*call("clock"), *STOP],
    ANSWER,
]


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
async def test_a_call_of_a_server_is_not_repeated_unless_the_server_says_that_it_may_be(after: bool) -> None:
    tools = [*DECLARED, *SERVED]
    expected, _ = await House(Again(WITH_SERVERS), inline_turns=99).create(tools=tools)
    unknown = 0
    for n in range(1, 100):
        house = House(Again(WITH_SERVERS))
        fragile = Fragile(house.storage, n, after=after)
        house.worker_ports = lambda h=house, f=fragile: replace(h.ports, storage=replace(h.storage, log=f, runs=f))
        queued, _ = await house.create(tools=tools, background=True)
        await house.idle()
        events = await house.events(queued["id"])
        final = check_stream(events, deaths=house.deaths)
        check_response(final)
        assert [item["type"] for item in final["output"]] == [item["type"] for item in expected["output"]]
        assert [call.name for call in house.tools.called].count("note") <= 1
        (note,) = (item for item in final["output"] if item.get("name") == "note")
        lost = note["status"] == "failed"
        assert not lost or note["error"]["content"][0]["text"] == OUTCOME_UNKNOWN.text
        unknown += lost
        if not house.deaths:
            break
    assert n > 5
    assert unknown >= after  # who is killed before a write has its outputs in the log


async def test_a_provider_that_recovers_is_retried_and_its_dead_turn_is_not_shown_again() -> None:
    script = Script([[*text("Half an"), ProviderUnavailable("gone")], ANSWER])
    house = House(script)
    queued, _ = await house.create(background=True)
    await house.idle()
    record = (await house.storage.store.load([queued["id"]]))[0]
    assert record is not None
    assert [item.status for item in record.response.output] == ["completed"]
    assert [item.type for item in script.asked[1].items] == ["message"]


async def test_a_provider_that_stays_away_fails_the_response_readably() -> None:
    house = House(Script([[ProviderUnavailable("The provider is down")]] * 9))
    queued, _ = await house.create(background=True)
    await house.idle()
    done = await house.stored.retrieve(queued["id"])
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.code, done.error.message) == ("provider_unavailable", "The provider is down")
    assert (await house.events(queued["id"]))[-1]["type"] == "response.failed"


async def test_a_long_loop_goes_on_in_a_new_execution() -> None:
    house = House(
        Script([[*call("clock"), *STOP]] * 30 + [ANSWER]), max_turns=99, history_events=100, turn_seconds=2 * LIFE
    )
    queued, _ = await house.create(tools=DECLARED, background=True)
    while not all(task.done() for task in house.executions):
        await house.idle()
    assert (await house.stored.retrieve(queued["id"])).status == "completed"
    assert [generation for _, generation in house.shelf.started] == list(range(len(house.shelf.started)))
    assert len(house.shelf.started) > 5


@pytest.mark.parametrize(("attempt", "step"), [(0, "again"), (10, "again"), (11, "renewed")])
async def test_a_task_that_lambda_refused_often_has_filled_more_of_its_executions_history(
    attempt: int, step: str
) -> None:
    room = HISTORY_PER_TASK + 10 * HISTORY_PER_RETRY
    house = House(Script([[*call("clock"), *STOP]] * 3 + [ANSWER]), history_events=room + 1, turn_seconds=2 * LIFE)
    queued, _ = await house.create(tools=DECLARED, background=True)
    house.executions[0].cancel()
    result = await house.worker().work(queued["id"], 0, house.time + LIFE, attempt)
    assert (result["step"], result["generation"]) == (step, int(step == "renewed"))
    for execution in house.executions:
        execution.cancel()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("Lambda.TooManyRequestsException", "overloaded"),
        ("NotStarted", "storage_unavailable"),
        ("Sandbox.Timedout", "turn_timeout"),
        ("Crashed", "internal_error"),
    ],
)
async def test_a_response_that_the_state_machine_gave_up_tells_what_its_client_can_do(error: str, code: str) -> None:
    """An alarm looks for internal_error, which only a bug may have."""
    house = House(Script([ANSWER]))
    queued, _ = await house.create(background=True)
    house.executions[0].cancel()
    await house.worker().settle(queued["id"], error, json.dumps({"errorMessage": "words"}))
    done = await house.stored.retrieve(queued["id"])
    assert done.error is not None
    assert (done.status, done.error.code) == ("failed", code)


async def test_a_chain_shows_the_model_all_that_was_said() -> None:
    script = Script([ANSWER] * 4)
    house = House(script)
    first, _ = await house.create(input="one")
    second, _ = await house.create(input="two", previous_response_id=first["id"])
    await house.create(input="three", previous_response_id=second["id"])
    await house.create(input="branch", previous_response_id=first["id"])
    said = [[part.text for item in turn.items for part in item.content] for turn in script.asked]  # type: ignore[union-attr]
    sunny = "It is sunny".replace(" ", "")
    assert said[2] == ["one", sunny, "two", sunny, "three"]
    assert said[3] == ["one", sunny, "branch"]


async def test_what_is_referred_to_must_be_there() -> None:
    house = House(Script([ANSWER] * 3))
    first, _ = await house.create(input="one")
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    await house.create(input=[reference, {"role": "user", "content": "go on"}])
    with pytest.raises(NotFound) as missing:
        await house.create(previous_response_id="resp_nope")
    assert (missing.value.param, missing.value.code) == ("previous_response_id", "previous_response_not_found")
    with pytest.raises(NotFound) as unknown:
        await house.create(input=[{"type": "item_reference", "id": "msg_nope"}])
    assert unknown.value.param == "input[0].id"
    with pytest.raises(RequestError):
        await house.create(background=True, store=False)


async def test_nothing_is_kept_of_what_is_not_to_be_stored() -> None:
    house = House(Script([ANSWER]))
    response, events = await house.create(store=False)
    check_stream(events)
    assert response["store"] is False
    assert house.shelf.responses == {}
    with pytest.raises(NotFound):
        await house.stored.retrieve(response["id"])


async def test_a_failure_before_the_first_byte_is_raised_and_nothing_is_kept() -> None:
    house = House(Script([[ProviderUnavailable("down")]]))
    with pytest.raises(ProviderUnavailable):
        await house.create()
    assert house.shelf.responses == {}


class Endless(Script):
    async def stream(self, turn: Any):  # type: ignore[override]
        while True:
            yield d.Text("t", "and ")
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("background", [False, True])
async def test_a_response_is_cancelled_while_the_model_speaks(background: bool) -> None:
    house = House(Endless([]), flush_seconds=0.05)
    making = asyncio.create_task(house.create(background=background, stream=True))
    while not house.shelf.responses:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    house.time += 2
    (response_id,) = house.shelf.responses
    cancelled = await house.stored.cancel(response_id)
    assert cancelled.status == "cancelled"
    assert all(item.status != "in_progress" for item in cancelled.output)  # type: ignore[union-attr]
    response, events = await making
    assert response["status"] == "cancelled"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert await house.events(response_id) == events
    assert (await house.stored.cancel(response_id)) == cancelled
    await house.idle()


async def test_a_worker_that_is_late_to_end_what_was_cancelled_leaves_it_as_it_is() -> None:
    """Whoever cancels takes the log over, while the worker hears of it and ends the response too."""
    house = House(Endless([]), flush_seconds=0.01)
    renew = house.storage.store.renew

    async def cancelled_meanwhile(response_id: str, lease: float | None) -> None:
        try:
            await renew(response_id, lease)
        except Cancelled:
            await house.stored.cancel(response_id)
            raise

    house.storage.store.renew = cancelled_meanwhile  # type: ignore[method-assign]
    queued, _ = await house.create(background=True)
    while (await house.stored.retrieve(queued["id"])).output == []:
        await asyncio.sleep(0.01)
    await house.storage.store.cancel(queued["id"])
    house.time += 2
    await house.idle()
    assert (await house.stored.retrieve(queued["id"])).status == "cancelled"
    assert len(house.ledger.accounts) == 1


async def test_a_finished_response_stays_as_it_is_when_cancelled() -> None:
    house = House(Script([ANSWER]))
    response, _ = await house.create()
    assert (await house.stored.cancel(response["id"])).status == "completed"
    await house.stored.delete(response["id"])
    with pytest.raises(NotFound):
        await house.stored.cancel(response["id"])


async def test_input_items_are_listed_in_pages() -> None:
    house = House(Script([ANSWER] * 2))
    first, _ = await house.create(input=[{"role": "user", "content": f"{n}"} for n in range(5)])
    second, _ = await house.create(input="again", previous_response_id=first["id"])
    page, more = await house.stored.input_items(second["id"], limit=3, order="asc", after=None, before=None)
    assert ([item.content[0].text for item in page], more) == (["0", "1", "2"], True)  # type: ignore[union-attr]
    rest, more = await house.stored.input_items(second["id"], limit=9, order="asc", after=page[-1].id, before=None)
    assert (len(rest), more) == (4, False)
    last, _ = await house.stored.input_items(second["id"], limit=1, order="desc", after=None, before=None)
    assert last == rest[-1:]


class SavedMeanwhile:
    """Runs of which one is saved by another worker just after it was loaded."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._loaded = storage, 0

    async def load(self, response_id: str) -> Run | None:
        run, self._loaded = await self._storage.runs.load(response_id), self._loaded + 1
        if run is not None and self._loaded == 1:
            log = await self._storage.log.read(response_id, -1)
            await self._storage.runs.save(run.model_copy(), Batch(len(log), []))
        return run

    async def save(self, run: Run, batch: Batch | None = None) -> None:
        await self._storage.runs.save(run, batch)


async def test_a_run_that_is_saved_while_it_is_taken_over_is_taken_over_again() -> None:
    house = House(Script([[*call("clock"), *STOP], ANSWER]))
    runs = SavedMeanwhile(house.storage)
    house.worker_ports = lambda: replace(house.ports, storage=replace(house.storage, runs=runs))
    queued, _ = await house.create(tools=DECLARED, background=True)
    await house.idle()
    assert (await house.stored.retrieve(queued["id"])).status == "completed"

"""Tools that answer later: what the engine, the worker and readers make of calls that wait, over storage in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core.answers import MAX_OUTPUT, Answer, answered, failed
from openresponses.core.errors import NotFound, RequestError, Superseded
from openresponses.core.ports import Offer, Offerable, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.turn import Turn
from openresponses.responses.worker import HISTORY_PER_TASK, MAX_PARKED
from openresponses.schema.server_items import HostedToolCall, McpListTools, ServerCall
from openresponses.storage.memory.store import MemoryStore
from tests.contract.deaths import Life
from tests.contract.machine import House
from tests.contract.sockets import Line
from tests.openresponses_schema import check_response
from tests.stream_checker import check_stream
from tests.sweeps import Sweep
from tests.unit.cases import ANSWER, STOP, call, text
from tests.unit.kit import Json, Models, Script, Tools

APPROVE = OfferedTool(
    name="approve", kind="hosted", item_type="serverless:approve", wire_name="approve", answers_later=True, timeout=600
)
TOOLS: list[Json] = [{"type": "serverless:approve"}, {"type": "serverless:clock"}]


class Later(Tools):
    """`approve` answers later, unless its arguments have `at once` in them: then it fails at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        return Offer([APPROVE]) if tool.type == APPROVE.item_type else await super().offer(tool, known)

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> ToolOutput | None:
        assert isinstance(call, HostedToolCall)
        self.asked.append((call.id, task_token))
        return ToolOutput("It is closed", failed=True) if "at once" in call.arguments else None


def asks(count: int = 1, *, first: int = 0, arguments: str = "{}") -> list[Any]:
    return [each for key in range(first, first + count) for each in call("approve", arguments, key=key)]


def house_of(*turns: list[Any], **settings: Any) -> tuple[House, Later]:
    tools = Later()
    return House(Script([*turns]), tools, **{"inline_turns": 99, **settings}), tools


async def parked(house: House, tools: Later, count: int) -> dict[str, str]:
    """The tokens of the calls that wait, by the calls' ids, once there are so many."""
    for _ in range(2000):
        if len(dict(tools.asked)) == count:
            return dict(tools.asked)
        await asyncio.sleep(0)
    raise AssertionError(f"{tools.asked} were asked for")


async def started(house: House, **request: Any) -> str:
    response, _ = await house.create(tools=TOOLS, background=True, **request)
    return response["id"]


async def retrieved(house: House, response_id: str) -> Json:
    return (await house.stored.retrieve(response_id)).model_dump(mode="json")


def recorded(house: House) -> list[tuple[str, str, int]]:
    return [(each.call_id, each.outcome, each.bytes_out) for each in house.ledger.calls]


def outputs(response: Json) -> list[tuple[str, str | None]]:
    return [(item["status"], item["output"]) for item in response["output"] if item["type"] == APPROVE.item_type]


@pytest.mark.parametrize("backwards", [False, True])
async def test_two_calls_of_a_turn_are_answered_in_either_order(backwards: bool) -> None:
    house, tools = house_of([*asks(2), *STOP], ANSWER)
    response_id = await started(house)
    tokens = await parked(house, tools, 2)
    waits = await retrieved(house, response_id)
    assert (waits["status"], outputs(waits)) == ("in_progress", [("in_progress", None)] * 2)
    house.time += 3600
    for call_id, token in sorted(tokens.items(), reverse=backwards):
        house.answers[token].set_result(f"yes to {call_id[-1]}")
        await asyncio.sleep(0.01)
    await house.idle()
    response = await retrieved(house, response_id)
    check_response(response)
    assert response["status"] == "completed"
    assert outputs(response) == [("completed", "yes to 0"), ("completed", "yes to 1")]
    assert sorted(recorded(house)) == [(call_id, "completed", len("yes to 0")) for call_id in sorted(tokens)]
    assert {each.seconds for each in house.ledger.calls} == {3600}
    events = await house.events(response_id)
    check_stream(events)
    assert [event["sequence_number"] for event in events] == [*range(len(events))]


async def test_calls_that_are_answered_at_once_come_first() -> None:
    house, tools = house_of([*asks(1), *call("clock", key=5), *STOP], ANSWER)
    response_id = await started(house)
    tokens = await parked(house, tools, 1)
    assert [each.name for each in tools.called] == ["clock"]
    for token in tokens.values():
        house.answers[token].set_result("yes")
    await house.idle()
    assert [each.name for each in tools.called] == ["clock"]
    assert (await retrieved(house, response_id))["status"] == "completed"


async def test_a_response_that_is_made_inline_is_handed_off_at_once_and_its_client_goes_on_to_hear_it() -> None:
    house, tools = house_of([*asks(1), *STOP], ANSWER)
    creating = asyncio.create_task(house.create(tools=TOOLS, stream=True))
    (token,) = (await parked(house, tools, 1)).values()
    assert len(house.shelf.started) == 1
    assert not creating.done()
    house.answers[token].set_result("yes")
    response, events = await creating
    check_stream(events)
    assert (response["status"], outputs(response)) == ("completed", [("completed", "yes")])
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    await house.idle()
    assert await house.events(response["id"]) == events


async def test_over_a_socket_the_answer_is_waited_for_and_another_holder_of_the_lane_goes_on() -> None:
    house, tools = house_of([*asks(1), *STOP], ANSWER)
    line = await Line(house).open()
    line.life = 15.1  # little more than what a holder passes its lane on with
    creating = asyncio.create_task(line.create(tools=TOOLS))
    (token,) = (await parked(house, tools, 1)).values()
    await asyncio.sleep(0.3)
    assert not creating.done()
    house.answers[token].set_result("yes")
    frames = await creating
    await house.idle()
    numbers = [frame["sequence_number"] for frame in frames]
    assert numbers == sorted({*numbers})  # with gaps, where deltas were joined
    assert frames[-1]["type"] == "response.completed"
    assert outputs(frames[-1]["response"]) == [("completed", "yes")]
    assert "follow" in {key for heir in line.invoked for key in heir}


@pytest.mark.parametrize("declared", ["tools", "input"])
async def test_a_response_that_is_not_stored_can_offer_no_such_tool(declared: str) -> None:
    house, _ = house_of(ANSWER)
    function = {"type": "function", "name": "f"}
    message = {"type": "message", "role": "user", "content": "hello"}
    more: Json = {"type": "additional_tools", "role": "developer", "tools": [TOOLS[1], TOOLS[0]]}
    request: Json = {"tools": [function, TOOLS[0]]} if declared == "tools" else {"input": [message, more]}
    with pytest.raises(RequestError) as refused:
        await house.create(store=False, **request)
    assert refused.value.param == {"tools": "tools[1].type", "input": "input[1].tools[1].type"}[declared]
    assert (refused.value.status, refused.value.code) == (400, "requires_store")


async def test_a_failure_is_told_to_the_model_and_so_is_one_at_once() -> None:
    house, tools = house_of([*asks(1, arguments='{"how": "at once"}'), *asks(1, first=1), *STOP], ANSWER)
    response_id = await started(house)
    tokens = await parked(house, tools, 2)
    (waits,) = [call_id for call_id in tokens if call_id.endswith("1")]
    await house.worker().answer(response_id, failed(waits, "States.Timeout", ""))
    house.answers[tokens[waits]].set_result("too late for this one")
    await house.idle()
    response = await retrieved(house, response_id)
    said = "Nobody answered in time. Go on without it."
    assert outputs(response) == [("failed", "It is closed"), ("failed", said)]
    assert [each.outcome for each in house.ledger.calls] == ["failed", "failed"]
    assert response["status"] == "completed"


@pytest.mark.parametrize(
    ("error", "cause", "told"),
    [
        ("ToolFailed", "The limit is 100.", "The limit is 100."),
        ("ToolFailed", "", "The tool failed"),
        ("", "", "The tool failed"),
        ("OutOfStock", "none left", "The tool failed: OutOfStock: none left"),
        ("com.example.Closed", "", "The tool failed: com.example.Closed"),
        ("States.Timeout", "", "Nobody answered in time. Go on without it."),
        ("Lambda.Unknown", "arn:aws:iam::123456789012:role/x", "The tool can't be called. Go on without it."),
        ("StorageUnavailable", '{"errorMessage": "x"}', "The tool can't be called. Go on without it."),
        ("Crashed", "KeyError in ask", "The tool can't be called. Go on without it."),
        (
            "States.DataLimitExceeded",
            "",
            "The answer was larger than 256 KiB, which the server can't take. Go on without it.",
        ),
    ],
)
def test_what_a_model_is_told_of_a_failure_quotes_nothing_of_this_server(error: str, cause: str, told: str) -> None:
    assert failed("htc_1", error, cause) == Answer(call_id="htc_1", text=told, failed=True)


def test_an_answer_is_text_or_json_and_is_cut_as_any_output() -> None:
    assert answered("htc_1", {"ok": "é"}).text == '{"ok": "é"}'
    assert answered("htc_1", "yes \ud800").text == "yes ?"
    assert answered("htc_1", "x" * 30_000).text == (
        "x" * MAX_OUTPUT + f"\n[cut: this is {MAX_OUTPUT} of 30000 characters]"
    )


async def test_cancelling_what_waits_ends_it_at_once_and_no_answer_changes_it() -> None:
    house, tools = house_of([*asks(2), *STOP], ANSWER)
    response_id = await started(house)
    tokens = await parked(house, tools, 2)
    cancelled = await house.stored.cancel(response_id)
    assert (cancelled.status, house.shelf.stopped) == ("cancelled", [(response_id, 0)])
    for token in tokens.values():  # the machine is stopped: here it is not, and must change nothing
        house.answers[token].set_result("yes")
    await house.idle()
    response = await retrieved(house, response_id)
    assert response["status"] == "cancelled"
    assert outputs(response) == [("incomplete", None)] * 2
    check_stream(await house.events(response_id))
    assert len(house.ledger.accounts) == 1
    assert sorted(recorded(house)) == [(call_id, "unknown", 0) for call_id in sorted(tokens)]


async def test_deleting_what_waits_leaves_nothing() -> None:
    house, tools = house_of([*asks(1), *STOP], ANSWER)
    response_id = await started(house)
    tokens = await parked(house, tools, 1)
    await house.stored.delete(response_id)
    for token in tokens.values():
        house.answers[token].set_result("yes")
    await house.idle()
    with pytest.raises(NotFound):
        await house.stored.retrieve(response_id)
    assert await house.storage.answers.of(response_id) == []
    with pytest.raises(Superseded):
        await house.worker().ask(response_id, next(iter(tokens)), "another token")


async def test_a_call_that_was_answered_or_never_was_is_asked_for_no_more() -> None:
    house, tools = house_of([*asks(1), *STOP], [*asks(1), *STOP], ANSWER)
    response_id = await started(house)
    ((call_id, token),) = (await parked(house, tools, 1)).items()
    house.answers[token].set_result("yes")
    await parked(house, tools, 2)
    for gone in (call_id, "htc_nothing"):
        with pytest.raises(Superseded):
            await house.worker().ask(response_id, gone, "another token")
    house.answers[tools.asked[-1][1]].set_result("yes")
    await house.idle()


async def test_calls_above_the_limit_are_not_asked_for() -> None:
    house, tools = house_of([*asks(2), *STOP], ANSWER)
    response_id = await started(house, max_tool_calls=1)
    await house.idle()
    response = await retrieved(house, response_id)
    assert (response["status"], tools.asked) == ("incomplete", [])
    assert outputs(response) == [("incomplete", None)] * 2


async def test_a_reader_of_what_waits_starts_no_worker_however_long_it_waits() -> None:
    house, tools = house_of([*asks(1), *STOP], ANSWER)
    creating = asyncio.create_task(house.create(tools=TOOLS, stream=True))
    ((_, token),) = (await parked(house, tools, 1)).items()
    (response_id,) = house.shelf.responses
    house.time += 20 * 86_400
    reading = asyncio.create_task(house.events(response_id))
    assert (await retrieved(house, response_id))["status"] == "in_progress"
    await asyncio.sleep(1.2)
    assert house.shelf.started == [(response_id, 0)]
    assert not reading.done()
    house.answers[token].set_result("yes")
    _, events = await creating
    assert await reading == events


async def test_more_calls_than_are_asked_for_at_once_wait_for_the_others() -> None:
    count = MAX_PARKED + 3
    house, tools = house_of([*asks(count), *STOP], ANSWER)
    response_id = await started(house)
    for token in (await parked(house, tools, MAX_PARKED)).values():
        house.answers[token].set_result("yes")
    for token in [*(await parked(house, tools, count)).values()][MAX_PARKED:]:
        house.answers[token].set_result("yes")
    await house.idle()
    assert outputs(await retrieved(house, response_id)) == [("completed", "yes")] * count


async def test_each_wait_has_an_execution_of_its_own_but_the_first_goes_on_in_its_first() -> None:
    house, tools = house_of([*asks(1), *STOP], [*asks(1), *STOP], ANSWER)
    response_id = await started(house)
    for n in (1, 2):
        tokens = await parked(house, tools, n)
        house.answers[[*tokens.values()][-1]].set_result("yes")
    await house.idle()
    assert house.shelf.started == [(response_id, 0), (response_id, 1)]
    run = await house.storage.runs.load(response_id)
    assert run is not None
    assert run.history >= HISTORY_PER_TASK


async def test_a_wait_prolongs_what_waits_and_its_end_does_too() -> None:
    prolonged: list[tuple[str, float]] = []

    class Store(MemoryStore):
        async def prolong(self, record: Any, seconds: float) -> None:
            prolonged.append((record.response.id, seconds))

    house, tools = house_of([*asks(1), *STOP], ANSWER)
    object.__setattr__(house.storage, "store", Store(house.shelf))
    response_id = await started(house)
    (token,) = (await parked(house, tools, 1)).values()
    assert prolonged == [(response_id, 600)]
    house.answers[token].set_result("yes")
    await house.idle()
    assert prolonged == [(response_id, 600), (response_id, 0)]


async def test_the_next_turn_may_be_a_compaction() -> None:
    house, tools = house_of([*text("x" * 400), *asks(1), *STOP], ANSWER)
    response_id = await started(house, context_management=[{"type": "compaction", "compact_threshold": 100_000}])
    (token,) = (await parked(house, tools, 1)).values()
    house.answers[token].set_result("yes")
    await house.idle()
    assert (await retrieved(house, response_id))["status"] == "completed"


class Asking(Script):
    """Calls, until the model is shown what became of that."""

    async def stream(self, turn: Turn) -> AsyncGenerator[Any, None]:
        shown = any(item.type == APPROVE.item_type for item in turn.items)
        for delta in ANSWER if shown else [*asks(2), *STOP]:
            yield delta


async def answered_by(life: Life) -> list[str]:
    """Make a response with two calls that wait, by workers of which the first ones share a life. Their calls."""
    tools = Later()
    house = House(Models(Asking([])), tools, inline_turns=99)
    theirs = replace(house.ports, storage=life.over(house.storage))
    house.worker_ports = lambda: house.ports if life.ended else theirs
    response_id = await started(house)
    while not all(task.done() for task in house.executions):
        for waiting in {token: house.answers[token] for _, token in tools.asked}.values():
            if not waiting.done():
                waiting.set_result("yes")
        await asyncio.sleep(0)
    await house.idle()
    response = await retrieved(house, response_id)
    assert (response["status"], outputs(response)) == ("completed", [("completed", "yes")] * 2)
    check_stream(await house.events(response_id), deaths=house.deaths)
    assert len(dict(tools.asked)) == 2
    assert len({token for _, token in tools.asked}) == len(tools.asked), "a token was given twice"
    return life.calls


async def test_a_worker_that_dies_at_any_call_of_its_storage_loses_no_answer(sweep: Sweep) -> None:
    calls = await answered_by(Life())
    assert {"answers.keep", "answers.of", "store.prolong", "runs.save"} <= {*calls}
    points = [(number, after) for number in range(len(calls)) for after in (False, True)]
    for number, after in sweep.sample(points, 24):
        life = Life(number, after)
        await answered_by(life)
        assert life.killed, f"nobody was killed at {number}"

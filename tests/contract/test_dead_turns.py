"""Turns that die and are taken again: their items stay in the log, and the final response leaves them out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import NotFound, ProviderUnavailable
from openresponses.core.reducer import apply
from openresponses.schema.response import Response
from tests.contract.machine import House
from tests.contract.sdk_fold import accumulated
from tests.contract.served import sdk_of
from tests.openresponses_schema import check_response
from tests.stream_checker import check_stream
from tests.unit.cases import ANSWER, STOP, call, text
from tests.unit.kit import Json, Said, Script
from tests.unit.test_always import EVENT

CLOCK: list[Any] = [{"type": "serverless:clock"}]
GONE = ProviderUnavailable("gone")
DYING: dict[str, list[Said]] = {
    "amid a text": [*text("Half an"), GONE],
    "amid the reasoning": [d.Reasoning("r", "hm"), GONE],
    "after an item": [d.Reasoning("r", "hm"), d.End("r"), *text("It is sunny"), d.End("t"), GONE],
    "after a call": [*call("clock"), d.End(0), GONE],
}
every_death = pytest.mark.parametrize("dying", [pytest.param(said, id=name) for name, said in DYING.items()])


async def ended(house: House, **request: Any) -> Json:
    """A response in the background, when it is over."""
    queued, _ = await house.create(tools=CLOCK, background=True, **request)
    await house.idle()
    return (await house.stored.retrieve(queued["id"])).model_dump(mode="json")


def turns_with(dying: Sequence[Said]) -> list[Sequence[Said]]:
    return [dying, [*call("clock"), *STOP], dying, dying, ANSWER]


@every_death
async def test_the_final_response_leaves_out_what_another_turn_replaced(dying: list[Said]) -> None:
    house = House(Script(turns_with(dying)))
    response = await ended(house)
    assert [(item["type"], item["status"]) for item in response["output"]] == [
        ("serverless:clock", "completed"),
        ("message", "completed"),
    ]
    check_response(response)
    events = await house.events(response["id"])
    assert check_stream(events, deaths=3) == response
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert len(added) > len(response["output"]), "the items of dead turns are not in the log"
    assert [event["sequence_number"] for event in events] == list(range(len(events))), "no worker died"


@every_death
async def test_folding_the_log_gives_the_stored_response(dying: list[Said]) -> None:
    house = House(Script(turns_with(dying)))
    response = await ended(house)
    folded = Response(id="", created_at=0, model="")
    for event in await house.events(response["id"]):
        folded = apply(folded, EVENT.validate_python(event))
    assert folded.model_dump(mode="json") == response


@every_death
async def test_a_stream_that_is_resumed_anywhere_ends_with_the_same_response(dying: list[Said]) -> None:
    house = House(Script(turns_with(dying)))
    response = await ended(house)
    events = await house.events(response["id"])
    for after in range(-1, len(events)):
        assert await house.events(response["id"], after) == events[after + 1 :]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the SDK, which does not know our tools
@every_death
async def test_the_sdk_accumulates_the_final_response(dying: list[Said]) -> None:
    house = House(Script(turns_with(dying)))
    response = await ended(house)
    events = await house.events(response["id"])
    assert [item["id"] for item in accumulated(events)["output"]] == [item["id"] for item in response["output"]]
    async with sdk_of(house) as client:
        for after in (None, 0, len(events) // 2, len(events) - 2):
            resumed: Any = {"response_id": response["id"]} | ({} if after is None else {"starting_after": after})
            async with client.responses.stream(**resumed) as stream:
                seen = [event.sequence_number async for event in stream]
                final = await stream.get_final_response()
            assert seen == list(range(0 if after is None else after + 1, len(events)))
            assert [item.id for item in final.output] == [item["id"] for item in response["output"]]
            assert final.output_text == "".join(part["text"] for part in response["output"][-1]["content"])


@every_death
async def test_a_conversation_goes_on_without_them(dying: list[Said]) -> None:
    script = Script([*turns_with(dying), ANSWER])
    house = House(script)
    response = await ended(house, input="first")
    after, _ = await house.create(input="second", previous_response_id=response["id"])
    items, _ = await house.stored.input_items(after["id"], limit=100, order="asc", after=None, before=None)
    assert [item.id for item in items[1:-1]] == [item["id"] for item in response["output"]]
    assert [item.type for item in script.asked[-1].items] == ["message", "serverless:clock", "message", "message"]
    events = await house.events(response["id"])
    ids = {event["item"]["id"] for event in events if event["type"] == "response.output_item.added"}
    for dead in ids - {item["id"] for item in response["output"]}:
        with pytest.raises(NotFound):
            await house.create(input=[{"type": "item_reference", "id": dead}])


@every_death
async def test_what_no_turn_replaced_stays(dying: list[Said]) -> None:
    """The client of a response that fails is shown how far it came."""
    house = House(Script([[*call("clock"), *STOP], *[dying] * 20]))
    response = await ended(house)
    assert response["status"] == "failed"
    assert response["output"][0]["status"] == "completed"
    assert len(response["output"]) > 1
    assert check_stream(await house.events(response["id"]), deaths=20) == response


class Stuck(Script):
    """Its first turn dies, and its second never ends."""

    async def stream(self, turn: Any):  # type: ignore[override]
        self.asked.append(turn)
        yield d.Text("t", "and ")
        if len(self.asked) == 1:
            raise GONE
        await asyncio.Event().wait()


async def test_a_response_that_is_cancelled_leaves_out_what_was_replaced() -> None:
    house = House(Stuck([]))
    queued, _ = await house.create(background=True)
    while len((await house.stored.retrieve(queued["id"])).output) < 2:
        await asyncio.sleep(0.02)
    cancelled = (await house.stored.cancel(queued["id"])).model_dump(mode="json")
    for execution in house.executions:
        execution.cancel()
    events = await house.events(queued["id"])
    assert check_stream(events, deaths=1) == cancelled
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    assert [item["id"] for item in cancelled["output"]] == added[1:]
    assert (cancelled["status"], cancelled["output"][0]["status"]) == ("cancelled", "incomplete")

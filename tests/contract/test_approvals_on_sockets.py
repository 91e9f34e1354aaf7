"""Approvals over a WebSocket, where the connection remembers what is not stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.approving import DICE, ROLL, SIX, Casino, approval, calls_in, kinds, requests_in
from tests.contract.sockets import Line
from tests.unit.kit import Json

stores = pytest.mark.parametrize("store", [True, False])


async def turn(line: Line, said: Any, **fields: Any) -> Json:
    """The response, or the error's frame."""
    last = (await line.create(said, tools=[DICE], **fields))[-1]
    return last.get("response") or last


async def asked(line: Line, **fields: Any) -> tuple[str, Json]:
    response = await turn(line, "roll", **fields)
    (request,) = requests_in(response)
    return response["id"], request


@stores
async def test_an_approved_call_is_made_on_the_connection(store: bool) -> None:
    house = Casino(ROLL)
    line = await Line(house).open()
    first, request = await asked(line, store=store)
    second = await turn(line, [approval(request)], previous_response_id=first, store=store)
    assert kinds(second) == ["mcp_call", "message"]
    assert house.made == [f"dice.roll({SIX})"]
    third = await turn(line, "thanks", previous_response_id=second["id"], store=store)
    assert third["status"] == "completed"


@stores
async def test_an_approval_is_spent_for_every_connection(store: bool) -> None:
    house = Casino(ROLL)
    line, other = await Line(house).open(), await Line(house, connection_id="c2=").open()
    first, request = await asked(line, store=store)
    assert calls_in(await turn(line, [approval(request)], previous_response_id=first, store=store))
    again = await turn(line, [approval(request)], previous_response_id=first, store=store)
    wrong = "approval_spent" if store else "previous_response_not_found"
    assert (again["status"], again["error"]["code"]) == (400 if store else again["status"], wrong)
    given = [{"role": "user", "content": "roll"}, request, approval(request)]
    told = await turn(other, given, store=store)
    assert (told["status"], told["error"]["code"]) == (400, "approval_spent")
    assert told["error"]["param"] == "input[2].approval_request_id"
    assert len(house.made) == 1


async def test_what_only_prepares_takes_no_approval() -> None:
    house = Casino(ROLL)
    line = await Line(house).open()
    first, request = await asked(line)
    refused = await turn(line, [approval(request)], previous_response_id=first, generate=False)
    assert refused["error"]["code"] == "approval_makes_no_call"
    assert house.shelf.spent == {}
    assert calls_in(await turn(line, [approval(request)], previous_response_id=first))


async def test_a_client_that_leaves_before_the_call_may_approve_again_if_it_was_not_made() -> None:
    """Whatever the worker came to: one approval, one call."""
    house = Casino(ROLL)
    line, other = await Line(house).open(), await Line(house, connection_id="c2=").open()
    first, request = await asked(line)
    line.far.gone = True
    await line.say(
        {
            "type": "response.create",
            "model": "m",
            "input": [approval(request)],
            "tools": [DICE],
            "previous_response_id": first,
        }
    )
    await line.quiet()
    await house.idle()
    last = await turn(other, [approval(request)], previous_response_id=first)
    assert len(house.made) == 1
    assert calls_in(last) if "output" in last else last["error"]["code"] == "approval_spent"

"""Approvals over the API: one approval makes one call, wherever the conversation is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from openresponses.core.approvals import DAY
from openresponses.core.errors import ProviderUnavailable, StorageUnavailable
from openresponses.core.ports import Counted
from openresponses.core.turn import Turn
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.routing.cipher import TenantMarks
from openresponses.schema.server_items import HostedToolCall
from openresponses.storage.memory.spent import MemorySpent
from openresponses.storage.memory.storage import memory_storage
from tests.contract.approving import (
    DICE,
    FREE,
    ROLL,
    SIX,
    Casino,
    approval,
    asks,
    calls_in,
    kinds,
    requests_in,
    user,
)
from tests.contract.served import client_of
from tests.contract.storage_suite import BACKENDS, opened
from tests.conversations import folded
from tests.unit.kit import Json, Models

ways = pytest.mark.parametrize(
    "way", [{}, {"stream": True}, {"store": False}, {"store": False, "stream": True}], ids=str
)
KEY = {"idempotency-key": "key"}


async def asked(house: Casino, **request: Any) -> tuple[Json, Json]:
    """A response that asks for one approval, and the request for it."""
    response = await house.answer(**request)
    (request,) = requests_in(response)
    assert response["status"] == "completed"
    assert response["output"][-1] == request
    return response, request


def told(house: Casino, turn: int = -1) -> list[tuple[str, str | None]]:
    """What the model is shown of its calls: their names, and their outputs."""
    items = house.script.asked[turn].items
    return [(item.name, str(item.output)) for item in items if isinstance(item, HostedToolCall)]


async def follow_up(house: Casino, first: Json, *items: Json, **way: Any) -> Any:
    """The answer to `items`, by `previous_response_id` or, where nothing is stored, by the whole list."""
    if way.get("store") is False:
        return await house.post(input=[user("roll"), *first["output"], *items], **way)
    return await house.post(input=[*items], previous_response_id=first["id"], **way)


def response_of(answer: Any) -> Json:
    assert answer.status_code == 200, answer.text
    streamed = answer.headers["content-type"].startswith("text/event-stream")
    return folded(answer.text) if streamed else answer.json()


@ways
async def test_an_approved_call_is_made_before_the_model_goes_on(way: Json) -> None:
    house = Casino(ROLL)
    first, request = await asked(house, store=way.get("store"))
    assert house.made == []
    second = response_of(await follow_up(house, first, approval(request), **way))
    assert kinds(second) == ["mcp_call", "message"]
    (call,) = calls_in(second)
    assert (call["approval_request_id"], call["status"]) == (request["id"], "completed")
    assert (call["arguments"], call["output"]) == (SIX, f"roll({SIX})")
    assert house.made == [f"dice.roll({SIX})"]
    assert told(house) == [("dice__roll", f"roll({SIX})")]


@ways
async def test_a_refused_call_is_told_to_the_model_with_the_reason(way: Json) -> None:
    house = Casino(ROLL)
    first, request = await asked(house, store=way.get("store"))
    second = response_of(await follow_up(house, first, approval(request, False, reason="too risky"), **way))
    assert kinds(second) == ["message"]
    ((name, output),) = told(house)
    assert name == "dice__roll"
    assert "did not approve" in str(output)
    assert "too risky" in str(output)
    assert house.made == []


@ways
async def test_an_approval_is_spent_once(way: Json) -> None:
    house = Casino(ROLL)
    first, request = await asked(house, store=way.get("store"))
    response_of(await follow_up(house, first, approval(request), **way))
    again = await follow_up(house, first, approval(request), **way)
    assert again.status_code == 400
    place = 3 if way.get("store") is False else 0
    error = again.json()["error"]
    assert (error["code"], error["param"]) == ("approval_spent", f"input[{place}].approval_request_id")
    assert house.made == [f"dice.roll({SIX})"]


@ways
async def test_of_many_at_once_with_one_approval_one_makes_the_call(way: Json) -> None:
    house = Casino(ROLL)
    first, request = await asked(house, store=way.get("store"))
    answers = await asyncio.gather(*(follow_up(house, first, approval(request), **way) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert len(house.made) == 1
    kept = [answer.json()["error"]["code"] for answer in answers if answer.status_code == 400]
    assert kept == ["approval_spent"] * 7
    if way.get("store") is not False:
        assert len(house.shelf.responses) == 2, "what was refused is not stored"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_one_passes_whatever_the_storage_is(backend: str) -> None:
    with opened(backend) as at:
        kept = at.storage("acme")
        house = Casino(ROLL, storage=replace(kept, launcher=memory_storage().launcher))
        first, request = await asked(house)
        await asyncio.gather(*(follow_up(house, first, approval(request), store=n % 2 == 0) for n in range(4)))
        assert house.made == [f"dice.roll({SIX})"]


async def test_a_client_sends_its_whole_conversation_again_and_again() -> None:
    house = Casino(ROLL)
    first, request = await asked(house, store=False)
    talk = [user("roll"), *first["output"], approval(request)]
    for turn in range(3):
        answer = await house.answer(input=talk, store=False)
        talk += [*answer["output"], user(f"and then? {turn}")]
    assert house.made == [f"dice.roll({SIX})"]
    assert told(house) == [("dice__roll", f"roll({SIX})")]
    house.time += 2 * DAY
    assert (await house.answer(input=talk, store=False, tools=[]))["status"] == "completed"


async def test_an_approval_may_come_after_something_else() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    second = await house.answer(input="Wait, what is it for?", previous_response_id=first["id"])
    ((_, output),) = told(house)
    assert "not given" in str(output)
    third = await house.answer(input=[approval(request)], previous_response_id=second["id"])
    assert kinds(third) == ["mcp_call", "message"]
    assert told(house) == [("dice__roll", f"roll({SIX})")]


async def test_an_approval_may_stand_in_a_conversation() -> None:
    house = Casino(ROLL)
    async with client_of(house) as client:
        talk = (await client.post("/conversations", json={})).json()["id"]
    _, request = await asked(house, conversation=talk)
    second = await house.answer(input=[approval(request)], conversation=talk, store=False)
    assert kinds(second) == ["mcp_call", "message"]
    assert await house.refusal(input=[approval(request)], conversation=talk) == "approval_answered 0"
    assert (await house.answer(input="thanks", conversation=talk))["status"] == "completed"
    assert len(house.made) == 1


async def test_parallel_calls_of_which_some_need_no_approval() -> None:
    house = Casino(asks("dice__roll", "free__roll", "dice__set"))
    first = await house.answer(tools=[DICE, FREE])
    roll, put = requests_in(first)
    assert [call["server_label"] for call in calls_in(first)] == ["free"]
    assert len(house.script.asked) == 1, "the model waits for the approvals"
    second = await house.answer(input=[approval(put)], previous_response_id=first["id"], tools=[DICE, FREE])
    assert [call["name"] for call in calls_in(second)] == ["set"]
    outputs = dict(told(house))
    assert outputs["dice__set"] == f"set({SIX})"
    assert outputs["free__roll"] == f"roll({SIX})"
    assert "not given" in str(outputs["dice__roll"])
    third = await house.answer(input=[approval(roll)], previous_response_id=second["id"], tools=[DICE, FREE])
    assert [call["name"] for call in calls_in(third)] == ["roll"]
    assert house.made == [f"free.roll({SIX})", f"dice.set({SIX})", f"dice.roll({SIX})"]


async def test_the_same_call_twice_needs_two_approvals() -> None:
    house = Casino(asks("dice__roll", "dice__roll"))
    first = await house.answer()
    one, two = requests_in(first)
    second = await house.answer(input=[approval(two)], previous_response_id=first["id"])
    assert [call["approval_request_id"] for call in calls_in(second)] == [two["id"]]
    third = await house.answer(input=[approval(one)], previous_response_id=second["id"])
    assert [call["approval_request_id"] for call in calls_in(third)] == [one["id"]]
    assert len(house.made) == 2


async def test_both_calls_of_one_turn_are_approved_at_once() -> None:
    house = Casino(asks("dice__roll", "dice__set"))
    first = await house.answer()
    second = await house.answer(
        input=[approval(each) for each in reversed(requests_in(first))], previous_response_id=first["id"]
    )
    assert kinds(second) == ["mcp_call", "mcp_call", "message"]
    assert house.made == [f"dice.set({SIX})", f"dice.roll({SIX})"]
    assert told(house) == [("dice__roll", f"roll({SIX})"), ("dice__set", f"set({SIX})")]


async def test_what_an_approval_needs_is_named() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)

    async def refusal(**changed: Any) -> str:
        return await house.refusal(**{"input": [approval(request)], "previous_response_id": first["id"], **changed})

    assert await refusal(tools=[]) == "approval_server_missing 0"
    assert await refusal(tools=[{**DICE, "server_url": "https://evil.example/mcp"}]) == "approval_server_changed 0"
    assert await refusal(tools=[{"type": "mcp", "server_label": "dice"}]) == "approval_server_changed 0"
    assert await refusal(tools=[{**DICE, "allowed_tools": ["peek"]}]) == "approval_tool_missing 0"
    assert await refusal(input=[user("x"), approval("mcpr_" + "0" * 92)]) == "approval_not_found 1"
    assert await refusal(input=[approval(request), approval(request, False)]) == "approval_answered 1"
    forged = {**request, "arguments": '{"sides": 7}'}
    assert await refusal(previous_response_id=None, input=[forged, approval(request)]) == "approval_altered 1"
    house.time += DAY
    assert await refusal() == "approval_expired 0"
    assert house.made == []
    house.time -= DAY
    assert (await house.answer(input=[approval(request)], previous_response_id=first["id"]))["status"] == "completed"


async def test_what_was_refused_is_not_approved_in_a_later_response() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    second = await house.answer(input=[approval(request, False)], previous_response_id=first["id"])
    refused = await house.refusal(input=[approval(request)], previous_response_id=second["id"])
    assert refused == "approval_answered 0"


async def test_a_request_is_for_its_tenant_alone() -> None:
    """Both tenants have the same key, the same ids, and the same conversation."""
    house, other = Casino(ROLL), Casino(ROLL, tenant="intruder")
    _, request = await asked(house, store=False)
    assert await other.refusal(input=[user("roll"), request, approval(request)]) == "approval_altered 2"
    assert (await house.answer(input=[user("roll"), request, approval(request)]))["status"] == "completed"


async def test_a_stored_request_may_be_referred_to() -> None:
    house = Casino(ROLL)
    _, request = await asked(house)
    given = [user("roll"), {"type": "item_reference", "id": request["id"]}, approval(request)]
    assert kinds(await house.answer(input=given)) == ["mcp_list_tools", "mcp_call", "message"]


async def test_a_request_made_with_the_former_key_is_approved_after_a_rotation() -> None:
    house = Casino(ROLL)
    _, request = await asked(house)

    async def rotated() -> list[bytes]:
        return [b"n" * 32, b"k" * 32]

    house.ports = replace(house.ports, marks=TenantMarks(rotated, "acme"))
    house.new = NewResponses(house.ports, house.settings)
    assert calls_in(await house.answer(input=[user("roll"), request, approval(request)]))


@pytest.mark.parametrize("stream", [False, True])
async def test_the_process_remembers_where_there_is_no_storage(stream: bool) -> None:
    house = Casino(ROLL)
    house.ports = replace(house.ports, storage=None, remembered=MemorySpent({}))
    house.new, house.stored = NewResponses(house.ports, house.settings), StoredResponses(house.ports)
    first, request = await asked(house)
    given = [user("roll"), *first["output"], approval(request)]
    answers = await asyncio.gather(*(house.post(input=given, stream=stream) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    assert len(house.made) == 1


class Counting(Models):
    async def count(self, turn: Turn) -> Counted:
        return Counted(len(turn.items))


async def test_counting_tokens_spends_nothing() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    house.ports = replace(house.ports, models=Counting(house.script))
    house.new = NewResponses(house.ports, house.settings)
    body = {"model": "m", "input": [approval(request)], "tools": [DICE], "previous_response_id": first["id"]}
    async with client_of(house) as client:
        for _ in range(2):
            counted = await client.post("/responses/input_tokens", json=body)
            assert counted.status_code == 200, counted.text
    assert house.shelf.spent == {}
    assert (await house.answer(input=[approval(request)], previous_response_id=first["id"]))["status"] == "completed"


async def test_a_request_that_makes_no_calls_takes_no_approval() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    given = [approval(request), {"type": "compaction_trigger"}]
    refused = await house.refusal(input=given, previous_response_id=first["id"])
    assert refused == "approval_makes_no_call 0"
    body = {"model": "m", "input": [approval(request)], "previous_response_id": first["id"], "tools": [DICE]}
    async with client_of(house) as client:
        compacted = await client.post("/responses/compact", json=body)
    assert compacted.json()["error"]["code"] in ("approval_server_missing", "approval_makes_no_call")
    assert house.shelf.spent == {}


@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}], ids=str)
async def test_the_same_request_again_gets_the_first_response_and_spends_nothing(kind: Json) -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    body = {"input": [approval(request)], "previous_response_id": first["id"], **kind}
    answers = await asyncio.gather(*(house.post(KEY, **body) for _ in range(5)))
    await house.idle()
    answers.append(await house.post(KEY, **body))
    assert len({response_of(answer)["id"] for answer in answers}) == 1
    assert len(house.made) == 1
    assert await house.refusal(input=body["input"], previous_response_id=first["id"]) == "approval_spent 0"


@pytest.mark.parametrize("way", [{"background": True}, {"background": True, "stream": True}, {}], ids=str)
async def test_the_state_machine_makes_the_call(way: Json) -> None:
    house = Casino(ROLL, inline_turns=0)
    first = await done(house, response_of(await house.post(**way)))
    (request,) = requests_in(first)
    body = {"input": [approval(request)], "previous_response_id": first["id"], **way}
    second = await done(house, response_of(await house.post(**body)))
    assert kinds(second) == ["mcp_call", "message"]
    assert await house.refusal(**body) == "approval_spent 0"
    assert len(house.made) == 1


async def done(house: Casino, response: Json) -> Json:
    await house.idle()
    final = (await house.stored.retrieve(response["id"])).model_dump(mode="json")
    assert final["status"] == "completed", final
    return final


@pytest.mark.parametrize("store", [True, False])
async def test_an_approval_of_which_nothing_came_is_given_back(store: bool) -> None:
    """The response may make no call at all: it ends before it."""
    house = Casino(asks("dice__roll", "dice__set"))
    first = await house.answer()
    given = [approval(each) for each in requests_in(first)]
    body = {"input": given, "previous_response_id": first["id"], "store": store}
    ended = await house.answer(**body, max_tool_calls=1)
    assert (ended["status"], ended["incomplete_details"]["reason"]) == ("incomplete", "max_tool_calls")
    assert (house.made, house.shelf.spent) == ([], {})
    body["previous_response_id"] = ended["id"] if store else first["id"]
    assert kinds(await house.answer(**body)) == ["mcp_call", "mcp_call", "message"]
    assert told(house) == [("dice__roll", f"roll({SIX})"), ("dice__set", f"set({SIX})")]


async def test_a_background_response_that_is_cancelled_before_its_call_gives_the_approval_back() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    body = {"input": [approval(request)], "previous_response_id": first["id"]}
    started, house._start = house._start, nothing  # type: ignore[method-assign]
    house.storage.launcher._on_start = nothing  # type: ignore[attr-defined]
    queued = await house.answer(**body, background=True)
    assert [*house.shelf.spent] == [request["id"]]
    assert await house.refusal(**body) == "approval_spent 0"
    cancelled = await house.stored.cancel(queued["id"])
    assert cancelled.status == "cancelled"
    assert house.shelf.spent == {}
    house._start = started  # type: ignore[method-assign]
    assert kinds(await house.answer(**body)) == ["mcp_call", "message"]


async def nothing(response_id: str, generation: int) -> None: ...


async def test_an_approval_whose_call_began_is_spent_whatever_came_of_it() -> None:
    house = Casino(ROLL, [ProviderUnavailable("down")])
    first, request = await asked(house)
    body = {"input": [approval(request)], "previous_response_id": first["id"]}
    failed = await house.answer(**body)
    assert (failed["status"], kinds(failed)) == ("failed", ["mcp_call"])
    assert await house.refusal(**body) == "approval_spent 0"
    assert len(house.made) == 1


@pytest.mark.parametrize("method", ["store.create", "runs.save", "spent.spend"])
async def test_an_approval_is_given_back_where_storage_fails_before_the_call(method: str) -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    body = {"input": [approval(request)], "previous_response_id": first["id"]}
    port, name = method.split(".")
    real = getattr(house.storage, port)

    class Busy:
        def __getattr__(self, asked: str) -> Any:
            return fails if asked == name else getattr(real, asked)

    async def fails(*given: Any, **more: Any) -> None:
        raise StorageUnavailable("busy")

    working = house.ports
    house.ports = replace(house.ports, storage=replace(house.storage, **{port: Busy()}))
    house.new = NewResponses(house.ports, house.settings)
    answer = await house.post(**body)
    assert answer.status_code == 503 or answer.json()["status"] == "failed", answer.text
    assert (house.made, house.shelf.spent) == ([], {})
    house.ports, house.new = working, NewResponses(working, house.settings)
    assert kinds(await house.answer(**body)) == ["mcp_call", "message"]


@pytest.mark.parametrize("approves", [False, True])
async def test_a_provider_that_refuses_before_it_says_anything_is_told_by_its_status(approves: bool) -> None:
    """Though the servers' tools were listed before. A call that was made is not undone."""
    house = Casino(*([ROLL] if approves else []), [ProviderUnavailable("down")])
    if not approves:
        assert (await house.post()).status_code == 503
        assert house.shelf.responses == {}
        return
    first, request = await asked(house)
    failed = await house.answer(input=[approval(request)], previous_response_id=first["id"])
    assert (failed["status"], [call["status"] for call in calls_in(failed)]) == ("failed", ["completed"])


async def test_eight_thousand_approvals_in_one_input_are_refused_at_once() -> None:
    house = Casino(ROLL)
    first, request = await asked(house)
    many = [approval(f"mcpr_{n:032x}{n:04x}") for n in range(8_000)]
    refused = await house.refusal(input=[approval(request), *many], previous_response_id=first["id"])
    assert refused == "approval_not_found 1"
    assert house.shelf.spent == {}

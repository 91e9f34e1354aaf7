"""State that a provider wants echoed: it reaches that provider's model, from its own tenant, unaltered, or nobody."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import ENCRYPTED, Conversation, Json, answers, kinds, text_of, user
from tests.fakes.server import wire_of
from tests.fakes.wire import mark

SIGNING = [name for name in DIALECTS if wire_of(name).signs]
LOOK: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
OPTIONS: Json = {"tools": [LOOK], "reasoning": {"effort": "low", "summary": "auto"}}
ASKED = user("/fake tools;turns=2;reasoning=2")


async def begun(at: Vendors, name: str, *, stored: bool = False) -> Conversation:
    """A conversation whose last response waits for the outputs of its calls."""
    talk = Conversation(at.ask, stored, OPTIONS)
    await talk.work(at.model(name), ASKED, turns=1)
    return talk


def states(request: Any) -> int:
    """How many pieces of state a request to any of the upstreams has."""
    return sum(json.dumps(request.body).count(mark(name)) for name in DIALECTS)


def first_state(talk: Conversation) -> tuple[int, str]:
    """The index of the first item with state, and the state."""
    return next((i, item["encrypted_content"]) for i, item in enumerate(talk.items) if item.get("encrypted_content"))


async def refusal(at: Vendors, talk: Conversation, index: int, state: str, tenant: str = "default") -> Any:
    """What the API says to the conversation's items with another state at `index`."""
    items = [*talk.items, *answers(talk.responses[-1])]
    items[index] = {**items[index], "encrypted_content": state}
    body = {"model": talk.responses[-1]["model"], "input": items, "store": False, **OPTIONS}
    async with at.client(tenant) as client:
        answer = await client.post("/responses", json=body)
    return answer.status_code, answer.json().get("error")


def refused(index: int) -> tuple[int, Json]:
    return 400, {
        "message": "This reasoning state was altered, or is not this server's",
        "type": "invalid_request",
        "param": f"input[{index}].encrypted_content",
        "code": "invalid_encrypted_content",
    }


@pytest.mark.parametrize("dialect", SIGNING)
async def test_state_that_was_altered_anywhere_is_refused(dialect: str) -> None:
    async with vendors([dialect]) as at:
        talk = await begun(at, dialect)
        index, state = first_state(talk)
        asked = len(at.upstreams[dialect].requests)
        places = [0, 3, 4, 5, len(state) // 2, len(state) - 9]
        altered = [state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1 :] for at in places]
        altered += [
            state[:-8],
            state + "AAAA",
            state[: len(state) // 2],
            "or1.",
            "nonsense",
            state.replace("or1.", "or2."),
        ]
        for each in altered:
            assert await refusal(at, talk, index, each) == refused(index), each
        assert len(at.upstreams[dialect].requests) == asked
        assert (await refusal(at, talk, index, state))[0] == 200


@pytest.mark.parametrize("dialect", SIGNING)
async def test_state_that_this_server_did_not_seal_for_this_tenant_is_refused(dialect: str) -> None:
    async with vendors([dialect]) as at, vendors([dialect]) as elsewhere:
        talk, other = await begun(at, dialect), await begun(elsewhere, dialect)
        index, state = first_state(talk)
        assert await refusal(at, talk, index, state, tenant="another") == refused(index)
        assert await refusal(at, talk, index, first_state(other)[1]) == refused(index)
        assert (await refusal(at, talk, index, state))[0] == 200


@pytest.mark.parametrize("dialect", SIGNING)
async def test_a_client_sees_no_state_but_a_sealed_one(dialect: str) -> None:
    """Each time anew, though it is the same: so nothing can be told from two of them."""
    async with vendors([dialect]) as at:
        talks = [await begun(at, dialect) for _ in range(2)]
        plain = await at.ask(model=at.model(dialect), input=[ASKED], **OPTIONS)
        streamed = await at.ask(model=at.model(dialect), input=[ASKED], stream=True, include=[ENCRYPTED], **OPTIONS)
    assert len({first_state(talk)[1] for talk in talks}) == 2
    assert all(first_state(talk)[1].startswith("or1.") for talk in talks)
    assert all(not item.get("encrypted_content") for item in plain["output"])
    assert [kinds(plain), kinds(streamed)] == [["reasoning", "function_call"]] * 2
    assert all(mark(dialect) not in json.dumps(each) for each in (plain, streamed, *(talk.items for talk in talks)))


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
@pytest.mark.parametrize("dialect", SIGNING)
async def test_another_model_of_the_same_provider_is_not_sent_it(dialect: str, stored: bool) -> None:
    async with vendors([dialect]) as at:
        talk = await begun(at, dialect, stored=stored)
        requests = at.upstreams[dialect].requests
        other = f"{at.model(dialect)}!another"
        asked = len(requests)
        await talk.work(other, *answers(talk.responses[-1]))
        assert states(requests[asked]) == 0
        await talk.work(other, ASKED)
        assert states(requests[-1]) > 0
        await talk.say(at.model(dialect), user("/fake echo"))
        assert (at.refused, kinds(talk.responses[-1])) == ([], ["message"])


@pytest.mark.parametrize(("first", "stored"), [*product(SIGNING, [True, False])])
async def test_a_fallback_is_not_sent_the_state_of_the_target_that_failed(first: str, stored: bool) -> None:
    """And where that one answers again, it has its own."""
    second = "chat_completions" if first != "chat_completions" else SIGNING[0]
    async with vendors([first, second, f"{first}-2"], more={"retries": 0}) as at:
        order = {"provider": {"order": [at.model(name) for name in (first, f"{first}-2", second)]}}
        talk = Conversation(at.ask, stored, {**OPTIONS, **order})
        model = at.model(first)
        await talk.say(model, user("/fake tools;turns=4;reasoning=2"))
        at.upstreams[first].down = True
        await talk.say(model, *answers(talk.responses[-1]))
        assert states(at.upstreams[f"{first}-2"].requests[0]) == 0
        at.upstreams[f"{first}-2"].down = True
        await talk.say(model, *answers(talk.responses[-1]))
        assert states(at.upstreams[second].requests[0]) == 0
        at.upstreams[first].down = False
        at.upstreams[second].down = True
        await talk.work(model, *answers(talk.responses[-1]))
        assert (at.refused, states(at.upstreams[first].requests[-1]) > 0) == ([], True)
        assert text_of(talk.responses[-1]).startswith("The tools said: seen ")

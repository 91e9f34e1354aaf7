"""A conversation that outgrows its model's context, over each dialect, in its vendor's words and places."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import Conversation, Json, kinds, text_of, user
from tests.fakes.wire import Received, Rules, tokens_of

LOOK: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
CALCULATOR: Json = {"type": "serverless:calculator"}
SUM = '{"expression": "1+1"}'
WORDS = "word " * 120
"""Some 150 tokens of the fakes."""
TOLD = pytest.mark.parametrize("told", ["reply", "stream"])


@asynccontextmanager
async def small(
    dialect: str, window: int, told: str, directive: str = "willing", **settings: Any
) -> AsyncIterator[Vendors]:
    """A model whose context holds `window` tokens of the fake."""
    script = {"x-fake": f"{directive};window={window};told={told}"}
    more: Json = {"headers": script, "retries": 0}
    if dialect == "anthropic":  # what is before its thinking changes
        more["options"] = {"drop_stale_thinking": True}
    async with vendors([dialect], Rules(reasoning=True), more, **settings) as at:
        yield at


def sent(at: Vendors, dialect: str) -> list[Received]:
    return at.upstreams[dialect].requests


def refused(at: Vendors, dialect: str, window: int) -> list[bool]:
    return [tokens_of(each.body) > window for each in sent(at, dialect)]


@pytest.mark.parametrize(("stored", "told"), [(True, "reply"), (False, "stream")], ids=["stored", "stateless"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_conversation_goes_on_without_its_oldest_turns(dialect: str, stored: bool, told: str) -> None:
    async with small(dialect, 1_500, told, "echo") as at:
        talk = Conversation(at.ask, stored, {"truncation": "auto", "instructions": "Obey the rule of instructions."})
        for turn in range(14):
            response = await talk.say(at.model(dialect), user(f"question {turn} {WORDS}"))
            assert text_of(response).startswith(f"question {turn} ")
            assert response["truncation"] == "auto"
        last = str(sent(at, dialect)[-1].body)
        assert not at.refused, "nothing but the length is refused"
        assert "question 0 " not in last
        assert "question 12 " in last
        assert "Obey the rule" in last
        assert any(refused(at, dialect, 1_500))


@TOLD
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_s_calls_are_dropped_with_their_outputs(dialect: str, told: str) -> None:
    """The fakes refuse a half of a call, and one without the reasoning before it."""
    async with small(dialect, 2_000, told, f"tools;turns=3;reasoning=2;say={WORDS}") as at:
        options: Json = {"tools": [LOOK], "truncation": "auto", "reasoning": {"effort": "low", "summary": "auto"}}
        talk = Conversation(at.ask, False, options)
        for turn in range(4):
            response = await talk.work(at.model(dialect), user(f"question {turn} {WORDS}"))
            assert "message" in kinds(response)
        assert not at.refused
        assert any(refused(at, dialect, 2_000))


@pytest.mark.parametrize(
    ("background", "told"), [(False, "reply"), (True, "stream")], ids=["inline, then handed off", "background"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_loop_with_tools_goes_on_and_remembers_what_it_dropped(
    dialect: str, background: bool, told: str
) -> None:
    window, turns = 3_000, 24
    directive = f"tools;turns=999;reasoning=2;say={WORDS};args={SUM}"
    async with small(dialect, window, told, directive, max_turns=turns, inline_turns=8) as at:
        request: Json = {
            "model": at.model(dialect),
            "input": [user("Add up")],
            "tools": [CALCULATOR],
            "truncation": "auto",
            "reasoning": {"effort": "low", "summary": "auto"},
            "background": background,
        }
        async with at.client() as client:
            answer = await client.post("/responses", json=request)
            await at.house.idle()
            response = (await client.get(f"/responses/{answer.json()['id']}")).json()
        assert response["incomplete_details"] == {"reason": "max_turns"}, (response["error"], at.refused)
        assert not at.refused
        too_long = refused(at, dialect, window)
        assert len(too_long) - sum(too_long) == turns, "each turn is answered once"
        assert 0 < sum(too_long) <= turns / 2, "and few are refused before"
        assert all("Add up" in str(each.body) for each in sent(at, dialect)), "the question stays"
        assert at.house.executions, "the state machine went on with it"
        assert len([each for each in response["output"] if each["type"] == "serverless:calculator"]) == turns


@pytest.mark.parametrize(
    ("truncation", "stream", "told"),
    [("disabled", False, "reply"), ("disabled", True, "stream"), (None, True, "reply")],
)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_without_truncation_the_client_is_told(
    dialect: str, stream: bool, truncation: str | None, told: str
) -> None:
    async with small(dialect, 1_000, told) as at:
        request: Json = {"input": [user(WORDS)] * 10, "stream": stream, "truncation": truncation}
        async with at.client() as client:
            answer = await client.post("/responses", json={"model": at.model(dialect), **request})
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["param"], error["type"]) == ("context_length_exceeded", "input", "invalid_request")
        assert error["message"].startswith("The input is too long for the model")
        assert len(sent(at, dialect)) == 1, "it is not tried again"
        assert not at.house.shelf.responses, "nothing is kept"


@pytest.mark.parametrize("background", [True, False])
async def test_a_loop_that_grows_too_long_fails_and_says_why(background: bool) -> None:
    directive = f"tools;turns=999;say={WORDS};args={SUM}"
    async with small("anthropic", 3_000, "reply", directive, inline_turns=2) as at:
        body = {"model": at.model("anthropic"), "input": [user("Add up")], "tools": [CALCULATOR]}
        async with at.client() as client:
            made = (await client.post("/responses", json={**body, "background": background})).json()
            await at.house.idle()
            response = (await client.get(f"/responses/{made['id']}")).json()
    assert (response["status"], response["error"]["code"]) == ("failed", "context_length_exceeded")
    assert response["error"]["message"].startswith("The input is too long for the model (HTTP 400): it has 3,")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_question_that_never_fits_is_refused_after_few_tries(dialect: str) -> None:
    async with small(dialect, 1_000, "reply") as at:
        body = {"input": [user(WORDS), user("word " * 4_000)], "truncation": "auto"}
        async with at.client() as client:
            answer = await client.post("/responses", json={"model": at.model(dialect), **body})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
        assert 1 < len(sent(at, dialect)) <= 5


async def test_a_target_with_a_larger_context_is_asked_before_anything_is_dropped() -> None:
    async with vendors(["chat_completions", "anthropic"]) as at:
        small_one = at.upstreams["chat_completions"].settings | {"headers": {"x-fake": "echo;window=1000"}}
        at.parameters["providers/chat_completions"] = json.dumps(small_one)
        at.parameters["models/both"] = f'{{"targets": ["{at.model("chat_completions")}", "{at.model("anthropic")}"]}}'
        response = await at.ask(model="both", input=[user(WORDS)] * 10 + [user("/fake echo")], truncation="auto")
        assert response["model"] == at.model("anthropic")
        assert str(sent(at, "anthropic")[-1].body).count(WORDS.strip()) == 10
        assert refused(at, "chat_completions", 1_000) == [True]

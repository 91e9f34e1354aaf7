"""Six turns of reasoning and tools with each provider: however they are asked for, every turn is accepted."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import ENCRYPTED, Conversation, answers, kinds, text_of, thoughts_of, user
from tests.fakes.wire import Rules, mark
from tests.unit.kit import Json

TURNS = 6
THINK: Json = {"reasoning": {"effort": "low", "summary": "auto"}}
LOOK: Json = {
    "type": "function",
    "name": "look",
    "description": "Looks at a place",
    "parameters": {
        "type": "object",
        "properties": {"where": {"type": "string"}},
        "required": ["where"],
        "additionalProperties": False,
    },
    "strict": True,
}
HEAR: Json = {"type": "function", "name": "hear", "parameters": {"type": "object", "properties": {}}}
MODES: dict[str, tuple[bool, Json]] = {
    "stored": (True, {}),
    "stored, streamed": (True, {"stream": True}),
    "stored, in the state machine": (True, {"background": True}),
    "stateless": (False, {}),
    "stateless, streamed": (False, {"stream": True}),
}


def directive(parallel: int, **more: Any) -> Json:
    values = {"turns": TURNS, "reasoning": 3, "parallel": parallel, **more}
    return user("/fake tools;" + ";".join(f"{name}={value}" for name, value in values.items()))


def check_accepted(at: Vendors, dialect: str, requests: int) -> None:
    upstream = at.upstreams[dialect]
    assert (at.refused, len(upstream.requests)) == ([], requests)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("parallel", [1, 3], ids=["one call a turn", "three at once"])
@pytest.mark.parametrize(("stored", "options"), MODES.values(), ids=MODES)
async def test_functions_of_the_client_are_called_over_six_turns(
    dialect: str, parallel: int, stored: bool, options: Json
) -> None:
    async with vendors([dialect], Rules(reasoning=True)) as at:
        talk = Conversation(at.ask, stored, {**THINK, "tools": [LOOK, HEAR], "instructions": "Be exact.", **options})
        last = await talk.work(at.model(dialect), directive(parallel))
        check_accepted(at, dialect, TURNS + 1)
    *working, final = talk.responses
    assert [kinds(response) for response in working] == [["reasoning", *["function_call"] * parallel]] * TURNS
    assert (final, kinds(final)) == (last, ["reasoning", "message"])
    assert {thoughts_of(response["output"][0]) for response in talk.responses} == {"thought0 thought1 thought2 "}
    calls = [item for response in working for item in response["output"][1:]]
    assert [call["name"] for call in calls] == ["look", "hear", "look"][:parallel] * TURNS
    assert {call["arguments"].replace(" ", "") for call in calls if call["name"] == "look"} == {'{"where":"x"}'}
    assert len({call["call_id"] for call in calls}) == parallel * TURNS
    assert text_of(final).split() == ["The", "tools", "said:", *(w for c in calls for w in ("seen", c["call_id"]))]


HOSTED: dict[str, Json] = {
    "plain": {},
    "streamed": {"stream": True},
    "unstored": {"store": False, "include": [ENCRYPTED]},
    "unstored, streamed": {"store": False, "stream": True},
    "in the state machine": {"background": True},
}
EXPRESSION = {"args": '{"expression": "2+3"}'}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("parallel", [1, 3], ids=["one call a turn", "three at once"])
@pytest.mark.parametrize("options", HOSTED.values(), ids=HOSTED)
async def test_tools_of_this_server_are_called_over_six_turns(dialect: str, parallel: int, options: Json) -> None:
    async with vendors([dialect], Rules(reasoning=True)) as at:
        asked = {**THINK, "tools": [{"type": "serverless:calculator"}], "instructions": "Be exact.", **options}
        response = await at.ask(model=at.model(dialect), input=[directive(parallel, **EXPRESSION)], **asked)
        check_accepted(at, dialect, TURNS + 1)
    assert kinds(response) == ["reasoning", *["serverless:calculator"] * parallel] * TURNS + ["reasoning", "message"]
    assert text_of(response).split() == ["The", "tools", "said:", *["5"] * parallel * TURNS]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_loop_is_the_same_wherever_it_is_handed_to_the_state_machine(dialect: str) -> None:
    outputs: list[list[Any]] = []
    for inline in (99, 1, 4):
        async with vendors([dialect], Rules(reasoning=True), inline_turns=inline) as at:
            asked = {**THINK, "tools": [{"type": "serverless:calculator"}], "stream": True}
            response = await at.ask(model=at.model(dialect), input=[directive(2, **EXPRESSION)], **asked)
            check_accepted(at, dialect, TURNS + 1)
            assert bool(at.house.executions) == (inline < TURNS)
        outputs.append([{k: v for k, v in item.items() if k != "encrypted_content"} for item in response["output"]])
    assert outputs[1:] == [outputs[0]] * 2


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstream_that_signs_its_reasoning_refuses_it_altered(dialect: str) -> None:
    """So what passes above was echoed to the letter."""
    async with vendors([dialect], Rules(reasoning=True)) as at:
        talk = Conversation(at.ask, False, {**THINK, "tools": [LOOK]})
        await talk.work(at.model(dialect), directive(1))
        upstream, content = at.upstreams[dialect], json.dumps(at.upstreams[dialect].requests[-1].body)
        ends = [found.end() for found in re.finditer(re.escape(mark(dialect)), content)]
        altered = [content[:end] + ("B" if content[end] == "A" else "A") + content[end + 1 :] for end in ends]
        headers = {"content-type": "application/json"}
        async with httpx2.AsyncClient() as client:
            for path, sent in ((upstream.requests[-1].path, each) for each in [content, *altered]):
                answer = await client.post(httpx2.URL(upstream.url).join(path), content=sent, headers=headers)
                assert answer.status_code == (200 if sent is content else 400), answer.text
        assert len(altered) % TURNS == 0
        assert bool(altered) == upstream.wire.signs


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstream_that_insists_on_its_reasoning_refuses_its_calls_without(dialect: str) -> None:
    """So what passes above was not left out."""
    async with vendors([dialect], Rules(reasoning=True)) as at, at.client() as client:
        talk = Conversation(at.ask, False, {**THINK, "tools": [LOOK]})
        await talk.work(at.model(dialect), directive(1), turns=2)
        kept = [item for item in talk.items if item["type"] != "reasoning"]
        body = {"model": at.model(dialect), "store": False, **THINK, "tools": [LOOK]}
        for items, status in ((kept, 400), (talk.items, 200)):
            sent = {**body, "input": [*items, *answers(talk.responses[-1])]}
            answer = await client.post("/responses", json=sent)
            assert answer.status_code == status, answer.text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
async def test_a_conversation_goes_on_after_its_tools_were_called(dialect: str, stored: bool) -> None:
    """Three questions, each answered with tools of both kinds: what was thought before is history then."""
    tools = [{"type": "serverless:calculator"}, LOOK]
    async with vendors([dialect], Rules(reasoning=True)) as at:
        talk = Conversation(at.ask, stored, {**THINK, "tools": tools})
        for n in range(3):
            for args in ({"turns": 2, "parallel": 1}, {"turns": 2, "parallel": 2}):
                said = user("/fake tools;reasoning=2;" + ";".join(f"{k}={v}" for k, v in args.items()))
                last = await talk.work(at.model(dialect), said)
                assert kinds(last)[-2:] == ["reasoning", "message"], n
        assert at.refused == []

"""A conversation that goes from one provider to another amid its tool calls, and back: both accept all of it."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import Conversation, answers, kinds, text_of, user
from tests.fakes.wire import Rules, mark
from tests.unit.kit import Json

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE: Json = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
HURRY: Json = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be quick."}]}
WHERE: Json = {"type": "object", "properties": {"where": {"type": "string"}}, "required": ["where"]}
TOOLS: list[Json] = [
    {"type": "function", "name": "look", "parameters": WHERE},
    {"type": "serverless:calculator"},
    {"type": "function", "name": "hear", "parameters": WHERE},
]
OPTIONS: Json = {
    "tools": TOOLS,
    "instructions": "Be exact.",
    "reasoning": {"effort": "low", "summary": "auto"},
    "max_output_tokens": 4000,
}
TURN = ["function_call", "function_call", "message", "serverless:calculator"]


def working(turns: int) -> Json:
    return user(f"/fake tools;turns={turns};parallel=3;reasoning=2;say=Let me see")


def said(talk: Conversation, since: int = 0) -> list[list[str]]:
    """What each response has beside its reasoning: that may be several items, or none where another provider's
    turn goes on, since some models can't begin to think amid one.
    """
    assert "reasoning" in kinds(talk.responses[since])
    return [sorted(kind for kind in kinds(response) if kind != "reasoning") for response in talk.responses[since:]]


def outputs_of(talk: Conversation, since: int) -> set[str]:
    return {part["output"] for response in talk.responses[since:] for part in answers(response)}


def foreign(at: Vendors) -> list[str]:
    """Which provider was sent another dialect's state."""
    return [
        f"{name} was sent the state of {other}"
        for name, upstream in at.upstreams.items()
        for other in DIALECTS
        if not name.startswith(other) and any(mark(other) in json.dumps(request.body) for request in upstream.requests)
    ]


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
@pytest.mark.parametrize(("first", "second"), [*permutations(DIALECTS, 2), *((d, f"{d}-2") for d in DIALECTS)])
async def test_a_conversation_moves_amid_its_tool_calls_and_back(first: str, second: str, stored: bool) -> None:
    alike = second.startswith(first)  # its second account can't be given what the first one thought
    async with vendors([first, second], Rules(reasoning=not alike)) as at:
        talk = Conversation(at.ask, stored, OPTIONS)
        question = working(3)
        question["content"].append(PICTURE)
        await talk.work(at.model(first), question, turns=2)
        answered = await talk.work(at.model(second), *answers(talk.responses[-1]))
        assert said(talk) == [TURN, TURN, TURN, ["message"]]
        assert all(output in text_of(answered) for output in outputs_of(talk, 0))

        asked = len(talk.responses)
        await talk.work(at.model(second), HURRY, working(2), turns=1)
        back = await talk.work(at.model(first), *answers(talk.responses[-1]))
        assert said(talk, asked) == [TURN, TURN, ["message"]]
        assert all(output in text_of(back) for output in outputs_of(talk, asked))

        again = await talk.say(at.model(second), user("/fake echo"))
        assert text_of(again).split() == ["/fake", "echo"]
        assert (at.refused, foreign(at)) == ([], [])


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
async def test_an_alias_that_is_pointed_elsewhere_takes_its_conversations_along(stored: bool) -> None:
    async with vendors(DIALECTS, Rules(reasoning=True)) as at:
        talk = Conversation(at.ask, stored, OPTIONS)
        said: list[Json] = [working(len(DIALECTS))]
        for name in [*DIALECTS, DIALECTS[0]]:
            at.parameters["models/best"] = json.dumps({"targets": [at.model(name)]})
            response = await talk.say("best", *said)
            assert response["model"] == at.model(name)
            said = answers(response)
        assert (said, at.refused, foreign(at)) == ([], [], [])

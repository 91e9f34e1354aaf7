"""Conversations at random: each next response is any provider's, in any manner, of any kind. All are accepted."""

from __future__ import annotations

import random

import pytest

from tests.contract.test_moves import HURRY, PICTURE, TOOLS, foreign
from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import ENCRYPTED, Json, answers, folded, user
from tests.fakes.wire import Rules
from tests.openresponses_schema import check_response

KINDS = ("tools", "tools", "tools", "echo", "json", "refusal", "length", "filter")


class Walk:
    """One client. `strict` upstreams insist on their reasoning, so there they are always asked to reason."""

    def __init__(self, at: Vendors, chance: random.Random, *, strict: bool) -> None:
        self._at, self._chance, self._strict = at, chance, strict
        self._stored = chance.random() < 0.5
        self._items: list[Json] = []
        self._previous: str | None = None

    async def ask(self) -> None:
        """A question, and what its calls are answered with."""
        said = self._question()
        while said:
            response = await self._respond(said)
            self._items += [*said, *response["output"]]
            self._previous = response["id"]
            said = self._answers(response)

    def _question(self) -> list[Json]:
        chance = self._chance
        turns, parallel = chance.randint(1, 4), chance.randint(1, 4)
        reasoning = chance.randint(1, 3) if self._strict else chance.choice((0, 1, 3))
        directive = f"/fake {chance.choice(KINDS)};turns={turns};parallel={parallel};reasoning={reasoning}"
        question = user(directive + chance.choice(("", ";say=Let me see")))
        question["content"] += [PICTURE] if chance.random() < 0.3 else []
        return [HURRY, question] if chance.random() < 0.2 else [question]

    def _answers(self, response: Json) -> list[Json]:
        """Sometimes in another order, not all of them, or with pictures; sometimes the user says something too."""
        chance, outputs = self._chance, answers(response)
        for output in outputs:
            output["output"] = chance.choice((output["output"], "", [{"type": "input_text", "text": "See"}, PICTURE]))
        chance.shuffle(outputs)
        if outputs and chance.random() < 0.1:
            outputs.pop()
        if outputs and chance.random() < 0.1:
            outputs.append(user("/fake echo"))
        return outputs

    async def _respond(self, said: list[Json]) -> Json:
        chance = self._chance
        manner = chance.choice(("plain", "stream", "background" if self._stored else "stream"))
        asked: Json = {"model": self._at.model(chance.choice(DIALECTS)), "tools": TOOLS, "store": self._stored}
        asked |= {"stream": manner == "stream", "background": manner == "background"}
        if self._strict or chance.random() < 0.8:
            asked["reasoning"] = {"effort": chance.choice(("low", "medium", "high")), "summary": "auto"}
        if chance.random() < 0.3:
            asked["max_output_tokens"] = chance.choice((100, 5000))
        if self._stored:
            asked |= {"input": said, "previous_response_id": self._previous}
        else:
            asked |= {"input": [*self._items, *said], "include": [ENCRYPTED]}
        async with self._at.client() as client:
            answer = await client.post("/responses", json=asked)
            assert answer.status_code == 200, (asked, answer.text)
            response = folded(answer.text) if manner == "stream" else answer.json()
            await self._at.house.idle()
            if manner == "background":
                response = (await client.get(f"/responses/{response['id']}")).json()
        check_response(response)
        assert response["status"] in ("completed", "incomplete"), (asked, response["error"])
        return response


@pytest.mark.parametrize("seed", range(20))
async def test_a_walk_through_all_providers_is_accepted_everywhere(seed: int) -> None:
    chance, strict = random.Random(seed), seed % 2 == 0
    async with vendors(DIALECTS, Rules(reasoning=strict)) as at:
        walk = Walk(at, chance, strict=strict)
        for _ in range(3):
            await walk.ask()
        assert (at.refused, foreign(at)) == ([], [])

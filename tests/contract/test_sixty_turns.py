"""Sixty turns with tools on each dialect, compacted by themselves on the way: what was said first is still known."""

from __future__ import annotations

import json
import re

from tests.contract.vendors import DIALECTS, vendors
from tests.conversations import Conversation, Json, answers, kinds, text_of, user
from tests.fakes.wire import Received, Rules
from tests.sweeps import Sweep

TURNS, OLD = 60, "old-words "
LOOK: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
OPTIONS: Json = {
    "tools": [LOOK],
    "instructions": "Be exact.",
    "reasoning": {"effort": "low", "summary": "auto"},
    "context_management": [{"type": "compaction", "compact_threshold": 2500}],
}
WAYS = [(dialect, stored) for dialect in DIALECTS for stored in (True, False)]


def steps_in(request: Received) -> set[int]:
    return {int(step) for step in re.findall(r"step-(\d+)\b", json.dumps(request.body))}


async def sixty(dialect: str, *, stored: bool) -> None:
    async with vendors([dialect], Rules(reasoning=True)) as at:
        upstream, model = at.upstreams[dialect], f"{at.model(dialect)}!remembers;reasoning=2"
        talk = Conversation(at.ask, stored, {**OPTIONS, "stream": not stored})
        await talk.say(model, user("Remember fact-blue. That is step-0."))
        begins = compactions = 0
        for step in range(1, TURNS + 1):
            asked, sent = len(talk.responses), len(upstream.requests)
            (seen,) = answers(talk.responses[-1])
            response = await talk.say(model, {**seen, "output": f"{seen['output']} at step-{step} {OLD * 60}"})
            while answers(response):  # it was compacted amid the turn: the fake looks again
                response = await talk.say(model, *answers(response))
            await talk.say(model, user(f"What next, after step-{step}?"))
            made = sum(kinds(response).count("compaction") for response in talk.responses[asked:])
            compactions, begins = compactions + made, step if made else begins
            assert all("fact-blue" in json.dumps(request.body) for request in upstream.requests[sent:])
            # Of the steps before a compaction only the question is carried on.
            assert min(steps_in(upstream.requests[-1])) >= begins - 1
        last = await talk.work(model, user("And what do you know?"))
        assert text_of(last).split() == ["I", "know", "fact-blue"]
        assert (at.refused, compactions > TURNS / 20) == ([], True)
        assert max(json.dumps(request.body).count(OLD) for request in upstream.requests) < 20 * 60


async def test_a_fact_outlives_sixty_turns_that_are_compacted(sweep: Sweep) -> None:
    for dialect, stored in sweep.sample(WAYS, 3):
        await sixty(dialect, stored=stored)

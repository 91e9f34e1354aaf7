"""One script, one stream of events: within one invocation, in the real state machine, or handed off amid it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.openresponses_schema import check_response
from tests.statemachine.engine_cloud import Deployment, Json, deployed, finished, followed, stream, without_ids
from tests.stream_checker import check_stream
from tests.sweeps import Sweep

CALCULATOR = [{"type": "serverless:calculator"}]
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
SCRIPTS: dict[str, Json] = {
    "text": {"input": "Hello there. [[words 30]]"},
    "a tool, three times": {"input": "What is 15 * 37? [[turns 3]]", "tools": CALCULATOR},
    "parallel tools": {"input": "What is 2 + 2? [[turns 2]] [[parallel 3]]", "tools": CALCULATOR},
    "reasoning": {
        "input": "What is 6 * 7? [[turns 2]]",
        "tools": CALCULATOR,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    "stopped for length": {"input": "What is 6 * 7? [[turns 3]] [[length 2 in turn 3]]", "tools": CALCULATOR},
    "the budget of tokens": {"input": "What is 6 * 7? [[turns 9]]", "tools": CALCULATOR, "max_output_tokens": 16},
    "filtered": {"input": "What is 6 * 7? [[turns 2]] [[filter 3 in turn 3]]", "tools": CALCULATOR},
    "refusal": {"input": "[[refuse]]", "tools": CALCULATOR},
    "structured output": {
        "input": "What is 6 * 7?",
        "tools": CALCULATOR,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}},
    },
    "a tool of ours and the client's": {
        "input": 'What is 6 * 7? [[call calculator {"expression": "6*7"}]] [[call get_weather {}]]',
        "tools": [*CALCULATOR, WEATHER],
    },
    "a tool that is not there": {"input": "[[call nobody {}]] [[turns 2]]", "tools": CALCULATOR},
}
PLAIN = "99"


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed() as deployment:
        yield deployment


async def all_streams(deployment: Deployment) -> dict[str, list[Json]]:
    options: Json = {"model": "offline/demo", "stream": True, "stream_options": {"include_obfuscation": False}}
    async with deployment.http() as http:
        few = asyncio.Semaphore(3)

        async def one(script: Json) -> list[Json]:
            async with few:
                return await stream(http, "POST", "/responses", json={**options, **script})

        return dict(zip(SCRIPTS, await asyncio.gather(*map(one, SCRIPTS.values())), strict=True))


@pytest.mark.timeout(240)
async def test_a_run_emits_the_same_events_wherever_it_goes_on(deployment: Deployment, sweep: Sweep) -> None:
    """Handed off after each turn that a script has (in a plain run, after one of them), and in the background."""
    deployment.reconfigure("ApiFunction", OPENRESPONSES_INLINE_TURNS=PLAIN)
    inline = await all_streams(deployment)
    assert not deployment.cloud.aws.executions()
    finals = {name: check_stream(events) for name, events in inline.items()}
    for final in finals.values():
        check_response(final)
    assert {final["status"] for final in finals.values()} == {"completed", "incomplete"}

    for turns in sweep.sample((1, 2, 3), 1):
        deployment.reconfigure("ApiFunction", OPENRESPONSES_INLINE_TURNS=str(turns))
        for name, events in (await all_streams(deployment)).items():
            assert without_ids(events) == without_ids(inline[name]), f"{name}, handed off after {turns} turns"
    assert len(deployment.cloud.aws.executions()) >= (12 if sweep.full else 1)

    async with deployment.http() as http:
        for name, script in SCRIPTS.items():
            made = await http.post("/responses", json={"model": "offline/demo", "background": True, **script})
            stored = await finished(http, made.json()["id"])
            include: Any = {"include": script.get("include", [])}
            shown = (await http.get(f"/responses/{stored['id']}", params=include)).json()
            assert without_ids({**shown, "background": False}) == without_ids(finals[name]), f"{name}, in background"
            events = await followed(http, stored["id"])
            assert [event["type"] for event in events[:2]] == ["response.created", "response.queued"]
            check_stream(events)
            assert comparable(events[2:]) == comparable(inline[name][1:]), f"{name}, in background"


def comparable(events: list[Json]) -> Any:
    """Events without their numbers, which are one more each in the background, and without encrypted reasoning."""
    text = without_ids([{k: v for k, v in event.items() if k != "sequence_number"} for event in events])
    for event in text:
        if "response" in event:
            event["response"] |= {"background": False}
            event["response"]["output"] = [without_secret(item) for item in event["response"]["output"]]
        if "item" in event:
            event["item"] = without_secret(event["item"])
    return text


def without_secret(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "encrypted_content"}

"""What share of a tool conversation's input is read from the provider's cache: ten turns of a user, a call in each."""

import json
from typing import Any

import pytest

from openresponses.core.settings import ProviderSettings
from tests.contract import turns
from tests.contract.turns import SCHEMA
from tests.fakes.server import fake_upstream, wire_of

MODELS = {"anthropic": "claude-opus-5-5", "bedrock": "global.anthropic.claude-opus-5-5"}
RULES = "Answer briefly, in whole sentences, and say which tool you asked. " * 60
TOOLS: list[Any] = [
    {"type": "serverless:clock"},
    *(
        {"type": "function", "name": f"look_{i}", "description": f"Looks at place {i}. " * 20, "parameters": SCHEMA}
        for i in range(8)
    ),
]


async def share(dialect: str, *, dated: bool, **options: Any) -> float:
    """Of the conversation's input tokens, as its responses tell them. `dated`: each turn has other instructions."""
    async with fake_upstream(dialect) as upstream:
        known: dict[str, Any] = {**wire_of(dialect).settings, "options": options}
        settings = ProviderSettings(name="v", dialect=dialect, base_url=upstream.url, **known)
        items: list[Any] = []
        given = cached = 0
        for day in range(10):
            items.append({"role": "user", "content": f"What time is it on day {day}? " * 5})
            asked = f"{RULES} It is day {day}." if dated else RULES
            run = await turns.driven(
                settings, model=f"{MODELS[dialect]}!tools", tools=TOOLS, instructions=asked, input=items
            )
            given += run.usage.input_tokens
            cached += run.usage.input_tokens_details.cached_tokens
            items += [item.model_dump(mode="json") for item in run.response.output]
        assert upstream.refused == []
        sent = [json.dumps(request.body.get("tools") or request.body["toolConfig"]) for request in upstream.requests]
        assert len(upstream.requests) == 20
        assert dialect == "bedrock" or len({each.replace(" ", "") for each in sent}) == 1
    return cached / given


@pytest.mark.parametrize("dialect", MODELS)
async def test_most_of_a_conversation_is_read_from_the_cache(dialect: str) -> None:
    steady, dated = await share(dialect, dated=False), await share(dialect, dated=True)
    print(f"{dialect}: {steady:.1%} of the input is read from the cache, {dated:.1%} where the instructions change")
    assert steady > 0.85
    assert dated > 0.6
    off = False if dialect == "anthropic" else "off"
    assert await share(dialect, dated=False, cache=off) == 0

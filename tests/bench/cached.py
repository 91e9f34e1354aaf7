"""What share of a tool conversation's input is read from the provider's cache: ten turns of a user, a call in each.

The cache is the fake upstream's, with Anthropic's rules; Amazon Bedrock has the same for Claude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openresponses.core.settings import ProviderSettings
from tests.contract import turns
from tests.contract.turns import SCHEMA
from tests.fakes.anthropic import Messages
from tests.fakes.bedrock import Bedrock
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


@dataclass(frozen=True, slots=True)
class Conversation:
    """`read` is the share of its input, as its responses tell it; `most` is what earlier requests began alike with.

    `tools` are those that each request had, as they were sent.
    """

    read: float
    most: float
    tools: list[Any]


async def conversation(dialect: str, *, dated: bool = False, **options: Any) -> Conversation:
    """`dated`: each turn of the user has other instructions."""
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
        assert isinstance(upstream.wire, Messages | Bedrock)
        tools = [request.body.get("tools") or request.body["toolConfig"] for request in upstream.requests]
        return Conversation(cached / given, upstream.wire.cache.readable / given, tools)


async def table() -> str:
    rows = ["| provider | instructions | read from the cache | at most |", "|---|---|---|---|"]
    for dialect, model in MODELS.items():
        for dated, what in ((False, "the same"), (True, "others in each turn")):
            found = await conversation(dialect, dated=dated)
            rows.append(f"| `{dialect}/{model}` | {what} | {found.read:.1%} | {found.most:.1%} |")
    return "\n".join(rows)

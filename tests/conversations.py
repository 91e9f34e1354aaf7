"""Conversations as a client of any deployment holds them: asking, answering calls, keeping what was said."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.openresponses_schema import check_event
from tests.stream_checker import check_stream

Json: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[..., Awaitable[Json]]
"""A request's fields to the final response."""
ENCRYPTED = "reasoning.encrypted_content"


def folded(body: str, *, deaths: int = 0) -> Json:
    """The stream's final response; the stream is well formed, and one event of each kind fits the schema. So many
    turns or workers may have died meanwhile.
    """
    frames = [frame for frame in body.split("\n\n") if frame and not frame.startswith(":")]
    assert frames[-1] == "data: [DONE]"
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames[:-1]]
    kinds = {(event["type"], event.get("item", {}).get("type")): event for event in events}
    for event in kinds.values():
        check_event(event)
    return check_stream(events, deaths=deaths)


@dataclass
class Conversation:
    """What a client says, and how it keeps what was said: `stored` at the server, or by itself."""

    ask: Ask
    stored: bool
    options: Json = field(default_factory=dict)
    items: list[Json] = field(default_factory=list)
    previous: str | None = None
    responses: list[Json] = field(default_factory=list)

    async def say(self, model: str, *items: Json, **request: Any) -> Json:
        asked: Json = {"model": model, "store": self.stored, **self.options, **request}
        if self.stored:
            asked |= {"input": items, "previous_response_id": self.previous}
        else:
            asked |= {"input": [*self.items, *items], "include": [ENCRYPTED]}
        response = await self.ask(**asked)
        self.previous = response["id"]
        self.items += [*items, *response["output"]]
        self.responses.append(response)
        return response

    async def work(self, model: str, *items: Json, turns: int = 99, **request: Any) -> Json:
        """Say it, and answer the calls that come, until `turns` responses were made: the last one."""
        response = await self.say(model, *items, **request)
        while (outputs := answers(response)) and (turns := turns - 1):
            response = await self.say(model, *outputs, **request)
        return response


def answers(response: Json) -> list[Json]:
    """What the client's functions say to each call."""
    return [
        {"type": "function_call_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
        for item in response["output"]
        if item["type"] == "function_call"
    ]


def user(text: str) -> Json:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def kinds(response: Json) -> list[str]:
    return [item["type"] for item in response["output"]]


def text_of(response: Json) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def thoughts_of(item: Json) -> str:
    """What a client reads of a reasoning item, raw or summarised."""
    return "".join(part["text"] for part in [*item["content"], *item["summary"]])

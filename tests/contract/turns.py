"""Runs and turns for the tests of single dialects, and the items that they are made of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from openresponses.core import deltas as d
from openresponses.core.engine import drive
from openresponses.core.ports import Offer, Offerable, Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.steps import Stop
from openresponses.core.turn import Turn, turn_of
from openresponses.dialects import connect
from openresponses.dialects._shared.errors import UpstreamErrors
from openresponses.dialects._shared.events import Decoder, objects_of
from openresponses.dialects._shared.events import decoded as decode
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.durable.journal import Journal
from openresponses.responses.intake import input_items, new_response
from openresponses.responses.offering import offered_tools
from openresponses.schema.base import JsonObject
from openresponses.schema.events import Event
from openresponses.schema.items import Item
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import HostedToolCall, McpListTools, ServerCall
from tests.immediately import immediately
from tests.unit.kit import Json, Ledger, Models

CLOCK = OfferedTool(name="clock", kind="hosted", item_type="serverless:clock", wire_name="clock")
SCHEMA: JsonObject = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}


@dataclass(frozen=True)
class Clock:
    """The only hosted tool there is."""

    parameters: JsonObject | None = None

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        known_tool = CLOCK.model_copy(update={"parameters": self.parameters})
        return Offer([known_tool]) if tool.type == CLOCK.item_type else None

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        assert isinstance(call, HostedToolCall)
        return ToolOutput(f"noon for {call.call_id} {call.arguments}", failed="break" in call.arguments)

    async def leave(self, run: Run) -> None: ...


UPSTREAM = ("mcp", "web_search")
"""What the providers of these turns run themselves, or refuse."""


def run_for(request: CreateResponse, *more: Item, tools: Clock | None = None) -> Run:
    """`more` are items behind those of the request."""
    return Run(
        response=new_response(request, "resp_0", 0),
        request=request,
        context=[*input_items(request, "resp_0", {}), *more],
        tools=immediately(offered_tools(request, tools or Clock(), (), UPSTREAM)).tools,
        max_turns=9,
    )


def turn_for(request: CreateResponse, *more: Item) -> Turn:
    return turn_of(run_for(request, *more), request.model)


def encode(turn: Turn, settings: ProviderSettings) -> JsonObject:
    """What goes upstream for `turn`."""
    dialect = connect(settings)
    assert isinstance(dialect, HttpDialect)
    return dialect.encode(turn).body


async def decoded(decoder: Decoder, events: Iterable[Any], errors: UpstreamErrors | None = None) -> list[d.Delta]:
    """The deltas of a stream of these events: texts as they are, everything else as JSON."""

    async def chunks() -> AsyncIterator[bytes]:
        for event in events:
            data = event if isinstance(event, str) else json.dumps(event)
            yield f"data: {data}\n\n".encode()

    return [delta async for delta in decode(objects_of(chunks()), decoder, errors or UpstreamErrors())]


def turn(model: str = "m", **fields: Any) -> Turn:
    return turn_for(CreateResponse.model_validate({"model": model, "input": "Hi", **fields}))


async def driven(settings: ProviderSettings, events: list[Event] | None = None, **fields: Any) -> Run:
    """A whole response's run, which completes. Its events are added to `events`."""
    request = CreateResponse.model_validate({"input": "What time is it?", **fields})
    tools, provider = Clock(SCHEMA), connect(settings)
    run = run_for(request, tools=tools)

    async def sink(event: Event) -> None:
        if events is not None:
            events.append(event)

    try:
        ports = Ports(Models(provider), tools, Ledger(), lambda: 0.0, lambda: "0")
        assert await drive(run, ports, Journal(run, sink), lambda _: False) == Stop("completed")
    finally:
        await provider.aclose()
    return run


def call(call_id: str, name: str = "f", arguments: str = "{}", **more: Any) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **more}


def output(call_id: str, text: Any = "ok") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def clock(call_id: str, text: str | None = "noon", status: str = "completed") -> Json:
    return {"type": "serverless:clock", "call_id": call_id, "name": "clock", "output": text, "status": status}

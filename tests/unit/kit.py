"""A run of the engine with its ports in memory: a provider that says what it is told, tools that answer at once."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

from openresponses.core import deltas as d
from openresponses.core.accounts import Account, CallAccount
from openresponses.core.bill import Pricing, unpriced
from openresponses.core.engine import absorb, begin, drive, finish
from openresponses.core.ports import Models as ModelsPort
from openresponses.core.ports import Offer, Offerable, Ports, Provider, ToolOutput, TurnStream
from openresponses.core.ports import Tools as ToolsPort
from openresponses.core.run import McpServer, OfferedTool, Run
from openresponses.core.steps import Act, Step, Stop
from openresponses.core.turn import Turn
from openresponses.durable.journal import Journal
from openresponses.schema.base import JsonObject
from openresponses.schema.events import Event
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response, Usage
from openresponses.schema.server_items import HostedToolCall, McpCall, McpListTools, ServerCall, WebSearchCall
from openresponses.schema.tools import McpTool, WebSearchTool

Json: TypeAlias = dict[str, Any]
Said: TypeAlias = d.Delta | BaseException

CALCULATOR = OfferedTool(name="calculator", kind="hosted", item_type="serverless:calculator", wire_name="calculator")
CLOCK = OfferedTool(name="clock", kind="hosted", item_type="serverless:clock", wire_name="clock")
WEATHER = OfferedTool(name="get_weather", kind="function", item_type="function", wire_name="get_weather")
SHELL = OfferedTool(name="shell", kind="custom", item_type="custom", wire_name="shell")
GROUPED = OfferedTool(name="mcp__search", kind="function", item_type="function", wire_name="search", namespace="mcp")
LOOK = OfferedTool(
    name="docs__look",
    kind="mcp",
    item_type="mcp_call",
    wire_name="look",
    server_label="docs",
    description="Look something up",
    parameters={"type": "object", "properties": {"what": {"type": "string"}}},
    annotations={"readOnlyHint": True},
)
NOTE = OfferedTool(name="docs__note", kind="mcp", item_type="mcp_call", wire_name="note", server_label="docs")
PAY = OfferedTool(
    name="bank__pay", kind="mcp", item_type="mcp_call", wire_name="pay", server_label="bank", needs_approval=True
)
SEARCH = OfferedTool(name="web_search", kind="search", item_type="web_search_call", wire_name="web_search")
PAGE = OfferedTool(name="open_page", kind="search", item_type="web_search_call", wire_name="open_page")
TOOLS = [CALCULATOR, CLOCK, WEATHER, SHELL, GROUPED, LOOK, NOTE, PAY, SEARCH, PAGE]
SERVERS = [McpServer(label="docs", listed=True), McpServer(label="bank", listed=True, narrowed=True)]


def usage(n: int, reasoning: int = 0) -> d.Usage:
    counted = Usage(input_tokens=n, output_tokens=n, total_tokens=2 * n)
    counted.output_tokens_details.reasoning_tokens = reasoning
    return d.Usage(counted)


def new_run(*, tools: Sequence[OfferedTool] = TOOLS, max_turns: int = 8, said: str = "hello", **request: Any) -> Run:
    return Run(
        response=Response(id="resp_0123", created_at=1, model="m"),
        request=CreateResponse.model_validate({"model": "m", **request}),
        context=[Message.model_validate({"id": "msg_in", "role": "user", "content": said})],
        tools=list(tools),
        max_turns=max_turns,
    )


class Script:
    """A provider that says each turn of `turns` in order, and keeps the turns it was asked for."""

    def __init__(self, turns: Sequence[Sequence[Said]]) -> None:
        self.turns = list(turns)
        self.asked: list[Turn] = []

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        self.asked.append(turn)
        for said in self.turns[len(self.asked) - 1]:
            if isinstance(said, BaseException):
                raise said
            yield said

    async def aclose(self) -> None: ...


class Tools:
    """Answers `<tool>(<arguments>)`; a call with `fail` in it fails. Keeps the calls it was asked for.

    Its MCP servers are `docs` and `bank`. It searches the web too.
    """

    def __init__(self) -> None:
        self.called: list[ServerCall] = []
        self.known: list[McpListTools | None] = []

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        match tool:
            case McpTool():
                self.known.append(known)
                return self._server(tool, known)
            case WebSearchTool():
                return Offer([SEARCH, PAGE])
            case _:
                return next((Offer([each]) for each in TOOLS if each.item_type == tool.type), None)

    def _server(self, tool: McpTool, known: McpListTools | None) -> Offer | None:
        server = next((each for each in SERVERS if each.label == tool.server_label), None)
        offered = [each for each in TOOLS if each.server_label == tool.server_label]
        asks = tool.require_approval != "never"
        tools = [each.model_copy(update={"needs_approval": asks}) for each in offered]
        return Offer(tools, server.model_copy(update={"listed": known is None})) if server else None

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        self.called.append(call)
        match call:
            case WebSearchCall():
                failed = "fail" in str(call.action)
                found: JsonObject = {"results": [{"url": "https://a.test/", "title": "A", "text": str(call.action)}]}
                return ToolOutput("found", failed, {} if failed else found)
            case McpCall() | HostedToolCall():
                return ToolOutput(f"{call.name}({call.arguments})", failed="fail" in call.arguments)

    async def leave(self, run: Run) -> None: ...

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> ToolOutput | None:
        raise AssertionError("no tool of these answers later")


class Models:
    """One provider for every model, asked once, and told all that there is. Its price is `pricing`."""

    def __init__(self, provider: Provider, name: str = "", pricing: Pricing = unpriced) -> None:
        self._provider, self._name, self._pricing = provider, name, pricing

    async def admit(self, request: CreateResponse) -> None: ...

    async def sealed_tools(self, tools: Sequence[OfferedTool]) -> list[OfferedTool]:
        return [*tools]

    async def runs(self, request: CreateResponse) -> frozenset[str]:
        return frozenset()

    @asynccontextmanager
    async def ask(self, turn: Turn, served: str | None) -> AsyncGenerator[TurnStream, None]:
        async with aclosing(self._provider.stream(turn)) as deltas:
            yield TurnStream(f"{self._name}/{turn.model}" if self._name else turn.model, deltas, self._pricing)

    async def listed(self) -> list[str]:
        return []

    async def pricings(self, turn: Turn) -> list[tuple[str, Pricing]]:
        return [(turn.model, self._pricing)]


class Ledger:
    """Keeps every account."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []
        self.calls: list[CallAccount] = []

    async def record(self, account: Account) -> None:
        self.accounts.append(account)

    async def called(self, account: CallAccount) -> None:
        self.calls.append(account)


def ports_of(models: ModelsPort, tools: ToolsPort) -> Ports:
    return Ports(models=models, tools=tools, accounts=Ledger(), now=lambda: 2.0, new_id=lambda: "0123")


def ports(script: Script, tools: Tools | None = None) -> Ports:
    return ports_of(Models(script), tools or Tools())


class Log:
    """A sink. Keeps each event as the JSON that a client would read."""

    def __init__(self) -> None:
        self.events: list[Json] = []

    async def __call__(self, event: Event) -> None:
        self.events.append(json.loads(event.model_dump_json()))


async def play(run: Run, script: Script, tools: Tools | None = None) -> list[Json]:
    """The whole response, inline: its events."""
    log = Log()
    emit = Journal(run, log)
    await begin(run, emit)
    step = await drive(run, ports(script, tools), emit, lambda _: False)
    assert isinstance(step, Stop)
    await finish(run, step, emit, lambda: 2.0)
    return log.events


async def play_in_tasks(run: Run, script: Script, tools: Tools | None = None) -> tuple[list[Json], Run]:
    """The same as a state machine does it: one turn per task, tools outside of it, the run as JSON in between."""
    log, tools = Log(), tools or Tools()
    await begin(run, Journal(run, log))
    while True:
        run = Run.model_validate_json(run.model_dump_json())
        emit = Journal(run, log)
        match await drive(run, ports(script, tools), emit, _one_turn(run)):
            case Stop() as stop:
                await finish(run, stop, emit, lambda: 2.0)
                return log.events, run
            case Act(calls):
                outputs = [await ports(script, tools).call(call, run) for call in calls]
                run = Run.model_validate_json(run.model_dump_json())
                for call, output in zip(calls, outputs, strict=True):
                    await absorb(run, call, output, Journal(run, log))
            case _:
                pass


def _one_turn(run: Run) -> Callable[[Step], bool]:
    turns = run.turns
    return lambda step: isinstance(step, Act) or run.turns > turns

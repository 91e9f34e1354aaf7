"""Traces of whole responses, read back from a collector that knows nothing of us."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

from openresponses.core.errors import ProviderRejected
from openresponses.core.ports import Offer, Offerable, Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.spans import outgoing, received
from openresponses.dialects.chat_completions import connect
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import McpListTools, ServerCall
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.tracing.exporter import Exporter
from openresponses.tracing.traces import TenantTraces
from tests.contract.collector import Collector, attributes, collecting
from tests.contract.compacting import seal
from tests.contract.machine import House, Seen
from tests.contract.sockets import Line
from tests.fakes.network import Answered
from tests.unit.kit import Json, Tools

CANARY = "canary"
"""In all that is said, and in all that is secret."""
PROVIDER = {"dialect": "chat_completions", "api_key": f"{CANARY}-key", "headers": {"x-own": f"{CANARY}-header"}}
PARAMETERS = {
    "providers/first": json.dumps(
        {**PROVIDER, "base_url": f"https://user:{CANARY}@first.test/v1/{CANARY}?key={CANARY}", "retries": 1}
    ),
    "providers/second": json.dumps({**PROVIDER, "base_url": "https://api.groq.com/openai/v1", "retries": 0}),
    "models/fast": json.dumps({"targets": ["first/small", "second/large"]}),
}
TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
INTERNAL, SERVER, CLIENTS = trace.Span.SPAN_KIND_INTERNAL, trace.Span.SPAN_KIND_SERVER, trace.Span.SPAN_KIND_CLIENT


def chunk(delta: Json, finish: str | None = None) -> str:
    data = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps(data | {'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})}\n\n"


def said(delta: Json, finish: str) -> httpx2.Response:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    last = f"data: {json.dumps({'id': 'c1', 'object': 'chat.completion.chunk', 'choices': [], 'usage': usage})}\n\n"
    text = f"{chunk(delta)}{chunk({}, finish)}{last}data: [DONE]\n\n"
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def calls(name: str, x: str = CANARY) -> httpx2.Response:
    function = {"name": name, "arguments": json.dumps({"x": x})}
    call = {"index": 0, "id": f"call_{name}", "type": "function", "function": function}
    return said({"role": "assistant", "tool_calls": [call]}, "tool_calls")


def answers() -> httpx2.Response:
    return said({"role": "assistant", "content": f"{CANARY} is the word"}, "stop")


def refuses(status: int) -> httpx2.Response:
    return httpx2.Response(status, headers={"retry-after": "0"}, json={"error": {"message": f"{CANARY}"}})


APPROVE = OfferedTool(
    name="approve", kind="hosted", item_type="serverless:approve", wire_name="approve", answers_later=True, timeout=600
)


class Telling(Tools):
    """Keeps what each call is told of its span. `approve` answers later, once it was asked for."""

    def __init__(self, approves: bool = False) -> None:
        super().__init__()
        self.told: list[tuple[str, Mapping[str, str]]] = []
        self.approves = approves

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        return Offer([APPROVE]) if tool.type == APPROVE.item_type else await super().offer(tool, known)

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        self.told.append((call.name, outgoing()))
        return await super().call(call, run)

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> ToolOutput | None:
        self.told.append((call.name, outgoing()))
        return None

    async def answered(self, house: House) -> None:
        while self.approves and not house.answers:
            await asyncio.sleep(0.01)
        for waiting in house.answers.values():
            await asyncio.sleep(0.05)
            waiting.set_result(CANARY)


@dataclass
class Traced:
    """A deployment whose inline function and whose state machine are two sandboxes, each with an exporter of its own.

    `script` is what the providers answer, one request after the other.
    """

    collector: Collector
    script: list[httpx2.Response]
    inline_turns: int = 1
    asked: list[httpx2.Request] = field(default_factory=list[httpx2.Request])
    reports: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    on: bool = True
    tools: Telling = field(default_factory=lambda: Telling())

    def __post_init__(self) -> None:
        def upstream(request: httpx2.Request) -> httpx2.Response:
            self.asked.append(request)
            return self.script.pop(0)

        def connected(settings: ProviderSettings) -> Any:
            return connect(settings, Answered(upstream))

        settings = Settings(default_provider="first", inline_turns=self.inline_turns)
        router = Router(Catalog(MemoryParameters(PARAMETERS)), connected, settings, time.monotonic)
        self.house = House(TenantModels(router, seal()), self.tools, key_id="key-1", inline_turns=self.inline_turns)
        self.house.time = time.time()
        self.exporters = [self.exporter(), self.exporter()]
        inline, worker = (self.ports(each) for each in self.exporters)
        self.house.ports = inline
        self.house.new = NewResponses(inline, self.house.settings, "key-1")
        self.house.stored = StoredResponses(inline)
        self.house.worker_ports = lambda: worker

    def exporter(self) -> Exporter:
        async def headers() -> Mapping[str, str]:
            return {"authorization": f"Bearer {CANARY}"}

        def report(failure: str, lost: int) -> None:
            self.reports.append((failure, lost))

        return Exporter(self.collector.url, headers, {"service.name": "test"}, report)

    def ports(self, exporter: Exporter) -> Ports:
        traces = TenantTraces("acme", exporter, time.time, lambda: secrets.token_hex(16))
        ids = lambda: secrets.token_hex(16)  # noqa: E731
        return replace(self.house.ports, now=time.time, new_id=ids, traces=traces if self.on else None)

    async def create(self, trace: str = "", **request: Any) -> Json:
        """The response as it is in the end."""
        asked = {"model": "fast", "input": f"Say {CANARY}", "instructions": CANARY, "metadata": {"a": CANARY}}
        tools = [{"type": f"serverless:{name}"} for name in ("calculator", "clock", "approve")]
        given = CreateResponse.model_validate({**asked, "tools": tools, **request})
        run, record = await self.house.new.accept(given, trace=trace)
        log = Seen()
        responding = self.house.new.respond(run, record, log, seconds=None, committed=lambda: len(log.events) > 2)
        await asyncio.gather(responding, self.tools.answered(self.house))
        await self.house.idle()
        response: Json = json.loads(run.response.model_dump_json())
        return response


@asynccontextmanager
async def traced(*script: httpx2.Response, **options: Any) -> AsyncIterator[Traced]:
    async with collecting() as collector:
        house = Traced(collector, list(script), **options)
        try:
            yield house
        finally:
            for each in house.exporters:
                await each.aclose()


LOOP = (refuses(503), refuses(429), calls("calculator"), calls("clock"), answers())
"""The first target fails, is asked again, and fails; the second one answers from then on."""


def tree(spans: list[trace.Span]) -> dict[str, list[str]]:
    """The names of each span's children, as they began, by the span's own name."""
    names = {span.span_id: span.name for span in spans}
    found: dict[str, list[str]] = {}
    for span in sorted(spans, key=lambda each: each.start_time_unix_nano):
        found.setdefault(names.get(span.parent_span_id, "nobody"), []).append(span.name)
    return found


async def test_a_loop_that_was_handed_off_is_one_tree() -> None:
    parent = received([f"00-{TRACE}-{CLIENT}-01"], ["vendor=1"])
    async with traced(*LOOP) as house:
        response = await house.create(parent)
        spans = house.collector.spans
        assert response["status"] == "completed", response
        assert len(house.collector.requests) == 2  # the inline function's, and the worker's
        assert house.reports == []
    assert tree(spans) == {
        "nobody": ["invoke_agent"],
        "invoke_agent": ["turn", "execute_tool calculator", "turn", "execute_tool clock", "turn"],
        "turn": ["chat small", "chat small", "chat large", "chat large", "chat large"],
    }
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.trace_state for span in spans} == {"vendor=1"}
    assert len({span.span_id for span in spans}) == len(spans)
    by_id = {span.span_id: span for span in spans}
    (root,) = (span for span in spans if span.parent_span_id not in by_id)
    assert root.parent_span_id.hex() == CLIENT
    assert (root.flags, {span.flags for span in spans if span is not root}) == (0x301, {0x101})
    for span in spans:
        outer = by_id.get(span.parent_span_id, span)
        begins, ends = span.start_time_unix_nano, span.end_time_unix_nano
        assert outer.start_time_unix_nano <= begins <= ends <= outer.end_time_unix_nano, span.name


async def test_each_span_says_what_the_conventions_want() -> None:
    async with traced(*LOOP) as house:
        response = await house.create(conversation=None, temperature=0.5, max_output_tokens=500)
        spans = sorted(house.collector.spans, key=lambda span: span.start_time_unix_nano)
    shared = {
        "openresponses.tenant": "acme",
        "openresponses.key.id": "key-1",
        "openresponses.response.id": response["id"],
    }
    assert all(shared.items() <= attributes(span).items() for span in spans)
    assert {span.trace_id.hex() for span in spans} == {response["id"].removeprefix("resp_")}
    root, *_ = spans
    own = {key: value for key, value in attributes(root).items() if key not in shared}
    assert (root.kind, root.status.code, root.parent_span_id) == (SERVER, 0, b"")
    assert own == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "second",
        "gen_ai.request.model": "fast",
        "gen_ai.response.id": response["id"],
        "gen_ai.response.model": "large",
        "gen_ai.usage.input_tokens": 60,
        "gen_ai.usage.output_tokens": 27,
        "gen_ai.usage.cache_read.input_tokens": 24,
        "gen_ai.usage.reasoning.output_tokens": 12,
        "openresponses.status": "completed",
        "openresponses.turns": 3,
        "openresponses.tool_calls": 2,
    }
    failed, again, answered, *_ = [span for span in spans if span.name.startswith("chat")]
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 500,
        "gen_ai.request.temperature": 0.5,
        "server.port": 443,
    }
    first = asked | {
        "gen_ai.provider.name": "first",
        "gen_ai.request.model": "small",
        "server.address": "first.test",
        "openresponses.target": "first/small",
    }
    second = asked | {
        "gen_ai.provider.name": "groq",
        "gen_ai.request.model": "large",
        "server.address": "api.groq.com",
        "openresponses.target": "second/large",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 4,
    }
    assert attributes(failed) == shared | first | {"error.type": "provider_unavailable"}
    assert attributes(again) == shared | first | {"error.type": "rate_limit_exceeded"}
    told = attributes(answered)
    assert 0 <= told.pop("gen_ai.response.time_to_first_chunk") < 60
    assert told == shared | second
    assert [(span.kind, span.status.code) for span in (failed, again, answered)] == [
        (CLIENTS, trace.Status.STATUS_CODE_ERROR),
        (CLIENTS, trace.Status.STATUS_CODE_ERROR),
        (CLIENTS, trace.Status.STATUS_CODE_UNSET),
    ]
    tool = next(span for span in spans if span.name == "execute_tool calculator")
    call = next(item for item in response["output"] if item["type"] == "serverless:calculator")
    assert tool.kind == INTERNAL
    assert attributes(tool) == shared | {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "calculator",
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": call["id"],
        "openresponses.tool.kind": "hosted",
    }
    assert [attributes(span)["openresponses.turn"] for span in spans if span.name == "turn"] == [1, 2, 3]


async def test_nothing_that_was_said_is_sent_and_no_secret_but_the_collectors_own() -> None:
    async with traced(*LOOP) as house:
        response = await house.create()
        assert CANARY in json.dumps(response["output"])
        bodies = [request.body for request in house.collector.requests]
        heads = [request.headers["authorization"] for request in house.collector.requests]
    assert not [body for body in bodies if CANARY.encode() in body]
    assert heads == [f"Bearer {CANARY}"] * 2


async def test_each_request_to_a_provider_is_told_its_own_span() -> None:
    parent = received([f"00-{TRACE}-{CLIENT}-01"], ["vendor=1", "other=2"])
    async with traced(*LOOP) as house:
        await house.create(parent)
        chats = [span for span in house.collector.spans if span.name.startswith("chat")]
    told = [(each.headers.get("traceparent"), each.headers.get("tracestate")) for each in house.asked]
    assert Counter(told) == Counter((f"00-{TRACE}-{span.span_id.hex()}-01", "vendor=1,other=2") for span in chats)


async def test_a_call_that_waits_is_one_span_from_its_question_to_its_answer() -> None:
    async with traced(calls("approve"), answers(), inline_turns=9, tools=Telling(approves=True)) as house:
        response = await house.create()
        spans = house.collector.spans
    assert response["status"] == "completed"
    assert tree(spans) == {
        "nobody": ["invoke_agent"],
        "invoke_agent": ["turn", "execute_tool approve", "turn"],
        "turn": ["chat small", "chat small"],
    }
    (waited,) = (span for span in spans if span.name == "execute_tool approve")
    assert waited.end_time_unix_nano - waited.start_time_unix_nano >= 50_000_000
    ((name, told),) = house.tools.told
    assert (name, told["traceparent"].split("-")[2]) == ("approve", waited.span_id.hex())


async def test_each_tool_is_told_the_span_of_its_call() -> None:
    async with traced(*LOOP) as house:
        await house.create()
        spans = {span.name: span.span_id.hex() for span in house.collector.spans}
    told = [(name, headers["traceparent"].split("-")[2]) for name, headers in house.tools.told]
    assert told == [(name, spans[f"execute_tool {name}"]) for name in ("calculator", "clock")]


async def test_a_call_that_failed_says_so_and_not_what_it_said() -> None:
    async with traced(calls("calculator", x=f"fail {CANARY}"), answers(), inline_turns=9) as house:
        await house.create()
        (failed,) = (span for span in house.collector.spans if span.name == "execute_tool calculator")
        assert CANARY.encode() not in house.collector.requests[0].body
    assert (failed.status.code, failed.status.message) == (trace.Status.STATUS_CODE_ERROR, "")
    assert attributes(failed)["error.type"] == "tool_error"


async def test_a_turn_that_dies_is_seen_with_what_it_used_and_so_is_the_end_of_its_response() -> None:
    half = httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=chunk({"content": f"{CANARY} is"}))
    async with traced(half, inline_turns=9) as house:
        response = await house.create()
        spans = {span.name: span for span in house.collector.spans}
    assert response["status"] == "failed"
    assert {name: attributes(span).get("error.type") for name, span in spans.items()} == dict.fromkeys(
        ("invoke_agent", "turn", "chat small"), response["error"]["code"]
    )
    assert attributes(spans["chat small"])["gen_ai.response.finish_reasons"] == ["error"]
    assert attributes(spans["invoke_agent"])["openresponses.status"] == "failed"


async def test_a_response_that_its_client_saw_nothing_of_has_a_span() -> None:
    async with traced(*[refuses(400)] * 2, inline_turns=9) as house:
        with pytest.raises(ProviderRejected):
            await house.create()
        assert tree(house.collector.spans) == {
            "nobody": ["invoke_agent"],
            "invoke_agent": ["turn"],
            "turn": ["chat small", "chat large"],
        }


class Watching(TenantTraces):
    """Notes how many frames a client of a socket has when spans are sent."""

    def __init__(self, traces: TenantTraces, frames: list[bytes]) -> None:
        self.__dict__ |= traces.__dict__
        self.frames, self.had = frames, list[int]()

    async def export(self) -> None:
        self.had.append(len(self.frames))
        await super().export()


@pytest.mark.parametrize("inline_turns", [1, 9])
async def test_on_a_socket_too_the_last_frame_is_out_before_a_collector_is_asked(inline_turns: int) -> None:
    async with traced(calls("calculator"), answers(), inline_turns=inline_turns) as house:
        line = await Line(house.house).open()
        assert isinstance(house.house.ports.traces, TenantTraces)
        watching = Watching(house.house.ports.traces, line.far.frames)
        house.house.new = NewResponses(replace(house.house.ports, traces=watching), house.house.settings, "key-1")
        frames = await line.create(CANARY, model="fast", tools=[{"type": "serverless:calculator"}])
        await house.house.idle()
        assert {*watching.had} == {len(frames)}
        assert tree(house.collector.spans)["invoke_agent"] == ["turn", "execute_tool calculator", "turn"]


async def test_a_client_that_samples_nothing_is_obeyed_and_its_trace_goes_on() -> None:
    async with traced(*LOOP) as house:
        await house.create(received([f"00-{TRACE}-{CLIENT}-00"]))
        assert house.collector.requests == []
    told = [each.headers["traceparent"].split("-") for each in house.asked]
    assert [(trace_id, flags) for _, trace_id, _, flags in told] == [(TRACE, "00")] * 5


async def test_where_nothing_is_traced_a_provider_is_told_nothing() -> None:
    async with traced(*LOOP, on=False) as house:
        await house.create(received([f"00-{TRACE}-{CLIENT}-01"]))
        assert house.collector.requests == []
    assert not [each for each in house.asked if "traceparent" in each.headers]


GOOD = f"00-{TRACE}-{CLIENT}-01"


@pytest.mark.parametrize(
    ("parents", "states", "kept"),
    [
        ([GOOD], [], GOOD),
        ([f" {GOOD} "], [" a=1 ", "b=2"], f"{GOOD} a=1 ,b=2"),
        ([f"00-{TRACE}-{CLIENT}-03"], [], GOOD),  # other flags than `sampled` are not ours to pass on
        ([f"cc-{TRACE}-{CLIENT}-00-what-comes"], [], f"00-{TRACE}-{CLIENT}-00"),
        ([GOOD], ["a=" + "x" * 511], GOOD),
        ([GOOD], ["a=\x00"], GOOD),
        ([GOOD], ["a=é"], GOOD),
        *(
            (parents, ["a=1"], "")
            for parents in (
                [],
                [""],
                [GOOD, GOOD],
                [f"{GOOD}, {GOOD}"],
                [f"{GOOD}-more"],
                [f"ff-{TRACE}-{CLIENT}-01"],
                [f"cc-{TRACE}-{CLIENT}-01.more"],
                [GOOD.upper()],
                [f"00-{'0' * 32}-{CLIENT}-01"],
                [f"00-{TRACE}-{'0' * 16}-01"],
                [f"00-{TRACE[:-1]}-{CLIENT}-01"],
                [f"00-{TRACE}-{CLIENT}-1"],
                [f"00-{TRACE}-{CLIENT}-zz"],
                [f"00-{TRACE}-{CLIENT}"],
                [f"00_{TRACE}_{CLIENT}_01"],
                [f"00-{'g' * 32}-{CLIENT}-01"],
                [f"00-{TRACE}-{CLIENT}-01\n"[1:]],
                ["x" * 10_000],
            )
        ),
    ],
)
def test_what_a_client_tells_of_its_trace_is_read_as_w3c_has_it(
    parents: list[str], states: list[str], kept: str
) -> None:
    """https://www.w3.org/TR/trace-context/#traceparent-header"""
    assert received(parents, states) == kept

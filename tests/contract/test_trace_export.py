"""Sending spans: what a collector gets, and that nobody waits for it, whatever it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from openresponses.core.spans import SpanContext, telling
from openresponses.entry.api import build
from openresponses.entry.compose import Deployment
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.tracing.exporter import MAX_SENT, MAX_SPANS, PAUSE, Exporter
from openresponses.tracing.headers import headers_in
from openresponses.tracing.span import LONGEST, RecordedSpan
from tests.contract.authorized import authorized
from tests.contract.collector import Behavior, Collector, attributes, collecting
from tests.contract.mcp_asking import asking
from tests.contract.test_entry import STORED, imported
from tests.contract.test_lambda_tools import WEATHER, Functions, call, toolbox_of
from tests.fakes.mcp_server import mcp_server
from tests.unit.kit import new_run

SOON = 1.0
"""Seconds that an export may take which never ends."""


@dataclass
class Exporting:
    exporter: Exporter
    collector: Collector
    reports: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    time: float = 0.0

    def end(self, count: int = 1, **attributes: Any) -> None:
        for number in range(count):
            context = SpanContext(f"{1:032x}", f"{number + 1:016x}")
            parts: Any = {"collect": self.exporter.collect, "now": lambda: 2.5, "new_id": lambda: ""}
            RecordedSpan("turn", "internal", context, "", 1.25, attributes, **parts).end(None)


@asynccontextmanager
async def exporting(behavior: Behavior = "takes", headers: str = "{}") -> AsyncIterator[Exporting]:
    async with collecting(behavior) as collector:
        parameters = MemoryParameters({"otlp/headers": headers})
        made: list[Exporting] = []
        exporter = Exporter(
            f"{collector.url}/base/",
            lambda: headers_in(parameters),
            {"service.name": "shop", "cloud.region": None},
            lambda failure, lost: made[0].reports.append((failure, lost)),
            now=lambda: made[0].time,
            seconds=SOON if behavior == "hangs" else 60.0,
        )
        made.append(Exporting(exporter, collector))
        try:
            yield made[0]
        finally:
            await exporter.aclose()


async def test_a_collector_gets_them_as_otlp_has_them() -> None:
    async with exporting(headers='{"X-Key": "secret"}') as house:
        house.end(1, text="é\ud800", yes=True, number=2**60, share=0.5, many=["a"], none=None, long="x" * 999)
        await house.exporter.export()
        (request,) = house.collector.requests
        (resource,) = request.request.resource_spans
        (span,) = request.spans
    assert (request.path, request.headers["content-type"]) == ("/base/v1/traces", "application/json")
    assert request.headers["x-key"] == "secret"
    assert attributes(resource.resource) == {"service.name": "shop"}
    assert attributes(span) == {
        "text": "é?",
        "yes": True,
        "number": 2**60,
        "share": 0.5,
        "many": ["a"],
        "long": "x" * LONGEST,
    }
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_250_000_000, 2_500_000_000)
    assert house.reports == []


@pytest.mark.parametrize(
    ("behavior", "failure", "lost"),
    [("hangs", "TimeoutError", 3), ("fails", "BadStatus", 3), ("rejects", "Rejected", 1)],
)
async def test_a_collector_that_does_not_take_them_is_one_report(behavior: Behavior, failure: str, lost: int) -> None:
    async with exporting(behavior) as house:
        house.end(3)
        await house.exporter.export()
        await house.exporter.export()  # there is nothing left
        assert house.reports == [(failure, lost)]
        assert len(house.collector.requests) == 1


async def test_a_collector_that_failed_is_left_alone_for_a_while() -> None:
    async with exporting("fails") as house:
        house.end()
        await house.exporter.export()
        house.end(2)
        await house.exporter.export()
        assert len(house.collector.requests) == 1
        house.time, house.collector.behavior = PAUSE, "takes"
        await house.exporter.export()
        assert [len(request.spans) for request in house.collector.requests] == [1, 2]
        assert house.reports == [("BadStatus", 1)]


async def test_a_collector_that_is_not_there_is_one_report() -> None:
    async with exporting() as house:
        pass
    house.end()
    await house.exporter.export()
    assert house.reports == [("Unreachable", 1)]


async def test_no_more_spans_wait_than_a_sandbox_has_room_for() -> None:
    async with exporting() as house:
        house.end(MAX_SPANS + 7)
        await house.exporter.export()
        assert house.reports == [("TooManySpans", 7)]
        assert [request.body.count(b"spanId") for request in house.collector.requests] == [MAX_SENT] * 8


@pytest.mark.parametrize("headers", ["no json", "[]", '{"a": 1}', '{"a": "b\\nc"}', '{"a\\u00e9": "b"}'])
async def test_headers_that_are_none_are_one_report_that_does_not_quote_them(headers: str) -> None:
    async with exporting(headers=headers) as house:
        house.end()
        await house.exporter.export()
        assert house.reports == [("BadField", 1)]
        assert house.collector.requests == []


@pytest.mark.parametrize("url", ["collector:4318", "ftp://a.test", "http://", "http://a.test:x"])
def test_an_endpoint_that_is_no_url_is_refused_by_the_name_of_its_variable(url: str) -> None:
    with pytest.raises(ValueError, match=r"^OPENRESPONSES_OTLP_ENDPOINT: "):
        Deployment({"OPENRESPONSES_OTLP_ENDPOINT": url})


# The API


ASKED = {"model": "offline/demo", "input": "Say hello", "store": False}


@dataclass
class Heard:
    """One request to the API: what its client has when the last byte is out."""

    collected: int = -1
    body: bytes = b""


async def heard(app: Any, collector: Collector, *, stream: bool, headers: Mapping[str, str] | None = None) -> Heard:
    body, found = json.dumps(ASKED | {"stream": stream}).encode(), Heard()

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        found.body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await asyncio.sleep(0.05)  # what is under way arrives
            found.collected = len(collector.requests)

    sent = {"content-type": "application/json", **(headers or {})}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/responses",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    await authorized(app)(scope, receive, send)
    return found


def environment(collector: Collector) -> dict[str, str]:
    return {"OPENRESPONSES_OTLP_ENDPOINT": collector.url, "OPENRESPONSES_DEFAULT_PROVIDER": "offline"}


@pytest.mark.parametrize("behavior", ["takes", "hangs", "fails"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_out_before_a_collector_is_asked(behavior: Behavior, stream: bool) -> None:
    async with collecting(behavior) as collector:
        app = build(environment(collector))
        async with app.router.lifespan_context(app):
            answer = await heard(app, collector, stream=stream)
    assert b"completed" in answer.body
    assert answer.collected == 0
    assert len(collector.requests) == 1
    assert [span.name for span in collector.spans] == ["chat demo", "turn", "invoke_agent"]


async def test_a_client_s_trace_goes_on_in_the_response_s() -> None:
    trace_id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    async with collecting() as collector:
        app = build(environment(collector))
        async with app.router.lifespan_context(app):
            await heard(app, collector, stream=True, headers={"traceparent": f"00-{trace_id}-{parent}-01"})
            await heard(app, collector, stream=True, headers={"traceparent": "garbage"})
    roots = [span for span in collector.spans if span.name == "invoke_agent"]
    assert [span.parent_span_id.hex() for span in roots] == [parent, ""]
    assert roots[0].trace_id.hex() == trace_id
    assert f"resp_{roots[1].trace_id.hex()}" == attributes(roots[1])["gen_ai.response.id"]


@pytest.mark.parametrize(("entry", "on"), [("api", False), ("tasks", False), ("tasks", True)])
def test_where_tracing_is_off_nothing_of_it_is_imported(entry: str, on: bool) -> None:
    given = STORED | ({"OPENRESPONSES_OTLP_ENDPOINT": "http://a.test"} if on else {})
    found = {name for name in imported(entry, given) if name.startswith("openresponses.tracing")}
    assert ("openresponses.tracing.exporter" in found) if on else not found
    assert Deployment({}).ports("acme").traces is None


# Servers of tools


CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", state="vendor=1")
TOLD = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "vendor=1"}


@pytest.mark.parametrize("sessions", [False, True])
async def test_an_mcp_server_is_told_the_span_of_a_call_and_of_nothing_else(sessions: bool) -> None:
    """https://modelcontextprotocol.io/community/seps/414-request-meta: bare names, in the request's `_meta`."""
    async with mcp_server(sessions=sessions) as server, asking(server.url) as asked:
        assert await asked.text("echo", {"text": "untold"}) == "untold"
        with telling(CONTEXT):
            assert await asked.text("echo", {"text": "told"}) == "told"
    untold, told = server.metas
    assert {name: value for name, value in told.items() if name not in untold} == TOLD


async def test_a_function_is_told_the_span_of_a_call() -> None:
    functions = Functions()
    tools = toolbox_of(functions, weather=WEATHER)
    await tools.call(call(), new_run())
    with telling(CONTEXT):
        await tools.call(call(), new_run())
    (_, untold), (_, told) = functions.invoked
    assert told == untold | TOLD

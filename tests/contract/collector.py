"""A collector of OpenTelemetry on loopback. What it is sent is read by the official definitions of OTLP."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

Behavior: TypeAlias = Literal["takes", "hangs", "fails", "rejects"]
ANSWERS = {
    "takes": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    "fails": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    "rejects": b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n" + b'{"partialSuccess":{"rejectedSpans":"1"}}',
}
_IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


@dataclass
class Collected:
    """A request: `path`, `headers` with lower-case names, `body`, and the spans in it."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def request(self) -> service.ExportTraceServiceRequest:
        return judged(self.body)

    @property
    def spans(self) -> list[trace.Span]:
        return [span for each in self.request.resource_spans for scope in each.scope_spans for span in scope.spans]


def judged(body: bytes) -> service.ExportTraceServiceRequest:
    """Raises for what is no OTLP/JSON. It is protobuf's own JSON, but that ids are hex digits:
    https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    return json_format.Parse(json.dumps(_in_base64(json.loads(body))), service.ExportTraceServiceRequest())


def _in_base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_base64(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _id(each, _IDS[key]) if key in _IDS else _in_base64(each) for key, each in value.items()}


def _id(digits: str, length: int) -> str:
    assert re.fullmatch(f"(?!0*$)[0-9a-f]{{{length}}}", digits), digits
    return b64encode(bytes.fromhex(digits)).decode()


@dataclass
class Collector:
    url: str = ""
    behavior: Behavior = "takes"
    requests: list[Collected] = field(default_factory=list[Collected])
    _served: dict[asyncio.Task[Any] | None, asyncio.StreamWriter] = field(default_factory=dict)

    @property
    def spans(self) -> list[trace.Span]:
        return [span for request in self.requests for span in request.spans]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served[asyncio.current_task()] = writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append(Collected(first.split()[1], headers, body))
                if self.behavior == "hangs":
                    await reader.read()
                    break
                writer.write(ANSWERS[self.behavior])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        for writer in self._served.values():
            writer.close()
        await asyncio.gather(*filter(None, self._served))


@asynccontextmanager
async def collecting(behavior: Behavior = "takes") -> AsyncIterator[Collector]:
    collector = Collector(behavior=behavior)
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield collector
    finally:
        server.close()
        await collector.close()


def attributes(span: trace.Span) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in span.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@contextmanager
def collecting_aside() -> Iterator[Collector]:
    """In a thread of its own, for tests that wait for other processes."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Collector] = []

    async def collect() -> None:
        async with collecting() as collector:
            found.append(collector)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(collect(),))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()

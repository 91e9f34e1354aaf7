"""Spans as a request of OTLP/HTTP, in JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.

Ids are hex digits there, enumerations are numbers, and whole numbers of 64 bits are strings.
"""

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from ..core.json import loads
from ..schema.base import JsonObject
from .span import LONGEST, RecordedSpan, Value

PATH = "/v1/traces"
_SCOPE: JsonObject = {"name": "openresponses"}
_KINDS = {"internal": 1, "server": 2, "client": 3}
_ERROR = 2
_KNOWN, _REMOTE = 0x100, 0x200
"""Bits of `flags` above those of W3C: whether the parent is remote is known, and it is
(opentelemetry/proto/trace/v1/trace.proto, `SpanFlags`)."""


def request_of(spans: Sequence[RecordedSpan], resource: Mapping[str, Value | None]) -> bytes:
    """The body of an `ExportTraceServiceRequest`."""
    scoped: JsonObject = {"scope": _SCOPE, "spans": [_span(each) for each in spans]}
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}]},
        separators=(",", ":"),
    ).encode()


def rejected(answer: bytes) -> int:
    """How many spans a collector did not take that answered with success."""
    try:
        told = loads(answer or b"{}")
    except ValueError:
        return 0
    match told:
        case {"partialSuccess": {"rejectedSpans": int(count) | str(count)}}:
            return int(count) if str(count).isdecimal() else 0
        case _:
            return 0


def _span(span: RecordedSpan) -> JsonValue:
    context = span.context
    return {
        "traceId": context.trace_id,
        "spanId": context.span_id,
        **({"traceState": context.state} if context.state else {}),
        **({"parentSpanId": span.parent} if span.parent else {}),
        "flags": context.sampled | _KNOWN | (_REMOTE if span.remote else 0),
        "name": _text(span.name),
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": _nanoseconds(span.began),
        "endTimeUnixNano": _nanoseconds(span.ended),
        "attributes": _attributes(span.attributes),
        "status": {} if span.error is None else {"code": _ERROR},
    }


def _nanoseconds(seconds: float) -> str:
    return str(round(seconds * 1_000_000) * 1000)


def _attributes(attributes: Mapping[str, Value | None]) -> list[JsonValue]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items() if value is not None]


def _value(value: Value) -> JsonValue:
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": _text(value)}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(each) for each in value]}}


def _text(text: str) -> str:
    return text[:LONGEST].encode(errors="replace").decode()

"""The structured log records that functions print: JSON objects, one a line.

https://docs.powertools.aws.dev/lambda/python/latest/core/logger/#standard-structured-keys
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

_QUIET_KEYS = {
    *("level", "message", "location", "timestamp", "service", "cold_start", "function_name", "function_memory_size"),
    *("function_arn", "function_request_id", "xray_trace_id", "exception", "exception_name", "stack_trace"),
    *("sampling_rate", "stackTrace"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """`fields` are those that its writer added. `trace` is a traceback, or empty."""

    level: str
    message: str
    fields: Mapping[str, object]
    trace: str = ""

    def word(self, name: str) -> str:
        """A field as text; empty where it has none."""
        value = self.fields.get(name)
        return "" if value is None else _short(value)

    def number(self, name: str) -> float | None:
        value = self.fields.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def shortened(self) -> str:
        """One line, and below it the traceback."""
        extra = " ".join(f"{name}={_short(value)}" for name, value in self.fields.items())
        text = f"{self.level} {self.message} {extra}".rstrip()
        return f"{text}\n{self.trace}".rstrip() if self.trace else text


class Metrics:
    """A record that is meant for CloudWatch alone."""


def read_record(line: str) -> Record | Metrics | None:
    """None for a line that is no structured record."""
    if not line.startswith("{"):
        return None
    try:
        found: object = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    fields = cast("dict[str, object]", found)
    if "_aws" in fields:
        return Metrics()
    if "message" not in fields or "level" not in fields:
        return None
    trace = fields.get("exception") or fields.get("stackTrace") or ""
    if isinstance(trace, list):
        trace = "".join(str(line) for line in cast("list[object]", trace))
    own = {name: value for name, value in fields.items() if name not in _QUIET_KEYS}
    return Record(_short(fields["level"]), _short(fields["message"]), own, str(trace))


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

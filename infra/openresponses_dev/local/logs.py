"""What the local cloud tells its user: its own words, one line per invocation, and what the functions print."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TextIO, cast

_QUIET_KEYS = {
    *("level", "message", "location", "timestamp", "service", "cold_start", "function_name", "function_memory_size"),
    *(
        "function_arn",
        "function_request_id",
        "xray_trace_id",
        "exception",
        "exception_name",
        "stack_trace",
        "sampling_rate",
    ),
}
_RED, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Log:
    """Writes to `stream`. `file` gets every line as well, function output unchanged; `raw` shows that to the user."""

    def __init__(self, stream: TextIO | None, *, raw: bool = False, file: Path | None = None) -> None:
        self._stream, self._raw = stream, raw
        self._colour = stream is not None and stream.isatty()
        self._file = file.open("a", encoding="utf-8") if file else None

    def say(self, text: str, *, failed: bool = False) -> None:
        self._show(text, text, _RED if failed else _BOLD)

    def output(self, function: str, line: str) -> None:
        """One line that a function printed."""
        shown = line if self._raw else condense(line)
        self._show(shown and f"{function} | {shown}", f"{function} | {line}", _DIM)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _show(self, shown: str | None, raw: str, colour: str) -> None:
        if self._file:
            self._file.write(raw + "\n")
            self._file.flush()
        if self._stream is None or shown is None:
            return
        now = datetime.now().strftime("%H:%M:%S")
        self._stream.write(f"{_DIM}{now}{_PLAIN} {colour}{shown}{_PLAIN}\n" if self._colour else f"{now} {shown}\n")
        self._stream.flush()


def condense(line: str) -> str | None:
    """Shorten a structured log record. Other lines stay as they are; None for metrics, which are for CloudWatch."""
    if not line.startswith("{"):
        return line
    try:
        record: object = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    fields = cast("dict[str, object]", record)
    if "_aws" in fields:
        return None
    if "message" not in fields or "level" not in fields:
        return line
    extra = " ".join(f"{key}={_short(value)}" for key, value in fields.items() if key not in _QUIET_KEYS)
    text = f"{fields['level']} {_short(fields['message'])} {extra}".rstrip()
    trace = fields.get("exception") or fields.get("stackTrace")
    if isinstance(trace, list):
        trace = "".join(str(line) for line in cast("list[object]", trace))
    return f"{text}\n{trace}".rstrip() if trace else text


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

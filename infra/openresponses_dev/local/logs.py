"""What the local cloud tells its user: its own words, one line per invocation, and what the functions print."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import TextIO, cast

from openresponses_dev.local.terminal import visible

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
_FURTHER_LINE = "\n" + " " * len("00:00:00 ")  # so that none looks like a line of the log
_RED, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Log:
    """Writes to `stream`, and stops nothing if that fails. `file` gets every line as well, function output unchanged;
    `raw` shows that to the user, on a terminal with its control characters written out.
    """

    def __init__(self, stream: TextIO | None, *, raw: bool = False, file: Path | None = None) -> None:
        self._stream, self._raw = stream, raw
        self._terminal = stream is not None and stream.isatty()
        self._file = file.open("ab", buffering=0) if file else None
        self._file_failed = False

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
        self._keep(raw)
        if self._stream is None or shown is None:
            return
        now = datetime.now().strftime("%H:%M:%S")
        if self._terminal or not self._raw:
            shown = visible(shown).replace("\n", _FURTHER_LINE)
        with contextlib.suppress(OSError, ValueError):  # closed, or a full disk behind it
            self._stream.write(
                f"{_DIM}{now}{_PLAIN} {colour}{shown}{_PLAIN}\n" if self._terminal else f"{now} {shown}\n"
            )
            self._stream.flush()

    def _keep(self, raw: str) -> None:
        """In the file. Where it can't be written that is said once, until it can be again."""
        if self._file is None:
            return
        try:
            self._file.write(f"{raw}\n".encode(errors="backslashreplace"))
            self._file_failed = False
        except OSError as error:
            if not self._file_failed:
                self._file_failed = True
                self.say(f"the log file cannot be written: {error.strerror}", failed=True)


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

"""What the local cloud tells its user: its own words, one line per invocation, and what the functions print."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import TextIO

from openresponses_dev.local.history import OWN, History
from openresponses_dev.local.records import Metrics, read_record
from openresponses_dev.local.terminal import visible

_FURTHER_LINE = "\n" + " " * len("00:00:00 ")  # so that none looks like a line of the log
_RED, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Log:
    """Writes to `stream`, and stops nothing if that fails. `file` gets every line as well, function output unchanged;
    `raw` shows that to the user, on a terminal with its control characters written out.
    """

    def __init__(self, stream: TextIO | None, *, raw: bool = False, file: Path | None = None) -> None:
        self._stream, self._raw = stream, raw
        self.history = History()
        self._terminal = stream is not None and stream.isatty()
        self._file = file.open("ab", buffering=0) if file else None
        self._file_failed = False

    def say(self, text: str, *, failed: bool = False) -> None:
        self.history.add(OWN, "ERROR" if failed else "INFO", text)
        self._show(text, text, _RED if failed else _BOLD)

    def output(self, function: str, line: str) -> None:
        """One line that a function printed. Metrics are for CloudWatch, and not shown."""
        record = read_record(line)
        if isinstance(record, Metrics):
            self._show(line if self._raw else None, f"{function} | {line}", _DIM)
            return
        if record:
            self.history.recorded(record)
        text = record.shortened if record else line
        self.history.add(function, record.level if record else "INFO", text)
        self._show(f"{function} | {line if self._raw else text}", f"{function} | {line}", _DIM)

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

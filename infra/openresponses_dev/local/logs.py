"""What the local cloud tells its user: its own words, one line per invocation, and what the functions print."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from openresponses_dev.local.history import OWN, History, Kind
from openresponses_dev.local.records import Metrics, Record, read_record
from openresponses_dev.local.terminal import visible
from openresponses_dev.local.wording import problem_of, worded

if TYPE_CHECKING:
    from openresponses_dev.local.log_view import View

_FURTHER_LINE = "\n" + " " * len("00:00:00 ")  # so that none looks like a line of the log


class Log:
    """Writes to `stream`, and stops nothing if that fails. `file` gets every line as well, function output unchanged;
    `raw` shows that to the user, on a terminal with its control characters written out. `history` has the last lines.
    """

    def __init__(self, stream: TextIO | None, *, raw: bool = False, file: Path | None = None) -> None:
        self._stream, self._raw = stream, raw
        self.history = History()
        self._terminal = stream is not None and stream.isatty()
        self._view: View | None = None
        self._file = file.open("ab", buffering=0) if file else None
        self._file_failed = False

    def say(self, text: str, *, failed: bool = False) -> None:
        level = "ERROR" if failed else "INFO"
        self._keep(text)
        self.history.add(OWN, level, text)
        self._show("", level if failed else OWN, text)

    def tell(self, text: str) -> None:
        """The same for what is the user's alone, such as a key: it is shown, and kept nowhere."""
        self._show("", OWN, text)

    def wrong(self, kind: Kind, title: str, text: str = "") -> None:
        """The same for what the user has to mend. The console has it until `forget`."""
        self.history.wrong(kind, title, text or title)
        self.say(f"{title}\n{text}" if text else title, failed=True)

    def output(self, function: str, line: str) -> None:
        """One line that a function printed. Metrics are for CloudWatch, and shown only raw."""
        self._keep(f"{function} | {line}")
        record = read_record(line)
        if isinstance(record, Metrics):
            shown = ""
        elif record:
            shown = self._recorded(function, record)
        else:
            shown = line
            self.history.add(function, "INFO", line)
        if shown or self._raw or not line:
            level = record.level if isinstance(record, Record) else "DEBUG"
            self._show(function, level, line if self._raw else shown)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _recorded(self, function: str, record: Record) -> str:
        """What is shown of it."""
        self.history.recorded(record)
        if problem := problem_of(record):
            self.history.wrong("tool", *problem)
        words = worded(record)
        shown = f"{words}\n{record.trace}".rstrip() if words and record.trace not in words else words
        if shown:
            self.history.add(function, record.level, shown)
        return shown

    def _show(self, function: str, level: str, text: str) -> None:
        if self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError):  # closed, or a full disk behind it
            if self._terminal:
                self._on_terminal(self._stream).show(datetime.now(), visible(function), level, visible(text))
                return
            said = f"{function} | {text}" if function else text
            if not self._raw:
                said = visible(said).replace("\n", _FURTHER_LINE)
            self._stream.write(f"{datetime.now():%H:%M:%S} {said}\n")
            self._stream.flush()

    def _on_terminal(self, stream: TextIO) -> View:
        if self._view is None:
            from openresponses_dev.local.log_view import View  # here, since rich takes a moment

            self._view = View(stream)
        return self._view

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

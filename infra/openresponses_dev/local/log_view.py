"""The log on a terminal: a line for each record, in colours unless NO_COLOR is set, wrapped below its own text.

https://no-color.org
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_NARROW = 60
_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red", "OWN": "default", "DEBUG": "dim"}
_STATUS = re.compile(r"(?<=  )([1-5])\d\d(?=  |$)")
_STATUS_STYLES = {"2": "green", "3": "green", "4": "yellow", "5": "bold red"}


class View:
    """`stream` is a terminal. Text has nothing left that a terminal obeys."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)

    def show(self, at: datetime, function: str, level: str, text: str) -> None:
        """Raises OSError, ValueError where the stream can't be written."""
        style = _STYLES.get(level, "")
        first, *more = text.split("\n")
        body = Text()
        if function:
            body.append(f"{function} ", "cyan")
        start = len(body)
        body.append(first, style)
        if found := _STATUS.search(first):
            body.stylize(_STATUS_STYLES[found[1]], start + found.start(), start + found.end())
        for line in more:
            body.append("\n")
            body.append_text(_of_traceback(line))
        time = "-" if self._console.width < _NARROW else f"{at:%H:%M:%S}"
        row = Table.grid(padding=(0, 1))
        row.add_column(width=len(time))
        row.add_column(overflow="fold")
        row.add_row(Text(time, "dim"), body)
        self._console.print(row)


def _of_traceback(line: str) -> Text:
    if line.startswith("  File "):
        return Text(line, "cyan")
    if line.startswith((" ", "Traceback ")):
        return Text(line, "dim" if line.strip(" ^~") == "" or line.startswith("Traceback ") else "")
    return Text(line, "red")

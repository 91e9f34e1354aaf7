"""One line of a log, and how long ago it may be."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from openresponses_dev.local.log_view import View
from openresponses_dev.local.records import Metrics, Record, read_record
from openresponses_dev.local.terminal import say, visible
from openresponses_dev.local.wording import worded
from openresponses_dev.manage.problems import Problem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FURTHER = "\n" + " " * len("00:00:00 ")
_OF_LAMBDA = re.compile(r"(START|END|INIT_START|REPORT) ")
_ID = re.compile(r"RequestId: \S+\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """`at` is in Unix seconds. `text` is as the function printed it, or as the local cloud shortened it."""

    at: float
    function: str
    text: str
    level: str = ""


class Printer:
    """Prints lines as they are (`as_json`), or for people."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._view = View(sys.stdout) if sys.stdout.isatty() and not as_json else None

    def show(self, line: Line) -> None:
        if self._as_json:
            told = {"at": line.at, "function": line.function, "text": line.text}
            say(json.dumps(told, ensure_ascii=False))
            return
        level, text = _shortened(line)
        if not text:
            return
        at = datetime.fromtimestamp(line.at, UTC).astimezone()
        if self._view is not None:
            self._view.show(at, visible(line.function), level, visible(text))
        else:
            say(f"{at:%H:%M:%S} {line.function} | {text}".replace("\n", _FURTHER))


def seconds_of(given: str) -> float:
    """What `10m` means. Raises Problem."""
    if not (found := re.fullmatch(r"(\d+)([smhd])", given)):
        raise Problem(f"--since {given}: not a number with s, m, h or d", "--since 10m")
    return float(found[1]) * _UNITS[found[2]]


def _shortened(line: Line) -> tuple[str, str]:
    """The level, and what is shown. Of what Lambda itself prints only how long it took, and what went wrong."""
    text = line.text.rstrip("\n")
    if line.level:
        return line.level, text
    record = read_record(text)
    if isinstance(record, Metrics):
        return "", ""
    if isinstance(record, Record):
        words = worded(record)
        return record.level, f"{words}\n{record.trace}".rstrip() if record.trace not in words else words
    if found := _OF_LAMBDA.match(text):
        return "DEBUG", _ID.sub("", text).replace("\t", "  ").rstrip() if found[1] == "REPORT" else ""
    return "DEBUG", text

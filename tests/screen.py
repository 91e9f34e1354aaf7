"""A terminal of a test: what a program drew on it, cell by cell, and keys for the program.

It knows the sequences that rich and prompt_toolkit send to an `xterm-256color`, and no others:
https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

PATIENCE = 60.0
_SEQUENCE = re.compile(r"\x1b\[([?>=]?)([\d;:]*)([ -/]*[@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>78cM]")
_LOGIN = """
import os, signal, sys
os.login_tty(0)
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so do its children
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
_POSITION = b"\x1b[6n"
Cell = tuple[str, str]
"""A character, and the SGR codes that it was drawn with."""


class Screen:
    """`lines` are rows of cells; those that went out at the top stay, as a terminal's history."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines: list[list[Cell]] = [[]]
        self.row = self.column = 0
        self._codes: list[str] = []
        self._left = ""

    def feed(self, text: str) -> None:
        text, at = self._left + text, 0
        self._left = ""
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    self._left = text[at:]
                    assert len(self._left) < 200, f"an unknown sequence: {self._left[:20]!r}"
                    return
                self._obey(found)
                at = found.end()
            else:
                self._put(text[at])
                at += 1

    def shown(self) -> list[str]:
        """All lines as text, without what is empty at their ends."""
        return ["".join(character for character, _ in line).rstrip() for line in self.lines]

    def styled(self) -> Text:
        """All of it, for rich to draw."""
        text = Text()
        for line in self.lines:
            for character, codes in line:
                text.append_text(Text.from_ansi(f"\x1b[{codes}m{character}") if codes else Text(character, Style()))
            text.append("\n")
        return text

    @property
    def _top(self) -> int:
        return max(0, len(self.lines) - self.rows)

    def _put(self, character: str) -> None:
        match character:
            case "\n":
                self._down(1)
            case "\r":
                self.column = 0
            case "\b":
                self.column = max(0, self.column - 1)
            case "\x07":
                pass
            case _:
                width = cell_len(character)
                if self.column + width > self.columns:
                    self._down(1)
                    self.column = 0
                line = self.lines[self.row]
                line += [(" ", "")] * (self.column - len(line))
                line[self.column : self.column + width] = [
                    (character, ";".join(self._codes)),
                    *[("", "")] * (width - 1),
                ]
                self.column += width

    def _down(self, count: int) -> None:
        self.row += count
        self.lines += [[] for _ in range(self.row + 1 - len(self.lines))]

    def _obey(self, found: re.Match[str]) -> None:
        private, numbers, kind = found[1], found[2] or "", found[3]
        if private or kind is None:  # modes of the terminal, and titles
            return
        given = [int(each or 0) for each in re.split("[;:]", numbers)] if numbers else []
        count = given[0] if given else 0
        match kind:
            case "m":
                self._style(numbers)
            case "A":
                self.row = max(self._top, self.row - max(1, count))
            case "B":
                self._down(max(1, count))
            case "C":
                self.column = min(self.columns - 1, self.column + max(1, count))
            case "D":
                self.column = max(0, self.column - max(1, count))
            case "G":
                self.column = max(1, count) - 1
            case "H":
                self.row, self.column = self._top + max(1, count) - 1, (given[1] if len(given) > 1 else 1) - 1
            case "J":
                del self.lines[self.row + 1 :]
                del self.lines[self.row][self.column :]
            case "K":
                self._erase_line(count)
            case "n" | "h" | "l" | "r" | " q":
                pass
            case _:
                raise AssertionError(f"an unknown sequence: {found[0]!r}")

    def _erase_line(self, what: int) -> None:
        line = self.lines[self.row]
        if what == 2:
            line.clear()
        elif what == 1:
            line[: self.column + 1] = [(" ", "")] * min(len(line), self.column + 1)
        else:
            del line[self.column :]

    def _style(self, numbers: str) -> None:
        codes = numbers.split(";") if numbers else ["0"]
        if codes[0] in ("", "0"):
            self._codes = []
            codes = codes[1:]
        self._codes += codes


class Terminal:
    """A program at a terminal of its own."""

    def __init__(
        self, *words: str, env: Mapping[str, str], columns: int = 100, rows: int = 30, cwd: str | None = None
    ) -> None:
        self.screen, self.raw = Screen(columns, rows), ""
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        shown = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
        command = [sys.executable, "-c", _LOGIN, "-m", "openresponses_dev.cli.cli", *words]
        self.process = subprocess.Popen(command, stdin=slave, env=shown, cwd=cwd)
        os.close(slave)
        self._seen = 0

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str, *, pressing: str = "") -> None:
        """Read on until this was written, after what was waited for before. `pressing` is typed, and again in each
        second in which nothing comes.
        """
        end = time.monotonic() + PATIENCE
        self.type(pressing)
        while (found := self.raw.find(text, self._seen)) < 0:
            assert time.monotonic() < end, f"no {text!r} came\n{self.told()}"  # a spinner writes for ever
            if select.select([self.master], [], [], 1)[0]:
                assert self._read(), f"the program ended\n{self.told()}"
            else:
                self.type(pressing)
        self._seen = found + len(text)

    def wait(self) -> int:
        """Read until the program ends; its exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def told(self) -> str:
        return "\n".join(self.screen.shown())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def _read(self) -> bool:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: everyone hung up
            return False
        if _POSITION in data:  # where is the cursor?
            self.type(f"\x1b[{self.screen.row - self.screen._top + 1};{self.screen.column + 1}R")
        text = data.decode(errors="replace")
        self.raw += text
        self.screen.feed(text)
        return bool(data)

"""The view without a terminal's arts: standard output has the answer's text alone, whatever else there is goes to
standard error. On a terminal that can't move its cursor both are the terminal.
"""

from __future__ import annotations

from typing import TextIO

from openresponses_dev.local.answer.calls import Event, ShownCall, shortened
from openresponses_dev.local.answer.view import View, Words, usage_line
from openresponses_dev.local.terminal import visible


class PlainView(View):
    """Keeps text and reasoning in paragraphs of their own, whatever comes between them. `usage`: tells it."""

    def __init__(self, out: TextIO, err: TextIO, *, usage: bool = False) -> None:
        self._out, self._err, self._usage = out, err, usage
        self._open = ""  # what the line that is not ended belongs to

    def end(self) -> None:
        if self._open:
            self._of(self._open).write("\n")
            self._open = ""
        self._out.flush()
        self._err.flush()

    def note(self, text: str, *, bad: bool = False) -> None:
        self._line(f"({text})")

    def told(self, response: Event, seconds: float) -> None:
        if self._usage:
            self._line(f"({usage_line(response, seconds)})")

    def append(self, kind: Words, text: str) -> None:
        if self._open not in ("", kind):
            self.end()
        if not self._open and kind == "reasoning":
            text = f"thinking: {text}"
        self._open = kind
        self._of(kind).write(visible(text))
        self._of(kind).flush()

    def calling(self, call: ShownCall) -> None:
        self._line(f"-> {call.name}({call.arguments})")

    def called(self, call: ShownCall) -> None:
        status = f" [{call.status}]" if call.failed else ""
        self._line(f"<- {call.name}{status}: {shortened(call.output or '')}")

    def handed(self, call: ShownCall) -> None:
        self._line(f"-> {call.name}({call.arguments})")
        self.note(f"this call {call.status}")

    def _line(self, text: str) -> None:
        self.end()
        self._err.write(visible(text) + "\n")
        self._err.flush()

    def _of(self, kind: str) -> TextIO:
        return self._out if kind == "text" else self._err

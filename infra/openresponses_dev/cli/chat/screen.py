"""The view of a terminal: Markdown while it comes, calls in boxes, and a spinner until there is something to see."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.text import Text

from openresponses_dev.cli.chat.growing import Growing, markdown, thoughts
from openresponses_dev.local.answer.calls import Event, ShownCall, shortened
from openresponses_dev.local.answer.view import View, Words, usage_line
from openresponses_dev.local.terminal import one_line, visible

_DRAWN_S = 0.08
"""The least time between two drawings."""
_SLOW_S = 3.0
"""After so long, the spinner says how long it has been."""
_LINES = 12
"""Of a call's output."""


class ScreenView(View):
    """A console of rich whose terminal can move its cursor."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._growing: Growing | None = None
        self._kind, self._waiting, self._since, self._drawn = "", "", 0.0, 0.0
        self._spinner = Spinner("dots")

    def begin(self, waiting_for: str) -> None:
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()
        self._wait(waiting_for)

    def show(self, event: Event) -> None:
        super().show(event)
        self.tick()

    def tick(self) -> None:
        if time.monotonic() - self._drawn >= _DRAWN_S:
            self._draw()

    def end(self) -> None:
        self._finish()
        if self._live is not None:
            self._live.update(Text(""), refresh=True)
            self._live.stop()
            self._live = None

    def note(self, text: str, *, bad: bool = False) -> None:
        self._finish()
        self._print(Text(visible(text), style="red" if bad else "dim"))

    def told(self, response: Event, seconds: float) -> None:
        self._print(Text(one_line(usage_line(response, seconds)), style="dim"))

    def append(self, kind: Words, text: str) -> None:
        if self._growing is None or self._kind != kind:
            self._finish()
            self._kind, self._growing = kind, markdown() if kind == "text" else thoughts()
        self._growing.add(text)

    def calling(self, call: ShownCall) -> None:
        self._finish()
        self._wait(call.name)

    def called(self, call: ShownCall) -> None:
        self._finish()
        self._print(boxed(call))
        self._wait(self._waiting)

    def handed(self, call: ShownCall) -> None:
        self._finish()
        self._print(boxed(call, call.status))

    def _finish(self) -> None:
        """Print what grew, for good."""
        growing, self._growing = self._growing, None
        if growing is None:
            return
        if self._live is not None:
            self._live.update(Text(""))
        for each in growing.rest():
            self._print(each)
        if self._kind == "reasoning":
            self._print(Text(""))

    def _print(self, what: RenderableType) -> None:
        self._console.print(what, highlight=False, markup=False, emoji=False)

    def _wait(self, what: str) -> None:
        self._waiting, self._since = what, time.monotonic()
        self._draw()

    def _draw(self) -> None:
        if self._live is None:
            return
        self._drawn = time.monotonic()
        if self._growing is None:
            waited = self._drawn - self._since
            told = f"{self._waiting}  {waited:.0f} s" if waited >= _SLOW_S else self._waiting
            self._spinner.update(
                text=Text(one_line(told), style="dim", overflow="ellipsis", no_wrap=True), style="cyan"
            )
            self._live.update(self._spinner, refresh=True)
            return
        over = list(self._growing.over())
        if over:
            self._live.update(Text(""))
        for each in over:
            self._print(each)
        self._live.update(self._growing.growing(), refresh=True)


def boxed(call: ShownCall, note: str = "") -> RenderableType:
    """A call with its result. Narrow enough for its text, and for the terminal."""
    lines = [Text(visible(call.arguments), style="dim")] if call.arguments not in ("", "{}") else []
    if call.output:
        output = shortened(call.output).splitlines()
        shown = [*output[:_LINES], f"... ({len(output)} lines)"] if len(output) > _LINES else output
        lines.append(Text(visible("\n".join(shown)), style="red" if call.failed else ""))
    if note or (call.failed and not call.output):
        lines.append(Text(note or call.status, style="dim"))
    title = Text(one_line(call.name), style="bold cyan")
    if call.failed:
        title.append(f" {one_line(call.status)}", style="red")
    return Panel(
        Group(*lines) if lines else Text("done", style="dim"),
        title=title,
        title_align="left",
        border_style="red" if call.failed else "cyan",
        expand=False,
    )

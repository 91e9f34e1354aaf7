"""A text that grows on the screen: the blocks that are over are printed, and only the last one is drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Heading, Markdown
from rich.segment import Segment
from rich.text import Text

from openresponses_dev.local.terminal import visible

_PARSER = MarkdownIt().enable("strikethrough").enable("table")  # as rich's


class _LeftHeading(Heading):
    LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _Markdown(Markdown):
    elements = {**Markdown.elements, "heading_open": _LeftHeading}


class Harmless:
    """What a terminal would obey is written out, also where it came in by an entity of Markdown (`&#x202e;`)."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._inner, options):
            yield Segment(text if control else visible(text), style, control)


class Bottom:
    """The last lines of what is drawn, so many as fit: a terminal can draw anew only what it still shows."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._inner, options, pad=False)
        for line in lines[-max(1, console.size.height - 2) :]:
            yield from line
            yield Segment.line()


class Growing:
    """`draw` makes of a text what is shown, `split` says at which character its last block begins."""

    def __init__(self, draw: Callable[[str], RenderableType], split: Callable[[str], int]) -> None:
        self._draw, self._split, self._text = draw, split, ""
        self._begun = False

    def add(self, text: str) -> None:
        self._text += visible(text.replace("\r\n", "\n"))

    def over(self) -> Iterator[RenderableType]:
        """What to print of the blocks that are over since it was last asked."""
        at = self._split(self._text)
        if at:
            yield from self._printed(self._text[:at])
            self._text = self._text[at:]

    def growing(self) -> RenderableType:
        """What to draw of the last block, in place of what was drawn before."""
        drawn = Bottom(Harmless(self._draw(self._text)))
        return Group(Text(""), drawn) if self._begun else drawn

    def rest(self) -> Iterator[RenderableType]:
        """What to print at the end."""
        if self._text.strip():
            yield from self._printed(self._text)
        self._text = ""

    def _printed(self, text: str) -> Iterator[RenderableType]:
        if self._begun:
            yield Text("")
        self._begun = True
        yield Harmless(self._draw(text))


def markdown() -> Growing:
    return Growing(lambda text: _Markdown(text, code_theme="ansi_dark", hyperlinks=False), _last_block)


def thoughts() -> Growing:
    """Reasoning, in words as they are."""
    return Growing(lambda text: Text(text.strip("\n"), style="dim italic"), _last_paragraph)


def _last_block(text: str) -> int:
    """Where the last block of a Markdown text begins, that further text may change."""
    starts = [token.map[0] for token in _PARSER.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:
        return 0
    return sum(len(line) for line in text.splitlines(keepends=True)[: starts[-1]])


def _last_paragraph(text: str) -> int:
    return text.rfind("\n\n") + 2 if "\n\n" in text.rstrip("\n") else 0

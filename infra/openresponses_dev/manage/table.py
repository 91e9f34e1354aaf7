"""A table on a terminal, which fits whatever its width is. It takes text that is visible already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from textwrap import TextWrapper
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = 2
"""Columns of the terminal between two cells."""
_INDENT = 2
_NOTHING = ("", "-")
_NARROWEST = 20
"""The last column is prose: it may fold words that are longer."""


def print_table(out: TextIO, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Cells are wrapped between words. A word is never cut, so that an id or a URL can be copied: a column that does
    not fit beside the others is shown below its row.
    """
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    widths = _widths(head, rows, console.width)
    _print_row(console, [head[column] for column in widths], list(widths.values()), "bold")
    below = [column for column in range(len(head)) if column not in widths]
    for row in rows:
        _print_row(console, [row[column] for column in widths], list(widths.values()))
        for column in below:
            _print_below(console, head[column], row[column])


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]], available: int) -> dict[int, int]:
    """Of the columns that fit beside each other, the first one among them whatever its width is."""
    columns = list(zip(head, *rows, strict=True))
    widest = [max(map(cell_len, cells)) for cells in columns]
    needed = [max(cell_len(word) for cell in cells for word in (cell.split() or [""])) for cells in columns]
    needed[-1] = min(needed[-1], max(_NARROWEST, cell_len(head[-1])))
    beside = list(range(len(columns)))
    while len(beside) > 1 and sum(needed[column] + _GAP for column in beside) - _GAP > available:
        beside.remove(max(beside[1:], key=lambda column: needed[column]))
    widths = {column: needed[column] for column in beside}
    left = available - sum(widths.values()) - _GAP * (len(beside) - 1)
    while left > 0 and (short := [column for column in beside if widths[column] < widest[column]]):
        widths[min(short, key=lambda column: widths[column])] += 1
        left -= 1
    return widths


def _print_row(console: Console, cells: Sequence[str], widths: Sequence[int], style: str = "") -> None:
    wrapped = [Text(cell).wrap(console, width, overflow="fold") for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=Text()):
        padded = (part.plain + " " * (width - part.cell_len) for part, width in zip(parts, widths, strict=True))
        console.print(Text((" " * _GAP).join(padded).rstrip(), style), soft_wrap=True)


def _print_below(console: Console, name: str, cell: str) -> None:
    if cell in _NOTHING:
        return
    label = f"{name.lower()}:"
    # A longer word is left whole: the terminal breaks it, and copies it as one.
    whole = TextWrapper(console.width - _INDENT, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(whole.wrap(f"{label} {cell}")):
        text = Text(" " * _INDENT + line)
        text.stylize("dim", 0, 0 if number else _INDENT + len(label))
        console.print(text, soft_wrap=True)

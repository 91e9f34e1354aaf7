"""The tables of docs/figures.md: each command of `tests.bench` writes its own part of the page, and no other word."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Literal

from tests.bench import cost
from tests.bench.cost import Bill
from tests.bench.figures import Figure, Machine, Samples

Part = Literal["server", "durable", "sockets", "limits", "cache", "peers", "newcomer"]
HEADER = ("measured", "ours", "against", "result", "goal")


def write(page: Path, part: Part, text: str) -> None:
    """Replace what stands between the part's comments. Raises ValueError where the page has none."""
    begin, end = f"<!-- begin: tests.bench {part} -->\n", f"<!-- end: tests.bench {part} -->"
    before = page.read_text()
    after, count = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n\n{end}", before, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page}: has {count} parts between {begin.strip()} and {end}")
    page.write_text(after)


def about(machine: Machine, day: date) -> str:
    return f"Python {machine.python}, {machine.cpu}, {machine.cores} cores, load {machine.load}, {day.isoformat()}."


def figures(machine: Machine, rows: list[Figure], day: date, note: str = "") -> str:
    """`note`: what a reader of the rows has to know."""
    top = f"{about(machine, day)} {note}".strip()
    return "\n".join([top, "", _row(HEADER), "|---|---|---|---|---|", *(_row(_cells(figure)) for figure in rows)])


def durability(machine: Machine, rows: list[Figure], bills: list[list[Bill]], day: date, note: str = "") -> str:
    return f"{figures(machine, rows, day, note)}\n\n{cost.table(*bills)}"


def _cells(figure: Figure) -> tuple[str, ...]:
    """A row whose name is indented tells more of the row above it."""
    name, unit = figure.name.strip(), "µs" if figure.unit == "us" else figure.unit
    label = ("… " if figure.name.startswith(" ") else "") + (name if name == unit else f"{name}, {unit}")
    ratio = figure.kind == "ratio" and figure.baseline is not None
    sign = "+" if figure.baseline is not None and not ratio and figure.value >= 0 else ""
    suffix = "x" if ratio else f" {unit}"
    against = "" if figure.baseline is None else f"{spread(figure.baseline)}, {figure.against}"
    result = "" if figure.baseline is None else f"{sign}{number(figure.value)}{suffix}"
    goal = "" if figure.goal is None else f"≤ {figure.goal:g}{suffix}"
    missed = ", **missed**" if figure.passed is False else ""
    return (label, spread(figure.ours), against, result, goal + missed)


def spread(samples: Samples) -> str:
    """The median, and from where to where the middle 80% lie, if there is more than one sample."""
    median = number(samples.median)
    return median if len(samples.values) == 1 else f"{median} ({number(samples.at(0.1))}–{number(samples.at(0.9))})"  # noqa: RUF001


def number(value: float) -> str:
    """Three digits, and every one before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"

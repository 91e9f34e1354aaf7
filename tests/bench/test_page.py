"""That the tables come into docs/figures.md, and nothing else is changed in it."""

from datetime import date
from pathlib import Path

import pytest

from tests.bench import page
from tests.bench.figures import Figure, Machine, Samples

FIGURES = Path(__file__).parents[2] / "docs/figures.md"
MACHINE = Machine("a processor", 2, "3.11.7", "Linux", 0.1)
DAY = date(2026, 11, 27)


def test_a_row_tells_the_spread_the_baseline_the_result_and_the_goal():
    rows = [
        Figure("cold init", "ms", Samples([400.0, 300.0]), Samples([200.0, 100.0]), "bare app", goal=1.3),
        Figure("  added", "ms", Samples([4.4]), Samples([1.5]), "direct call", goal=3, kind="difference"),
        Figure("memory", "MB", Samples([1072.3])),
    ]
    assert page.figures(MACHINE, rows, DAY).splitlines()[4:] == [
        "| cold init, ms | 350 (300–400) | 150 (100–200), bare app | 2.50x | ≤ 1.3x, **missed** |",  # noqa: RUF001
        "| … added, ms | 4.40 | 1.50, direct call | +2.90 ms | ≤ 3 ms |",
        "| memory, MB | 1,072 |  |  |  |",
    ]


def test_what_a_reader_has_to_know_stands_above_the_rows():
    row = Figure("memory", "MB", Samples([72.3]))
    assert page.figures(MACHINE, [row], DAY, "Nothing else ran.").startswith(
        "Python 3.11.7, a processor, 2 cores, load 0.1, 2026-11-27. Nothing else ran.\n\n| measured |"
    )


def test_each_command_writes_its_own_part_of_the_page(tmp_path: Path):
    copy = tmp_path / "figures.md"
    copy.write_text(FIGURES.read_text())
    page.write(copy, "server", "the table of the server")
    page.write(copy, "durable", "the table of durability")
    before, after = FIGURES.read_text(), copy.read_text()
    assert "the table of the server\n\n<!-- end: tests.bench server -->" in after
    assert after.count("the table of durability") == 1
    assert _prose(after) == _prose(before)


def test_a_page_without_the_part_is_refused(tmp_path: Path):
    empty = tmp_path / "page.md"
    empty.write_text("# Figures\n")
    with pytest.raises(ValueError, match="has 0 parts"):
        page.write(empty, "server", "a table")
    assert empty.read_text() == "# Figures\n"


def _prose(text: str) -> list[str]:
    return [part.partition("<!-- end:")[2] or part for part in text.split("<!-- begin:")]

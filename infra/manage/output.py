"""What the commands print: tables to standard output, and to standard error what is worth knowing beside them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from infra.manage.problems import Problem


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without lines. The last column is as long as it is."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(map(str.rstrip, lines))


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def tell(problem: Problem) -> int:
    """The exit status of a command that could not do what it was asked."""
    print(f"openresponses: {problem}", file=sys.stderr)
    if problem.mend:
        print(f"  try: {problem.mend}", file=sys.stderr)
    return 1

"""How commands show what they list: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from openresponses_dev.local.terminal import one_line, say
from openresponses_dev.manage.problems import columns

AsJson: TypeAlias = Annotated[bool, Parameter("--json", help="for programs")]
"""The option of every command that lists."""


def show(
    data: Sequence[Mapping[str, object]], head: Sequence[str], rows: Iterable[Sequence[str]], *, as_json: bool
) -> None:
    """On standard output: `{"data": [...]}` in one line, or the rows below their head.

    Names of fields are snake_case, times are Unix seconds, and US dollars are text, so that no digit is lost.
    """
    if as_json:
        show_json(data)
    else:
        show_table(head, rows)


def show_json(data: Sequence[Mapping[str, object]]) -> None:
    say(json.dumps({"data": data}, ensure_ascii=False))


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        from openresponses_dev.manage.table import print_table  # here, since rich takes long to import

        print_table(sys.stdout, head, [[one_line(cell) for cell in row] for row in rows])
    else:
        say(columns(head, rows))

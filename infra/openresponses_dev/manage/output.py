"""How commands show what they list: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from openresponses_dev.local.terminal import say
from openresponses_dev.manage.problems import columns

AsJson: TypeAlias = Annotated[bool, Parameter("--json", help="for programs")]
"""The option of every command that lists."""


def show(
    data: Sequence[Mapping[str, object]], head: Sequence[str], rows: Iterable[Sequence[str]], *, as_json: bool
) -> None:
    """On standard output: `{"data": [...]}` in one line, or the rows below their head."""
    say(json.dumps({"data": data}, ensure_ascii=False) if as_json else columns(head, rows))

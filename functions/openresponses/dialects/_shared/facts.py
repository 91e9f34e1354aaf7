"""Facts about hosts and models, as rows of a table. Knows no host and no model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Version: TypeAlias = tuple[int, int]


class Source(NamedTuple):
    """The address that a fact comes from, and the month in which it was read there."""

    address: str
    date: str


UNSOURCED = Source("not found", "2026-11")
"""For a fact that was seen to hold, but that no public page is known to say."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is so of names that `pattern` is found in, from version `since` on, and before version `before`."""

    pattern: str
    facts: Mapping[str, Any]
    source: Source
    since: Version = (0, 0)
    before: Version | None = None


def facts_of(table: Iterable[Fact], name: str, version: Version = (0, 0)) -> dict[str, Any]:
    """What the rows that fit say together. A later row wins over an earlier one."""
    known: dict[str, Any] = {}
    for row in table:
        if row.since <= version and (row.before is None or version < row.before) and re.search(row.pattern, name):
            known |= row.facts
    return known

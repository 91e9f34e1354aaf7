"""What a key has used, as sums. They are counted where responses end, and read from no log."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias

from ..core.bill import Pico, dollars
from ..core.errors import RequestError
from ..core.ports import Ports
from ..core.storage import UsageRow
from ..schema.base import JsonObject

MAX_DAYS = 400
"""Of one reading, and how long usage is kept: 13 months."""
By: TypeAlias = Literal["model", "day"]


@dataclass(slots=True)
class Sum:
    """Of rows. `unpriced` counts the requests of which some turn's cost is unknown: nothing of that is in `pico`."""

    requests: int = 0
    turns: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    pico: Pico = 0
    unpriced: int = 0

    def add(self, row: UsageRow) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(row, each.name))

    def shown(self) -> JsonObject:
        counts: JsonObject = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "pico"}
        return {**counts, "usd": dollars(self.pico)}


def sums_by(by: Callable[[UsageRow], str], rows: Iterable[UsageRow]) -> dict[str, Sum]:
    """In the order of what they are summed by."""
    sums: dict[str, Sum] = {}
    for row in rows:
        sums.setdefault(by(row), Sum()).add(row)
    return dict(sorted(sums.items()))


def total_of(rows: Iterable[UsageRow]) -> Sum:
    return sums_by(lambda _: "", rows).get("", Sum())


def days_between(first: str | None, last: str | None, now: float) -> tuple[str, str]:
    """The days that are read, the last one included: by default, this month until today. Raises RequestError, which
    names the parameter.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    end = _day(last, "to") or today
    begin = _day(first, "from") or min(today.replace(day=1), end)
    if begin > end:
        raise RequestError(f"'from' must be a day before 'to', or the same: {begin} is after {end}", param="from")
    if end - begin >= timedelta(MAX_DAYS):
        raise RequestError(f"'from' must be at most {MAX_DAYS} days before 'to'", param="from")
    return begin.isoformat(), end.isoformat()


def _day(text: str | None, param: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RequestError(f"{param!r} must be a day, such as 2026-11-27", param=param) from None


class StoredUsage:
    """What keys of one tenant used."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def of_key(self, key_id: str, first: str | None, last: str | None, by: By) -> JsonObject:
        """As a client is shown it. Raises RequestError."""
        if self._ports.storage is None:
            raise RequestError("This server stores nothing, so it counts no usage", code="requires_storage")
        begin, end = days_between(first, last, self._ports.now())
        rows = await self._ports.storage.meters.usage(begin, end, key_id)
        sums = sums_by(lambda row: row.target if by == "model" else row.day, rows)
        return {
            "object": "list",
            "from": begin,
            "to": end,
            "data": [{"object": "usage", by: name, **each.shown()} for name, each in sums.items()],
            "total": total_of(rows).shown(),
        }

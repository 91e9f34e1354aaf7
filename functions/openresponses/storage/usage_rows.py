"""What a bill adds to the counts of usage, and their sums. Pure; knows no table."""

from collections.abc import Iterable
from dataclasses import astuple

from ..core.bill import Bill, Used
from ..core.storage import UsageRow


def rows_of(bill: Bill) -> list[UsageRow]:
    """One for each target. The request counts for the last one; one that took nothing of anybody has no rows."""
    return [_row(bill, used, requests=int(used is bill.used[-1])) for used in bill.used]


def summed(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """One for each day, key and target, in that order."""
    sums: dict[tuple[str, str, str], UsageRow] = {}
    for row in rows:
        place = row.day, row.key_id, row.target
        before = astuple(sums[place])[len(place) :] if place in sums else (0,) * len(astuple(row)[len(place) :])
        counts = (a + b for a, b in zip(before, astuple(row)[len(place) :], strict=True))
        sums[place] = UsageRow(*place, *counts)
    return [sums[place] for place in sorted(sums)]


def _row(bill: Bill, used: Used, requests: int) -> UsageRow:
    usage = used.usage
    return UsageRow(
        day=bill.day,
        key_id=bill.key_id,
        target=used.target,
        requests=requests,
        turns=used.turns,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.input_tokens_details.cached_tokens,
        cache_write_tokens=usage.input_tokens_details.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens,
        pico=used.cost.whole,
        unpriced=int(used.unpriced > 0),
    )

"""`openresponses usage`: what keys and tenants used, and what it cost. Counted where responses end, not from logs."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from openresponses.core.bill import dollars
from openresponses.core.errors import RequestError
from openresponses.core.storage import UsageRow
from openresponses.responses.usage import Sum, days_between, sums_by, total_of
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.at_rest import done, storage_of
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.keys import all_keys
from openresponses_dev.manage.output import AsJson, show_table
from openresponses_dev.manage.problems import Problem

By: TypeAlias = Literal["key", "tenant", "model", "day"]
Found: TypeAlias = dict[str, list[UsageRow]]
"""By tenant."""


def show_usage(
    *,
    by: Annotated[By, Parameter(help="what is summed")] = "model",
    begin: Annotated[str | None, Parameter("--from", metavar="DAY", help="UTC's, as 2026-11-01: this month's")] = None,
    end: Annotated[str | None, Parameter("--to", metavar="DAY", help="the last one: today")] = None,
    tenant: Annotated[
        tuple[str, ...], Parameter(metavar="TENANT", help="repeat it (default: all that have a key)")
    ] = (),
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    try:
        first, last = days_between(begin, end, time.time())
    except RequestError as error:
        raise Problem(error.message) from None
    deployment = deployment_at(where)
    tenants = tenant or tuple(sorted({key.tenant for key in all_keys(deployment)}))
    found = _read(deployment, tenants, first, last)
    sums, total = _summed(found, by), total_of(row for rows in found.values() for row in rows)
    if as_json:
        data = [{by: name, **each.shown()} for name, each in sums.items()]
        say(json.dumps({"from": first, "to": last, "data": data, "total": total.shown()}, ensure_ascii=False))
        return 0
    say(f"{first} to {last} (UTC), in {deployment.title}")
    head = (by.upper(), "REQUESTS", "TURNS", "INPUT", "CACHED", "OUTPUT", "REASONING", "USD", "OF UNKNOWN COST")
    show_table(head, [*(_row(name, each) for name, each in sums.items()), _row("total", total)])
    return 0


def _read(deployment: Deployment, tenants: tuple[str, ...], first: str, last: str) -> Found:
    async def read() -> Found:
        meters = [storage_of(deployment, each).meters for each in tenants]
        rows = await asyncio.gather(*(each.usage(first, last) for each in meters))
        return dict(zip(tenants, rows, strict=True))

    return done(read())


def _summed(found: Found, by: By) -> dict[str, Sum]:
    def name(row: UsageRow) -> str:
        return row.target if by == "model" else row.day if by == "day" else row.key_id or "-"

    if by == "tenant":
        return {tenant: total_of(rows) for tenant, rows in found.items() if rows}
    return sums_by(name, [row for rows in found.values() for row in rows])


def _row(name: str, each: Sum) -> tuple[str, ...]:
    tokens = (each.input_tokens, each.cached_tokens, each.output_tokens, each.reasoning_tokens)
    return name, *map(str, (each.requests, each.turns, *tokens)), dollars(each.pico), str(each.unpriced)

"""`GET /v1/usage`: what a key has used, and what it cost, by the day and by the model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openresponses.core import deltas as d
from openresponses.core.bill import PER_DOLLAR, Cost
from openresponses.core.storage import UsageRow
from openresponses.responses.usage import MAX_DAYS, Sum, days_between, total_of
from openresponses.schema.response import Usage
from tests.contract.machine import House
from tests.contract.served import client_of
from tests.unit.cases import call
from tests.unit.kit import Json, Models, Script, usage

ANSWER = [d.Text("0", "an answer"), d.End("0"), usage(3, reasoning=1), d.Finish("stop")]
KEY = "0123456789ab"
"""The key that `authorized` lets in."""


def at(day: str) -> float:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()


def priced(used: Usage) -> Cost:
    return Cost(input=used.input_tokens * PER_DOLLAR, output=used.output_tokens * PER_DOLLAR // 8)


def house(*, key_id: str = KEY, turns: int = 9, known: bool = True) -> House:
    script = Script([ANSWER] * turns)
    return House(Models(script, "openai", priced) if known else script, key_id=key_id)


async def read(house: House, **params: str) -> tuple[int, Json]:
    async with client_of(house) as http:
        answer = await http.get("/usage", params=params)
    return answer.status_code, answer.json()


def shown(times: int, **more: int | str) -> Json:
    return {
        "requests": times,
        "turns": times,
        "input_tokens": 3 * times,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 3 * times,
        "reasoning_tokens": times,
        "unpriced": 0,
        **more,
    }


async def test_a_key_reads_what_it_used_this_month_by_model() -> None:
    it = house()
    for day in ("2026-10-31", "2026-11-01", "2026-11-27"):
        it.time = at(day)
        await it.create(model="gpt")
        await it.create(model="gpt-mini", store=False)
    status, found = await read(it)
    assert (status, found) == (
        200,
        {
            "object": "list",
            "from": "2026-11-01",
            "to": "2026-11-27",
            "data": [
                {"object": "usage", "model": "openai/gpt", **shown(2, usd="6.75")},
                {"object": "usage", "model": "openai/gpt-mini", **shown(2, usd="6.75")},
            ],
            "total": shown(4, usd="13.5"),
        },
    )


async def test_a_key_reads_what_it_used_by_day() -> None:
    it = house()
    for day in ("2026-10-31", "2026-11-01", "2026-11-27"):
        it.time = at(day)
        await it.create(model="gpt")
    _, found = await read(it, by="day", **{"from": "2026-10-31", "to": "2026-11-01"})
    assert [(each["day"], each["usd"]) for each in found["data"]] == [("2026-10-31", "3.375"), ("2026-11-01", "3.375")]
    assert found["total"] == shown(2, usd="6.75")


async def test_a_cost_that_is_unknown_is_counted_and_adds_nothing() -> None:
    it = house(known=False)
    await it.create()
    _, found = await read(it)
    assert (found["total"]["requests"], found["total"]["unpriced"], found["total"]["usd"]) == (1, 1, "0")


async def test_what_is_known_of_a_response_counts_although_its_whole_cost_is_unknown() -> None:
    untold = [d.Text("0", "an answer"), d.End("0"), d.Finish("stop")]
    calls = [*call("calculator"), usage(3), d.Finish("stop")]
    pricing = lambda used: priced(used) if used.input_tokens else None  # noqa: E731
    it = House(Models(Script([calls, untold]), "openai", pricing), key_id=KEY)
    response, _ = await it.create(model="gpt", tools=[{"type": "serverless:calculator"}])
    assert response["serverless:cost"] == {"usd": "unknown"}
    _, found = await read(it)
    assert (found["total"]["turns"], found["total"]["usd"], found["total"]["unpriced"]) == (2, "3.375", 1)


async def test_a_key_reads_nothing_of_another_one() -> None:
    it = house(key_id="another")
    await it.create()
    _, found = await read(it)
    assert (found["data"], found["total"]) == ([], Sum().shown())


WRONG = {
    "no day": ({"from": "yesterday"}, "from"),
    "no such day": ({"to": "2026-02-30"}, "to"),
    "a time": ({"to": "2026-11-27T10:00"}, "to"),
    "backwards": ({"from": "2026-11-27", "to": "2026-11-26"}, "from"),
    "too many days": ({"from": "2025-01-01", "to": "2026-11-27"}, "from"),
    "by nothing that there is": ({"by": "key"}, "by"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_is_wrong_in_a_query_is_named(what: str) -> None:
    params, param = WRONG[what]
    status, found = await read(house(), **params)
    assert (status, found["error"]["param"]) == (400, param)


def test_days_are_this_months_unless_they_are_said() -> None:
    now = datetime(2026, 11, 1, 0, 0, 1, tzinfo=UTC).timestamp()
    assert days_between(None, None, now) == ("2026-11-01", "2026-11-01")
    assert days_between(None, "2026-10-20", now) == ("2026-10-20", "2026-10-20")
    assert days_between("2026-10-20", None, now) == ("2026-10-20", "2026-11-01")
    assert days_between("2025-09-28", "2026-11-01", now)
    assert MAX_DAYS == 400


def test_sums_are_exact() -> None:
    row = UsageRow("2026-11-27", "k", "p/m", 1, 2, 3, 1, 1, 4, 2, 10**12 + 1, 1)
    total = total_of([row] * 1_000)
    assert total.shown()["usd"] == "1000.000000001"
    assert (total.turns, total.unpriced) == (2_000, 1_000)

"""Approved calls whose worker dies: before the call, amid it, after it. Each is made once, or known to be open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openresponses.schema.request import CreateResponse
from tests.contract.approving import DICE, ROLL, Answering, Servers, approval, asks, calls_in, requests_in
from tests.contract.deaths import Client, Life, Replaced, run_until_killed
from tests.contract.machine import House
from tests.contract.storage_suite import opened_aws
from tests.openresponses_schema import check_response
from tests.sweeps import Sweep
from tests.unit.kit import Json

pytestmark = pytest.mark.usefixtures("hurry")
PUT = asks("dice__set")
WAYS: list[Json] = [{"stream": True}, {}, {"background": True}]


class Table:
    """A house whose worker may die, and a request for approval that was made before."""

    def __init__(self, life: Life, turn: Any, storage: Any = None) -> None:
        self.servers = Servers()
        self.at = Replaced(Answering([turn]), life, storage, tools=self.servers)
        self.first, _ = asyncio.run(self.at.house.create(tools=[DICE]))
        (self.request,) = requests_in(self.first)
        self.asked: Json = {
            "model": "m",
            "tools": [DICE],
            "input": [approval(self.request)],
            "previous_response_id": self.first["id"],
        }

    def approve(self, last: int | None = None, **way: Any) -> Client:
        """The approval, sent to the worker, which dies at the event `last`, or as its life says."""
        client = Client(self.at.life, last)

        async def respond() -> None:
            await respond_to(self.at.worker, {**self.asked, **way}, client)

        run_until_killed(respond, self.at.life)
        self.at.house.time += 60  # its lease is over
        return client

    async def again(self) -> str:
        """What the same approval gets from another worker: what came of the response, or the refusal's code."""
        client = Client(Life())
        try:
            return (await respond_to(self.at.house, self.asked, client))["status"]
        except Exception as error:
            return getattr(error, "code", type(error).__name__)


async def respond_to(house: House, asked: Json, client: Client) -> Json:
    run, record = await house.new.accept(CreateResponse.model_validate(asked))
    await house.new.respond(run, record, client, seconds=None, committed=lambda: len(client.events) > 2)
    return run.response.model_dump(mode="json")


async def outcome(table: Table) -> Json | None:
    """The response that the dead worker has left, at its end; None if it left nothing."""
    house = table.at.house
    await table.at.outlive()
    left = [each for each in house.shelf.responses if each != table.first["id"]]
    if not left:
        return None
    await house.events(left[0])
    await house.idle()
    final = (await house.stored.retrieve(left[0])).model_dump(mode="json")
    check_response(final)
    return final


async def judge(table: Table, *, repeats: bool) -> None:
    final = await outcome(table)
    made = len(table.servers.began)
    if final is None:
        assert made == 0
        assert await table.again() == "completed", f"{table.at.life.calls}: the approval is lost"
        assert len(table.servers.began) == 1
        return
    assert final["status"] == "completed", final
    (call,) = calls_in(final)
    assert call["approval_request_id"] == table.request["id"]
    if call["status"] == "completed":
        assert made in ((1, 2) if repeats else (1,))
    else:
        assert not repeats
        assert call["status"] == "failed"
        assert "outcome is unknown" in str(call["error"])
        assert made <= 1
    assert await table.again() == "approval_spent"
    assert len(table.servers.began) == made


async def judge_all(tables: list[Table], *, repeats: bool) -> None:
    await asyncio.gather(*(judge(table, repeats=repeats) for table in tables))


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])
@pytest.mark.parametrize("turn", [ROLL, PUT], ids=["once", "idempotent"])
def test_a_worker_killed_at_any_call_of_its_storage(sweep: Sweep, turn: Any, after: bool, way: Json) -> None:
    whole = Table(Life(), turn)
    whole.approve(**way)
    count = len(whole.at.life.calls)
    tables = [Table(Life(last=number, after=after), turn) for number in sweep.sample(range(count), 4)]
    for table in tables:
        table.approve(**way)
    asyncio.run(judge_all(tables, repeats=turn is PUT))
    print(f"killed at {len(tables)} of {count} calls")


@pytest.mark.parametrize("turn", [ROLL, PUT], ids=["once", "idempotent"])
def test_a_worker_killed_at_any_event(sweep: Sweep, turn: Any) -> None:
    whole = Table(Life(), turn)
    count = len(whole.approve(stream=True).events)
    tables: list[Table] = []
    for last in sweep.sample(range(count - 1), 4):
        tables.append(Table(Life(), turn))
        tables[-1].approve(last, stream=True)
        assert tables[-1].at.life.killed
    asyncio.run(judge_all(tables, repeats=turn is PUT))


@pytest.mark.parametrize(
    ("turn", "status", "made"), [(ROLL, "failed", 1), (PUT, "completed", 2)], ids=["once", "idempotent"]
)
def test_a_worker_that_dies_amid_the_call(turn: Any, status: str, made: int) -> None:
    table = Table(Life(), turn)
    table.servers.on_call = table.at.life.die
    table.approve(stream=True)
    assert table.at.life.killed
    table.servers.on_call = None
    final = asyncio.run(outcome(table))
    assert final is not None
    (call,) = calls_in(final)
    assert (call["status"], len(table.servers.began)) == (status, made)
    if status == "failed":
        assert "outcome is unknown" in call["error"]["content"][0]["text"]
    assert asyncio.run(table.again()) == "approval_spent"


def test_a_worker_that_takes_over_spends_what_the_dead_one_had_not() -> None:
    """Meanwhile another response has used the approval: the one that was taken over fails, and makes no call."""
    whole = Table(Life(), ROLL)
    whole.approve(stream=True)
    table = Table(Life(last=whole.at.life.calls.index("spent.spend")), ROLL)
    table.approve(stream=True)

    async def late() -> Json | None:
        assert await table.again() == "completed"
        house = table.at.house
        await table.at.outlive()
        left = [each for each, entry in house.shelf.responses.items() if '"in_progress"' in entry.record]
        await house.events(left[0])
        await house.idle()
        return (await house.stored.retrieve(left[0])).model_dump(mode="json")

    final = asyncio.run(late())
    assert final is not None
    assert (final["status"], final["error"]["code"]) == ("failed", "approval_spent")
    assert len(table.servers.began) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])
def test_a_worker_killed_over_dynamodb(sweep: Sweep, after: bool) -> None:
    with opened_aws() as backend:
        whole = Table(Life(), ROLL, backend.storage("whole"))
        whole.approve(stream=True)
        count = len(whole.at.life.calls)
        for number in sweep.sample(range(count), 1):
            table = Table(Life(last=number, after=after), ROLL, backend.storage(f"tenant-{number}"))
            table.approve(stream=True)
            assert table.at.life.killed
            asyncio.run(spent_or_free(table))


async def spent_or_free(table: Table) -> None:
    """At most one call comes of the approval, and exactly one in the end."""
    await table.at.outlive()
    if await table.again() == "completed":
        assert len(table.servers.began) == 1
        return
    assert len(table.servers.began) <= 1


@pytest.mark.parametrize(("turn", "ends"), [(ROLL, "unknown"), (PUT, "completed")], ids=["once", "idempotent"])
def test_whoever_takes_a_call_over_records_it_as_unknown_unless_it_is_made_again(turn: Any, ends: str) -> None:
    table = Table(Life(), turn)

    def die() -> None:
        table.at.life.ended, table.servers.on_call = True, None

    table.servers.on_call = die
    table.approve(stream=True)
    asyncio.run(outcome(table))
    (account,) = table.at.house.ledger.calls
    assert (account.outcome, account.server, account.tool) == (ends, "dice", "roll" if turn is ROLL else "set")
    assert len(table.servers.began) == (1 if turn is ROLL else 2)

"""What only AWS can show: round trips, expiry, what is left in the table and the bucket, what stays unread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from openresponses.aws.clients import Aws
from openresponses.core.errors import Superseded
from openresponses.core.listing import Wanted
from openresponses.core.records import Claim
from openresponses.core.storage import Limits, Storage
from tests.bench.metered import size
from tests.contract.storage_suite import (
    EMULATORS,
    TABLE,
    AwsBackend,
    claimed,
    new_batch,
    new_record,
    new_response,
    new_run,
    opened_aws,
    rid,
    text,
)
from tests.contract.test_storage_meters import NOON, bill, ended, hold, want

DAY = 86_400
LIMITS = Limits(concurrent=5)
BIG = 220_000


@pytest.fixture(params=EMULATORS)
def backend(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


@pytest.fixture
def storage(backend: AwsBackend) -> Storage:
    return backend.storage()


def chain(backend: AwsBackend, length: int) -> list[str]:
    """Copies of response 0 under that many ids: moto takes its time to create each."""
    ids = [rid(n) for n in range(length)]
    items = [item for item in backend.items() if item["sk"]["S"] in ("record", "input")]
    for response_id in ids[1:]:
        copies = [{**item, "pk": {"S": f"tenant/{response_id}"}} for item in items]
        writes = [{"PutRequest": {"Item": copy}} for copy in copies]
        backend.dynamodb.batch_write_item(RequestItems={TABLE["TableName"]: writes})
    backend.aws.forget()
    return ids


@pytest.mark.parametrize(("length", "calls"), [(1, 1), (20, 1), (50, 1), (51, 2), (200, 4)])
async def test_a_chain_of_any_length_is_loaded_in_one_round_trip(
    backend: AwsBackend, storage: Storage, length: int, calls: int
) -> None:
    """Two items a response, a hundred a call, all calls at once."""
    await storage.store.create(new_record(0), new_run(0))
    ids = chain(backend, length)
    backend.aws.pace = 0.3
    assert await storage.store.load(ids) == [new_record(0)] * length
    assert Counter((call.operation, call.depth) for call in backend.aws.calls) == {("BatchGetItem", 0): calls}


async def test_large_values_of_a_chain_cost_one_round_trip_more(backend: AwsBackend, storage: Storage) -> None:
    record = new_record(0, asked=text(BIG, 1), said=text(BIG, 2))
    await storage.store.create(record, new_run(0))
    ids = chain(backend, 8)
    backend.aws.pace = 0.3
    assert await storage.store.load(ids) == [record] * 8
    counted = Counter((call.operation, call.depth) for call in backend.aws.calls)
    assert counted == {("BatchGetItem", 0): 1, ("GetObject", 1): 16}


Act = Callable[[Storage], Awaitable[object]]
COSTS: dict[str, tuple[Act, list[str]]] = {
    "create": (lambda s: s.store.create(new_record(2), new_run(2)), ["TransactWriteItems"]),
    "renew": (lambda s: s.store.renew(rid(1), 5.0), ["UpdateItem"]),
    "cancel": (lambda s: s.store.cancel(rid(1)), ["UpdateItem"]),
    "settle": (lambda s: s.store.settle(new_response(1, status="failed"), []), ["UpdateItem"]),
    "page": (lambda s: s.store.page(Wanted(), limit=20, order="desc"), ["Query"]),
    "page after": (lambda s: s.store.page(Wanted(), limit=20, order="asc", after=rid(1)), ["GetItem", "Query"]),
    "load a run": (lambda s: s.runs.load(rid(1)), ["GetItem"]),
    "save": (lambda s: s.runs.save(new_run(1)), ["UpdateItem"]),
    "append": (lambda s: s.log.append(rid(1), new_batch(0, "x")), ["PutItem"]),
    "read": (lambda s: s.log.read(rid(1), -1), ["Query"]),
    "create with all": (
        lambda s: s.store.create(new_record(2), new_run(2), new_batch(0, "x"), Claim("new", rid(2), "hash")),
        ["TransactWriteItems"],
    ),
    "release": (lambda s: s.claims.release(Claim("key", rid(1), "hash")), ["PutItem"]),
    "spend": (lambda s: s.spent.spend(["mcpr_1", "mcpr_2"], rid(1)), ["TransactWriteItems"]),
    "give back": (lambda s: s.spent.give_back(["mcpr_1"], rid(1)), ["PutItem"]),
    "read meters": (lambda s: s.meters.read("key", NOON), ["BatchGetItem"]),
    "hold of one": (lambda s: s.meters.hold(want(3, hold("b")), LIMITS, Limits()), ["UpdateItem"]),
    "hold of both": (lambda s: s.meters.hold(want(3, hold("b")), LIMITS, LIMITS), ["UpdateItem"] * 2),
    "settle a bill": (lambda s: s.meters.settle(bill(1), stored=False), ["TransactWriteItems"]),
    "settle what is held": (
        lambda s: s.meters.settle(bill(2, hold("a")), stored=False),
        ["BatchGetItem", "UpdateItem", "TransactWriteItems"],
    ),
    "read usage": (lambda s: s.meters.usage("2026-10-27", "2026-11-27"), ["Query"] * 2),
    "start": (lambda s: s.launcher.start(rid(1), 0), ["StartExecution"]),
    "stop": (lambda s: s.launcher.stop(rid(1), 0), ["StopExecution"]),
}


@pytest.mark.parametrize("name", COSTS)
async def test_an_operation_costs_these_calls(backend: AwsBackend, storage: Storage, name: str) -> None:
    act, operations = COSTS[name]
    if name in ("start", "stop"):
        backend.add_machine()
    await storage.store.create(new_record(1), new_run(1))
    for id_ in ("key", None):
        await storage.meters.limit(id_, LIMITS)
    await storage.meters.hold(want(2, hold("a")), LIMITS, Limits())
    backend.aws.forget()
    await act(storage)
    assert [call.operation for call in backend.aws.calls] == operations


async def test_renewing_writes_an_item_of_one_unit_whatever_the_response_holds(
    backend: AwsBackend, storage: Storage
) -> None:
    await storage.store.create(new_record(1, asked=text(100_000), said=text(100_000)), new_run(1))
    (record,) = [item for item in backend.items() if item["sk"]["S"] == "record"]
    assert size(record) < 1000


async def everything(storage: Storage, size: int) -> None:
    """Response 1 with a value of that size in every place."""
    run = new_run(1, said=text(size, 3))
    first, claim = new_batch(0, text(size, 5)), Claim("key", rid(1), "hash")
    await storage.store.create(new_record(1, asked=text(size, 1), said=text(size, 2)), run, first, claim)
    await storage.runs.save(run)
    await storage.store.settle(new_response(1, said=text(size, 6), status="completed"), [])


async def test_every_item_expires(backend: AwsBackend, storage: Storage) -> None:
    await everything(storage, 10)
    days = {item["sk"]["S"]: (int(item["ttl"]["N"]) - backend.time) / DAY for item in backend.items()}
    assert days == {
        "record": 30,
        "input": 30,
        "run": 30,
        "log#0000000000": 7,
        "claim": 1,
    }


async def test_usage_is_kept_for_thirteen_months_and_limits_for_good(backend: AwsBackend, storage: Storage) -> None:
    backend.time = NOON
    await storage.meters.limit("key", LIMITS)
    await storage.meters.settle(bill(1, day="2026-11-27"), stored=False)
    items = {item["pk"]["S"]: item for item in backend.items()}
    assert {pk: "ttl" in item for pk, item in items.items()} == {
        "tenant/meter/key": False,
        "tenant/usage/2026-11": True,
    }
    ends = int(items["tenant/usage/2026-11"]["ttl"]["N"])
    assert 396 < (ends - NOON) / DAY < 401
    backend.time = ends
    assert await storage.meters.usage("2026-11-27", "2026-11-27") == []


async def test_a_bill_is_settled_as_long_as_its_record_is_there_and_puts_none_in_its_place(
    backend: AwsBackend, storage: Storage
) -> None:
    """DynamoDB deletes what has expired within days, not at once."""
    backend.time = NOON
    for n in (1, 2):
        await ended(storage, n, bill(n))
    backend.time += 31 * DAY
    assert await storage.store.load([rid(1)]) == [None]
    assert await storage.meters.settle(bill(1), stored=True)
    backend.dynamodb.delete_item(
        TableName=TABLE["TableName"], Key={"pk": {"S": f"tenant/{rid(2)}"}, "sk": {"S": "record"}}
    )
    assert not await storage.meters.settle(bill(2), stored=True)
    assert [each.requests for each in await storage.meters.usage("2026-11-27", "2026-11-27")] == [1]
    assert {item["pk"]["S"] for item in backend.items() if item["sk"]["S"] == "record"} == {f"tenant/{rid(1)}"}


async def test_a_meter_keeps_no_counts_of_windows_that_are_over(backend: AwsBackend, storage: Storage) -> None:
    """Nor content: its item is a few hundred bytes, whatever passes."""
    await storage.meters.limit("key", LIMITS)
    for n in range(8):
        backend.time = NOON + 3_600 * n
        held = hold("a", at=backend.time)
        await storage.meters.hold(want(n, held), LIMITS, Limits())
        assert await storage.meters.settle(bill(n, held), stored=False)
    (item,) = [item for item in backend.items() if "/meter/" in item["pk"]["S"]]
    minute = int(backend.time // 60)
    names = {"pk", "sk", "writer", "limits", "holds", "pico#2026-11-27", "pico#2026-11"}
    assert set(item) == names | {f"requests#{minute}", f"tokens#{minute}"}
    assert (item["holds"], size(item) < 500) == ({"M": {}}, True)


async def test_what_has_expired_is_not_there_even_before_it_is_deleted(backend: AwsBackend, storage: Storage) -> None:
    await everything(storage, 10)
    backend.time += 1 * DAY
    assert await claimed(storage, 2, "key") == rid(2)
    assert len(await storage.log.read(rid(1), -1)) == 1
    backend.time += 6 * DAY
    assert await storage.log.read(rid(1), -1) == []
    assert await storage.store.load([rid(1)]) != [None]
    backend.time += 23 * DAY
    assert await storage.store.load([rid(1)]) == [None]
    assert await storage.runs.load(rid(1)) is None


async def test_large_values_are_objects_under_the_response_and_its_kind(backend: AwsBackend, storage: Storage) -> None:
    await everything(storage, BIG)
    names = Counter(key.rpartition("-")[0] for key in backend.objects())
    ours = f"response/tenant/{rid(1)}"
    assert names == {
        f"{ours}/input": 1,
        f"{ours}/response": 2,
        f"{ours}/run": 1,
        f"log/tenant/{rid(1)}/0": 1,
    }


@pytest.mark.parametrize("size", [10, BIG])
async def test_deleting_leaves_tombstones_of_the_log_and_no_object(
    backend: AwsBackend, storage: Storage, size: int
) -> None:
    await storage.store.create(new_record(2, asked=text(size)), new_run(2))
    others = [item for item in backend.items() if rid(2) in item["pk"]["S"]]
    objects = backend.objects()
    await everything(storage, size)
    await storage.store.delete(rid(1))
    left = [item for item in backend.items() if item not in others and item["sk"]["S"] != "claim"]
    assert [(item["sk"]["S"], set(item) - {"writer"}) for item in left] == [
        ("log#0000000000", {"pk", "sk", "ttl"}),
        ("log#0000000001", {"pk", "sk", "ttl"}),
    ]
    assert {(int(item["ttl"]["N"]) - backend.time) / DAY for item in left} == {1}
    assert backend.objects() == objects


async def test_deleting_what_never_was_writes_nothing(backend: AwsBackend, storage: Storage) -> None:
    await storage.store.delete(rid(1))
    assert backend.items() == []


async def test_those_who_lose_a_race_leave_no_object(backend: AwsBackend, storage: Storage) -> None:
    await everything(storage, BIG)
    objects = sorted(backend.objects())
    with pytest.raises(Superseded):
        await storage.store.create(new_record(1, asked=text(BIG, 7)), new_run(1, said=text(BIG, 7)))
    with pytest.raises(Superseded):
        await storage.runs.save(new_run(1, said=text(BIG, 7)))
    with pytest.raises(Superseded):
        await storage.log.append(rid(1), new_batch(0, text(BIG, 7)))
    with pytest.raises(Superseded):
        await storage.store.settle(new_response(1, said=text(BIG, 7), status="failed"), [])
    assert sorted(backend.objects()) == objects
    await storage.store.delete(rid(1))
    assert backend.objects() == []


async def test_a_deletion_beats_a_log_that_is_being_written(backend: AwsBackend, storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))

    async def write() -> None:
        for number in range(1000):
            await storage.log.append(rid(1), new_batch(number, text(BIG if number % 4 == 0 else 10)))

    writing = asyncio.ensure_future(write())
    while len(await storage.log.read(rid(1), -1)) < 6:
        pass
    await storage.store.delete(rid(1))
    with pytest.raises(Superseded):
        await writing
    assert await storage.log.read(rid(1), -1) == []
    assert all("events" not in item for item in backend.items())
    assert backend.objects() == []


async def test_two_who_delete_at_once_both_succeed(backend: AwsBackend, storage: Storage) -> None:
    await everything(storage, BIG)
    await asyncio.gather(*(storage.store.delete(rid(1)) for _ in range(3)))
    assert await storage.store.load([rid(1)]) == [None]
    assert {item["sk"]["S"].partition("#")[0] for item in backend.items()} == {"claim", "log"}
    assert backend.objects() == []


async def test_a_value_that_moves_while_it_is_read_is_read_again(backend: AwsBackend, storage: Storage) -> None:
    run = new_run(1, said=text(BIG, 0))
    await storage.store.create(new_record(1), run)

    async def save() -> None:
        for seed in range(1, 6):
            run.request = new_run(1, said=text(BIG, seed)).request
            await storage.runs.save(run)

    saving = asyncio.ensure_future(save())
    while not saving.done():
        assert await storage.runs.load(rid(1)) is not None
    await saving
    assert await storage.runs.load(rid(1)) == run


async def test_what_one_call_does_not_manage_is_asked_for_again(backend: AwsBackend, storage: Storage) -> None:
    """60 items of 300 KB are more than the 16 MB that a call may bring."""
    record = new_record(0, asked=text(190_000, 1), said=text(190_000, 2))
    await storage.store.create(record, new_run(0))
    ids = chain(backend, 100)
    assert backend.objects() == []
    assert await storage.store.load(ids) == [record] * 100
    assert Counter(call.operation for call in backend.aws.calls)["BatchGetItem"] >= 2


async def test_clients_are_made_once(backend: AwsBackend) -> None:
    aws = Aws("us-east-1")
    made = await asyncio.gather(*(aws.run(lambda: aws.client("dynamodb")) for _ in range(8)))
    assert len({id(client) for client in made}) == 1
    aws.close()


def test_a_process_has_one_session_of_the_sdk() -> None:
    code = """
import asyncio, gc
from openresponses.aws.clients import Aws
from openresponses.dialects.bedrock.signing import Signer
clients = [Aws("us-east-1").client("dynamodb"), Aws("us-east-1").client("lambda")]
headers = asyncio.run(Signer("us-east-1").sign("https://bedrock.example/", b""))
from botocore.session import Session
print(len(clients), "authorization" in headers, sum(isinstance(each, Session) for each in gc.get_objects()))
"""
    environment = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    ran: Any = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "2 True 1"


def test_importing_the_adapters_imports_no_sdk() -> None:
    code = "import sys, openresponses.storage.dynamodb.storage; print([m for m in sys.modules if m.startswith('boto')])"
    ran: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

"""A tenant's responses by time: one suite, on memory and on AWS; and what reading a page costs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from openresponses.core.conversations import Conversation
from openresponses.core.listing import MAX_READ, Listing, Order, Wanted, listed
from openresponses.core.storage import Storage
from openresponses.schema.response import Response
from tests.bench.metered import size
from tests.contract.storage_suite import (
    BACKENDS,
    EMULATORS,
    TABLE,
    AwsBackend,
    MemoryBackend,
    new_record,
    new_response,
    new_run,
    opened,
    opened_aws,
    rid,
)

DAY = 86_400
ALL = Wanted()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


@pytest.fixture
def storage(backend: MemoryBackend | AwsBackend) -> Storage:
    return backend.storage()


@pytest.fixture(params=EMULATORS)
def aws(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


async def made(storage: Storage, n: int, *, at: float = 0.0, **fields: Any) -> Response:
    """Response `n`, created `at` seconds after the others."""
    record, run = new_record(n), new_run(n)
    run.created = record.response.created_at + at
    record.response = record.response.model_copy(update={"created_at": int(run.created), **fields})
    await storage.store.create(record, run)
    return record.response


async def page(
    storage: Storage, wanted: Wanted = ALL, *, limit: int = 20, order: Order = "desc", after: str | None = None
) -> Listing:
    found = await storage.store.page(wanted, limit=limit, order=order, after=after)
    assert found is not None
    return found


async def ids(storage: Storage, wanted: Wanted = ALL) -> list[str]:
    return [each.id for each in (await page(storage, wanted)).data]


async def walked(storage: Storage, wanted: Wanted = ALL, *, limit: int, order: Order = "desc") -> list[list[str]]:
    """The ids of each page, from the first to the last."""
    pages, after = list[list[str]](), None
    while True:
        found = await page(storage, wanted, limit=limit, order=order, after=after)
        pages.append([each.id for each in found.data])
        if not found.more:
            return pages
        after = found.last_id


async def test_a_tenant_without_responses_has_an_empty_page(storage: Storage) -> None:
    assert await page(storage) == Listing([], None, more=False)


async def test_the_newest_comes_first_also_of_those_of_one_second(storage: Storage) -> None:
    for n, at in ((4, 0.5), (1, 0.25), (3, 0.125), (2, 7.0)):
        await made(storage, n, at=at)
    assert await walked(storage, limit=9) == [[rid(n) for n in (2, 4, 1, 3)]]
    assert await walked(storage, limit=9, order="asc") == [[rid(n) for n in (3, 1, 4, 2)]]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 6), (4, [4, 2]), (5, [5, 1]), (6, [6]), (100, [6])])
async def test_pages_have_each_response_once(storage: Storage, order: Order, limit: int, sizes: list[int]) -> None:
    for n in range(6):
        await made(storage, n, at=n)
    pages = await walked(storage, limit=limit, order=order)
    assert [len(each) for each in pages] == sizes
    expected = [rid(n) for n in range(6)]
    assert [each for page in pages for each in page] == (expected if order == "asc" else expected[::-1])


async def test_an_entry_is_what_is_known_of_a_response_without_what_was_said(storage: Storage) -> None:
    given = await made(storage, 1, background=True, previous_response_id=rid(9), metadata={"k": "naïve"})
    assert (await page(storage)).data == [listed(given)]
    error = {"code": "server_error", "message": "gone"}
    final = {**given.model_dump(), **new_response(1, said="a secret").model_dump(include={"output"})}
    final |= {"status": "failed", "error": error, "completed_at": 1_700_000_009, "usage": {"total_tokens": 7}}
    await storage.store.settle(Response.model_validate(final), [])
    (entry,) = (await page(storage)).data
    shown = entry.model_dump(mode="json")
    assert {name: shown[name] for name in ("id", "status", "error", "completed_at", "metadata")} == {
        "id": rid(1),
        "status": "failed",
        "error": error,
        "completed_at": 1_700_000_009,
        "metadata": {"k": "naïve"},
    }
    assert shown["usage"]["total_tokens"] == 7
    assert "secret" not in entry.model_dump_json()


async def test_what_is_asked_for_must_all_hold(storage: Storage) -> None:
    await made(storage, 1, at=1, model="a/x", metadata={"team": "red", "task": "1"})
    await made(storage, 2, at=2, model="a/y", metadata={"team": "red"})
    await made(storage, 3, at=3, model="a/x", metadata={"team": "blue", "task": "1"}, status="queued")
    assert await ids(storage, Wanted(model="a/x")) == [rid(3), rid(1)]
    assert await ids(storage, Wanted(metadata={"team": "red"})) == [rid(2), rid(1)]
    assert await ids(storage, Wanted(metadata={"team": "red", "task": "1"})) == [rid(1)]
    assert await ids(storage, Wanted(status="queued", model="a/x", metadata={"task": "1"})) == [rid(3)]
    assert await ids(storage, Wanted(metadata={"absent": ""})) == []
    assert await ids(storage, Wanted(model="a/")) == []


async def test_a_response_keeps_its_place_and_changes_its_status_as_it_ends(storage: Storage) -> None:
    for n in range(3):
        await made(storage, n, at=n)
    await storage.store.renew(rid(1), 5.0)
    await storage.store.cancel(rid(1))
    assert await ids(storage, Wanted(status="in_progress")) == [rid(2), rid(1), rid(0)]
    await storage.store.settle(new_response(1, status="cancelled"), [])
    assert await ids(storage, Wanted(status="in_progress")) == [rid(2), rid(0)]
    assert await ids(storage, Wanted(status="cancelled")) == [rid(1)]
    assert await ids(storage) == [rid(2), rid(1), rid(0)]


async def test_one_that_is_deleted_is_not_listed_and_is_no_cursor(storage: Storage) -> None:
    for n in range(3):
        await made(storage, n, at=n)
    await storage.store.delete(rid(1))
    assert await ids(storage) == [rid(2), rid(0)]
    assert await storage.store.page(ALL, limit=1, order="desc", after=rid(1)) is None


@pytest.mark.parametrize("cursor", [rid(9), "", "../x", "tenant/list", "x" * 5000, "key/é\u0000"])
async def test_what_is_no_response_is_no_cursor(storage: Storage, cursor: str) -> None:
    await made(storage, 1)
    assert await storage.store.page(ALL, limit=1, order="desc", after=cursor) is None


async def test_tenants_do_not_list_each_other(backend: MemoryBackend | AwsBackend) -> None:
    ours, theirs = backend.storage("a"), backend.storage("b")
    await made(ours, 1)
    await made(theirs, 2)
    assert (await ids(ours), await ids(theirs)) == ([rid(1)], [rid(2)])
    assert await theirs.store.page(ALL, limit=1, order="desc", after=rid(1)) is None


async def test_a_page_reads_a_thousand_entries_and_the_next_one_goes_on(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    await made(storage, 0, metadata={"wanted": "yes"})
    await fill(backend, storage, range(1, 2 * MAX_READ + 1))
    pages = await walked(storage, Wanted(metadata={"wanted": "yes"}), limit=5)
    assert pages == [[], [], [rid(0)]]
    assert (await page(storage, Wanted(metadata={"wanted": "yes"}))).last_id == rid(MAX_READ + 1)


async def fill(backend: MemoryBackend | AwsBackend, storage: Storage, numbers: Sequence[int]) -> None:
    """A response for each number, a second after the one before. moto takes its time to create each: these are copies
    of the first.
    """
    first = await made(storage, numbers[0], at=numbers[0])
    if isinstance(backend, MemoryBackend):
        for n in numbers[1:]:
            await made(storage, n, at=n)
        return
    (record,) = [each for each in backend.items() if each["pk"]["S"] == f"tenant/{first.id}" and "listed" in each]
    entry = from_json(zlib.decompress(record["listed"]["B"]))
    copies = [_copy(record, entry, n) for n in numbers[1:]]
    for start in range(0, len(copies), 25):
        writes = [{"PutRequest": {"Item": copy}} for copy in copies[start : start + 25]]
        backend.dynamodb.batch_write_item(RequestItems={TABLE["TableName"]: writes})


def _copy(record: dict[str, Any], entry: dict[str, Any], n: int) -> dict[str, Any]:
    created = 1_700_000_000 + n
    copy = {**entry, "response": {**entry["response"], "id": rid(n), "created_at": created}}
    return {
        **record,
        "pk": {"S": f"tenant/{rid(n)}"},
        "list_sk": {"S": f"{created * 1000:013d}#{rid(n)}"},
        "listed": {"B": zlib.compress(to_json(copy))},
    }


# AWS


async def test_one_that_has_expired_is_not_listed_though_it_is_still_there(aws: AwsBackend) -> None:
    storage = aws.storage()
    await made(storage, 1)
    await made(storage, 2, at=20 * DAY)
    aws.time += 31 * DAY
    assert await ids(storage) == [rid(2)]
    assert await storage.store.page(ALL, limit=1, order="desc", after=rid(1)) is None


async def test_the_index_is_written_as_a_response_is_created_and_as_it_ends(aws: AwsBackend) -> None:
    """DynamoDB writes an index only where a key or a projected attribute changes:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
    """
    storage, run, seen = aws.storage(), new_run(1), list[Any]()

    def look() -> None:
        indexed = aws.dynamodb.scan(TableName=TABLE["TableName"], IndexName="by-time")["Items"]
        if indexed not in seen:
            seen.append(indexed)

    await storage.store.create(new_record(1), run)
    look()
    for lease in (5.0, 6.0):
        await storage.store.renew(rid(1), lease)
        await storage.runs.save(run)
        look()
    await storage.store.cancel(rid(1))
    look()
    await storage.store.settle(new_response(1, status="cancelled"), [])
    look()
    await storage.store.delete(rid(1))
    look()
    assert [[sorted(item) for item in each] for each in seen] == [
        *[[["list_pk", "list_sk", "listed", "pk", "sk"]]] * 2,
        [],
    ]


async def test_a_record_of_an_older_version_is_not_listed_and_is_no_cursor(aws: AwsBackend) -> None:
    storage = aws.storage()
    await made(storage, 1)
    (record,) = [each for each in aws.items() if "listed" in each]
    older = {name: value for name, value in record.items() if name not in ("list_pk", "list_sk", "listed")}
    aws.dynamodb.put_item(TableName=TABLE["TableName"], Item=older)
    assert await ids(storage) == []
    assert await storage.store.page(ALL, limit=1, order="desc", after=rid(1)) is None
    await storage.store.settle(new_response(1, status="completed"), [])
    assert await ids(storage) == []


async def test_a_conversation_is_no_cursor(aws: AwsBackend) -> None:
    """Its record has no `ttl`."""
    storage = aws.storage()
    await storage.conversations.create(Conversation(id="conv_1", created_at=1), [])
    assert await storage.store.page(ALL, limit=1, order="desc", after="conv_1") is None


def read_units(aws: AwsBackend) -> list[float]:
    """Of each query to come: half a unit for each 4 KB of all that it evaluated, which is what it returns, since none
    has a filter: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
    """
    units: list[float] = []

    def count(parsed: dict[str, Any], **_: object) -> None:
        assert parsed["ScannedCount"] == parsed["Count"] == len(parsed["Items"])
        units.append(-(-sum(map(size, parsed["Items"])) // 4096) / 2)

    aws.dynamodb.meta.events.register("after-call.dynamodb.Query", count)
    return units


async def test_read_units_of_a_page_do_not_grow_with_the_number_of_responses(aws: AwsBackend) -> None:
    """Of the newest twenty, of those after them, and of a page that finds nothing of what it is asked for."""
    storage, units = aws.storage(), read_units(aws)
    costs: dict[int, list[list[float]]] = {}
    for there, total in ((0, 1000), (1000, 10_000)):
        await fill(aws, storage, range(there, total))
        costs[total] = []
        newest = await page(storage)
        for wanted, after in ((ALL, None), (ALL, newest.last_id), (Wanted(model="absent"), None)):
            units.clear()
            await page(storage, wanted, after=after)
            costs[total].append([*units])
    print("read units of each call:", costs)
    assert [sum(calls) for calls in costs[10_000]] == pytest.approx([sum(calls) for calls in costs[1000]], rel=0.05)
    assert [len(calls) for calls in costs[10_000]] == [1, 1, 4]
    assert sum(costs[10_000][0]) <= 2

"""Answers of calls that wait, and how long what waits is kept: one suite for all backends, and what AWS alone shows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from openresponses.core.answers import Answer
from openresponses.core.chain import Link, response_link
from openresponses.core.records import Record
from openresponses.core.run import Run
from openresponses.core.storage import Storage
from tests.contract.storage_suite import (
    BACKENDS,
    EMULATORS,
    UNICODE,
    AwsBackend,
    MemoryBackend,
    new_batch,
    new_record,
    new_response,
    new_run,
    opened,
    opened_aws,
    rid,
    text,
)

DAY = 86_400
BIG = 220_000
YES, NO = Answer(call_id="htc_1", text=UNICODE), Answer(call_id="htc_1", text="no", failed=True)


@pytest.fixture(params=BACKENDS)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    with opened(request.param) as backend:
        yield backend.storage()


@pytest.fixture(params=EMULATORS)
def aws(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


async def test_the_first_answer_of_each_call_counts(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    other = Answer(call_id="htc_2", text="", failed=True)
    for answer in (YES, NO, other, YES):
        await storage.answers.keep(rid(1), answer)
    assert sorted(await storage.answers.of(rid(1)), key=lambda each: each.call_id) == [YES, other]


async def test_of_many_answers_at_once_one_counts(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    await asyncio.gather(*(storage.answers.keep(rid(1), Answer(call_id="htc_1", text=f"{n}")) for n in range(8)))
    assert len(await storage.answers.of(rid(1))) == 1


async def test_a_response_that_is_over_or_gone_gets_no_answer(storage: Storage) -> None:
    await storage.answers.keep(rid(1), YES)
    await storage.store.create(new_record(1), new_run(1))
    await storage.store.settle(new_response(1, status="cancelled"), [])
    await storage.answers.keep(rid(1), YES)
    assert await storage.answers.of(rid(1)) == []
    await storage.store.delete(rid(1))
    await storage.answers.keep(rid(1), YES)
    assert await storage.answers.of(rid(1)) == []


async def test_answers_go_with_their_response(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    await storage.answers.keep(rid(1), YES)
    await storage.store.delete(rid(1))
    assert await storage.answers.of(rid(1)) == []


@pytest.mark.parametrize("name", BACKENDS)
async def test_a_tenant_has_its_own(name: str) -> None:
    with opened(name) as backend:
        ours, theirs = _both(backend)
        await ours.store.create(new_record(1), new_run(1))
        await theirs.answers.keep(rid(1), YES)
        assert await ours.answers.of(rid(1)) == await theirs.answers.of(rid(1)) == []
        await ours.answers.keep(rid(1), YES)
        assert await theirs.answers.of(rid(1)) == []


def _both(backend: MemoryBackend | AwsBackend) -> tuple[Storage, Storage]:
    return backend.storage("one"), backend.storage("two")


async def waiting(storage: Storage, size: int) -> tuple[Record, Run]:
    """Response 2, which goes on from response 1 and from a chunk of one, with a value of that size in every place."""
    before = new_record(1, asked=text(size, 1), said=text(size, 2))
    before.chain = []
    await storage.store.create(before, new_run(1))
    record, run = new_record(2, asked=text(size, 3)), new_run(2, said=text(size, 4))
    record.chain = [response_link(rid(1), 2)]
    await storage.store.create(record, run, new_batch(0, text(size, 5)))
    await storage.runs.save(run)
    return record, run


def days(aws: AwsBackend) -> dict[str, float]:
    """How many days each item has left."""
    found = [(item, (int(item["ttl"]["N"]) - aws.time) / DAY) for item in aws.items()]
    return {f"{int(item['pk']['S'][-4:], 16)} {item['sk']['S']}": round(left, 3) for item, left in found}


async def test_what_waits_is_kept_for_as_long_as_it_may_wait_and_as_long_as_ever_after(aws: AwsBackend) -> None:
    storage = aws.storage()
    record, _ = await waiting(storage, 10)
    aws.time += 5 * DAY
    await storage.store.prolong(record, 28 * DAY)
    assert days(aws) == {
        "2 record": 58,
        "2 input": 58,
        "2 run": 58,
        "2 log#0000000000": 35,
        "1 record": 29,
        "1 input": 29,
        "1 run": 25,
    }
    aws.time += 28 * DAY
    assert await storage.store.load([rid(1), rid(2)]) == [await _loaded(storage, 1), record]
    assert await storage.runs.load(rid(2)) is not None
    assert len(await storage.log.read(rid(2), -1)) == 1
    await storage.answers.keep(rid(2), YES)
    assert await storage.answers.of(rid(2)) == [YES]


async def _loaded(storage: Storage, n: int) -> Record:
    (record,) = await storage.store.load([rid(n)])
    assert record is not None
    return record


async def test_no_time_is_taken_from_anything(aws: AwsBackend) -> None:
    storage = aws.storage()
    record, _ = await waiting(storage, 10)
    await storage.store.prolong(record, 10 * DAY)
    before = days(aws)
    aws.aws.forget()
    await storage.store.prolong(record, 0)
    await storage.store.prolong(record, 9 * DAY)
    assert Counter(call.operation for call in aws.aws.calls) == {"Query": 2, "BatchGetItem": 2}
    assert days(aws) == before


async def test_large_values_are_written_again_and_those_of_the_log_where_they_live_longer(aws: AwsBackend) -> None:
    """An object expires so many days after it was written: https://docs.aws.amazon.com/AmazonS3/latest/userguide/
    intro-lifecycle-rules.html. `log/` expires after 7 days here, `response/` after 30.
    """
    storage = aws.storage()
    record, run = await waiting(storage, BIG)
    old = {name: aws.s3.head_object(Bucket="openresponses-values", Key=name)["LastModified"] for name in aws.objects()}
    await asyncio.sleep(1.1)  # S3 tells whole seconds
    aws.aws.forget()
    await storage.store.prolong(record, 20 * DAY)
    copied = Counter(call.operation for call in aws.aws.calls)["CopyObject"]
    new = {name: aws.s3.head_object(Bucket="openresponses-values", Key=name)["LastModified"] for name in aws.objects()}
    moved = {name for name in old if name.startswith("log/")}
    assert {name.replace("log/", "response/") for name in old} == set(new)
    assert len(moved) == 1
    kept = {name for name in new if f"{rid(2)}/" in name or "/run-" not in name}
    assert all(new[name] > old.get(name, new[name].replace(year=2000)) for name in kept)
    assert copied == len(kept)
    assert await storage.runs.load(rid(2)) == run
    assert await storage.log.read(rid(2), -1) == [new_batch(0, text(BIG, 5))]
    await storage.store.delete(rid(2))
    assert not [name for name in aws.objects() if rid(2) in name]


async def test_a_chunk_outlives_the_wait_too(aws: AwsBackend) -> None:
    storage = aws.storage()
    record, _ = await waiting(storage, 10)
    item = {"pk": {"S": f"tenant/{rid(1)}"}, "sk": {"S": f"chunk#1#{rid(8)}"}, "ttl": {"N": f"{int(aws.time) + DAY}"}}
    aws.dynamodb.put_item(TableName="responses", Item={**item, "items": {"B": b"x"}})
    record.chain = [Link(level=1, first=rid(1), last=rid(8), items=16)]
    await storage.store.prolong(record, 28 * DAY)
    assert days(aws)[f"1 chunk#1#{rid(8)}"] == 29


@pytest.mark.parametrize("size", [10, BIG])
async def test_a_deletion_meanwhile_leaves_nothing(aws: AwsBackend, size: int) -> None:
    storage = aws.storage()
    record, _ = await waiting(storage, size)
    for _ in range(4):
        await asyncio.gather(storage.store.prolong(record, 20 * DAY), storage.store.delete(rid(2)))
    assert await storage.store.load([rid(2)]) == [None]
    assert not [name for name in aws.objects() if rid(2) in name]


async def test_two_workers_may_do_it_at_once(aws: AwsBackend) -> None:
    storage = aws.storage()
    record, run = await waiting(storage, BIG)
    await asyncio.gather(*(storage.store.prolong(record, 20 * DAY) for _ in range(3)))
    assert await storage.runs.load(rid(2)) == run
    assert await storage.log.read(rid(2), -1) == [new_batch(0, text(BIG, 5))]
    assert len(aws.objects()) == 5

"""A request is small, and what it leads to may be large: how much of that is held in memory, and what is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.chain import response_link
from openresponses.core.errors import ContextTooLong, RequestError
from openresponses.core.loading import MAX_CONTEXT, Allowance
from openresponses.core.records import Record
from openresponses.core.storage import Storage
from openresponses.durable.history import inherited
from openresponses.schema.items import Message
from openresponses.schema.limits import MAX_REFERRED
from openresponses.schema.response import Response
from tests.contract.machine import House, Killed
from tests.contract.served import client_of
from tests.contract.storage_suite import TABLE, AwsBackend, new_batch, new_run, opened_aws, text
from tests.unit.cases import ANSWER, STOP
from tests.unit.kit import Json, Script

LARGE = 6_000_000
"""Characters of a response: as many as a body can bring."""
MiB = 2**20


def rid(n: int) -> str:
    """Not one that a house makes."""
    return f"resp_{10_000 + n:032x}"


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Gives the most bytes that Python held within the block."""
    peak = 0
    tracemalloc.start()
    try:
        yield lambda: peak
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def item_id(n: int) -> str:
    return f"msg_{10_000 + n:032x}i0000"


def refers(*numbers: int) -> list[Json]:
    return [{"type": "item_reference", "id": item_id(n)} for n in numbers]


async def store(storage: Storage, n: int, said: str, before: list[int]) -> None:
    item = Message.model_validate({"id": item_id(n), "role": "user", "content": said})
    response = Response(id=rid(n), created_at=1, model="m", status="completed", store=True)
    chain = [response_link(rid(each), 1) for each in before]
    await storage.store.create(Record(response=response, input=[item], chain=chain), new_run(10_000 + n))


@pytest.fixture
def aws() -> Iterator[AwsBackend]:
    with opened_aws() as backend:
        yield backend


async def fill(backend: AwsBackend, count: int) -> House:
    """So many responses whose text is large, and small at rest. The last one goes on from all others."""
    house = House(Script([ANSWER]), storage=backend.storage())
    await store(house.storage, 0, "a" * LARGE, [])
    await store(house.storage, count - 1, "a" * LARGE, list(range(count - 1)))
    copies(backend, range(1, count - 1))
    return house


def copies(backend: AwsBackend, numbers: range) -> None:
    """The response 0 under other ids."""
    items = [item for item in backend.items() if item["pk"]["S"].endswith(rid(0)) and item["sk"]["S"] != "run"]
    writes = [{"PutRequest": {"Item": {**item, "pk": {"S": f"tenant/{rid(n)}"}}}} for n in numbers for item in items]
    for start in range(0, len(writes), 25):
        backend.dynamodb.batch_write_item(RequestItems={TABLE["TableName"]: writes[start : start + 25]})


ATTACKS: dict[str, Any] = {
    "a conversation": (lambda n: {"previous_response_id": rid(n - 1)}, "previous_response_id"),
    "references": (lambda n: {"input": refers(0, *range(2, n))}, "input"),
    "both": (lambda n: {"previous_response_id": rid(0), "input": refers(*range(2, 12))}, None),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_request_that_leads_to_a_gigabyte_is_refused_and_loads_little_of_it(aws: AwsBackend, name: str) -> None:
    """200 responses of 6 MB each. It took 1.2 GB and more to load them."""
    house = await fill(aws, 200)
    with traced() as peak, pytest.raises(ContextTooLong) as refused:
        await house.create(**ATTACKS[name][0](200))
    print(f"{name}: {peak() / MiB:.0f} MiB at most")
    assert peak() < 2.5 * MAX_CONTEXT
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.param == ATTACKS[name][1] or name == "both"


async def test_large_objects_are_refused_too(aws: AwsBackend) -> None:
    storage = aws.storage()
    for n in range(6):
        await store(storage, n, text(LARGE, n), list(range(n)))
    assert len(aws.objects()) == 6
    (record,) = await storage.store.load([rid(5)])
    assert record is not None
    with pytest.raises(ContextTooLong):
        await inherited(storage.store, record, Allowance())
    (four,) = await storage.store.load([rid(4)])
    assert four is not None
    assert len(await inherited(storage.store, four, Allowance())) == 4


async def test_what_a_table_brings_is_counted_before_it_is_read(aws: AwsBackend) -> None:
    """What compresses badly. A call brings 190 KB of it: the fourth is too much, and the last ones are not made."""
    storage = aws.storage()
    await store(storage, 0, text(5_000), [])
    copies(aws, range(1, 600))
    aws.aws.forget()
    with pytest.raises(ContextTooLong):
        await storage.store.load([rid(n) for n in range(600)], Allowance(600_000))
    assert len(aws.aws.calls) <= 7, "of twelve"


async def test_the_error_is_one_that_clients_know() -> None:
    house = House(Script([ANSWER]))
    for n in range(5):
        await store(house.storage, n, "a" * LARGE, list(range(n)))
    async with client_of(house) as http:
        answer = await http.post("/responses", json={"model": "m", "input": "Hi", "previous_response_id": rid(4)})
        items = await http.get(f"/responses/{rid(4)}/input_items")
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "The conversation is too long: a request brings along at most 24 MiB that are stored",
        "type": "invalid_request",
        "param": "previous_response_id",
        "code": "context_length_exceeded",
    }
    assert items.status_code == 200, "four before it"


async def test_a_conversation_within_the_limit_goes_on_and_is_taken_over() -> None:
    script = Script([ANSWER])
    house = House(script)
    for n in range(4):
        await store(house.storage, n, "a" * LARGE, list(range(n)))
    queued, _ = await house.create(previous_response_id=rid(3), background=True)
    await house.idle()
    assert (await house.stored.retrieve(queued["id"])).status == "completed"
    assert [len(item.content[0].text) for item in script.asked[0].items] == [LARGE] * 4 + [5]  # type: ignore[union-attr]


async def test_an_item_is_referred_to_once() -> None:
    house = House(Script([ANSWER]))
    await store(house.storage, 1, "a", [])
    with pytest.raises(RequestError) as twice:
        await house.create(input=[*refers(1), {"role": "user", "content": "and"}, *refers(1)])
    assert (twice.value.param, twice.value.code) == ("input[2].id", "duplicate_item")


async def test_an_input_refers_to_items_of_so_many_responses() -> None:
    house = House(Script([ANSWER] * 2))
    for n in range(MAX_REFERRED):
        await store(house.storage, n, "a", [])
    await house.create(input=refers(*range(MAX_REFERRED)))
    with pytest.raises(RequestError) as many:
        await house.create(input=refers(*range(MAX_REFERRED + 1)))
    assert (many.value.param, many.value.code) == (f"input[{MAX_REFERRED}].id", "too_many_references")


class Talkative(Script):
    """Says 8 MB, and dies the first time."""

    died = False

    async def stream(self, turn: Any) -> AsyncGenerator[d.Delta, None]:
        for _ in range(80):
            yield d.Text("t", "word " * 20_000)
        if not self.died:
            self.died = True
            raise Killed
        for delta in STOP:
            yield delta


async def test_a_long_log_is_taken_over_and_followed_in_steps() -> None:
    house = House(Talkative([]))
    queued, _ = await house.create(background=True)
    await house.idle()
    assert house.deaths == 1
    response = await house.stored.retrieve(queued["id"])
    assert response.status == "completed"
    assert [len(item.content[0].text) for item in response.output] == [8_000_000]  # type: ignore[union-attr]
    events = await house.events(queued["id"])
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [(item["status"], len(item["content"][0]["text"])) for item in done] == [
        ("incomplete", 8_000_000),
        ("completed", 8_000_000),
    ]


async def test_a_reader_of_a_long_log_holds_little_of_it(aws: AwsBackend) -> None:
    storage = aws.storage()
    await store(storage, 1, "a", [])
    for n in range(60):
        await storage.log.append(rid(1), new_batch(n, *["ab " * 30] * 500, first=n * 500))
    last, count = -1, 0
    with traced() as peak:
        while batches := await storage.log.read(rid(1), last):
            last, count = batches[-1].number, count + sum(len(batch.events) for batch in batches)
    print(f"{peak() / MiB:.0f} MiB at most")
    assert count == 30_000
    assert peak() < 40 * MiB

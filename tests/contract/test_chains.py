"""Long conversations at rest: what a chain costs, what is still right with branches, and what a deletion leaves."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from openresponses.core.chain import Link
from openresponses.core.errors import NotFound
from openresponses.core.ports import Storage
from openresponses.core.records import Record
from openresponses.core.run import Run
from openresponses.durable.history import continued, grown, inherited, previous
from openresponses.schema.items import Item, Message
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from tests.bench.metered import size
from tests.contract.storage_suite import (
    BACKENDS,
    BUCKET,
    TABLE,
    MemoryBackend,
    MotoBackend,
    WatchedAws,
    opened_moto,
    rid,
    text,
)

DAY = 86_400
ROOT = -1


class QuickAws(WatchedAws):
    """Writes what a transaction writes, whatever its conditions: moto copies the whole table for each condition."""

    async def call(self, service: Any, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation != "transact_write_items":
            return await super().call(service, operation, **parameters)
        puts = [{"PutRequest": {"Item": each["Put"]["Item"]}} for each in parameters["TransactItems"] if "Put" in each]
        return await super().call(service, "batch_write_item", RequestItems={TABLE["TableName"]: puts})


@dataclass
class Talk:
    """A tree of responses that are stored without a server. `before` and `said` are the plain reference."""

    storage: Storage
    size: int = 0
    before: dict[int, int] = field(default_factory=dict[int, int])
    said: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    gone: set[int] = field(default_factory=set[int])
    number: Iterator[int] = field(default_factory=count)
    _ends: dict[int, tuple[list[Link], list[Item]]] = field(default_factory=dict[int, Any])

    async def say(self, before: int = ROOT) -> int:
        """A response that goes on from `before`, as a request makes it."""
        chain, items = [], []
        if before != ROOT:
            chain, items = await continued(self.storage.store, await previous(self.storage.store, rid(before)))
        return await self._stored(before, await grown(self.storage.store, chain, items))

    async def grow(self, length: int, before: int = ROOT) -> int:
        for _ in range(length):
            before = await self.say(before)
        return before

    async def _stored(self, before: int, chain: list[Link]) -> int:
        n = next(self.number)
        await self.storage.store.create(self.record(n, chain), self.run(n))
        self.before[n] = before
        self.said[n] = [f"asked {n:06}", f"told {n:06}"]
        return n

    def record(self, n: int, chain: list[Link]) -> Record:
        more = text(self.size, n) if self.size else ""
        asked = {"id": f"msg_{n:032x}i0000", "role": "user", "content": f"asked {n:06} {more}"}
        said = [
            {"id": f"msg_{n:032x}0000", "role": "assistant", "type": "message", "content": f"dead {n:06}"},
            {"id": f"msg_{n:032x}0001", "role": "assistant", "type": "message", "content": f"told {n:06}"},
        ]
        response = Response.model_validate(
            {"id": rid(n), "created_at": 1, "model": "m", "status": "completed", "output": said, "store": True}
        )
        given: list[Item] = [Message.model_validate(asked)]
        return Record(response=response, input=given, chain=chain, discarded=[f"msg_{n:032x}0000"], lease=None)

    def run(self, n: int) -> Run:
        response = Response(id=rid(n), created_at=1, model="m")
        return Run(response=response, request=CreateResponse(model="m"), max_turns=1)

    def path(self, n: int) -> list[int]:
        """The responses before n, the oldest first."""
        found: list[int] = []
        while (n := self.before[n]) != ROOT:
            found.insert(0, n)
        return found

    async def delete(self, n: int) -> None:
        await self.storage.store.delete(rid(n))
        self.gone.add(n)

    async def load(self, n: int) -> Record:
        (record,) = await self.storage.store.load([rid(n)])
        assert record is not None
        return record

    async def check(self, n: int) -> None:
        """A response that is there has all that was said before it, or says that some of it is gone."""
        record = await self.load(n)
        if self.gone.isdisjoint(self.path(n)):
            items = await inherited(self.storage.store, record)
            assert [words(item) for item in items] == [said for each in self.path(n) for said in self.said[each]]
            return
        with pytest.raises(NotFound) as error:
            await inherited(self.storage.store, record)
        assert (error.value.status, error.value.code) == (404, "previous_response_not_found")


def words(item: Item) -> str:
    """The two first words of a message."""
    assert isinstance(item, Message)
    return " ".join(str(getattr(item.content[0], "text", "")).split()[:2])


def at_rest(backend: MotoBackend) -> str:
    """All text in the table and in the bucket."""
    packed = [value["B"] for item in backend.items() for value in item.values() if "B" in value]
    keys = backend.objects()
    packed += [backend.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
    return "".join(zlib.decompress(each).decode() for each in packed)


def levels(chain: Sequence[Link]) -> list[int]:
    return [link.level for link in chain]


@pytest.fixture(params=BACKENDS)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    if request.param == "memory":
        yield MemoryBackend().storage()
        return
    with opened_moto(QuickAws) as backend:
        yield backend.storage()


@pytest.fixture
def moto() -> Iterator[MotoBackend]:
    with opened_moto() as backend:
        yield backend


@pytest.fixture
def quick() -> Iterator[MotoBackend]:
    with opened_moto(QuickAws) as backend:
        yield backend


async def test_a_conversation_of_each_length_up_to_eighty_comes_back(storage: Storage) -> None:
    talk = Talk(storage)
    end = await talk.grow(81)
    for n in range(end + 1):
        await talk.check(n)


async def test_a_conversation_of_hundreds_comes_back(storage: Storage) -> None:
    talk = Talk(storage)
    end = await talk.grow(300)
    for n in (64, 128, 200, 263, end):
        await talk.check(n)
    chain = (await talk.load(end)).chain
    assert (sum(link.responses for link in chain), len(chain)) == (end, 4 + 5 + 3)


@pytest.mark.parametrize("seed", range(3))
async def test_every_branch_is_right_whatever_is_deleted(storage: Storage, seed: int) -> None:
    """Branches from anywhere, now and then a deletion, and a storage that now and then makes no chunk."""
    drawn, talk, tips = random.Random(seed), Talk(storage), [ROOT]
    for _ in range(120):
        tip = drawn.choice(tips)
        if drawn.random() < 0.2 and tip != ROOT:
            tip = drawn.choice([*talk.path(tip), tip])
        if tip != ROOT and not talk.gone.isdisjoint([*talk.path(tip), tip]):
            continue
        tips = [*tips[-3:], await talk.grow(drawn.randint(1, 12), tip)]
        if drawn.random() < 0.1:
            await talk.delete(drawn.choice([n for n in talk.said if n not in talk.gone]))
        if len(talk.said) > 250:
            break
    assert talk.gone
    for n in talk.said.keys() - talk.gone:
        await talk.check(n)


@pytest.mark.parametrize("gone", [0, 3, 7, 8, 63, 64, 70])
async def test_nothing_is_left_of_a_deleted_response(quick: MotoBackend, gone: int) -> None:
    talk = Talk(quick.storage())
    end = await talk.grow(76)
    branch = await talk.grow(12, before=4)
    before = at_rest(quick)
    assert all(f"told {n:06}" in before for n in talk.said)
    await talk.delete(gone)
    after = at_rest(quick)
    assert [n for n in talk.said if f"told {n:06}" not in after or f"asked {n:06}" not in after] == [gone]
    assert not any(f"{word} {gone:06}" in after for word in ("asked", "told", "dead"))
    for n in {5, 40, end, branch} - {gone}:
        await talk.check(n)


async def test_chunks_of_other_branches_stay(quick: MotoBackend) -> None:
    talk = Talk(quick.storage())
    end = await talk.grow(20)
    branch = await talk.grow(16, before=4)
    chunks = {item["sk"]["S"] for item in quick.items() if item["sk"]["S"].startswith("chunk#")}
    assert chunks == {f"chunk#1#{rid(n)}" for n in (7, 15, 22, 30)}
    await talk.delete(6)
    left = {item["sk"]["S"] for item in quick.items() if item["sk"]["S"].startswith("chunk#")}
    assert left == chunks - {f"chunk#1#{rid(7)}"}
    await talk.check(branch)
    await talk.check(end)
    assert await talk.grow(2, branch)


async def test_items_of_dead_turns_are_in_no_chunk(quick: MotoBackend) -> None:
    talk = Talk(quick.storage())
    await talk.grow(11)
    (chunk,) = [item for item in quick.items() if item["sk"]["S"].startswith("chunk#")]
    held = zlib.decompress(chunk["items"]["B"]).decode()
    assert [f"{word} 000003" in held for word in ("asked", "told", "dead")] == [True, True, False]


async def test_another_tenant_reads_and_deletes_nothing(quick: MotoBackend) -> None:
    ours, theirs = Talk(quick.storage("a")), Talk(quick.storage("b"))
    end = await ours.grow(20)
    with pytest.raises(NotFound):
        await previous(theirs.storage.store, rid(end))
    assert set(await theirs.storage.store.load_links((await ours.load(end)).chain)) == {None}
    await theirs.grow(20)
    await theirs.delete(3)
    await ours.check(end)


async def test_a_chunk_expires_with_its_oldest_response(quick: MotoBackend) -> None:
    talk = Talk(quick.storage())
    end = await talk.grow(1)
    quick.time += 10 * DAY
    end = await talk.grow(18, end)
    await talk.check(end)
    ttls = {item["sk"]["S"]: int(item["ttl"]["N"]) for item in quick.items() if item["sk"]["S"].startswith("chunk#")}
    first = int(quick.time) + 20 * DAY
    assert ttls == {f"chunk#1#{rid(7)}": first, f"chunk#1#{rid(15)}": first + 10 * DAY}
    quick.time += 20 * DAY - 1
    await talk.check(end)
    quick.time += 2
    talk.gone.add(0)
    await talk.check(end)


@pytest.fixture
def long(quick: MotoBackend) -> tuple[MotoBackend, Talk]:
    return quick, Talk(quick.storage(), size=0)


class Meter:
    """Read units of all that is read from the table, strongly consistent: one for each 4 KB of each item."""

    def __init__(self, backend: MotoBackend) -> None:
        self.units = 0
        backend.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", self._count)

    def _count(self, parsed: dict[str, Any], **_: object) -> None:
        items = parsed["Responses"][TABLE["TableName"]]
        self.units += sum(max(1, math.ceil(size(item) / 4096)) for item in items)


async def test_what_it_costs_to_go_on_from_a_conversation(quick: MotoBackend) -> None:
    """Read units, round trips, and the size of the chain, at 1 to 1,000 responses."""
    talk, meter, end = Talk(quick.storage()), Meter(quick), ROOT
    units, calls, sizes = dict[int, int](), dict[int, Any](), dict[int, int]()
    for length in (1, 50, 150, 200, 1000):
        end = await talk.grow(length - len(talk.said), end)
        quick.aws.forget()
        meter.units, quick.aws.pace = 0, 0.1
        _, items = await continued(talk.storage.store, await previous(talk.storage.store, rid(end)))
        quick.aws.pace = 0
        assert [words(item) for item in items] == [said for n in range(length) for said in talk.said[n]]
        units[length] = meter.units
        calls[length] = [(call.operation, call.depth) for call in quick.aws.calls]
        (start,) = [i for i in quick.items() if i["sk"]["S"] == "input" and i["pk"]["S"].endswith(rid(end))]
        sizes[length] = len(start["chain"]["B"])
    print(units, sizes)
    assert calls.pop(1) == [("BatchGetItem", 0)]
    assert {each for made in calls.values() for each in [tuple(made)]} == {(("BatchGetItem", 0), ("BatchGetItem", 1))}
    assert units[1] == 2
    assert units[200] <= 60
    assert units[1000] <= 5 * units[200]
    assert max(sizes.values()) < 2_000

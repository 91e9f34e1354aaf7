"""Long conversations at rest: what a chain costs, what is still right with branches, and what a deletion leaves."""

from __future__ import annotations

import asyncio
import math
import random
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError
from pydantic_core import from_json, to_json

from openresponses.core.chain import Joint, Link, next_joint, response_link
from openresponses.core.deltas import Delta
from openresponses.core.errors import NotFound, StorageUnavailable
from openresponses.core.records import Record
from openresponses.core.run import Run
from openresponses.core.storage import Storage
from openresponses.core.turn import Turn
from openresponses.durable.history import continued, grown, inherited, previous
from openresponses.responses.idempotency import IdempotencyKey
from openresponses.schema.items import Item, Message
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from openresponses.storage.memory.store import MemoryStore
from tests.bench.metered import size
from tests.contract.machine import House, Seen
from tests.contract.storage_suite import (
    BACKENDS,
    EMULATORS,
    TABLE,
    AwsBackend,
    MemoryBackend,
    WatchedAws,
    opened_aws,
    text,
)
from tests.sweeps import Sweep
from tests.unit.cases import ANSWER
from tests.unit.kit import Script

DAY = 86_400
ROOT = -1
EXPIRES = 1_700_000_000.0 + 30 * DAY
"""Of what is stored first in moto."""


class QuickAws(WatchedAws):
    """Writes what transactions write, whatever their conditions, and not before something else is asked for: moto
    copies the whole table for each item of a transaction."""

    def __init__(self, *, emulator: str) -> None:
        super().__init__(attempts=1, emulator=emulator)
        self.quick = True
        self._puts: list[Any] = []

    async def call(self, service: Any, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "transact_write_items" and self.quick:
            writes = [each["Put"]["Item"] for each in parameters["TransactItems"] if "Put" in each]
            self._puts += [{"PutRequest": {"Item": item}} for item in writes if item["sk"]["S"] != "run"]
            return {}
        while puts := self._puts[:25]:
            del self._puts[:25]
            await super().call("dynamodb", "batch_write_item", RequestItems={TABLE["TableName"]: puts})
        return await super().call(service, operation, **parameters)


def resp_id(n: int) -> str:
    """No two have much in common, as in real ones."""
    return f"resp_{sha256(str(n).encode()).hexdigest()[:32]}"


@dataclass
class Talk:
    """A tree of responses that are stored without a server. `before` and `said` are the plain reference."""

    storage: Storage
    size: int = 0
    before: dict[int, int] = field(default_factory=dict[int, int])
    said: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    gone: set[int] = field(default_factory=set[int])
    number: Iterator[int] = field(default_factory=count)

    async def say(self, before: int = ROOT) -> int:
        """A response that goes on from `before`, as a request makes it."""
        chain, items = [], []
        if before != ROOT:
            chain, items = await continued(self.storage.store, await previous(self.storage.store, resp_id(before)))
        return await self.store(before, await grown(self.storage.store, chain, items))

    async def grow(self, length: int, before: int = ROOT) -> int:
        """So many responses, one after the other. What a request would load for each is known here."""
        chain, items = list[Link](), list[Item]()
        if before != ROOT:
            chain, items = await continued(self.storage.store, await previous(self.storage.store, resp_id(before)))
        for _ in range(length):
            chain = await grown(self.storage.store, chain, items)
            before = await self.store(before, chain)
            record = self.record(before, chain)
            known = [link.model_copy(update={"expires": link.expires or EXPIRES}) for link in chain]
            chain = [*known, response_link(resp_id(before), 2)]
            items += [*record.input, record.response.output[1]]
        await self.load(before)
        return before

    async def store(self, before: int, chain: list[Link]) -> int:
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
            {"id": resp_id(n), "created_at": 1, "model": "m", "status": "completed", "output": said, "store": True}
        )
        given: list[Item] = [Message.model_validate(asked)]
        return Record(response=response, input=given, chain=chain, discarded=[f"msg_{n:032x}0000"], lease=None)

    def run(self, n: int) -> Run:
        response = Response(id=resp_id(n), created_at=1, model="m")
        return Run(response=response, request=CreateResponse(model="m"), max_turns=1)

    def path(self, n: int) -> list[int]:
        """The responses before n, the oldest first."""
        found: list[int] = []
        while (n := self.before[n]) != ROOT:
            found.insert(0, n)
        return found

    async def delete(self, n: int) -> None:
        await self.storage.store.delete(resp_id(n))
        self.gone.add(n)

    async def load(self, n: int) -> Record:
        (record,) = await self.storage.store.load([resp_id(n)])
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


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    if request.param == "memory":
        yield MemoryBackend()
        return
    with opened_aws(request.param, QuickAws) as backend:
        yield backend


@pytest.fixture
def storage(backend: MemoryBackend | AwsBackend) -> Storage:
    return backend.storage()


@pytest.fixture(params=EMULATORS)
def quick(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param, QuickAws) as backend:
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
async def test_every_branch_is_right_whatever_is_deleted(backend: MemoryBackend | AwsBackend, seed: int) -> None:
    """Branches from anywhere, and deletions."""
    drawn, talk, tips = random.Random(seed), Talk(backend.storage()), [ROOT]
    while len(talk.said) < 130:
        tip = drawn.choice(tips)
        if drawn.random() < 0.2 and tip != ROOT:
            tip = drawn.choice([*talk.path(tip), tip])
        if tip != ROOT and not talk.gone.isdisjoint([*talk.path(tip), tip]):
            tip = ROOT
        tips = [*tips[-3:], await talk.grow(drawn.randint(1, 12), tip)]
        if drawn.random() < 0.3:
            await talk.delete(drawn.choice([n for n in talk.said if n not in talk.gone]))
    assert talk.gone
    for n in talk.said.keys() - talk.gone:
        await talk.check(n)
    left = backend.at_rest()
    assert {n for n, said in talk.said.items() if not any(each in left for each in said)} == talk.gone


@pytest.mark.parametrize("gone", [0, 3, 7, 8, 63, 64, 70])
async def test_nothing_is_left_of_a_deleted_response(quick: AwsBackend, gone: int) -> None:
    talk = Talk(quick.storage())
    end = await talk.grow(76)
    branch = await talk.grow(12, before=4)
    before = quick.at_rest()
    assert all(f"told {n:06}" in before for n in talk.said)
    await talk.delete(gone)
    after = quick.at_rest()
    assert [n for n in talk.said if f"told {n:06}" not in after or f"asked {n:06}" not in after] == [gone]
    assert not any(f"{word} {gone:06}" in after for word in ("asked", "told", "dead"))
    for n in {5, 40, end, branch} - {gone}:
        await talk.check(n)


async def test_chunks_of_other_branches_stay(quick: AwsBackend) -> None:
    talk = Talk(quick.storage())
    end = await talk.grow(20)
    branch = await talk.grow(16, before=4)
    chunks = {item["sk"]["S"] for item in quick.items() if item["sk"]["S"].startswith("chunk#")}
    assert chunks == {f"chunk#1#{resp_id(n)}" for n in (7, 15, 22, 30)}
    await talk.delete(6)
    left = {item["sk"]["S"] for item in quick.items() if item["sk"]["S"].startswith("chunk#")}
    assert left == chunks - {f"chunk#1#{resp_id(7)}"}
    await talk.check(branch)
    await talk.check(end)
    assert await talk.grow(2, branch)


async def test_items_of_dead_turns_are_in_no_chunk(quick: AwsBackend) -> None:
    talk = Talk(quick.storage())
    await talk.grow(11)
    (chunk,) = [item for item in quick.items() if item["sk"]["S"].startswith("chunk#")]
    held = zlib.decompress(chunk["items"]["B"]).decode()
    assert [f"{word} 000003" in held for word in ("asked", "told", "dead")] == [True, True, False]


async def test_another_tenant_reads_and_deletes_nothing(quick: AwsBackend) -> None:
    ours, theirs = Talk(quick.storage("a")), Talk(quick.storage("b"))
    end = await ours.grow(20)
    with pytest.raises(NotFound):
        await previous(theirs.storage.store, resp_id(end))
    assert set(await theirs.storage.store.load_links((await ours.load(end)).chain)) == {None}
    await theirs.grow(20)
    await theirs.delete(3)
    await ours.check(end)


async def test_a_chunk_expires_with_its_oldest_response(quick: AwsBackend) -> None:
    talk = Talk(quick.storage())
    end = await talk.say()
    quick.time += 10 * DAY
    for _ in range(18):
        end = await talk.say(end)
    await talk.check(end)
    ttls = {item["sk"]["S"]: int(item["ttl"]["N"]) for item in quick.items() if item["sk"]["S"].startswith("chunk#")}
    first = int(quick.time) + 20 * DAY
    assert ttls == {f"chunk#1#{resp_id(7)}": first, f"chunk#1#{resp_id(15)}": first + 10 * DAY}
    quick.time += 20 * DAY - 1
    await talk.check(end)
    quick.time += 2
    talk.gone.add(0)
    await talk.check(end)


class Meter:
    """Read units of all that is read from the table, strongly consistent: one for each 4 KB of each item."""

    def __init__(self, backend: AwsBackend) -> None:
        self.units = 0
        backend.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", self._count)

    def _count(self, parsed: dict[str, Any], **_: object) -> None:
        items = parsed["Responses"][TABLE["TableName"]]
        self.units += sum(max(1, math.ceil(size(item) / 4096)) for item in items)


async def test_what_it_costs_to_go_on_from_a_conversation(quick: AwsBackend) -> None:
    """Read units, round trips, and the size of the chain, at 1 to 1,000 responses."""
    talk, meter, end = Talk(quick.storage()), Meter(quick), ROOT
    units, calls, sizes = dict[int, int](), dict[int, Any](), dict[int, int]()
    for length in (1, 50, 150, 200, 1000):
        end = await talk.grow(length - len(talk.said), end)
        quick.aws.forget()
        meter.units, quick.aws.pace = 0, 0.1
        _, items = await continued(talk.storage.store, await previous(talk.storage.store, resp_id(end)))
        quick.aws.pace = 0
        assert [words(item) for item in items] == [said for n in range(length) for said in talk.said[n]]
        units[length] = meter.units
        calls[length] = [(call.operation, call.depth) for call in quick.aws.calls]
        (start,) = [i for i in quick.items() if i["sk"]["S"] == "input" and i["pk"]["S"].endswith(resp_id(end))]
        sizes[length] = len(start["chain"]["B"])
    assert calls.pop(1) == [("BatchGetItem", 0)]
    assert {each for made in calls.values() for each in [tuple(made)]} == {(("BatchGetItem", 0), ("BatchGetItem", 1))}
    assert units[1] == 2
    assert units[200] <= 60
    assert units[1000] <= 5 * units[200]
    assert max(sizes.values()) < 2_000


def at_call(aws: WatchedAws, index: int, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Let all of `act` happen just before this call, counted from here."""

    def fault(at: int, attempt: int, request: AWSPreparedRequest, answer: Callable[[], AWSResponse]) -> AWSResponse:
        if at == index and attempt == 0:
            aws.fault = None
            asyncio.run(act())
        return answer()

    aws.forget()
    aws.fault = fault


def lost(aws: WatchedAws, fails: Callable[[int], bool]) -> None:
    """Let each call fail that `fails` says, by its number."""

    def fault(at: int, attempt: int, request: AWSPreparedRequest, answer: Callable[[], AWSResponse]) -> AWSResponse:
        if fails(at):
            raise EndpointConnectionError(endpoint_url=request.url)
        return answer()

    aws.forget()
    aws.fault = fault


SIZES = pytest.mark.parametrize("size", [0, 30_000], ids=["in an item", "in an object"])
LEVELS = pytest.mark.parametrize(("level", "length"), [(1, 9), (2, 66)])


@dataclass
class Contest:
    """A chunk that is to be made, and a response whose text it would hold that is to be deleted."""

    talk: Talk
    aws: QuickAws
    end: int
    joint: Joint
    items: list[Item]
    victim: int = 3

    async def join(self) -> bool:
        return await self.talk.storage.store.join(self.joint, self.items)

    async def delete(self) -> None:
        await self.talk.delete(self.victim)


@asynccontextmanager
async def contest(level: int, length: int, size: int) -> AsyncGenerator[tuple[AwsBackend, Contest]]:
    with opened_aws(aws=QuickAws) as backend:
        talk, aws = Talk(backend.storage(), size=size), backend.aws
        assert isinstance(aws, QuickAws)
        end = await talk.grow(length)
        chain, items = await continued(talk.storage.store, await previous(talk.storage.store, resp_id(end)))
        joint = next_joint(chain)
        assert joint is not None
        assert joint.chunk.level == level
        aws.quick = False
        aws.forget()
        yield backend, Contest(talk, aws, end, joint, items[: joint.chunk.items])


@SIZES
@LEVELS
async def test_a_response_that_is_deleted_while_a_chunk_is_made_of_it_leaves_no_text(
    level: int, length: int, size: int
) -> None:
    for index in range(3 if size else 1):
        async with contest(level, length, size) as (backend, it):
            at_call(it.aws, index, it.delete)
            assert not await it.join()
            assert f" {it.victim:06}" not in backend.at_rest()


@SIZES
@LEVELS
async def test_a_chunk_that_is_made_while_its_response_is_deleted_leaves_no_text(
    sweep: Sweep, level: int, length: int, size: int
) -> None:
    async with contest(level, length, size) as (_, it):
        await it.delete()
        calls = len(it.aws.calls)
    for index in sweep.sample(range(calls), 4):
        async with contest(level, length, size) as (backend, it):
            at_call(it.aws, index, it.join)
            await it.delete()
            assert f" {it.victim:06}" not in backend.at_rest()
            assert not await it.join()
            assert f" {it.victim + 1:06}" in backend.at_rest()


@SIZES
async def test_a_deletion_that_fails_halfway_is_finished_by_another(sweep: Sweep, size: int) -> None:
    async with contest(2, 66, size) as (_, it):
        assert await it.join()
        it.aws.forget()
        await it.delete()
        calls = len(it.aws.calls)
    for index in sweep.sample(range(1, calls), 4):
        async with contest(2, 66, size) as (backend, it):
            assert await it.join()
            lost(it.aws, lambda at, index=index: at >= index)
            with pytest.raises(StorageUnavailable):
                await it.delete()
            it.aws.fault = None
            await it.delete()
            assert f" {it.victim:06}" not in backend.at_rest()


@SIZES
async def test_a_chunk_that_could_not_be_stored_is_made_by_the_next_response(size: int) -> None:
    async with contest(1, 9, size) as (backend, it):
        store = it.talk.storage.store
        chain, items = await continued(store, await it.talk.load(it.end))
        lost(it.aws, lambda at: it.aws.calls[at].checks or it.aws.calls[at].operation == "PutObject")
        assert await grown(store, chain, items) == chain
        it.aws.fault = None
        end = await it.talk.say(await it.talk.store(it.end, chain))
        assert [link.level for link in (await it.talk.load(end)).chain] == [1, 0, 0]
        await it.talk.check(end)
        assert bool([key for key in backend.objects() if "chunk" in key]) == bool(size)


async def test_large_chunks_cost_one_round_trip_more_and_go_with_what_they_hold(quick: AwsBackend) -> None:
    talk = Talk(quick.storage(), size=30_000)
    end = await talk.grow(30)
    quick.aws.forget()
    quick.aws.pace = 0.2
    await talk.check(end)
    quick.aws.pace = 0
    assert max(call.depth for call in quick.aws.calls) == 2
    assert Counter(call.operation for call in quick.aws.calls) == {"BatchGetItem": 2, "GetObject": 3}
    keys = {key for key in quick.objects() if "chunk" in key}
    assert len(keys) == 3
    await talk.delete(9)
    assert len(keys & {*quick.objects()}) == 2
    assert " 000009" not in quick.at_rest()
    await talk.delete(0)
    assert len(keys & {*quick.objects()}) == 1


async def test_a_conversation_of_version_0_1_goes_on_and_can_be_deleted(quick: AwsBackend) -> None:
    """It kept all ancestors with the input."""
    talk = Talk(quick.storage())
    end = await talk.grow(8)
    for item in [each for each in quick.items() if each["sk"]["S"] == "input"]:
        (n,) = [n for n in talk.said if item["pk"]["S"].endswith(resp_id(n))]
        before = {"ancestors": [resp_id(each) for each in talk.path(n)]}
        del item["chain"]
        item["input"] = {"B": zlib.compress(to_json(from_json(zlib.decompress(item["input"]["B"])) | before))}
        quick.dynamodb.put_item(TableName=TABLE["TableName"], Item=item)
    await talk.check(end)
    for _ in range(3):
        end = await talk.say(end)
    assert [link.level for link in (await talk.load(end)).chain] == [1, 0, 0]
    await talk.check(end)
    await talk.delete(5)
    assert " 000005" not in quick.at_rest()
    await talk.check(end)


class Together(MemoryStore):
    """Makes no chunk before the provider was asked."""

    asked = asyncio.Event()

    async def join(self, joint: Joint, items: Sequence[Item]) -> bool:
        async with asyncio.timeout(5):
            await self.asked.wait()
        return await super().join(joint, items)


class Asked(Script):
    async def stream(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        Together.asked.set()
        async with aclosing(super().stream(turn)) as deltas:
            async for delta in deltas:
                yield delta


async def test_a_chunk_is_made_beside_the_providers_answer() -> None:
    Together.asked = asyncio.Event()
    shelf = Shelf()
    house = House(Asked([ANSWER] * 20), storage=replace(memory_storage(shelf), store=Together(shelf)))
    end: str | None = None
    for _ in range(12):
        Together.asked.clear()
        response, _ = await house.create(previous_response_id=end, stream=True)
        end = response["id"]
    (record,) = await house.storage.store.load([end or ""])
    assert record is not None
    assert [link.level for link in record.chain] == [1, 0, 0, 0]


async def keyed(house: House, previous_response_id: str | None, n: int) -> str:
    asked = CreateResponse(model="m", input="hello", previous_response_id=previous_response_id)
    key = IdempotencyKey.of(f"{n}", b"")
    run, record = await house.new.accept(asked)
    assert await house.new.holdings.claim(key, run, record) == run.response.id
    await house.new.respond(run, record, Seen(), seconds=None, committed=lambda: False, key=key)
    return run.response.id


@pytest.mark.parametrize("how", ["plain", "streamed", "in the background", "with a key"])
async def test_a_conversation_is_shortened_however_it_is_asked_for(how: str) -> None:
    house, end = House(Script([ANSWER] * 20)), None
    for n in range(12):
        if how == "with a key":
            end = await keyed(house, end, n)
            continue
        options = {"streamed": {"stream": True}, "in the background": {"background": True}}.get(how, {})
        response, _ = await house.create(previous_response_id=end, **options)
        end = response["id"]
        await house.idle()
    (record,) = await house.storage.store.load([end or ""])
    assert record is not None
    assert [link.level for link in record.chain] == [1, 0, 0, 0]
    items, more = await house.stored.input_items(record.response.id, limit=100, order="asc", after=None, before=None)
    assert (len(items), more) == (23, False)

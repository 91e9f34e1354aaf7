"""The outbox: records of the table's stream, over storage and receivers that fail, and a function that is killed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Iterator
from itertools import count
from typing import Any, cast

import pytest

from openresponses.core.bill import Bill, Used
from openresponses.core.errors import DeliveryFailed, StorageUnavailable
from openresponses.core.storage import Endpoints, Meters, Storage
from openresponses.core.webhooks import DeadLetter, Registered
from openresponses.routing.cipher import AeadSeal
from openresponses.schema.response import Usage
from openresponses.schema.webhooks import EVENT_TYPES
from openresponses.storage.memory.storage import memory_storage
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import StoredEndpoints
from openresponses.webhooks.notify import WebhookPorts
from openresponses.webhooks.outbox import LIFE_SECONDS, Expired, Outbox, Ports, Told
from tests.contract.machine import sealing_keys
from tests.contract.receiver import Receiver
from tests.contract.storage_suite import BACKENDS, new_record, new_response, new_run, opened
from tests.sweeps import Sweep

Json = dict[str, Any]
BATCH = 25
TIRED = StorageUnavailable("storage is tired")


class World:
    """Tenants, their storage, and the AWS around the function. Each call of storage fails as often as `faults` says,
    and an invocation is killed as often as `kills` does.
    """

    def __init__(self, seed: int = 0, faults: float = 0.0, kills: float = 0.0) -> None:
        self.time = 1_700_000_000.0
        self.random, self.faults, self.kills = random.Random(seed), faults, kills
        self.billed = Counter[str]()
        self.executions: dict[str, str] = {}
        self.crashed: list[tuple[str, Exception]] = []
        self._tenants: dict[str, Endpoints] = {}
        self.outbox = Outbox(self.ports, lambda where, error: self.crashed.append((where, error)))

    def stumble(self) -> None:
        if self.random.random() < self.faults:
            raise TIRED

    def endpoints(self, tenant: str) -> Endpoints:
        return self._tenants.setdefault(tenant, memory_storage().endpoints)

    def webhooks(self, tenant: str, endpoints: Endpoints) -> WebhookPorts:
        return WebhookPorts(
            endpoints=endpoints,
            seal=AeadSeal(sealing_keys, tenant),
            guard=Guard(loopback=True),
            now=lambda: self.time,
            new_id=lambda: f"{self.random.getrandbits(128):032x}",
            seconds=30.0,
        )

    def ports(self, tenant: str) -> Ports:
        webhooks = self.webhooks(tenant, cast("Endpoints", Stumbling(self, self.endpoints(tenant))))
        return Ports(cast("Meters", Ledger(self)), webhooks, self.start)

    async def start(self, name: str, told: str) -> None:
        self.stumble()
        self.executions.setdefault(name, told)

    async def add(self, tenant: str, url: str) -> str:
        ports = self.webhooks(tenant, self.endpoints(tenant))
        return (await StoredEndpoints(ports).create("mine", url, EVENT_TYPES)).endpoint.id

    async def survived(self, work: Awaitable[Any]) -> Any:
        """The outcome of an invocation, which may be killed at any of its steps: that raises StorageUnavailable."""
        task = asyncio.ensure_future(work)
        if self.random.random() < self.kills:
            for _ in range(self.random.randrange(40)):
                await asyncio.sleep(0)
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            raise TIRED from None

    async def bring(self, records: list[Json]) -> None:
        """As Lambda does, until the function is done with all of them."""
        while records:
            try:
                again = await self.survived(self.outbox.take(records))
            except StorageUnavailable:
                continue
            records = [each for each in records if each["dynamodb"]["SequenceNumber"] in again]

    async def execute(self, told: Told) -> int:
        """As the state machine does, with its waits. How often it was tried."""
        for tries in count(1):
            try:
                await self.survived(self.outbox.deliver(told))
                return tries
            except (DeliveryFailed, StorageUnavailable):
                self.time += self.random.uniform(0, min(10 * 2**tries, 14_400))
            except Expired as error:
                failed = {"Error": "Expired", "Cause": json.dumps({"errorMessage": str(error)})}
                await self.bury({**told, "failed": failed})
                return tries
        raise AssertionError

    async def bury(self, told: Told) -> None:
        while True:
            try:
                await self.survived(self.outbox.give_up(told))
            except StorageUnavailable:
                continue
            return


class Ledger:
    """Meters that say how often each bill was settled."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def owes(self, response_id: str) -> bool:
        self._world.stumble()
        return response_id not in self._world.billed

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        assert stored
        self._world.stumble()
        await asyncio.sleep(0)
        first = bill.response_id not in self._world.billed
        self._world.billed[bill.response_id] += first
        return first


class Stumbling:
    def __init__(self, world: World, endpoints: Endpoints) -> None:
        self._world, self._endpoints = world, endpoints

    async def load(self) -> Registered:
        self._world.stumble()
        return await self._endpoints.load()

    async def keep_dead(self, letter: DeadLetter) -> None:
        self._world.stumble()
        await self._endpoints.keep_dead(letter)


def record(n: int, tenant: str = "acme", status: str = "completed", at: float = 1_700_000_000.0) -> Json:
    """As Lambda gives it to the function: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    bill = Bill(response_id=f"resp_{n:032x}", key_id="k", day="2026-11-27")
    key = {"pk": {"S": f"{tenant}/{bill.response_id}"}, "sk": {"S": "record"}}
    image = {**key, "status": {"S": status}, "owed": {"S": bill.model_dump_json()}, "response": {"B": "AA=="}}
    change = {"ApproximateCreationDateTime": at, "Keys": key, "NewImage": image, "SequenceNumber": str(n)}
    return {"eventID": str(n), "eventName": "MODIFY", "eventSource": "aws:dynamodb", "dynamodb": change}


async def test_an_end_is_billed_and_told_and_its_repeat_is_the_same_event() -> None:
    world = World()
    async with Receiver().listening() as receiver:
        await world.add("acme", receiver.url("/hook"))
        for _ in range(2):
            assert await world.outbox.take([record(1), record(2, status="cancelled"), record(3, "other")]) == []
    bodies = Counter(each.body for each in receiver.messages)
    told = {(body["data"]["id"], body["type"]) for body in map(json.loads, bodies)}
    assert told == {(f"resp_{1:032x}", "response.completed"), (f"resp_{2:032x}", "response.cancelled")}
    assert {*bodies.values()} == {2}
    assert {*world.billed.values()} == {1}
    assert len(world.billed) == 3
    assert world.executions == {}


async def test_an_endpoint_that_fails_has_one_execution_however_often_the_record_comes() -> None:
    world = World()
    async with Receiver().listening() as receiver:
        failing = await world.add("acme", receiver.url("/500"))
        await world.add("acme", receiver.url("/hook"))
        for _ in range(3):
            assert await world.outbox.take([record(1)]) == []
    ended = {"response_id": f"resp_{1:032x}", "status": "completed", "ended_at": 1_700_000_000}
    assert {name: json.loads(told) for name, told in world.executions.items()} == {
        f"resp_{1:032x}-{failing}": {"tenant": "acme", "endpoint_id": failing, "ended": ended}
    }


@pytest.mark.parametrize("broken", ["meters", "endpoints", "executions"])
async def test_what_storage_refuses_for_the_moment_comes_again_and_nothing_else(broken: str) -> None:
    world = World()
    async with Receiver().listening() as receiver:
        await world.add("tired", receiver.url("/500"))
        await world.add("acme", receiver.url("/hook"))
        healthy = world.ports

        def ports(tenant: str) -> Ports:
            found = healthy(tenant)
            if tenant != "tired":
                return found
            world_of_faults = World(faults=1.0)
            tired = world_of_faults.ports(tenant)
            match broken:
                case "meters":
                    return Ports(tired.meters, found.webhooks, found.start)
                case "endpoints":
                    return Ports(found.meters, tired.webhooks, found.start)
                case _:
                    return Ports(found.meters, found.webhooks, tired.start)

        outbox = Outbox(ports, lambda *_: None)
        assert await outbox.take([record(1), record(2, "tired"), record(3)]) == ["2"]
        assert await world.outbox.take([record(2, "tired")]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"NewImage": {"pk": {"S": "acme/resp_1"}, "owed": {"S": "{"}, "status": {"S": "completed"}}},
        {"NewImage": {"pk": {"S": "acme/resp_1"}, "owed": {"M": {}}, "status": {"S": "completed"}}},
        {"NewImage": {"owed": {"S": "{}"}}},
        {},
    ],
)
async def test_a_record_that_cannot_be_read_holds_up_no_other(change: Json) -> None:
    world = World()
    poison = {"dynamodb": {"SequenceNumber": "9", **change}}
    assert await world.outbox.take([poison, record(1)]) == []
    assert [where for where, _ in world.crashed] == ["9"]
    assert world.billed == {f"resp_{1:032x}": 1}


@pytest.mark.parametrize("late", [False, True])
async def test_a_try_that_fails_after_72_hours_is_the_last_one(late: bool) -> None:
    world = World()
    async with Receiver().listening() as receiver:
        endpoint = await world.add("acme", receiver.url("/500"))
        await world.outbox.take([record(1)])
        (told,) = map(json.loads, world.executions.values())
        world.time += LIFE_SECONDS - (0 if late else 1)
        with pytest.raises(Expired if late else DeliveryFailed, match="it answered with HTTP 500"):
            await world.outbox.deliver(told)
    for error, cause, reason in [
        ("Expired", '{"errorMessage": "it answered with HTTP 500", "stackTrace": []}', "it answered with HTTP 500"),
        ("KeyError", '{"errorMessage": "a secret"}', "KeyError"),
        ("Expired", "cut off {", "Expired"),
    ]:
        await world.outbox.give_up({**told, "failed": {"Error": error, "Cause": cause}})
        (letter,) = await world.endpoints("acme").dead(10)
        assert (letter.endpoint_id, letter.response_id) == (endpoint, f"resp_{1:032x}")
        world._tenants["acme"] = memory_storage().endpoints
        assert letter.reason == reason


async def test_nothing_is_sent_to_an_endpoint_that_is_gone() -> None:
    world = World()
    async with Receiver().listening() as receiver:
        endpoint = await world.add("acme", receiver.url("/500"))
        await world.outbox.take([record(1)])
        (told,) = map(json.loads, world.executions.values())
        await StoredEndpoints(world.webhooks("acme", world.endpoints("acme"))).delete(endpoint)
        await world.outbox.deliver(told)
    assert len(receiver.messages) == 1


async def test_of_10_000_events_none_is_lost(sweep: Sweep) -> None:
    """Storage fails at every tenth call, and every eighth invocation is killed. One receiver is well, one fails at
    first, and one never works.
    """
    numbers = sweep.sample(range(10_000), 250)
    world = World(seed=len(numbers), faults=0.1, kills=0.125)
    tenants = {n: "broken" if n % 100 == 7 else ("well", "moody", "both")[n % 3] for n in numbers}
    async with Receiver().listening() as receiver:
        await world.add("well", receiver.url("/hook"))
        await world.add("moody", receiver.url("/moody"))
        for path in ("/hook", "/moody"):
            await world.add("both", receiver.url(path))
        broken = await world.add("broken", receiver.url("/close"))
        receiver.failures["/moody"] = len(numbers) // 4
        for start in range(0, len(numbers), BATCH):
            await world.bring([record(n, tenants[n], at=world.time) for n in numbers[start : start + BATCH]])
        tries = [await world.execute(json.loads(told)) for told in [*world.executions.values()]]

    heard = Counter((each.path, each.headers["webhook-id"]) for each in receiver.messages)
    paths = {"well": ("/hook",), "moody": ("/moody",), "both": ("/hook", "/moody")}
    wanted = {(path, f"evt_{n:032x}") for n in numbers for path in paths.get(tenants[n], ())}
    lost = wanted - heard.keys()
    dead = {letter.response_id for letter in await world.endpoints("broken").dead(10_000)}
    print(
        f"{len(numbers)} ends, {len(wanted)} events to tell: {len(lost)} lost, {sum(heard.values())} sent, "
        f"{len(world.executions)} tried again up to {max(tries)} times, {len(dead)} dead letters of {broken}"
    )
    assert lost == set()
    assert {path for path, _ in heard} <= {"/hook", "/moody", "/close"}
    assert dead == {f"resp_{n:032x}" for n in numbers if tenants[n] == "broken"}
    assert world.billed == {f"resp_{n:032x}": 1 for n in numbers}
    assert world.crashed == []


@pytest.fixture(params=BACKENDS)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    with opened(request.param) as backend:
        yield backend.storage()


@pytest.mark.parametrize("dies", ["before it has billed", "after it has billed"])
async def test_a_worker_that_dies_about_its_bill_is_billed_once(storage: Storage, dies: str) -> None:
    """The record comes twice: Lambda promises no less than once."""
    used = Used(target="fake/m", turns=1, usage=Usage(input_tokens=7, total_tokens=7))
    bill = Bill(response_id=new_run(1).response.id, key_id="k", day="2026-11-27", used=[used])
    await storage.store.create(new_record(1), new_run(1))
    await storage.store.settle(new_response(1, status="completed"), [], bill=bill)
    if dies == "after it has billed":
        assert await storage.meters.settle(bill, stored=True)
    world = World()

    def ports(tenant: str) -> Ports:
        return Ports(storage.meters, world.ports(tenant).webhooks, world.start)

    outbox = Outbox(ports, lambda where, error: pytest.fail(f"{where}: {error!r}"))
    told = record(1)
    told["dynamodb"]["NewImage"]["owed"] = {"S": bill.model_dump_json()}
    for _ in range(2):
        assert await outbox.take([told, told]) == []
    (row,) = await storage.meters.usage("2026-11-01", "2026-11-30")
    assert (row.requests, row.turns, row.input_tokens) == (1, 1, 7)

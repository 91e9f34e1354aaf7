"""AWS that throttles, fails, can't be reached, or does the work and loses its answer: at each call of each operation.

A call that fails once is tried again, and nobody notices. Where AWS stays away from some call on, StorageUnavailable
is raised, what can be read then is whole, and the same operation succeeds later.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.retries.standard import ExponentialBackoff
from moto.core.botocore_stubber import MockRawResponse
from urllib3.exceptions import ProtocolError

from openresponses.aws.clients import Refused
from openresponses.core.conversations import Conversation, Lock
from openresponses.core.errors import Cancelled, ConversationLocked, StorageUnavailable, Superseded
from openresponses.core.listing import Wanted
from openresponses.core.records import Claim
from openresponses.core.storage import Storage
from tests.contract.storage_suite import (
    EMULATORS,
    AwsBackend,
    WatchedAws,
    new_batch,
    new_record,
    new_response,
    new_run,
    opened_aws,
    rid,
    text,
)
from tests.contract.test_storage_endpoints import endpoint, letter
from tests.sweeps import Sweep

BIG = 220_000
ASKED, SAID, MORE = text(BIG, 1), text(BIG, 2), text(BIG, 3)
Answer: TypeAlias = Callable[[], AWSResponse]
Fault: TypeAlias = Callable[[AWSPreparedRequest, Answer], AWSResponse]


def throttled(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    if is_s3(request):
        return refusal(request, 503, "<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>")
    name = "ThrottlingException" if "states" in request.url else "ProvisionedThroughputExceededException"
    return refusal(request, 400, f'{{"__type": "com.amazonaws#{name}", "message": "slow down"}}')


def failing(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    return refusal(
        request, 500, "" if is_s3(request) else '{"__type": "com.amazonaws#InternalServerError", "message": "sorry"}'
    )


def unreachable(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=request.url)


def forgetful(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    answer()
    raise ReadTimeoutError(endpoint_url=request.url)


def is_s3(request: AWSPreparedRequest) -> bool:
    return "x-amz-target" not in request.headers  # the others speak JSON, and name the operation there


def refusal(request: AWSPreparedRequest, status: int, body: str) -> AWSResponse:
    return AWSResponse(request.url, status, {}, MockRawResponse(body))  # type: ignore[arg-type]


FAULTS: dict[str, Fault] = {f.__name__: f for f in (throttled, failing, unreachable, forgetful)}


@dataclass(frozen=True)
class Operation:
    """`done` tells whether it has happened, from what can be read; what is neither before nor after, it asserts on."""

    prepare: Callable[[Storage, int], Awaitable[object]]
    act: Callable[[Storage, int], Awaitable[object]]
    done: Callable[[Storage, int], Awaitable[bool]]


def record_of(n: int):
    return new_record(n, asked=ASKED, said=SAID)


async def nothing(storage: Storage, n: int) -> None:
    """Nothing needs to be there before."""


async def created(storage: Storage, n: int) -> None:
    """With all that may come with it: the first batch of its log, and the claim of an idempotency key."""
    claim = Claim(f"key {n}", rid(n), "hash")
    held = await storage.store.create(record_of(n), new_run(n, said=SAID), new_batch(0, MORE), claim)
    assert held is None or held.response_id == rid(n), "only its own work may be in its way"


async def is_created(storage: Storage, n: int) -> bool:
    (record,) = await storage.store.load([rid(n)])
    run, log = await storage.runs.load(rid(n)), (await storage.log.read(rid(n), -1))[:1]
    whole = (record_of(n), new_run(n, said=SAID), [new_batch(0, MORE)])
    assert (record, run, log) in ((None, None, []), whole)
    return record is not None


async def is_renewed(storage: Storage, n: int) -> bool:
    (record,) = await storage.store.load([rid(n)])
    assert record in (record_of(n), record_of(n).model_copy(update={"lease": 5.5}))
    return record != record_of(n)


async def is_cancelled(storage: Storage, n: int) -> bool:
    try:
        await storage.store.renew(rid(n), 5.5)
    except Cancelled:
        return True
    return False


def final_of(n: int):
    return new_response(n, said=MORE, status="completed")


async def is_settled(storage: Storage, n: int) -> bool:
    (record,) = await storage.store.load([rid(n)])
    settled = record_of(n).model_copy(update={"response": final_of(n), "discarded": ["msg_1"]})
    assert record in (record_of(n), settled)
    return record == settled


async def full(storage: Storage, n: int) -> None:
    await created(storage, n)
    await append(storage, n)


async def is_deleted(storage: Storage, n: int) -> bool:
    """The record goes last: until then it can be asked for again."""
    (record,) = await storage.store.load([rid(n)])
    assert record in (None, record_of(n))
    if record is None:
        assert await storage.log.read(rid(n), -1) == []
    return record is None


async def loads(storage: Storage, n: int) -> None:
    assert await is_created(storage, n)
    assert await is_appended(storage, n)


async def always(storage: Storage, n: int) -> bool:
    return True


async def save(storage: Storage, n: int) -> None:
    await storage.runs.save(new_run(n, said=MORE))


async def is_saved(storage: Storage, n: int) -> bool:
    run = await storage.runs.load(rid(n))
    saved = new_run(n, said=MORE).model_copy(update={"version": 1})
    assert run in (new_run(n, said=SAID), saved)
    return run == saved


async def append(storage: Storage, n: int) -> None:
    await storage.log.append(rid(n), new_batch(1, MORE))


async def is_appended(storage: Storage, n: int) -> bool:
    batches = await storage.log.read(rid(n), 0)
    assert batches in ([], [new_batch(1, MORE)])
    return batches != []


async def release(storage: Storage, n: int) -> None:
    await storage.claims.release(Claim(f"key {n}", rid(n), "hash"))


async def is_released(storage: Storage, n: int) -> bool:
    other = new_record(n + 500)
    held = await storage.store.create(other, new_run(n + 500), claim=Claim(f"key {n}", other.response.id, "hash"))
    if held is None:
        await storage.claims.release(Claim(f"key {n}", other.response.id, "hash"))
        await storage.store.delete(other.response.id)
    return held is None


def requests(n: int) -> list[str]:
    return [f"mcpr_{n}a", f"mcpr_{n}b"]


async def spend(storage: Storage, n: int) -> None:
    assert await storage.spent.spend(requests(n), rid(n)) is None


async def are_spent(storage: Storage, n: int) -> bool:
    """All of them, or none."""
    found = [await storage.spent.spend([each], rid(n + 500)) for each in requests(n)]
    assert found in ([None, None], requests(n))
    await storage.spent.give_back(requests(n), rid(n + 500))
    return found != [None, None]


async def are_free(storage: Storage, n: int) -> bool:
    found = [await storage.spent.spend([each], rid(n + 500)) for each in requests(n)]
    await storage.spent.give_back(requests(n), rid(n + 500))
    return found == [None, None]


async def stop(storage: Storage, n: int) -> None:
    await storage.launcher.start(rid(n), 0)
    await storage.launcher.stop(rid(n), 0)


def lock_of(n: int, version: int) -> Lock:
    return Lock(conversation_id=f"conv_{n}", version=version)


async def talked(storage: Storage, n: int) -> None:
    await storage.conversations.create(Conversation(id=f"conv_{n}", created_at=1), record_of(n).input)


async def held(storage: Storage, n: int) -> None:
    await talked(storage, n)
    await hold(storage, n)


async def hold(storage: Storage, n: int) -> None:
    await storage.store.create(record_of(n).model_copy(update={"lock": lock_of(n, 1), "chain": []}), new_run(n))


async def talk(storage: Storage, n: int) -> tuple[int, str, int]:
    """Its version, its holder, and how many items it has."""
    conversation = await storage.conversations.load(f"conv_{n}")
    assert conversation is not None
    return conversation.version, conversation.holder, len(await storage.conversations.items(f"conv_{n}", 9))


async def is_held(storage: Storage, n: int) -> bool:
    state, (record,) = await talk(storage, n), await storage.store.load([rid(n)])
    assert (state, record is None) in (((1, "", 1), True), ((1, rid(n), 1), False))
    return record is not None


async def end(storage: Storage, n: int) -> None:
    await storage.store.settle(final_of(n), [], lock_of(n, 1), final_of(n).output)


async def has_ended(storage: Storage, n: int) -> bool:
    state, (record,) = await talk(storage, n), await storage.store.load([rid(n)])
    assert record is not None
    assert (state, record.over) in (((1, rid(n), 1), False), ((2, "", 2), True))
    return record.over


async def add(storage: Storage, n: int) -> None:
    await storage.conversations.append(lock_of(n, 1), final_of(n).output)


async def is_added(storage: Storage, n: int) -> bool:
    state = await talk(storage, n)
    assert state in ((1, "", 1), (2, "", 2))
    return state[0] == 2


async def is_silent(storage: Storage, n: int) -> bool:
    gone = await storage.conversations.load(f"conv_{n}") is None
    return gone and await storage.conversations.items(f"conv_{n}", 9) == []


async def registers(storage: Storage, n: int) -> None:
    """One item is that of all endpoints: whoever finds it changed reads it again."""
    version = (await storage.endpoints.load()).version
    assert await storage.endpoints.replace([endpoint(n)], version)


async def is_registered(storage: Storage, n: int) -> bool:
    return [*(await storage.endpoints.load()).endpoints] == [endpoint(n)]


async def is_dead(storage: Storage, n: int) -> bool:
    return letter(n) in await storage.endpoints.dead(100)


OPERATIONS = {
    "hold a conversation": Operation(talked, hold, is_held),
    "end a conversation's": Operation(held, end, has_ended),
    "add to a conversation": Operation(talked, add, is_added),
    "delete a conversation": Operation(talked, lambda s, n: s.conversations.delete(lock_of(n, 1)), is_silent),
    "create": Operation(nothing, created, is_created),
    "renew": Operation(created, lambda s, n: s.store.renew(rid(n), 5.5), is_renewed),
    "cancel": Operation(created, lambda s, n: s.store.cancel(rid(n)), is_cancelled),
    "settle": Operation(created, lambda s, n: s.store.settle(final_of(n), ["msg_1"]), is_settled),
    "delete": Operation(full, lambda s, n: s.store.delete(rid(n)), is_deleted),
    "read": Operation(full, loads, always),
    "page": Operation(created, lambda s, n: s.store.page(Wanted(), limit=9, order="asc", after=rid(n)), always),
    "save": Operation(created, save, is_saved),
    "append": Operation(created, append, is_appended),
    "release": Operation(created, release, is_released),
    "spend": Operation(nothing, spend, are_spent),
    "give back": Operation(spend, lambda s, n: s.spent.give_back(requests(n), rid(n)), are_free),
    "register an endpoint": Operation(nothing, registers, is_registered),
    "keep a dead letter": Operation(nothing, lambda s, n: s.endpoints.keep_dead(letter(n)), is_dead),
    "stop": Operation(nothing, stop, always),
}


@pytest.fixture(params=EMULATORS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsBackend]:
    """botocore waits between its attempts for seconds, at random."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)
    with opened_aws(request.param) as backend:
        yield backend


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_at_each_call_of_an_operation(backend: AwsBackend, sweep: Sweep, name: str, fault: str) -> None:
    operation, aws, storage = OPERATIONS[name], backend.aws, backend.storage()
    if name == "stop":
        backend.add_machine()
    await operation.prepare(storage, 0)
    aws.forget()
    await operation.act(storage, 0)
    sites = len(aws.calls)
    for site in sweep.sample(range(sites), 2):
        await fails_once(aws, storage, operation, FAULTS[fault], site, 1 + 2 * site)
        await fails_for_good(aws, storage, operation, FAULTS[fault], site, 2 + 2 * site)
    assert sites > 0
    print(f"{name} under {fault}: {sites} call sites")


async def fails_once(aws: WatchedAws, storage: Storage, operation: Operation, fault: Fault, site: int, n: int) -> None:
    await operation.prepare(storage, n)
    aws.forget()
    aws.fault = lambda index, attempt, request, answer: (
        fault(request, answer) if (index, attempt) == (site, 0) else answer()
    )
    await operation.act(storage, n)
    aws.fault = None
    assert await operation.done(storage, n)


async def fails_for_good(
    aws: WatchedAws, storage: Storage, operation: Operation, fault: Fault, site: int, n: int
) -> None:
    await operation.prepare(storage, n)
    aws.forget()
    aws.fault = lambda index, attempt, request, answer: fault(request, answer) if index >= site else answer()
    try:
        await operation.act(storage, n)
    except StorageUnavailable:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)  # calls that were made beside the one that failed
    else:
        aws.fault = None
        assert await operation.done(storage, n), "it may do without a call that only tidies up"
        return
    aws.fault = None
    before = await operation.done(storage, n)
    try:
        await operation.act(storage, n)
    except (Superseded, ConversationLocked):
        assert before, "only its own work may be in its way"
    assert await operation.done(storage, n)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_large_value_whose_transfer_breaks_is_fetched_once_more(backend: AwsBackend, times: int) -> None:
    class Broken(MockRawResponse):
        def read(self, *_: object, **__: object) -> bytes:
            raise ProtocolError("the connection broke")

    storage, aws = backend.storage(), backend.aws
    await created(storage, 1)
    aws.forget()

    def fault(index: int, attempt: int, request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        response = answer()
        fetched = [call.operation for call in aws.calls[: index + 1]].count("GetObject")
        broken = aws.calls[index].operation == "GetObject" and fetched <= times
        return AWSResponse(request.url, 200, response.headers, Broken("")) if broken else response  # type: ignore[arg-type]

    aws.fault = fault
    if times == 1:
        assert await storage.runs.load(rid(1)) == new_run(1, said=SAID)
    else:
        with pytest.raises(StorageUnavailable):
            await storage.runs.load(rid(1))


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchWriteItem"])
async def test_a_batch_of_which_nothing_is_ever_done_is_given_up(backend: AwsBackend, operation: str) -> None:
    storage, aws = backend.storage(), backend.aws
    await full(storage, 1)
    aws.forget()
    left = "UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"

    def fault(index: int, attempt: int, request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        if aws.calls[index].operation != operation:
            return answer()
        asked = json.loads(request.body or "{}")["RequestItems"]
        return refusal(request, 200, json.dumps({"Responses": {}, left: asked}))

    aws.fault = fault
    with pytest.raises(StorageUnavailable):
        await (storage.store.load([rid(1)]) if operation == "BatchGetItem" else storage.store.delete(rid(1)))
    assert 4 <= [call.operation for call in aws.calls].count(operation) <= 10
    aws.fault = None
    assert await storage.store.load([rid(1)]) == [record_of(1)]
    await storage.store.delete(rid(1))
    assert await storage.store.load([rid(1)]) == [None]
    assert backend.objects() == []


async def test_what_aws_refuses_for_good_is_not_taken_for_an_outage(backend: AwsBackend) -> None:
    storage, aws = backend.storage(), backend.aws
    denied = '{"__type": "com.amazonaws#AccessDeniedException", "Message": "not authorized to dynamodb:UpdateItem"}'
    aws.fault = lambda index, attempt, request, answer: refusal(request, 400, denied)
    with pytest.raises(Refused, match="AccessDeniedException: not authorized"):
        await storage.store.renew(rid(1), 5.0)
    assert len(aws.calls) == 1

"""Idempotency keys: which response a request that is sent again gets, whatever became of the first one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI

from openresponses.core.errors import (
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    StorageUnavailable,
)
from openresponses.core.turn import Turn
from tests.contract.deaths import Life, Replaced, run_until_killed
from tests.contract.machine import House, Killed
from tests.contract.served import client_of, sdk_of
from tests.contract.storage_suite import opened_aws
from tests.contract.test_aws_faults import refusal
from tests.conversations import folded
from tests.sweeps import Sweep
from tests.unit.cases import ANSWER
from tests.unit.kit import Json, Script

ASKED: Json = {"model": "m", "input": "hello"}
KEY = {"idempotency-key": "key"}
PARALLEL = 25
pytestmark = pytest.mark.usefixtures("hurry")
kinds = pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}], ids=["plain", "stream", "queued"])


class Always(Script):
    """Says the same in every turn, after a moment; or refuses with the same error."""

    def __init__(self, error: ProviderError | None = None, seconds: float = 0.0) -> None:
        super().__init__([])
        self._error, self._seconds = error, seconds

    async def stream(self, turn: Turn):  # type: ignore[override]
        self.asked.append(turn)
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        for said in ANSWER:
            assert not isinstance(said, BaseException)
            yield said


async def post(house: House, key: Json = KEY, **request: Any) -> httpx2.Response:
    async with client_of(house) as client:
        return await client.post("/responses", json={**ASKED, **request}, headers=key)


def response_in(answer: httpx2.Response, *, deaths: int = 0) -> Json:
    assert answer.status_code == 200, answer.text
    streamed = answer.headers["content-type"].startswith("text/event-stream")
    return folded(answer.text, deaths=deaths) if streamed else answer.json()


@kinds
async def test_the_same_request_gets_the_same_response(kind: Json) -> None:
    script = Always()
    house = House(script)
    first = response_in(await post(house, **kind))
    await house.idle()
    again = response_in(await post(house, **kind))
    assert again["id"] == first["id"]
    assert len(script.asked) == len(house.ledger.accounts) == 1
    assert response_in(await post(house, {"idempotency-key": "another"}, **kind))["id"] != first["id"]


async def test_another_request_may_not_use_the_key() -> None:
    house = House(Always())
    await post(house)
    answer = await post(house, input="another")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "idempotency_key_reused")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_of_which_nothing_came_gives_its_key_back(stream: bool) -> None:
    house = House(Script([[ProviderUnavailable("down")], ANSWER]))
    assert (await post(house, stream=stream)).status_code == 503
    assert house.shelf.responses == {}
    assert response_in(await post(house, stream=stream))["id"] in house.shelf.responses


@pytest.mark.parametrize("stream", [False, True])
async def test_many_at_once_make_one_response(stream: bool) -> None:
    script = Always(seconds=0.05)
    worker = Replaced(script, Life(pace=3)).worker
    answers = await asyncio.gather(*(post(worker, stream=stream) for _ in range(PARALLEL)))
    assert len({response_in(answer)["id"] for answer in answers}) == 1
    assert len(script.asked) == 1


def refusal_in(answer: httpx2.Response) -> str:
    """The code, and the status. A stream that began, since the refusal took longer than a second, has none."""
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.json()['error']['code']}"
    last = json.loads(answer.text.split("\n\n")[-3].partition("data: ")[2])
    assert last["type"] == "response.failed", last
    return last["response"]["error"]["code"]


REFUSALS: list[ProviderError] = [
    ProviderRejected("The provider refused the request (HTTP 404): no such model"),
    ProviderThrottled("The provider limits our rate"),
    ProviderUnavailable("The provider could not be reached"),
]
every_refusal = pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)


@pytest.mark.parametrize("stream", [False, True])
@every_refusal
async def test_many_at_once_that_are_refused_are_told_so(error: ProviderError, stream: bool) -> None:
    """Each gets the same refusal, or a status on which the SDKs try again."""
    at = Replaced(Always(error, seconds=0.05), Life(pace=3))
    answers = await asyncio.gather(*(post(at.worker, stream=stream) for _ in range(PARALLEL)))
    told = {*map(refusal_in, answers)}
    assert {f"{error.status} {error.code}", error.code} & told
    assert told <= {f"{error.status} {error.code}", "409 first_request_failed", error.code}
    assert error.code in told or at.house.shelf.responses == {}


@pytest.mark.parametrize("seconds", [0.3, 0.7])
async def test_whoever_follows_a_stream_is_told_that_it_was_refused_by_a_status(seconds: float) -> None:
    """As the first is, if its provider takes less than a second to refuse."""
    worker = Replaced(Always(REFUSALS[0], seconds=seconds), Life(pace=3)).worker
    first = asyncio.create_task(post(worker, stream=True))
    await asyncio.sleep(0.05)
    others = await asyncio.gather(*(post(worker, stream=True) for _ in range(3)))
    if (await first).status_code == 400:  # else it took longer than a second, and all of them began
        assert {*map(refusal_in, others)} <= {"400 provider_rejected", "409 first_request_failed"}


@every_refusal
async def test_the_sdk_gets_the_refusal_in_the_end(error: ProviderError) -> None:
    """It tries again by itself on 408, 409, 429 and from 500 on."""

    async def refused(client: AsyncOpenAI) -> int:
        with pytest.raises(APIStatusError) as raised:
            await client.responses.create(**ASKED, extra_headers={"Idempotency-Key": "key"})
        return raised.value.status_code

    worker = Replaced(Always(error, seconds=0.02), Life(pace=3)).worker
    async with sdk_of(worker, retries=1) as client:
        assert {*await asyncio.gather(*(refused(client) for _ in range(5)))} <= {error.status, 409, 503}


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    """Its clock runs, at a minute a second."""

    async def run() -> None:
        while True:
            await asyncio.sleep(0.05)
            house.time += 3

    clock = asyncio.create_task(run())
    yield
    clock.cancel()
    with suppress(asyncio.CancelledError):
        await clock


async def retried(at: Replaced, kind: Json) -> Json:
    """What the same request gets when it is sent again, twice: an answer, once made."""
    house = at.house
    await at.outlive()
    async with running(house), asyncio.timeout(20):
        first = response_in(await post(house, **kind), deaths=1)
        while (again := await house.stored.retrieve(first["id"])).status in ("queued", "in_progress"):
            await asyncio.sleep(0.05)
        assert again.status == "completed"
        assert response_in(await post(house, **kind), deaths=1)["id"] == first["id"]
        await house.idle()
    return again.model_dump(mode="json")


@kinds
@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])
@pytest.mark.parametrize(
    "error", [Killed(), StorageUnavailable("busy")], ids=["its worker is killed", "its storage is gone"]
)
def test_a_request_that_ends_at_any_call_of_its_storage_may_come_again(
    kind: Json, after: bool, error: BaseException
) -> None:
    ended: list[Replaced] = []
    for number in range(100):
        at = Replaced(Always(), Life(last=number, after=after, pace=1, error=error))
        run_until_killed(lambda at=at: post(at.worker, **kind), at.life)
        if not at.life.ended:
            break
        ended.append(at)
    assert len(ended) > 2

    async def sent_again() -> None:
        responses = await asyncio.gather(*(retried(at, kind) for at in ended))
        for at, response in zip(ended, responses, strict=True):
            assert [*at.house.shelf.responses] == [response["id"]], f"{at.life.calls} left another response"

    asyncio.run(sent_again())


@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])
def test_a_worker_that_is_killed_leaves_a_key_in_dynamodb_that_may_come_again(sweep: Sweep, after: bool) -> None:
    with opened_aws() as backend:
        life = Life()
        run_until_killed(lambda: post(Replaced(Always(), life, backend.storage("whole")).worker), life)
        for number in sweep.sample(range(len(life.calls)), 2):
            at = Replaced(Always(), Life(last=number, after=after), backend.storage(f"tenant-{number}"))
            run_until_killed(lambda at=at: post(at.worker), at.life)
            assert at.life.killed
            assert asyncio.run(retried(at, {}))["output"]


def test_transactions_that_meet_at_one_key_are_tried_again() -> None:
    """DynamoDB refuses those that are under way at the same time; botocore does not try them again.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
    """
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}, {"Code": "None"}, {"Code": "None"}]
    name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    conflict = json.dumps({"__type": name, "message": "cancelled", "CancellationReasons": reasons})
    with opened_aws() as backend:
        aws = backend.aws
        aws.fault = lambda index, attempt, request, answer: refusal(request, 400, conflict) if index < 2 else answer()
        at = Replaced(Always(), Life(), backend.storage())
        assert asyncio.run(post(at.worker)).status_code == 200
        assert [call.operation for call in aws.calls][:3] == ["TransactWriteItems"] * 3

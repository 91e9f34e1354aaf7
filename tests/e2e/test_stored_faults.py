"""AWS that throttles and fails, at each call that a request makes of it: seen from the client, over real HTTP.

A call that fails once is tried again, and nobody notices. Where AWS stays away from some call on, the client is told
so: 503 `storage_unavailable` in the standard body, or, once a stream has begun, `error` or `response.failed`. And
afterwards, with AWS back, the response is not there, or it is whole, or whoever reads it sees it go on to its end.

A plain run has a few of these faults, drawn by its seed; `pytest -m sweep` has each (see tests/sweeps.py).
tests/contract/test_aws_faults.py does the same to each operation of storage alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import httpx2
import pytest

from tests.openresponses_schema import check_response
from tests.statemachine.engine_cloud import OVER, AwsCall, Deployment, Json, Reply, Watch, deployed, followed, frames
from tests.stream_checker import TERMINAL, check_stream
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("faults")  # or each worker has sandboxes of its own
Kind: TypeAlias = Literal["throttled", "500", "503"]
KINDS: tuple[Kind, ...] = ("throttled", "500", "503")
AT_ONCE = 8
SAMPLE = 2
LARGE = b64encode(random.Random(1).randbytes(240_000)).decode()
"""Too large for the table: it goes to the bucket."""
_MARK = re.compile(rb"case-[0-9a-f]{8}")


@dataclass(frozen=True)
class Fault:
    """The call number `site`, counted from 0, fails as `kind` says: its first attempt, or all of it and all after."""

    kind: Kind
    site: int
    for_good: bool

    def reply(self, call: AwsCall) -> Reply:
        if call.service == "s3":
            code, status = {"throttled": ("SlowDown", 503), "500": ("InternalError", 500), "503": ("Busy", 503)}[
                self.kind
            ]
            return Reply(status, f"<Error><Code>{code}</Code><Message>sorry</Message></Error>".encode())
        if self.kind != "throttled":
            return Reply(int(self.kind), b'{"__type": "com.amazonaws#InternalServerError", "message": "sorry"}')
        name = "ProvisionedThroughputExceededException" if call.service == "dynamodb" else "ThrottlingException"
        return Reply(400, json.dumps({"__type": f"com.amazonaws#{name}", "message": "slow down"}).encode())


@dataclass
class Case:
    """One response under one fault. `role` is the function whose calls count, while `armed`."""

    role: str
    fault: Fault | None
    mark: str = field(default_factory=lambda: f"case-{random.randbytes(4).hex()}")
    armed: bool = False
    calls: list[str] = field(default_factory=list[str])
    failed: int = 0
    response_id: str = ""


class Faults(Watch):
    """Knows a case by its mark, which is in what is stored of the request, and from then on by its response's id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marked: dict[str, Case] = {}
        self._known: dict[str, Case] = {}
        self._attempts: dict[str, tuple[Case, int]] = {}

    def add(self, case: Case) -> None:
        self._marked[case.mark] = case

    def before(self, call: AwsCall) -> Reply | None:
        with self._lock:
            case = self._case(call)
            if case is None or not case.armed or call.role != case.role:
                return None
            if call.attempt == 0:
                case.calls.append(f"{call.service}:{call.operation}")
            fault, number = case.fault, len(case.calls) - 1
            if fault is None or number < fault.site:
                return None
            if fault.for_good or (number == fault.site and call.attempt == 0):
                case.failed += 1
                return fault.reply(call)
            return None

    def _case(self, call: AwsCall) -> Case | None:
        response_id = call.response_id
        case = self._known.get(response_id)
        if case is None and response_id and (mark := _mark(call)):
            case = self._known[response_id] = self._marked[mark]
            case.response_id = response_id
        return case


def _mark(call: AwsCall) -> str:
    """The mark of the case whose input this call stores."""
    packed = [call.content] if call.service == "s3" else []
    if call.operation == "TransactWriteItems":
        puts = [each["Put"]["Item"] for each in json.loads(call.body)["TransactItems"]]
        packed = [b64decode(value["B"]) for item in puts for value in item.values() if "B" in value]
    for each in packed:
        try:
            found = _MARK.search(zlib.decompress(each))
        except zlib.error:
            continue
        if found:
            return found[0].decode()
    return ""


@dataclass
class Heard:
    """What the client was answered with."""

    status: int
    body: Json = field(default_factory=dict[str, Any])
    events: list[Json] = field(default_factory=list[Json])

    @property
    def said(self) -> str:
        """In a word: ok, or how the failure was told. Asserts that it was told clearly."""
        if self.status != 200:
            assert self.status == 503, (self.status, self.body)
            assert self.body["error"]["code"] == "storage_unavailable", self.body
            assert self.body["error"]["message"]
            return "503"
        if self.events:
            last = self.events[-1]
            numbers = [event["sequence_number"] for event in self.events]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            if last["type"] == "error":
                assert last["error"]["code"] == "storage_unavailable", last
                return "error event"
            assert last["type"] in TERMINAL, last["type"]
            if last["type"] == "response.failed":
                assert last["response"]["error"]["code"] == "storage_unavailable", last["response"]["error"]
                return "response.failed"
        elif "status" in self.body:
            check_response(self.body)
        return "ok"


async def ask(http: httpx2.AsyncClient, method: str, path: str, **options: Any) -> Heard:
    async with http.stream(method, path, **options) as answer:
        if answer.headers["content-type"].startswith("text/event-stream"):
            return Heard(answer.status_code, events=await frames(answer.aiter_lines()))
        return Heard(answer.status_code, json.loads(await answer.aread()))


class Scene:
    """A kind of request: `prepare` comes before the fault, `act` under it."""

    role = "ApiFunction"

    def __init__(self, **request: object) -> None:
        self._request = request

    def body(self, case: Case, **more: object) -> Json:
        asked: Json = {"model": "offline/demo", "input": "Hello.", **self._request, **more}
        return {**asked, "input": f"{asked['input']} {case.mark}"}

    async def prepare(self, http: httpx2.AsyncClient, case: Case) -> None:
        """Nothing needs to be there."""

    async def act(self, http: httpx2.AsyncClient, case: Case) -> Heard:
        return await ask(http, "POST", "/responses", json=self.body(case))

    async def after(self, http: httpx2.AsyncClient, case: Case, heard: Heard) -> None:
        """Asserts more, once AWS is back."""


class Done(Scene):
    """Something is asked of a response that is over."""

    def __init__(self, method: str, path: str = "", **request: object) -> None:
        super().__init__(**request)
        self._method, self._path = method, path

    async def prepare(self, http: httpx2.AsyncClient, case: Case) -> None:
        assert (await ask(http, "POST", "/responses", json=self.body(case))).said == "ok"

    async def act(self, http: httpx2.AsyncClient, case: Case) -> Heard:
        return await ask(http, self._method, f"/responses/{case.response_id}{self._path}")

    async def after(self, http: httpx2.AsyncClient, case: Case, heard: Heard) -> None:
        if self._method == "DELETE":
            if heard.said != "ok":
                again = await ask(http, "DELETE", f"/responses/{case.response_id}")
                assert again.status in (200, 404), again
            assert (await ask(http, "GET", f"/responses/{case.response_id}")).status == 404


class Running(Done):
    """Something is asked of a response that the state machine works on."""

    async def prepare(self, http: httpx2.AsyncClient, case: Case) -> None:
        made = await ask(http, "POST", "/responses", json=self.body(case, background=True, input="[[stall after 3]]"))
        assert made.status == 200
        limit = time.monotonic() + 60
        while (await ask(http, "GET", f"/responses/{case.response_id}")).body["status"] == "queued":
            assert time.monotonic() < limit
            await asyncio.sleep(0.05)

    async def after(self, http: httpx2.AsyncClient, case: Case, heard: Heard) -> None:
        if self._path == "/cancel" and heard.said == "ok":
            assert heard.body["status"] == "cancelled"
        again = await ask(http, "POST", f"/responses/{case.response_id}/cancel")
        if self._path == "/cancel":
            assert again.body["status"] == "cancelled"
        else:
            assert again.status in (200, 404), "deleted in part, or not at all"
        await super().after(http, case, heard)


class InStateMachine(Scene):
    """A response in the background, whose worker is what meets the fault."""

    role = "WorkerFunction"

    def __init__(self, **request: object) -> None:
        super().__init__(background=True, stream=True, **request)


CALCULATOR = [{"type": "serverless:calculator"}]
SCENES: dict[str, Scene] = {
    "create, plain": Scene(),
    "create, plain and large": Scene(input=LARGE),
    "create, stream": Scene(stream=True),
    "create, stream, handed off": Scene(stream=True, input="What is 6 * 7? [[turns 2]]", tools=CALCULATOR),
    "create, background": Scene(background=True),
    "retrieve": Done("GET"),
    "retrieve, large": Done("GET", input=LARGE),
    "resume": Done("GET", "?stream=true"),
    "input_items": Done("GET", "/input_items"),
    "cancel": Running("POST", "/cancel"),
    "delete": Done("DELETE"),
    "delete, large": Done("DELETE", input=LARGE),
    "delete, running": Running("DELETE"),
    "worker": InStateMachine(input="What is 6 * 7?", tools=CALCULATOR),
}


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(env={"OPENRESPONSES_INLINE_TURNS": "1"}, concurrency=AT_ONCE * 3) as deployment:
        yield deployment


@pytest.fixture
async def http(deployment: Deployment) -> AsyncIterator[httpx2.AsyncClient]:
    async with deployment.http() as http:
        yield http


async def played(
    deployment: Deployment, http: httpx2.AsyncClient, faults: Faults, scene: Scene, fault: Fault | None
) -> tuple[Case, Heard]:
    case = Case(scene.role, fault)
    faults.add(case)
    await scene.prepare(http, case)
    case.armed = True
    watching = asyncio.create_task(disarmed_at_the_end(deployment, case))
    heard = await scene.act(http, case)
    case.armed = False
    watching.cancel()
    return case, heard


async def disarmed_at_the_end(deployment: Deployment, case: Case) -> None:
    """AWS is back when the state machine has given the response up: to end it takes minutes of patience otherwise."""
    while not any(
        each.name == case.response_id and each.state == "Settle" for each in deployment.cloud.aws.executions()
    ):
        await asyncio.sleep(0.1)
    case.armed = False


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENES)
async def test_aws_fails_at_each_call_of(
    deployment: Deployment,
    http: httpx2.AsyncClient,
    sweep: Sweep,
    name: str,
    capsys: pytest.CaptureFixture[str],
    record_property: Any,
) -> None:
    deployment.cloud.watch = faults = Faults()
    scene = SCENES[name]
    well, heard = await played(deployment, http, faults, scene, None)
    assert heard.said == "ok"
    await scene.after(http, well, heard)
    sites = list(enumerate(well.calls))
    assert sites
    found: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    few = asyncio.Semaphore(AT_ONCE)

    async def one(fault: Fault, call: str) -> None:
        async with few:
            try:
                case, heard = await played(deployment, http, faults, scene, fault)
                outcome = await judged(deployment, http, scene, case, heard)
                found[("for good" if fault.for_good else "once", outcome)] += 1
            except Exception as error:
                wrong.append(f"{call} {fault}: {type(error).__name__}: {error}")

    plans = [(Fault(kind, n, False), call) for n, call in sites for kind in KINDS]
    plans += [(Fault(KINDS[n % len(KINDS)], n, True), call) for n, call in sites]  # these wait for each retry
    await asyncio.gather(*(one(*plan) for plan in sweep.sample(plans, SAMPLE)))
    table = {f"{when}: {outcome}": count for (when, outcome), count in sorted(found.items())}
    record_property("outcomes", table)
    with capsys.disabled():
        print(f"\n{name}: {len(sites)} call sites; {table}")
    assert wrong == []


async def judged(deployment: Deployment, http: httpx2.AsyncClient, scene: Scene, case: Case, heard: Heard) -> str:
    """Asserts that the client knows where it stands, and that nothing is half-written. Says what it was told."""
    assert case.failed or case.fault is None or case.fault.site >= len(case.calls), "nothing failed"
    said = heard.said
    if case.fault and not case.fault.for_good:
        assert said == "ok", f"one failure was not made good: {said}"
    await scene.after(http, case, heard)
    return f"{said}, then {await what_is_left(deployment, http, case, heard)}"


async def what_is_left(deployment: Deployment, http: httpx2.AsyncClient, case: Case, heard: Heard) -> str:
    if not case.response_id:
        return "absent"
    stored = await ask(http, "GET", f"/responses/{case.response_id}")
    if stored.status == 404:
        assert (await ask(http, "GET", f"/responses/{case.response_id}/input_items")).status == 404
        return "absent"
    assert stored.status == 200, stored
    if (status := stored.body["status"]) not in OVER:
        expire(deployment, case.response_id)
        status = f"{status}, goes on"
    events = await followed(http, case.response_id)
    final = (await ask(http, "GET", f"/responses/{case.response_id}")).body
    assert final["status"] in OVER
    assert check_stream(events, deaths=1) == final
    if heard.events and heard.events[-1]["type"] != "error":  # what was streamed before that may not be in the log
        first = heard.events[0]["sequence_number"]
        assert [*map(without_noise, heard.events)] == [
            *map(without_noise, (e for e in events if e["sequence_number"] >= first))
        ]
    elif heard.status == 200 and heard.body.get("status") in OVER:
        assert heard.body == final
    return status


def without_noise(event: Json) -> Json:
    return {key: value for key, value in event.items() if key != "obfuscation"}


def expire(deployment: Deployment, response_id: str) -> None:
    """Let the lease be over, where there is one: whoever held it is gone, or has told its client so."""
    record = deployment.item(response_id, "record")
    if "N" in record["lease"]:
        deployment.dynamodb.update_item(
            TableName="ResponsesTable",
            Key={"pk": record["pk"], "sk": record["sk"]},
            UpdateExpression="SET lease = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )

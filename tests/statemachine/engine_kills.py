"""Killing the workers of a response at a point that is told beforehand, and judging what became of the response."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import httpx2

from tests.statemachine.engine_cloud import (
    LIMIT_S,
    AwsCall,
    Deployment,
    Json,
    Reply,
    Watch,
    followed,
    log_events,
    shorten,
    without_ids,
)
from tests.stream_checker import TERMINAL, check_stream

Role: TypeAlias = Literal["TurnFunction", "ToolFunction"]
ROLES = ("TurnFunction", "ToolFunction")
OPENING = 1
"""The number of the last event that the API function writes: response.queued."""


@dataclass(frozen=True)
class AtEvent:
    """The Turn worker dies when event `number` is in the log, and nothing after it."""

    number: int


@dataclass(frozen=True)
class AtCall:
    """A worker dies as its `number`th call to AWS within the response, counted from 0, is made: before the call
    takes effect, or after it and before the worker knows.
    """

    role: Role
    number: int
    after: bool


Point: TypeAlias = AtEvent | AtCall


@dataclass
class _Plan:
    point: Point | None
    calls: dict[str, int] = field(default_factory=dict[str, int])
    doomed: AwsCall | None = None
    killed: bool = False


class Killer(Watch):
    """Kills each response's worker once, at the point of its plan. Calls of a response without a plan wait for one."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._plans: dict[str, _Plan] = {}
        self._planned = threading.Condition()
        self.traces: dict[str, list[tuple[str, str]]] = {}

    def plan(self, response_id: str, point: Point | None) -> None:
        with self._planned:
            self._plans[response_id] = _Plan(point)
            self._planned.notify_all()

    def killed(self, response_id: str) -> bool:
        return self._plans[response_id].killed

    def before(self, call: AwsCall) -> Reply | None:
        if call.role not in ROLES or not (response_id := call.response_id):
            return None
        with self._planned:
            self._planned.wait_for(lambda: response_id in self._plans, LIMIT_S)
            plan = self._plans[response_id]
            number = plan.calls.get(call.role, 0)
            plan.calls[call.role] = number + 1
        self.traces.setdefault(response_id, []).append((call.role, f"{call.service}:{call.operation}"))
        if plan.killed or plan.doomed:
            return None
        match plan.point:
            case AtEvent(last) if (events := log_events(call)) is not None:
                return self._at_event(plan, call, events, last)
            case AtCall(role, wanted, after) if role == call.role and number == wanted:
                if not after:
                    return self._strike(plan, call)
                plan.doomed = call
            case _:
                pass
        return None

    def after(self, call: AwsCall) -> None:
        plan = self._plans.get(call.response_id)
        if plan and plan.doomed is call:
            self._strike(plan, call)

    def _at_event(self, plan: _Plan, call: AwsCall, events: list[Json], last: int) -> Reply | None:
        if not events:
            return self._strike(plan, call) if last <= OPENING else None
        if events[0]["sequence_number"] <= last <= events[-1]["sequence_number"]:
            shorten(call, last)
            plan.doomed = call
        return None

    def _strike(self, plan: _Plan, call: AwsCall) -> Reply:
        self._deployment.kill(call.who)
        plan.killed = True
        return Reply(500)


@dataclass
class Outcome:
    response_id: str
    events: list[Json]
    answer: list[Json]
    """The output as the model has seen it: without items of dead turns, and without ids."""
    discarded: int


class Trial:
    """One kind of request, made again and again, with a worker killed at another point each time."""

    def __init__(self, deployment: Deployment, request: Json, calls: int) -> None:
        self._deployment, self._request, self._calls = deployment, request, calls
        self.killer = Killer(deployment)
        deployment.cloud.watch = self.killer
        self.kills = 0
        self.losses: list[str] = []

    async def reference(self) -> Outcome:
        async with self._deployment.http() as http:
            return await self._run(http, None)

    async def run(self, points: list[Point], reference: Outcome, *, at_once: int = 4) -> None:
        few = asyncio.Semaphore(at_once)
        async with self._deployment.http() as http:

            async def one(point: Point) -> None:
                async with few:
                    try:
                        outcome = await self._run(http, point)
                        assert self.killer.killed(outcome.response_id), "nobody was killed"
                        self.kills += 1
                        assert outcome.answer == reference.answer, f"another answer: {outcome.answer}"
                    except Exception as error:
                        self.losses.append(f"{point}: {type(error).__name__}: {error}")

            await asyncio.gather(*map(one, points))

    async def _run(self, http: httpx2.AsyncClient, point: Point | None) -> Outcome:
        counter = f"counter-{uuid.uuid4().hex}-"
        words = self._request["input"].replace("COUNTER", counter)
        answer = await http.post("/responses", json={**self._request, "input": words})
        assert answer.status_code == 200, answer.text
        response_id = answer.json()["id"]
        self.killer.plan(response_id, point)
        await self._ended(response_id)
        events = await followed(http, response_id)
        stored = (await http.get(f"/responses/{response_id}")).json()
        return self._judged(response_id, counter, events, stored)

    async def _ended(self, response_id: str) -> None:
        limit = time.monotonic() + LIMIT_S
        while response_id in self._deployment.running():
            assert time.monotonic() < limit, "the execution does not end"
            await asyncio.sleep(0.1)

    def _judged(self, response_id: str, counter: str, events: list[Json], stored: Json) -> Outcome:
        final = check_stream(events)  # numbered without a gap, items all closed, one terminal event, last
        assert [event["type"] for event in events if event["type"] in TERMINAL] == ["response.completed"]
        assert final == stored, "the log's end is not the response that is stored"
        statuses = {each.name: each.status for each in self._deployment.cloud.aws.executions()}
        assert statuses[response_id] == "SUCCEEDED"
        dead = self._deployment.discarded(response_id)
        alive = [item for item in final["output"] if item["id"] not in dead]
        calls = [item["id"] for item in alive if item["type"] == "serverless:counter"]
        assert len(calls) == self._calls
        acted, value = self._record(response_id, counter)
        assert sorted(acted) == sorted(calls), "not each call's token was acted on once, or another one was"
        assert value == self._calls
        shown = [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in alive]
        return Outcome(response_id, events, without_ids(shown, {counter: "counter"}), len(dead))

    def _record(self, response_id: str, counter: str) -> tuple[list[str], int]:
        """What the tool itself has kept: the tokens that it acted on, and what its counters stand at."""
        table = self._deployment.dynamodb.scan(TableName="ExampleToolTable", ConsistentRead=True)["Items"]
        kept: dict[str, Any] = {item["id"]["S"]: int(item["value"]["N"]) for item in table}
        token = response_id.removeprefix("resp_")
        acted = [key.removeprefix("call/") for key in kept if key.startswith("call/") and token in key]
        return acted, sum(value for key, value in kept.items() if key.startswith(f"counter/{counter}"))

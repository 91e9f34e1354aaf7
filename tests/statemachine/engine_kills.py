"""Killing the worker of a response at a point that is told beforehand, and judging what became of the response."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

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

WORKER = "WorkerFunction"
OPENING = 1
"""The number of the last event that the API function writes: response.queued."""
_SORT_KEY = re.compile(rb'"sk": ?\{"S": ?"(\w+)')


@dataclass(frozen=True)
class AtEvent:
    """The worker dies when event `number` is in the log, and nothing after it."""

    number: int


@dataclass(frozen=True)
class AtCall:
    """The worker dies as the response's `number`th call of this kind to AWS is made, counted from 0: before the call
    takes effect, or after it and before the worker knows.
    """

    kind: str
    number: int
    after: bool


Point: TypeAlias = AtEvent | AtCall


def kind_of(call: AwsCall) -> str:
    """What a worker does with the call; empty for what a timer makes it do: write events, renew its lease."""
    if call.service == "lambda":
        return "call a tool"
    events = log_events(call)
    saves = (
        events is not None and call.operation == "TransactWriteItems"
    )  # with events, or without if a timer was first
    if events or saves or b":lease" in call.body:
        return ""
    found = _SORT_KEY.search(call.body)
    return f"{call.operation} {found[1].decode() if found else ''}".strip()


def calls(trace: Counter[str]) -> list[Point]:
    """Each call of a worker that makes what `trace` has counted."""
    return [AtCall(kind, n, after) for kind in trace for n in range(trace[kind]) for after in (False, True)]


@dataclass
class _Plan:
    point: Point | None
    calls: Counter[str] = field(default_factory=Counter[str])
    doomed: AwsCall | None = None
    killed: bool = False


class Killer(Watch):
    """Kills each response's worker once, at the point of its plan. Calls of a response without a plan wait for one."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._plans: dict[str, _Plan] = {}
        self._planned = threading.Condition()

    def plan(self, response_id: str, point: Point | None) -> None:
        with self._planned:
            self._plans[response_id] = _Plan(point)
            self._planned.notify_all()

    def killed(self, response_id: str) -> bool:
        return self._plans[response_id].killed

    def trace(self, response_id: str) -> Counter[str]:
        """How many calls of each kind were made."""
        return self._plans[response_id].calls

    def before(self, call: AwsCall) -> Reply | None:
        if call.role != WORKER or not (response_id := call.response_id):
            return None
        kind = kind_of(call)
        with self._planned:
            self._planned.wait_for(lambda: response_id in self._plans, LIMIT_S)
            plan = self._plans[response_id]
            number = plan.calls[kind]
            if kind:
                plan.calls[kind] += 1
        if plan.killed or plan.doomed:
            return None
        match plan.point:
            case AtEvent(last) if (events := log_events(call)) is not None:
                return self._at_event(plan, call, events, last)
            case AtCall(wanted, n, after) if (kind, number) == (wanted, n):
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
    """The output, without ids."""


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
        seen = await self._seen(http, {**self._request, "input": words}, point)
        response_id = seen[0]["response"]["id"]
        await self._ended(response_id)
        assert await followed(http, response_id) == seen, "the log is not what the client saw"
        stored = (await http.get(f"/responses/{response_id}")).json()
        return self._judged(response_id, counter, seen, stored)

    async def _seen(self, http: httpx2.AsyncClient, request: Json, point: Point | None) -> list[Json]:
        """What a client sees that holds its connection while the worker dies."""
        events: list[Json] = []
        async with http.stream("POST", "/responses", json=request) as answer:
            assert answer.status_code == 200, (await answer.aread()).decode()
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    events.append(json.loads(line.removeprefix("data: ")))
                    if len(events) == 1:
                        self.killer.plan(events[0]["response"]["id"], point)
        return events

    async def _ended(self, response_id: str) -> None:
        limit = time.monotonic() + LIMIT_S
        while response_id in self._deployment.running():
            assert time.monotonic() < limit, "the execution does not end"
            await asyncio.sleep(0.1)

    def _judged(self, response_id: str, counter: str, events: list[Json], stored: Json) -> Outcome:
        final = check_stream(events, deaths=1)  # items all closed, one terminal event, last
        assert [event["sequence_number"] for event in events] == [*range(len(events))], "a number is left out"
        assert [event["type"] for event in events if event["type"] in TERMINAL] == ["response.completed"]
        assert final == stored, "the log's end is not the response that is stored"
        statuses = {each.name: each.status for each in self._deployment.cloud.aws.executions()}
        assert statuses[response_id] == "SUCCEEDED"
        made = [item["id"] for item in final["output"] if item["type"] == "serverless:counter"]
        assert len(made) == self._calls
        acted, value = self._record(response_id, counter)
        assert sorted(acted) == sorted(made), "not each call's token was acted on once, or another one was"
        assert value == self._calls
        shown = [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in final["output"]]
        return Outcome(response_id, events, without_ids(shown, {counter: "counter"}))

    def _record(self, response_id: str, counter: str) -> tuple[list[str], int]:
        """What the tool itself has kept: the tokens that it acted on, and what its counters stand at. It is taken away,
        or what there is to look through would grow with each trial.
        """
        dynamodb, table = self._deployment.dynamodb, "ExampleToolTable"
        kept = {item["id"]["S"]: item for item in dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]}
        token = response_id.removeprefix("resp_")
        acted = [key for key in kept if key.startswith("call/") and token in key]
        counters = [key for key in kept if key.startswith(f"counter/{counter}")]
        gone = [{"DeleteRequest": {"Key": {"id": {"S": key}}}} for key in acted + counters]
        for n in range(0, len(gone), 25):
            dynamodb.batch_write_item(RequestItems={table: gone[n : n + 25]})
        return [key.removeprefix("call/") for key in acted], sum(int(kept[key]["value"]["N"]) for key in counters)

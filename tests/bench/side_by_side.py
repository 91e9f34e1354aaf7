"""Ours, in turns with a checkout of an earlier version of it: each with its own environment and its own local cloud."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx2
import psutil

from openresponses_dev.local.template.intrinsics import REGION
from tests.bench.figures import Figure, Samples
from tests.bench.measures import Cloud, local_cloud, upstream
from tests.bench.paced import Script
from tests.bench.sandbox import API_KEY, HERE, PATIENCE, SERVER, Checkout, Sandbox, sandbox

INLINE_TURNS = 64
CLOCK: Any = [{"type": "serverless:clock"}]


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of one loop: on the clock, and on the processor, of all the local cloud's processes."""

    wall: float
    cpu: float


@dataclass
class Loops:
    """A local cloud whose functions may take a long loop inline."""

    cloud: Cloud
    http: httpx2.AsyncClient
    step_functions: Any
    state_machine: str

    async def machine(self, turns: int) -> Spent:
        """In the state machine, from the execution's start to its end."""
        cpu = self._cpu()
        answer = await self.http.post("/responses", json=_asked(turns, background=True))
        execution = await self._executed(answer.raise_for_status().json()["id"])
        assert execution["status"] == "SUCCEEDED", execution
        wall = (execution["stopDate"] - execution["startDate"]).total_seconds() * 1e3
        return Spent(wall, self._cpu() - cpu)

    async def inline(self, turns: int) -> Spent:
        """Streamed and stored, from the first event to the last."""
        cpu, arrived = self._cpu(), list[float]()
        async with self.http.stream("POST", "/responses", json=_asked(turns, stream=True)) as reply:
            last = ""
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    arrived.append(time.monotonic())
                    last = line
        assert '"response.completed"' in last, last
        return Spent((arrived[-1] - arrived[0]) * 1e3, self._cpu() - cpu)

    async def _executed(self, name: str) -> Any:
        arn = f"{self.state_machine.replace(':stateMachine:', ':execution:')}:{name}"
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await asyncio.to_thread(lambda: self.step_functions.describe_execution(executionArn=arn))
                if found["status"] != "RUNNING":
                    return found
                await asyncio.sleep(0.05)

    def _cpu(self) -> float:
        root = psutil.Process(self.cloud.pid)
        return sum(sum(each.cpu_times()[:2]) for each in (root, *root.children(recursive=True))) * 1e3


@asynccontextmanager
async def loops(of: Checkout) -> AsyncGenerator[Loops, None]:
    async with local_cloud("http://127.0.0.1:9", of, OPENRESPONSES_INLINE_TURNS=str(INLINE_TURNS)) as cloud:
        headers = {"authorization": f"Bearer {API_KEY}"}
        async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=PATIENCE) as http:
            yield Loops(cloud, http, _step_functions(cloud), cloud.state_machine)


def _step_functions(cloud: Cloud) -> Any:
    has = cloud.configuration
    return boto3.client(
        "stepfunctions",
        region_name=REGION,
        endpoint_url=has["AWS_ENDPOINT_URL"],
        aws_access_key_id=has["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=has["AWS_SECRET_ACCESS_KEY"],
    )


def _asked(turns: int, **more: object) -> dict[str, object]:
    return {"model": "offline/demo", "input": f"[[turns {turns - 1}]] Go.", "tools": CLOCK, **more}


async def loop(rounds: int, baseline: Checkout | None, turns: int = 20) -> list[Figure]:
    """A loop of so many turns with a tool in each but the last: in the state machine, inline, and as it was."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(loops(HERE))
        kinds: list[Callable[[int], Any]] = [ours.machine, ours.inline]
        if baseline:
            before = await stack.enter_async_context(loops(baseline))
            kinds += [before.machine, before.inline]
        spent = [list[Spent]() for _ in kinds]
        for number in range(rounds + 2):
            for kind, found in zip(kinds, spent, strict=True):
                each = await kind(turns)
                if number >= 2:  # the first ones start sandboxes
                    found.append(each)
    walls = [Samples([each.wall for each in found]) for found in spent]
    cpus = [Samples([each.cpu for each in found]) for found in spent]
    inline = "the same loop, inline and stored"
    figures = [
        Figure(f"{turns} turns with a tool in the state machine", "ms", walls[0], walls[1], inline, 6),
        Figure("  CPU time of the local cloud", "ms", cpus[0], cpus[1], inline),
    ]
    if baseline:
        figures += [
            Figure("  on the clock, against before", "ms", walls[0], walls[2], baseline.version, 0.25),
            Figure("  CPU time, against before", "ms", cpus[0], cpus[2], baseline.version),
            Figure("  inline and stored, against before", "ms", walls[1], walls[3], baseline.version),
        ]
    return figures


async def plain(rounds: int, baseline: Checkout | None, deltas: int = 200) -> list[Figure]:
    """A request that is not streamed; processor time of the sandbox alone."""
    if baseline is None:
        return []
    async with (
        upstream("tests.bench.paced") as url,
        local_cloud(url) as cloud,
        sandbox(SERVER, **cloud.configuration) as ours,
        sandbox(SERVER, of=baseline, **cloud.configuration) as theirs,
    ):
        costs = [Samples([]), Samples([])]
        for number in range(rounds + 2):
            for it, samples in zip((ours, theirs), costs, strict=True):
                spent = await _plain(it, Script(tokens=deltas), requests=10)
                if number >= 2:
                    samples.values.append(spent)
    return [Figure(f"CPU of a plain JSON request of {deltas} deltas", "ms", *costs, baseline.version, 0.5)]


async def _plain(it: Sandbox, script: Script, requests: int) -> float:
    """Milliseconds of processor time, of one request."""
    before = it.cpu()
    for _ in range(requests):
        answer = await it.stream(model="fake/model", input=script.input, stream=False, store=False)
        assert script.text[-20:].encode() in b"".join(answer.chunks)
    return (it.cpu() - before) / requests * 1e3

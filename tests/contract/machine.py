"""The state machine in memory: what the ASL does with its one function, without waiting between retries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import replace
from typing import Any

from openresponses.core.answers import answered
from openresponses.core.errors import KitError, ProviderError, StorageUnavailable, Superseded
from openresponses.core.ports import Models as ModelsPort
from openresponses.core.ports import Ports
from openresponses.core.settings import Settings
from openresponses.core.storage import Storage
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.responses.worker import Worker
from openresponses.routing.cipher import TenantMarks
from openresponses.schema.events import StreamEvent
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from tests.unit.kit import Json, Ledger, Models, Script, Tools

RETRIES = 5
LIFE = 900.0
"""Seconds that a worker has."""


async def sealing_keys() -> list[bytes]:
    return [b"k" * 32]


class Killed(BaseException):
    """A worker that is gone between two instructions."""


class House:
    """A deployment in memory: its use cases, and a state machine that runs as soon as it is started."""

    def __init__(
        self,
        script: Script | ModelsPort,
        tools: Tools | None = None,
        *,
        key_id: str = "",
        storage: Storage | None = None,
        tenant: str = "acme",
        **settings: Any,
    ) -> None:
        self.shelf, self.tools = Shelf(), tools or Tools()
        self.settings = replace(Settings(), **settings)
        self.storage = storage or memory_storage(self.shelf, self._start)
        ids = iter(f"{n:032x}" for n in range(1, 1000))
        models = Models(script) if isinstance(script, Script) else script
        self.ledger, self.time = Ledger(), 2.0
        now, marks = lambda: self.time, TenantMarks(sealing_keys, tenant)
        self.ports = Ports(models, self.tools, self.ledger, now, lambda: next(ids), self.storage, marks)
        self.new = NewResponses(self.ports, self.settings, key_id)
        self.stored = StoredResponses(self.ports)
        self.worker_ports: Callable[[], Ports] = lambda: self.ports
        self.executions: list[asyncio.Task[None]] = []
        self.answers: dict[str, asyncio.Future[str]] = {}
        self.deaths = 0

    async def _start(self, response_id: str, generation: int) -> None:
        apart = Context()  # no request waits for its chores
        self.executions.append(asyncio.create_task(self._execute(response_id, generation), context=apart))

    async def _execute(self, response_id: str, generation: int) -> None:
        try:
            while True:
                result = await self._retried(
                    lambda attempt: self.worker().work(response_id, generation, self.time + LIFE, attempt)
                )
                if result["step"] == "park":
                    await asyncio.gather(*(self._parked(response_id, each["id"]) for each in result["calls"]))
                elif result["step"] != "again":
                    return
        except Superseded:
            return
        except KitError as error:
            cause = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})
            await self.worker().settle(response_id, type(error).__name__, cause)

    async def _parked(self, response_id: str, call_id: str) -> None:
        """Ask for a call, and wait until `answers` has what its token is answered with."""
        waiting = asyncio.get_running_loop().create_future()

        async def ask(_: int) -> bool:
            self.answers[token := f"token {len(self.answers)}"] = waiting
            return await self.worker().ask(response_id, call_id, token)

        with suppress(Superseded):
            if await self._retried(ask):
                answer = answered(call_id, await waiting)
                await self._retried(lambda _: self.worker().answer(response_id, answer))

    def worker(self) -> Worker:
        return Worker(self.worker_ports(), self.settings)

    async def _retried(self, task: Callable[[int], Any]) -> Any:
        for attempt in range(RETRIES + 1):
            try:
                return await task(attempt)
            except Killed:
                self.deaths += 1
            except (ProviderError, StorageUnavailable):
                if attempt == RETRIES:
                    raise
        raise AssertionError("a worker died more often than it is retried")

    async def create(self, **request: Any) -> tuple[Json, list[Json]]:
        """The response, and the events that its client saw."""
        asked = CreateResponse.model_validate({"model": "m", "input": "hello", **request})
        run, record = await self.new.accept(asked)
        log = Seen()
        await self.new.respond(run, record, log, seconds=None, committed=lambda: len(log.events) > 2)
        return json.loads(run.response.model_dump_json()), log.events

    async def events(self, response_id: str, after: int = -1) -> list[Json]:
        log = Seen()
        await self.stored.follow(response_id, after, log, seconds=None)
        return log.events

    async def idle(self) -> None:
        await asyncio.gather(*self.executions)


class Seen:
    def __init__(self) -> None:
        self.events: list[Json] = []

    async def __call__(self, event: StreamEvent) -> None:
        self.events.append(json.loads(event.model_dump_json()))

"""Lambda's pollers of streams: each invokes a function with the records that its mapping takes, in batches, and tries
again what fails. One that has nothing to deliver does nothing.

https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from openresponses_dev.local.background import Background
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import MAX_EVENT_BYTES, InvokeError
from openresponses_dev.local.sandbox.events import PATIENCE_S
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.template.event_sources import FOREVER, StreamMapping

MAX_LANES = 2
"""A lane may want a sandbox of its own, which is a process here."""
MAX_WAIT_S = 60.0
"""AWS writes that it waits longer and longer, and not how long."""
Delivered = Callable[[str, Sequence[str]], None]
"""Told the name of a mapping, and the numbers of records that it is done with. Called in another thread."""


@dataclass(frozen=True, slots=True)
class Record:
    number: str
    text: str
    at: float
    """In Unix seconds."""


class Streams:
    """All mappings of these functions. `wait_scale` shortens the delays, for tests."""

    def __init__(
        self, functions: Iterable[Function], background: Background, log: Log, delivered: Delivered, wait_scale: float
    ) -> None:
        self._pollers = {
            mapping.name: Poller(mapping, function, background, log, delivered, wait_scale)
            for function in functions
            for mapping in function.spec.streams
        }

    @property
    def mappings(self) -> list[StreamMapping]:
        return [poller.mapping for poller in self._pollers.values()]

    def put(self, mapping: str, number: str, text: str) -> None:
        self._pollers[mapping].put(number, text)


class Poller:
    """Of one mapping. Records of one item go through one lane, in their order; lanes run side by side."""

    def __init__(
        self,
        mapping: StreamMapping,
        function: Function,
        background: Background,
        log: Log,
        delivered: Delivered,
        wait_scale: float,
    ) -> None:
        self.mapping = mapping
        self._function, self._background, self._log = function, background, log
        self._delivered, self._wait_scale = delivered, wait_scale
        self._lanes: list[list[Record]] = [[] for _ in range(min(mapping.lanes, MAX_LANES))]
        self._running: set[int] = set()

    def put(self, number: str, text: str) -> None:
        told = json.loads(text)["dynamodb"]
        lane = zlib.crc32(json.dumps(told["Keys"]).encode()) % len(self._lanes)
        self._lanes[lane].append(Record(number, text, float(told["ApproximateCreationDateTime"])))
        if lane not in self._running:
            self._running.add(lane)
            self._background.spawn(self._drain(lane), f"stream of {self.mapping.table}")

    async def _drain(self, lane: int) -> None:
        records = self._lanes[lane]
        try:
            while records:
                if self.mapping.window_s and len(records) < self.mapping.batch_size:
                    await asyncio.sleep(self.mapping.window_s * self._wait_scale)
                batch = self._batch(records)
                if not await self._deliver(batch):
                    return
                del records[: len(batch)]
        finally:
            self._running.discard(lane)

    def _batch(self, records: list[Record]) -> list[Record]:
        batch, size = list[Record](), 100
        for record in records[: self.mapping.batch_size]:
            size += len(record.text.encode()) + 2
            if batch and size > MAX_EVENT_BYTES:
                break
            batch.append(record)
        return batch

    async def _deliver(self, batch: list[Record]) -> bool:
        """False if it was stopped."""
        tries = 0
        while batch := await self._young(batch):
            done = await self._invoke(batch)
            if done is None:
                return False
            await self._let_go(batch[:done])
            tries, batch = 0 if done else tries, batch[done:]
            if not batch:
                return True
            if self.mapping.bisects and len(batch) > 1:
                half = len(batch) // 2
                return await self._deliver(batch[:half]) and await self._deliver(batch[half:])
            tries += 1
            if self.mapping.retries != FOREVER and tries > self.mapping.retries:
                await self._give_up(batch)
                return True
            await asyncio.sleep(min(2.0 ** (tries - 1), MAX_WAIT_S) * self._wait_scale)
        return True

    async def _invoke(self, batch: list[Record]) -> int | None:
        """How many of them, from the first one on, are done. None if it was stopped."""
        event = f'{{"Records": [{", ".join(record.text for record in batch)}]}}'
        try:
            call = await self._function.invoke_soon(event.encode(), None, patience_s=PATIENCE_S)
        except InvokeError as error:
            if not self._function.closed:
                self._log.say(f"{self._function.spec.name} for a stream  {error}", failed=True)
            return None if self._function.closed else 0
        body = b"".join([chunk async for chunk in call.chunks()])
        if self._function.closed:
            return None
        if call.error:
            self._log.say(call.summary(f"{len(batch)} records of {self.mapping.table}", "failed"), failed=True)
            return 0
        done = first_failure([record.number for record in batch], body) if self.mapping.reports_items else len(batch)
        if done < len(batch):
            self._log.say(f"{self._function.spec.name}  {len(batch) - done} records are tried again", failed=True)
        return done

    async def _young(self, batch: list[Record]) -> list[Record]:
        if self.mapping.age_s == FOREVER:
            return batch
        limit = time.time() - self.mapping.age_s
        if old := [record for record in batch if record.at < limit]:
            await self._give_up(old)
        return [record for record in batch if record.at >= limit]

    async def _give_up(self, batch: list[Record]) -> None:
        where = f"; AWS would tell {self.mapping.on_failure}" if self.mapping.on_failure else ""
        self._log.say(f"{self._function.spec.name}  {len(batch)} records are given up{where}", failed=True)
        await self._let_go(batch)

    async def _let_go(self, batch: list[Record]) -> None:
        if batch:
            await asyncio.to_thread(self._delivered, self.mapping.name, [record.number for record in batch])


def first_failure(numbers: Sequence[str], body: bytes) -> int:
    """How many records are done before the first one that the function says failed. None is, where what it says can't
    be understood.
    """
    try:
        answer: Any = json.loads(body or b"null")
        failed: list[dict[str, str]] = answer.get("batchItemFailures") or [] if answer else []
        return min((numbers.index(each["itemIdentifier"]) for each in failed), default=len(numbers))
    except (ValueError, LookupError, TypeError, AttributeError):
        return 0

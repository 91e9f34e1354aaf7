"""A connection in memory: its client, the door, and the workers that the door starts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from openresponses.client_keys import ClientKey
from openresponses.core.errors import ConnectionGone, Overloaded
from openresponses.socket import lane as lanes
from openresponses.socket.door import Arrived, Door
from openresponses.socket.envelope import MAX_FRAME, About, Heir, Sent, heir_of
from openresponses.socket.ports import Sockets
from openresponses.storage.memory.sockets import Desk, MemorySockets
from tests.contract.machine import House, Killed
from tests.unit.kit import Json

TERMINAL = ("response.completed", "response.failed", "response.incomplete", "error")
LIFE = 900.0


class Far:
    """A client's end: the frames that it was sent, in order. `pace` is how long one takes."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.gone = self.closed = False
        self.pace = 0.0
        self.came = asyncio.Event()
        self.busy = 0
        self.on_post: Callable[[bytes], None] = lambda _: None

    async def post(self, frame: bytes) -> None:
        assert not self.busy, "frames go out one after the other"
        if self.gone:
            raise ConnectionGone("gone")
        self.busy += 1
        try:
            await asyncio.sleep(self.pace)
        finally:
            self.busy -= 1
        self.on_post(frame)
        self.frames.append(frame)
        self.came.set()

    async def close(self) -> None:
        self.closed = self.gone = True
        self.came.set()

    @property
    def events(self) -> list[Json]:
        return [json.loads(frame) for frame in self.frames]


class Aside:
    """The same client, as the door reaches it: beside a worker."""

    def __init__(self, far: Far) -> None:
        self._far = far

    async def post(self, frame: bytes) -> None:
        if self._far.gone:
            raise ConnectionGone("gone")
        self._far.frames.append(frame)
        self._far.came.set()

    async def close(self) -> None:
        await self._far.close()


class Line:
    """One connection to a house. Each invocation of the worker is a task."""

    def __init__(
        self,
        house: House,
        *,
        connection_id: str = "c1=",
        sockets: Sockets | None = None,
        key: ClientKey | None = None,
        limit: int = MAX_FRAME,
    ) -> None:
        self.house, self.far, self.desk = house, Far(), Desk()
        self.sockets: Sockets = sockets or MemorySockets(self.desk, lambda: house.time)
        self.key = key or ClientKey("k1", "", "acme")
        self.connection_id, self.limit = connection_id, limit
        self.about: About = {"connected": house.time, "endpoint": "https://x/responses", "names": "open_responses"}
        self.tasks: list[asyncio.Task[None]] = []
        self.invoked: list[Heir] = []
        self.said: list[str] = []
        self.refuses_to_start = False
        self.before_work: Callable[[], Awaitable[None]] | None = None
        self.life = LIFE
        self.open_to: Callable[[Sent], lanes.UseCases] = lambda _: self.uses()
        self._ids = iter(f"{n:016x}" for n in range(1, 100_000))
        self.door = Door(self.sockets, Aside(self.far), self._find, self._invoke, lambda: house.time, self._new_id)

    async def open(self) -> Line:
        await self.door.connect(self.about)
        return self

    async def say(self, message: Json | str) -> str:
        """Returns what became of it at the door."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.said.append(text)
        return await self.door.take(
            Arrived(self.connection_id, f"{len(self.said):015d}#m", "acme", self.key.id, self.about["connected"], text)
        )

    async def create(self, said: Any = "hello", **fields: Any) -> list[Json]:
        """One turn: its frames, the last one ends it."""
        return await self.turn({"type": "response.create", "model": "m", "input": said, **fields})

    async def turn(self, message: Json | str) -> list[Json]:
        start = len(self.far.frames)
        await self.say(message)
        await self.until(lambda: any(event["type"] in TERMINAL for event in self.far.events[start:]))
        await self.quiet()
        return self.far.events[start:]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.far.came.clear()
                await self.far.came.wait()

    async def quiet(self) -> None:
        """Every worker is done."""
        while running := [task for task in self.tasks if not task.done()]:
            await asyncio.wait(running)
        for task in self.tasks:
            if task.exception() is not None and not isinstance(task.exception(), Killed):
                raise AssertionError("a worker failed") from task.exception()
        self.tasks.clear()

    async def _find(self, key_id: str) -> ClientKey | None:
        return self.key if key_id == self.key.id else None

    def _new_id(self) -> str:
        return next(self._ids)

    async def _invoke(self, heir: Heir) -> None:
        if self.refuses_to_start:
            raise Overloaded("no")
        self.invoked.append(heir)
        self.tasks.append(asyncio.create_task(self.work(heir)))

    async def work(self, heir: Heir) -> None:
        """What one delivery of an event does."""
        if self.before_work is not None:
            await self.before_work()
        house = lanes.House(
            sockets=self.sockets,
            client=self.far,
            open_to=lambda sent: self.open_to(sent),
            invoke=self._invoke,
            now=lambda: self.house.time,
            tenant="acme",
            names="open_responses",
            limit=self.limit,
        )
        worker = lanes.LaneWorker(house, self.about, heir["lane"], heir["holder"], self.house.time + self.life)
        await worker.work(heir.get("follow"))

    async def replace(self) -> None:
        """What Lambda's destination for failures does."""
        dead = self.invoked[-1]
        heir = heir_of(dead["holder"])
        await self.sockets.pass_on(dead["lane"], dead["holder"], heir, died=True)
        await self._invoke({"lane": dead["lane"], "holder": heir})

    def uses(self) -> lanes.UseCases:
        return lanes.UseCases(self.house.new, self.house.stored)

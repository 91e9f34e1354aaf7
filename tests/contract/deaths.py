"""Workers that are killed: from one instruction to the next, nothing that they do takes effect any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn

from openresponses.core.storage import Storage
from openresponses.schema.events import StreamEvent
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from tests.contract.machine import House, Killed
from tests.unit.kit import Json, Script


@dataclass
class Life:
    """A worker's life. `calls` are those that it made of its storage: `<port>.<method>`.

    It ends when it `die`s, or at its call number `last`, counted from 0: before that takes effect, or `after` it and
    before the worker knows. If another `error` than Killed is given, the worker lives, and all its calls raise that
    from then on. Each call takes `pace` turns of the event loop before it takes effect.
    """

    last: int | None = None
    after: bool = False
    pace: int = 0
    error: BaseException = field(default_factory=Killed)
    calls: list[str] = field(default_factory=list[str])
    ended: bool = False

    @property
    def killed(self) -> bool:
        return self.ended and isinstance(self.error, Killed)

    def die(self) -> NoReturn:
        self.ended = True
        raise self.error

    def over(self, storage: Storage) -> Storage:
        """`storage`, as this worker reaches it."""
        return Storage(**{each.name: _Port(self, each.name, getattr(storage, each.name)) for each in fields(storage)})

    async def call(self, name: str, method: Callable[..., Coroutine[Any, Any, Any]], *given: Any, **more: Any) -> Any:
        self.check()
        number = len(self.calls)
        self.calls.append(name)
        if number == self.last and not self.after:
            self.die()
        for _ in range(self.pace):
            await asyncio.sleep(0)
        self.check()
        result = await method(*given, **more)
        if number == self.last:
            self.die()
        return result

    def check(self) -> None:
        if self.ended:
            raise self.error


class _Port:
    def __init__(self, life: Life, name: str, port: object) -> None:
        self._life, self._name, self._port = life, name, port

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        name, real = f"{self._name}.{method}", getattr(self._port, method)
        return lambda *given, **more: self._life.call(name, real, *given, **more)


@dataclass
class Client:
    """Hears a worker, which dies with the event number `last` on the wire, if there is one."""

    life: Life
    last: int | None = None
    events: list[Json] = field(default_factory=list[Json])

    async def __call__(self, event: StreamEvent) -> None:
        if self.life.killed:
            raise Killed
        self.events.append(event.model_dump(mode="json"))
        if len(self.events) - 1 == self.last:
            self.life.die()


def run_until_killed(work: Callable[[], Coroutine[Any, Any, Any]], life: Life) -> BaseException | None:
    """Run `work` in an event loop of its own, which ends with the worker's life. Returns what `work` raised."""

    async def lived() -> BaseException | None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of tasks that nobody waits for any more
        task = asyncio.ensure_future(work())
        while not task.done() and not life.killed:
            await asyncio.sleep(0)
        await asyncio.wait([task], timeout=0 if life.killed else None)
        return task.exception() if task.done() and not task.cancelled() else None

    return asyncio.run(lived())


class Replaced:
    """A house, and the same as an inline worker has it that may die."""

    def __init__(
        self,
        script: Script,
        life: Life,
        storage: Storage | None = None,
        made: Callable[..., House] = House,
        **settings: Any,
    ) -> None:
        """`storage` may be another than in memory, and a house one that is `made` otherwise. The state machine is the
        house's own.
        """
        self._waiting: list[tuple[str, int]] | None = []
        shelf = Shelf()
        in_memory = memory_storage(shelf, self._start)
        self.house = made(script, storage=replace(storage or in_memory, launcher=in_memory.launcher), **settings)
        self.house.shelf = shelf
        for _ in range(500):
            self.house.ports.new_id()  # or both would make the same ids
        self.life = life
        self.worker = made(script, storage=life.over(self.house.storage), **settings)

    async def _start(self, response_id: str, generation: int) -> None:
        if self._waiting is None:
            await self.house._start(response_id, generation)
        else:
            self._waiting.append((response_id, generation))

    async def outlive(self) -> None:
        """The worker is gone, with its event loop; what it has started begins in this one."""
        started, self._waiting = self._waiting or [], None
        for each in started:
            await self.house._start(*each)

    def stream(self, last: int | None, **request: Any) -> Client:
        """Ask for a stream, and see the worker dead."""
        client = Client(self.life, last)
        asked = CreateResponse.model_validate({"model": "m", "input": "hello", "stream": True, **request})

        async def respond() -> None:
            new = self.worker.new
            run, record = await new.accept(asked)
            await new.respond(run, record, client, seconds=None, committed=lambda: len(client.events) > 2)

        run_until_killed(respond, self.life)
        self.house.time += 60  # its lease is over
        return client

"""Parameters and every storage port in memory, for tests and for trying things out.

Values go in and out as JSON: none is shared.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from pydantic import TypeAdapter

from ..core.errors import Cancelled, Superseded
from ..core.ids import owner
from ..core.ports import Storage, ToolOutput
from ..core.records import Batch, Claim, Record
from ..core.run import Run
from ..schema.events import Event
from ..schema.items import HostedToolCall
from ..schema.response import Response

Started: TypeAlias = Callable[[str, int], Awaitable[None]]


@dataclass
class MemoryParameters:
    """Texts by name."""

    texts: dict[str, str] = field(default_factory=dict[str, str])

    async def get(self, name: str) -> str | None:
        return self.texts.get(name)

    async def names(self, folder: str) -> list[str]:
        return sorted(name.removeprefix(f"{folder}/") for name in self.texts if name.startswith(f"{folder}/"))


@dataclass
class _Kept:
    """One response at rest, as JSON. Deleting it is dropping this."""

    record: str
    run: str
    version: int
    cancelled: bool = False
    outputs: dict[str, ToolOutput] = field(default_factory=dict[str, ToolOutput])
    log: dict[int, bytes] = field(default_factory=dict[int, bytes])


@dataclass
class Shelf:
    """What one tenant has at rest. `started` and `stopped` are (response id, generation), in order."""

    responses: dict[str, _Kept] = field(default_factory=dict[str, _Kept])
    claims: dict[str, Claim] = field(default_factory=dict[str, Claim])
    started: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    stopped: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def kept(self, response_id: str) -> _Kept:
        """Raises Superseded where there is no such response, or no more."""
        if response_id not in self.responses:
            raise Superseded("The response is gone")
        return self.responses[response_id]


def memory_storage(shelf: Shelf | None = None, on_start: Started | None = None) -> Storage:
    """All of `shelf`'s ports. `on_start` is awaited once for each execution that is started."""
    shelf = Shelf() if shelf is None else shelf
    return Storage(
        store=MemoryStore(shelf),
        runs=MemoryRuns(shelf),
        log=MemoryEventLog(shelf),
        launcher=MemoryLauncher(shelf, on_start),
        claims=MemoryClaims(shelf),
    )


class MemoryStore:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def create(self, record: Record, run: Run) -> None:
        if record.response.id in self._shelf.responses:
            raise Superseded("There is a response of this id already")
        kept = _Kept(record.model_dump_json(), _without_context(run), run.version)
        self._shelf.responses[record.response.id] = kept

    async def load(self, response_ids: Sequence[str]) -> list[Record | None]:
        found = [self._shelf.responses.get(each) for each in response_ids]
        return [kept and Record.model_validate_json(kept.record) for kept in found]

    async def renew(self, response_id: str, lease: float | None) -> None:
        kept, record = self._live(response_id)
        if kept.cancelled:
            raise Cancelled("The response was cancelled")
        kept.record = record.model_copy(update={"lease": lease}).model_dump_json()

    async def cancel(self, response_id: str) -> None:
        if response_id in self._shelf.responses:
            self._shelf.responses[response_id].cancelled = True

    async def settle(self, response: Response, discarded: Sequence[str]) -> None:
        kept, record = self._live(response.id)
        final = {"response": response, "discarded": list(discarded)}
        kept.record = record.model_copy(update=final).model_dump_json()

    async def delete(self, response_id: str) -> None:
        self._shelf.responses.pop(response_id, None)

    def _live(self, response_id: str) -> tuple[_Kept, Record]:
        kept = self._shelf.kept(response_id)
        record = Record.model_validate_json(kept.record)
        if record.over:
            raise Superseded("The response is over")
        return kept, record


class MemoryRuns:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self, response_id: str) -> Run | None:
        kept = self._shelf.responses.get(response_id)
        return kept and Run.model_validate_json(kept.run)

    async def save(self, run: Run) -> None:
        kept = self._shelf.kept(run.response.id)
        if kept.version != run.version:
            raise Superseded("The run was saved by another")
        run.version = kept.version = run.version + 1
        kept.run = _without_context(run)

    async def put_output(self, call: HostedToolCall, output: ToolOutput) -> None:
        if (kept := self._of(call)) is not None:
            kept.outputs.setdefault(call.id, output)

    async def outputs(self, calls: Sequence[HostedToolCall]) -> list[ToolOutput | None]:
        return [kept.outputs.get(call.id) if (kept := self._of(call)) is not None else None for call in calls]

    def _of(self, call: HostedToolCall) -> _Kept | None:
        return self._shelf.responses.get(owner(call.id))


class MemoryEventLog:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def append(self, response_id: str, batch: Batch) -> None:
        log = self._shelf.kept(response_id).log
        if batch.number in log:
            raise Superseded("Another worker writes this log")
        log[batch.number] = _events().dump_json(batch.events)

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        kept = self._shelf.responses.get(response_id)
        log = sorted(kept.log.items()) if kept is not None else []
        return [Batch(number, _events().validate_json(events)) for number, events in log if number > after_batch]


class MemoryLauncher:
    def __init__(self, shelf: Shelf, on_start: Started | None) -> None:
        self._shelf, self._on_start = shelf, on_start

    async def start(self, response_id: str, generation: int) -> None:
        if (response_id, generation) in self._shelf.started:
            return
        self._shelf.started.append((response_id, generation))
        if self._on_start is not None:
            await self._on_start(response_id, generation)

    async def stop(self, response_id: str, generation: int) -> None:
        self._shelf.stopped.append((response_id, generation))


class MemoryClaims:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def claim(self, key: str, claim: Claim) -> Claim:
        return self._shelf.claims.setdefault(key, claim)

    async def release(self, key: str, claim: Claim) -> None:
        if self._shelf.claims.get(key) == claim:
            del self._shelf.claims[key]


def _without_context(run: Run) -> str:
    return run.model_dump_json(exclude={"context"})


@cache
def _events() -> TypeAdapter[list[Event]]:
    return TypeAdapter(list[Event])

"""Connections of the WebSocket API in memory, for tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...core.errors import Superseded

START_SECONDS, LEASE_SECONDS = 60.0, 30.0


@dataclass
class _Lane:
    queue: list[str] = field(default_factory=list[str])
    holder: str = ""
    lease: float = 0.0
    begun: bool = False
    current: str | None = None
    ending: bool = False
    newest: str | None = None


@dataclass
class Desk:
    """What is kept of one connection."""

    about: bytes | None = None
    lanes: dict[str, _Lane] = field(default_factory=dict[str, _Lane])
    messages: dict[str, bytes] = field(default_factory=dict[str, bytes])
    memories: dict[str, bytes] = field(default_factory=dict[str, bytes])


class MemorySockets:
    def __init__(self, desk: Desk, now: Callable[[], float], *, most_lanes: int = 16, most_waiting: int = 16) -> None:
        self._desk, self._now = desk, now
        self._most_lanes, self._most_waiting = most_lanes, most_waiting

    async def open(self, about: bytes) -> None:
        self._desk.about = about

    async def about(self) -> bytes | None:
        return self._desk.about

    async def close(self) -> None:
        desk = self._desk
        desk.about = None
        for kept in (desk.lanes, desk.messages, desk.memories):
            kept.clear()

    async def add(
        self, lane: str, message_id: str, message: bytes, holder: str
    ) -> Literal["held", "queued", "full", "gone"]:
        desk = self._desk
        if desk.about is None:
            return "gone"
        if lane not in desk.lanes:
            if len(desk.lanes) >= self._most_lanes:
                return "full"
            desk.lanes[lane] = _Lane()
        at = desk.lanes[lane]
        if len(at.queue) >= self._most_waiting:
            return "full"
        at.queue.append(message_id)
        desk.messages[message_id] = message
        if at.lease >= self._now():
            return "queued"
        at.holder, at.lease, at.begun = holder, self._now() + START_SECONDS, False
        return "held"

    async def withdraw(self, lane: str, holder: str) -> list[str]:
        at = self._desk.lanes.get(lane)
        if at is None or at.holder != holder or at.begun:
            return []
        waiting, at.queue, at.holder, at.lease = at.queue, list[str](), "", 0.0
        for message_id in waiting:
            self._desk.messages.pop(message_id, None)
        return waiting

    async def begin(self, lane: str, holder: str, *, resumes: bool) -> Literal["in_order", "died", "doubtful"]:
        at = self._held(lane, holder)
        if at.begun:
            raise Superseded("This holder has begun already")
        at.begun, at.lease = True, self._now() + LEASE_SECONDS
        if resumes:
            return "in_order"
        return "doubtful" if at.ending else "died" if at.current is not None else "in_order"

    async def renew(self, lane: str, holder: str) -> None:
        self._held(lane, holder).lease = self._now() + LEASE_SECONDS

    async def next(self, lane: str, holder: str) -> tuple[str, bytes] | None:
        at = self._held(lane, holder)
        at.ending = False
        if not at.queue:
            at.holder, at.lease = "", 0.0
            return None
        at.current = min(at.queue, key=lambda message_id: message_id.partition("#")[0])
        at.queue.remove(at.current)
        return at.current, self._desk.messages.get(at.current, b"")

    async def message(self, message_id: str) -> bytes | None:
        return self._desk.messages.get(message_id)

    async def settle(self, lane: str, holder: str, response_id: str | None = None, memory: bytes | None = None) -> None:
        at = self._held(lane, holder)
        if at.current is not None:
            self._desk.messages.pop(at.current, None)
        at.current, at.ending = None, True
        if response_id is None:
            return
        if at.newest is not None:
            self._desk.memories.pop(at.newest, None)
        at.newest = response_id
        if memory is not None:
            self._desk.memories[response_id] = memory

    async def pass_on(self, lane: str, holder: str, heir: str, *, died: bool = False) -> None:
        at = self._held(lane, holder)
        at.ending = at.ending and died
        at.holder, at.lease, at.begun = heir, self._now() + START_SECONDS, False

    async def recall(self, response_id: str) -> bytes | None:
        return self._desk.memories.get(response_id)

    async def forget(self, response_id: str) -> None:
        self._desk.memories.pop(response_id, None)

    def _held(self, lane: str, holder: str) -> _Lane:
        at = self._desk.lanes.get(lane)
        if at is None or at.holder != holder:
            raise Superseded("The lane is another's")
        return at

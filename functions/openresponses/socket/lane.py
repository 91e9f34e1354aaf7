"""One lane of a connection: its messages, one after the other, each with its frames and exactly one last frame.

A turn ends at rest before its last frame goes out. So a worker that dies before that is told of by an error frame of
the next one, and a client never gets two last frames. If the worker dies in between, nobody knows whether that frame is
out. The connection is closed then: a client that waits must not wait for ever, and one that got it must get no other.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple, TypeGuard

from .. import telemetry
from ..core.afterwards import afterwards
from ..core.errors import (
    Cancelled,
    ConnectionGone,
    ConnectionTooOld,
    KitError,
    StorageUnavailable,
    Superseded,
    WorkerDied,
)
from ..core.loading import MAX_CONTEXT
from ..core.ports import Sink
from ..core.records import Record
from ..core.run import Run
from ..core.settings import EventNames
from ..responses.before import Remembered, memory_of
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from ..schema.events import StreamEvent, Terminal
from .envelope import LIFE, About, Follow, Heir, Sent, error_frame, heir_of
from .frames import Form, Outbox
from .messages import CreateMessage, parse
from .ports import Client, Sockets

RENEW_SECONDS = 10.0
FRESH = 2 / 3
"""The part of an invocation's time that must be left for another message: a response that is not stored has no more."""
RESERVE = 15.0
"""Seconds of an invocation that are kept for the last frames, and to pass the lane on."""


class UseCases(NamedTuple):
    new: NewResponses
    stored: StoredResponses


class House(NamedTuple):
    """What a lane's worker needs. `open_to` gives what the sender of a message may use, `invoke` starts a holder.

    `names` are those of events, `limit` is the most bytes of a frame.
    """

    sockets: Sockets
    client: Client
    open_to: Callable[[Sent], UseCases]
    invoke: Callable[[Heir], Awaitable[None]]
    now: Callable[[], float]
    tenant: str
    names: EventNames
    limit: int


class LaneWorker:
    """One invocation, which holds a lane. `ends`, in Unix seconds, is when it has to be over."""

    def __init__(self, house: House, about: About, lane: str, holder: str, ends: float) -> None:
        self._house, self._about, self._lane, self._holder = house, about, lane, holder
        self._sockets, self._client = house.sockets, house.client
        self._began, self._ends = house.now(), ends - RESERVE

    async def work(self, follow: Follow | None = None) -> None:
        """Answer the lane's messages until none waits, or too little time is left."""
        with suppress(Superseded, ConnectionGone):
            try:
                await self._work(follow)
            except ConnectionGone:  # or a frame was lost, or may be: the client hears of it by the end
                await self._client.close()

    async def _work(self, follow: Follow | None) -> None:
        found = await self._sockets.begin(self._lane, self._holder, resumes=follow is not None)
        async with self._held():
            if found == "doubtful":
                raise ConnectionGone("The client may miss the end of a response")
            if found == "died":
                await self._sockets.settle(self._lane, self._holder)
                await self._refuse(WorkerDied("The server lost the worker of this response: send the message again"))
            if follow is None or await self._go_on(follow):
                await self._answer_all()

    @asynccontextmanager
    async def _held(self) -> AsyncGenerator[None, None]:
        """Renews the lease. If the lane is lost, the block ends: another worker may have the client's ear."""
        task = asyncio.current_task()
        assert task is not None
        lost = False

        async def renew() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(RENEW_SECONDS)
                try:
                    await self._sockets.renew(self._lane, self._holder)
                except StorageUnavailable:
                    continue
                except Superseded:
                    lost = True
                    task.cancel()
                    return

        renewing = asyncio.create_task(renew())
        try:
            yield
        except asyncio.CancelledError:
            if not lost:
                raise
            task.uncancel()
        finally:
            renewing.cancel()

    async def _answer_all(self) -> None:
        while self._house.now() < self._began + (self._ends - self._began) * (1 - FRESH):
            taken = await self._sockets.next(self._lane, self._holder)
            if taken is None:
                return
            message_id, sent = taken
            if not await self._answer(message_id, json.loads(sent)):
                return
            if self._house.now() > self._about["connected"] + LIFE:
                await self._refuse(ConnectionTooOld("This connection is 60 minutes old: connect again"))
                await self._client.close()
                return
        await self._pass_on()

    async def _pass_on(self, follow: Follow | None = None) -> None:
        heir = heir_of(self._holder)
        await self._sockets.pass_on(self._lane, self._holder, heir)
        next_holder: Heir = {"lane": self._lane, "holder": heir}
        await self._house.invoke({**next_holder, "follow": follow} if follow else next_holder)

    async def _answer(self, message_id: str, sent: Sent) -> bool:
        """Whether this worker keeps the lane."""
        use = self._house.open_to(sent)
        watch = telemetry.Watch(message_id, self._house.tenant, sent["key_id"])
        asked: CreateMessage | None = None
        try:
            asked = parse(sent["text"])
            run, record = await use.new.accept(asked, self._recall, generate=asked.generate is not False)
        except Exception as error:
            await self._fail(message_id, error, asked)
            return True
        turn = _Turn(self, asked, run, record, watch)
        outbox = turn.outbox
        seconds = max(0.1, self._ends - self._house.now())
        failure: Exception | None = None
        async with afterwards(partial(telemetry.crashed, message_id)), outbox:
            try:
                await use.new.respond(run, record, turn.sink, seconds=seconds, committed=outbox.committed)
            except Exception as error:
                failure = error
            if failure is not None and outbox.begun and not outbox.ended and run.response.store and _ours(failure):
                failure = await self._follow(use, run.response.id, outbox, turn.sink)
        if outbox.begun:
            telemetry.requested(watch, run)
        if outbox.detached and not outbox.ended and not outbox.gone:
            await self._pass_on({"response_id": run.response.id, "after": outbox.last, "message_id": message_id})
            return False
        if outbox.gone:
            raise ConnectionGone("The client has left")
        if failure is not None and not outbox.ended:
            await self._fail(message_id, failure, asked)
        elif failure is not None and not _ours(failure):
            telemetry.crashed(message_id, failure)
        return True

    async def _follow(self, use: UseCases, response_id: str, outbox: Outbox, sink: Sink) -> Exception | None:
        """Send what comes of a stored response that another worker makes."""
        seconds = max(0.1, self._ends - self._house.now())
        try:
            await use.stored.follow(response_id, outbox.last, sink, seconds=seconds)
        except Exception as error:
            return error
        return None

    async def _go_on(self, follow: Follow) -> bool:
        """Whether this worker keeps the lane."""
        message, response_id = await self._sockets.message(follow["message_id"]), follow["response_id"]
        if message is None:
            raise ConnectionGone("The connection is closed")
        sent: Sent = json.loads(message)
        use, asked = self._house.open_to(sent), parse(sent["text"])

        async def ended(event: Terminal) -> bool:
            return await self.settled(asked, event, None)

        outbox = Outbox(self._client.post, self.form(asked), lambda: response_id, ended, lambda: None)
        outbox.last = follow["after"]
        async with outbox:
            failure = await self._follow(use, response_id, outbox, outbox)
        if outbox.gone:
            raise ConnectionGone("The client has left")
        if outbox.detached and not outbox.ended:
            await self._pass_on({**follow, "after": outbox.last})
            return False
        if failure is not None and not outbox.ended:
            await self._fail(follow["message_id"], failure, asked)
        return True

    async def post(self, frame: bytes) -> None:
        await self._client.post(frame)

    def form(self, asked: CreateMessage) -> Form:
        return Form(self._lane, self._about["names"] or self._house.names, asked.include or (), self._house.limit)

    async def settled(self, asked: CreateMessage, event: Terminal, memory: Remembered | None) -> bool:
        """The turn is over at rest; False if the lane is another worker's by now, which has told the client so."""
        response = event.response
        if response.status == "failed":
            await self._evict(asked)
        try:
            packed = memory.model_dump_json().encode() if memory else b""
            kept = packed if 0 < len(packed) <= MAX_CONTEXT else None
            await self._sockets.settle(self._lane, self._holder, response.id, kept)
        except Superseded:
            return False
        return True

    async def _fail(self, message_id: str, error: Exception, asked: CreateMessage | None) -> None:
        """End a turn that has no response with an error frame."""
        if _ours(error):
            telemetry.refused(message_id, error)
        else:
            telemetry.crashed(message_id, error)
            error = KitError("The server had an error while processing the request")
        if asked is not None:
            await self._evict(asked)
        await self._sockets.settle(self._lane, self._holder)
        await self._refuse(error)

    async def _evict(self, asked: CreateMessage) -> None:
        """A continuation that failed is not tried again from the connection's memory: the specification says so."""
        if asked.previous_response_id is not None:
            await self._sockets.forget(asked.previous_response_id)

    async def _recall(self, response_id: str) -> Remembered | None:
        memory = await self._sockets.recall(response_id)
        return None if memory is None else Remembered.model_validate_json(memory)

    async def _refuse(self, error: KitError) -> None:
        await self._client.post(error_frame(error, self._lane))


class _Turn:
    """A response that is made for a message. One that is not stored ends when its client has left."""

    def __init__(
        self, worker: LaneWorker, asked: CreateMessage, run: Run, record: Record, watch: telemetry.Watch
    ) -> None:
        self._worker, self._asked, self._run, self._record = worker, asked, run, record
        self._cancelled = False
        self.outbox = Outbox(worker.post, worker.form(asked), self._stored, self._ended, watch.mark_first_byte)

    def _stored(self) -> str | None:
        return self._run.response.id if self._run.response.store else None

    async def _ended(self, event: Terminal) -> bool:
        kept = not self._run.response.store and event.response.status in ("completed", "incomplete")
        return await self._worker.settled(self._asked, event, memory_of(self._run, self._record) if kept else None)

    async def sink(self, event: StreamEvent) -> None:
        if self.outbox.gone and not self._run.response.store and not self._cancelled:
            self._cancelled = True
            raise Cancelled("The client has left")
        await self.outbox(event)


def _ours(error: Exception) -> TypeGuard[KitError]:
    return isinstance(error, KitError)

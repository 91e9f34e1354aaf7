"""A turn's events as frames: in order, deltas joined where the client is slower than the model, none too large.

A frame is one event. It costs a round trip, and a message's price: a delta goes out at once where none went before it
for `JOINED_SECONDS`, and waits so long otherwise. The deltas of one text that wait are sent as one, with the last one's
number, so that a client which resumes after it gets the rest, and nothing twice. Whatever else comes ends the wait.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Literal

from ..core.errors import ConnectionGone
from ..core.reducer import TERMINAL
from ..core.settings import EventNames
from ..responses.view import shown_event
from ..responses.written import written
from ..schema.base import SLUG, Wire
from ..schema.events import (
    ArgumentsDelta,
    Detached,
    Lifecycle,
    OutputTextDelta,
    ReasoningDelta,
    RefusalDelta,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    StreamEvent,
    SummaryTextDelta,
    Terminal,
    TextDelta,
    like,
)
from ..schema.items import Item
from ..schema.response import IncompleteDetails, Response

GRACE = 1.0
"""Seconds for which the opening events wait for the provider's first word, as on HTTP: a request that it refuses is
answered with an error frame, and leaves no response behind."""
JOINED_SECONDS = 0.05
"""No eye sees it, and a model that says 60 tokens a second costs a third."""
TOO_LARGE = f"{SLUG}:too_large"
_DELTAS = (OutputTextDelta, RefusalDelta, ReasoningDelta, SummaryTextDelta, ArgumentsDelta)
_LIFECYCLE = (ResponseCreated, ResponseInProgress, *TERMINAL)
_ECHOED: tuple[dict[str, object], ...] = (
    {"tools": [], "instructions": None, "prompt": None},
    {"tool_choice": "auto", "metadata": {}},
)
"""What a response repeats of its request, and what is shown of it where it does not fit."""
_ESCAPED = 6
"""Bytes of a character at most, as JSON: `\\u0000`."""
_ENVELOPE = 4096
"""Bytes of a delta's frame besides its text, at most: its item's id and the lane's name are not longer."""


class Omitted(Wire):
    """Our extension: an event is larger than a frame may be. `event` is its type. `resume` is the path of the response
    that it belongs to, relative to the client's base URL; null if the response is not stored.
    """

    type: Literal["serverless:omitted"] = "serverless:omitted"
    sequence_number: int
    event: str
    size: int
    resume: str | None


class Form:
    """How a turn's events are written. `limit` is the most bytes of a frame."""

    def __init__(self, lane: str, names: EventNames, include: Collection[str], limit: int) -> None:
        self._names: EventNames = names
        self._include, self._limit = frozenset(include), limit
        self._lane = f',"stream_id":{json.dumps(lane)}' if lane else ""
        self.piece = max(1, (limit - _ENVELOPE) // _ESCAPED)
        """Characters of a delta that surely fit."""

    def frames(self, event: StreamEvent, stored: str | None) -> list[bytes]:
        """The frames of an event of a response. `stored` is its id, if it is stored."""
        if isinstance(event, _DELTAS) and len(event.delta) > self.piece:
            pieces = range(0, len(event.delta), self.piece)
            return [self._frame(like(event, event.delta[at : at + self.piece])) for at in pieces]
        shown = shown_event(event, self._include)
        frame = self._frame(shown)
        if len(frame) <= self._limit:
            return [frame]
        path = f"responses/{stored}" if stored else None
        if isinstance(shown, _LIFECYCLE):
            return [self._smaller(shown, path)]
        omitted = Omitted(sequence_number=event.sequence_number, event=event.type, size=len(frame), resume=path)
        return [f"{{{omitted.model_dump_json()[1:-1]}{self._lane}}}".encode()]

    def _frame(self, event: StreamEvent) -> bytes:
        return f"{{{written(event, self._names)[1]}{self._lane}}}".encode()

    def _smaller(self, event: Lifecycle, path: str | None) -> bytes:
        """Without what the client sent itself; then, if it must be, without the items that are largest."""
        response, frame = event.response, b""
        for echoed in _ECHOED:
            response = response.model_copy(update=echoed)
            frame = self._frame(event.model_copy(update={"response": response}))
            if len(frame) <= self._limit:
                return frame
        if not isinstance(event, TERMINAL):
            return frame
        sizes = [len(item.model_dump_json().encode()) for item in response.output]
        kept, excess = set(range(len(sizes))), len(frame) + _ENVELOPE - self._limit
        for index in sorted(kept, key=lambda each: -sizes[each]):
            if excess > 0:
                kept.remove(index)
                excess -= sizes[index]
        return self._frame(_cut(event, response, [response.output[index] for index in sorted(kept)], path))


def _cut(event: Terminal, response: Response, output: list[Item], path: str | None) -> Terminal:
    """A completed response that lacks items is shown as incomplete: who reads nothing else must not miss them."""
    where = f"get it by GET /v1/{path}" if path else "it is not stored, so send the request over HTTP"
    message = f"The response is complete, but larger than a frame may be: {where}"
    if isinstance(event, ResponseFailed):
        return event.model_copy(update={"response": response.model_copy(update={"output": output})})
    told = {"status": "incomplete", "incomplete_details": IncompleteDetails(reason=TOO_LARGE, message=message)}
    told |= {"completed_at": None} if isinstance(event, ResponseCompleted) else {}
    shown = response.model_copy(update={"output": output, **told})
    return ResponseIncomplete(sequence_number=event.sequence_number, response=shown)


class Outbox:
    """The sink of a turn, within `async with`. It sends beside the response being made, and never makes it wait.

    `on_end` is awaited when all but the last event is sent: it says whether that may be, too. `on_first` is called
    once, when the first one goes. When the client has left, `gone` is set, and nothing more is sent.
    """

    def __init__(
        self,
        post: Callable[[bytes], Awaitable[None]],
        form: Form,
        stored: Callable[[], str | None],
        on_end: Callable[[Terminal], Awaitable[bool]],
        on_first: Callable[[], None],
    ) -> None:
        self._post, self._form, self._stored = post, form, stored
        self._on_end, self._on_first = on_end, on_first
        self._waiting: deque[StreamEvent] = deque()
        self._more = asyncio.Event()
        self._over = False
        self._quiet_until = 0.0  # of the loop's clock
        self.begun = self.gone = False
        self.ended = False
        """Whether the last event has come."""
        self.last = -1
        """The number of the last event."""
        self.detached = False

    async def __aenter__(self) -> "Outbox":
        self._task = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        """All frames are out then. An error that leaves the block drops them."""
        if error is not None:
            self._task.cancel()
        self._over = True
        self._more.set()
        with suppress(asyncio.CancelledError):
            await self._task

    def committed(self) -> bool:
        """Whether the client has seen any of the response. It is asked when the response fails: if the client has not,
        it never will.
        """
        if not self.begun:
            self._drop()
        return self.begun

    def _drop(self) -> None:
        self._waiting.clear()
        self._over = True
        self._more.set()

    async def __call__(self, event: StreamEvent) -> None:
        if isinstance(event, Detached):
            self.detached = True
            return
        self.last = event.sequence_number
        self.ended = self.ended or isinstance(event, TERMINAL)
        if self._over:
            return
        if not self._joined(event):
            self._waiting.append(event)
        self._more.set()

    def _joined(self, event: StreamEvent) -> bool:
        """Whether the event is part of the last one that waits."""
        if not (self._waiting and isinstance(event, _DELTAS) and _continues(self._waiting[-1], event)):
            return False
        before = self._waiting[-1]
        assert isinstance(before, _DELTAS)
        if len(before.delta) + len(event.delta) > self._form.piece:
            return False
        self._waiting[-1] = like(event, before.delta + event.delta)
        return True

    async def _send_all(self) -> None:
        await self._wait_for_first()
        while self._waiting or not self._over:
            if not self._waiting:
                self._more.clear()
                await self._more.wait()
                continue
            await self._gather()
            event = self._waiting.popleft()
            if not self.begun:
                self.begun = True
                self._on_first()
            if isinstance(event, TERMINAL) and not await self._on_end(event):
                return
            if not self.gone:
                await self._send(event)

    async def _gather(self) -> None:
        """A delta waits for more of its text, as long as nothing else comes."""
        now = asyncio.get_running_loop().time
        while self._is_lone_delta() and now() < self._quiet_until:
            self._more.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._quiet_until):
                    await self._more.wait()
        if isinstance(self._waiting[0], _DELTAS):
            self._quiet_until = now() + JOINED_SECONDS

    def _is_lone_delta(self) -> bool:
        return len(self._waiting) == 1 and isinstance(self._waiting[0], _DELTAS) and not self._over

    async def _send(self, event: StreamEvent) -> None:
        try:
            for frame in self._form.frames(event, self._stored()):
                await self._post(frame)
        except ConnectionGone:
            self.gone = True

    async def _wait_for_first(self) -> None:
        """Until there is more than that the response begins, or the client has waited long enough to hear of it."""
        opening = (ResponseCreated, ResponseInProgress)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while not self._over and all(isinstance(each, opening) for each in self._waiting):
                    self._more.clear()
                    await self._more.wait()
        while not self._waiting and not self._over:
            self._more.clear()
            await self._more.wait()


def _continues(before: StreamEvent, event: TextDelta) -> bool:
    """Whether both say something of the same text."""
    if type(before) is not type(event):
        return False
    one, other = vars(before), vars(event)
    if one.get("logprobs") or other.get("logprobs"):
        return False
    return all(one[name] == other[name] for name in one if name not in ("delta", "sequence_number", "obfuscation"))

"""One invocation: the event becomes an ASGI request, and what the app sends becomes the response."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from .asgi import App, Message, Scope
from .client import Client, Invocation, RefusedError
from .context import LambdaContext
from .events import MalformedEventError, request_of
from .faults import Fault, log
from .writers import Buffered, ResponseWriter, Streamed

# At its deadline the sandbox is killed: the app is stopped this much earlier, to report the error.
GRACE_SECONDS = 0.25
NO_RESPONSE = Fault("Runtime.NoResponse", "the application returned without a response")
INCOMPLETE = Fault("Runtime.IncompleteResponse", "the application returned before the end of its response")


async def serve(app: App, client: Client, invocation: Invocation, state: dict[str, Any], buffer: bool) -> None:
    """Answer one invocation, whatever the app does. Raises only if cancelled."""
    context = LambdaContext(invocation)
    writer: ResponseWriter = Buffered(client, invocation) if buffer else Streamed(client, invocation)
    try:
        scope, body = request_of(invocation.payload, context, state)
    except MalformedEventError as error:
        fault, complete = Fault.of(error), False
    else:
        cycle = Cycle(body, writer)
        fault = await cycle.run(app, scope, context)
        complete = cycle.complete
    if fault is not None:
        log("ERROR", "the invocation failed", fault, requestId=invocation.id)
    try:
        await writer.end(None if complete else fault)
    except (OSError, EOFError, RefusedError) as error:
        client.close()
        log("WARN", f"the Runtime API refused the response: {error}", requestId=invocation.id)


class _Phase(Enum):
    HEADERS = 0
    BODY = 1
    COMPLETE = 2


_BODY = _Phase.BODY  # an enum's attribute costs as much as a write to a list


class Cycle:
    """One ASGI request and response. https://asgi.readthedocs.io/en/latest/specs/www.html"""

    def __init__(self, body: bytes, writer: ResponseWriter) -> None:
        self._body: bytes | None = body
        self._writer = writer
        self._phase = _Phase.HEADERS
        self._completed = asyncio.Event()

    @property
    def complete(self) -> bool:
        return self._phase is _Phase.COMPLETE

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._completed.wait()  # Lambda never tells that a client left: this comes after the response
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body" and self._phase is _BODY:
            last = not message.get("more_body", False)
            await self._writer.write(message.get("body", b""), last)
            if last:
                self._phase = _Phase.COMPLETE
                self._completed.set()
        elif kind == "http.response.start" and self._phase is _Phase.HEADERS:
            await self._writer.start(message["status"], [(bytes(k), bytes(v)) for k, v in message.get("headers", ())])
            self._phase = _Phase.BODY
        else:
            raise RuntimeError(f"{kind} out of order: the response is at its {self._phase.name}")

    async def run(self, app: App, scope: Scope, context: LambdaContext) -> Fault | None:
        """Run the app until it returns, raises or reaches its deadline. Returns what went wrong, None if nothing."""
        deadline = asyncio.timeout(_seconds_left(context))
        try:
            async with deadline:
                await app(scope, self.receive, self.send)
        # SystemExit too: a handler may not end the sandbox.
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if deadline.expired():
                message = f"cancelled {context.get_remaining_time_in_millis()} ms before the deadline"
                return Fault("Function.TimeoutError", message, Fault.of(error).stack)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            return Fault.of(error)
        return {_Phase.HEADERS: NO_RESPONSE, _Phase.BODY: INCOMPLETE, _Phase.COMPLETE: None}[self._phase]


def _seconds_left(context: LambdaContext) -> float | None:
    if not context.deadline_ms:
        return None
    remaining = context.get_remaining_time_in_millis() / 1000
    return remaining - min(GRACE_SECONDS, remaining / 2)

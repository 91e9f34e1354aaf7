"""The Lambda Runtime API of one sandbox, on loopback: what a runtime polls and answers to.

It knows the protocol and nothing of API Gateway, of preludes or of processes, and it is as strict as the
real one, so that a runtime which works here is not refused there.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from openresponses_dev.local.sandbox.runtime_request import Json, RuntimeRequest, error_document, reply

PREFIX = "/2018-06-01/runtime"
MAX_LINE = 1024 * 1024  # heads and trailers
MAX_BUFFERED_RESPONSE = 6 * 1024 * 1024 + 100  # what the real one lets through for 6 MB


class _RefusedError(Exception):
    """A request the real Runtime API answers with an error document."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error_type = status, error_type


@dataclass(eq=False)
class Invocation:
    """One event on its way through the sandbox. Times are `time.monotonic()`, None until it happened."""

    id: str
    payload: bytes = field(repr=False)
    deadline_ms: int
    arn: str
    trace_id: str
    echo: str  # Lambda-Runtime-Invocation-Id: the function's answer must repeat it
    headers: dict[str, str] = field(default_factory=dict[str, str])
    error: Json | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # `headers` or `error` is there
    queued: float = field(default_factory=time.monotonic)
    delivered: float | None = None
    first_byte: float | None = None
    ended: float | None = None
    _chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])

    @property
    def streaming(self) -> bool:
        return self.headers.get("lambda-runtime-function-response-mode") == "streaming"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, one HTTP chunk each; a buffered answer is one chunk. `error` is final afterwards."""
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
        self._chunks.put_nowait(None)

    # Unbounded: as on AWS, a client that stopped reading does not stop the function.
    def put(self, chunk: bytes) -> None:
        if self.ended is None and chunk:
            self.first_byte = self.first_byte or time.monotonic()
            self._chunks.put_nowait(chunk)

    def end(self, error: Json | None = None) -> None:
        """The first end counts: a sandbox that dies later does not rewrite what was answered."""
        if self.ended is None:
            self.error, self.ended = error, time.monotonic()
            self.begun.set()
            self._chunks.put_nowait(None)


class RuntimeApi:
    """`ready` is set at the first GET /next; `init_error` resolves to the body of POST /init/error."""

    address: str  # the value of AWS_LAMBDA_RUNTIME_API
    ready: asyncio.Event
    init_error: asyncio.Future[Json]

    def __init__(self) -> None:
        self._pending: asyncio.Queue[Invocation] = asyncio.Queue()
        self._running: dict[str, Invocation] = {}
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._server: asyncio.Server | None = None
        self.polling = 0  # runtimes waiting in GET /next

    async def start(self) -> str:
        """Listen on a free loopback port. Returns the value of AWS_LAMBDA_RUNTIME_API."""
        loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()
        self.init_error = loop.create_future()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_LINE)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self.address

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self.fail_all("Runtime.ExitError", "the sandbox was closed")
        tasks = [task for task in self._connections.values() if task is not None]
        self.drop_connections()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def invoke(self, payload: bytes, *, deadline_ms: int, arn: str, trace_id: str | None = None) -> Invocation:
        """Queue an event for GET /next. `deadline_ms` is the epoch time at which the sandbox is stopped."""
        invocation = Invocation(
            id=str(uuid.uuid4()),
            payload=payload,
            deadline_ms=deadline_ms,
            arn=arn,
            trace_id=trace_id or f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            echo=uuid.uuid4().hex,
        )
        self._pending.put_nowait(invocation)
        return invocation

    def fail_all(self, error_type: str, message: str) -> None:
        """The sandbox died or ran out of time: end every pending and running invocation with this error."""
        pending = [self._pending.get_nowait() for _ in range(self._pending.qsize())]
        for invocation in [*pending, *self._running.values()]:
            invocation.end({"errorType": error_type, "errorMessage": message})
        self._running.clear()

    def drop_connections(self) -> None:
        """Hang up on the runtime without a word, as a network would."""
        for writer in self._connections:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    request = await RuntimeRequest.read(reader)
                    await self._answer(request, writer)
                    await request.discard_body()
                    await writer.drain()
        except (ValueError, asyncio.LimitOverrunError) as error:
            reply(writer, 400, error_document("InvalidRequest", f"not HTTP/1.1 as the Runtime API speaks it: {error}"))
        finally:
            del self._connections[writer]
            writer.close()

    async def _answer(self, request: RuntimeRequest, writer: asyncio.StreamWriter) -> None:
        try:
            if "host" not in request.headers:
                raise _RefusedError(400, "InvalidRequest", "missing required Host header")
            if request.headers["host"] != self.address or "origin" in request.headers:  # a web page, not a runtime
                raise _RefusedError(403, "InvalidRequest", f"this is for the runtime at {self.address}")
            match request.method, request.path.removeprefix(PREFIX).split("/")[1:]:
                case "GET", ["invocation", "next"]:
                    return await self._next(request, writer)
                case "POST", ["invocation", id_, "response"]:
                    await self._response(request, self._owned(id_, request))
                case "POST", ["invocation", id_, "error"]:
                    invocation = self._owned(id_, request)
                    invocation.headers = request.headers
                    self._running.pop(invocation.id, None)
                    invocation.end(await request.error())
                case "POST", ["init", "error"]:
                    if self.init_error.done() or self.ready.is_set():
                        raise _RefusedError(403, "InvalidStateTransition", "not in the init phase")
                    self.init_error.set_result(await request.error())
                case _:
                    raise _RefusedError(404, "InvalidRequest", f"no such path: {request.method} {request.path}")
            reply(writer, 202, b'{"status":"OK"}\n')
        except _RefusedError as refused:
            reply(writer, refused.status, error_document(refused.error_type, str(refused)))

    async def _next(self, request: RuntimeRequest, writer: asyncio.StreamWriter) -> None:
        if self.polling or self._running:
            raise _RefusedError(403, "InvalidStateTransition", "GET /next while an invocation is not answered")
        self.ready.set()
        self.polling += 1
        try:
            invocation = await request.unless_gone(self._pending.get())
            if request.reader.at_eof():  # both at once: the event is the next runtime's
                self._pending.put_nowait(invocation)
                raise ConnectionResetError("the runtime hung up")
        finally:
            self.polling -= 1
        self._running[invocation.id] = invocation
        invocation.delivered = time.monotonic()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
            "Lambda-Runtime-Invocation-Id": invocation.echo,
        }
        reply(writer, 200, invocation.payload, headers.items())

    def _owned(self, id_: str, request: RuntimeRequest) -> Invocation:
        """The running invocation that a POST is about; an answered one is no longer running."""
        invocation = self._running.get(id_)
        if invocation is None or invocation.begun.is_set():
            raise _RefusedError(400, "InvalidRequestID", f"Invalid request ID: {id_}")
        if (echo := request.headers.get("lambda-runtime-invocation-id")) != invocation.echo:
            raise _RefusedError(
                400, "InvalidInvocationID", f"Lambda-Runtime-Invocation-Id is {echo}, not {invocation.echo}"
            )
        return invocation

    async def _response(self, request: RuntimeRequest, invocation: Invocation) -> None:
        mode = request.headers.get("lambda-runtime-function-response-mode", "")
        if mode not in ("", "streaming"):  # even "buffered" is refused: it is said by saying nothing
            raise _RefusedError(400, "InvalidFunctionResponseMode", f"Invalid function response mode: {mode}")
        invocation.headers = request.headers
        invocation.begun.set()
        try:
            if mode == "streaming":
                async for chunk in request.body():
                    invocation.put(chunk)
                invocation.end(request.trailing_error())
            else:
                await self._buffered(request, invocation)
        except (EOFError, ConnectionError, ValueError, asyncio.LimitOverrunError):
            invocation.end({"errorType": "Runtime.TruncatedResponse", "errorMessage": "the response was cut off"})
            raise
        finally:
            self._running.pop(invocation.id, None)

    async def _buffered(self, request: RuntimeRequest, invocation: Invocation) -> None:
        body = await request.whole_body()
        if len(body) > MAX_BUFFERED_RESPONSE:
            message = (
                f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size (6291556 bytes)."
            )
            invocation.end({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message})
            raise _RefusedError(413, "RequestEntityTooLarge", message)
        invocation.put(body)
        invocation.end()

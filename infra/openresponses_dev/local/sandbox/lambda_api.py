"""Lambda's Invoke API, for callers in other threads: Step Functions, and the functions' own AWS clients.

It knows neither moto nor HTTP. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from openresponses_dev.local.sandbox.calls import MAX_EVENT_BYTES, FunctionError, InvokeError
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION

MAX_ASYNC_EVENT_BYTES = 1024 * 1024

Target: TypeAlias = Callable[[bytes], bytes]
"""A function: event in, answer out, in the caller's thread. Raises FunctionError, InvokeError."""
Queue: TypeAlias = Callable[[str, bytes], None]
"""Takes an event for the function of this name, which runs later. Called in any thread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`function_error`: the payload is the error document of a function that failed."""

    status: int
    payload: bytes = b""
    function_error: bool = False
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class LambdaApi:
    """`targets` by function name, and a `queue` for asynchronous invocations, which are refused without one.
    After `close()` nothing is invoked any more.
    """

    def __init__(self, targets: Mapping[str, Target], queue: Queue | None = None) -> None:
        self._targets, self._queue = targets, queue
        self._closed = False

    def close(self) -> None:
        self._closed = True

    def invoke(self, function: str, payload: bytes, kind: str = "RequestResponse") -> Answer:
        """`function` is a name or an ARN, with or without a qualifier. Raises InvokeError."""
        name, target = self._target(function)
        event = payload or b"{}"
        _check(event, MAX_ASYNC_EVENT_BYTES if kind == "Event" else MAX_EVENT_BYTES, kind)
        match kind:
            case "DryRun":
                return Answer(204)
            case "Event":
                if self._queue is None:
                    raise InvokeError(400, "InvalidParameterValueException", "nothing is invoked asynchronously here")
                self._queue(name, event)
                return Answer(202)
            case _:
                return _run(target, event)

    def _target(self, function: str) -> tuple[str, Target]:
        parts = function.split(":")
        name = parts[parts.index("function") + 1] if "function" in parts[:-1] else parts[0]
        if self._closed:
            raise InvokeError(500, "ServiceException", "the local cloud was stopped")
        if name not in self._targets:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            raise InvokeError(404, "ResourceNotFoundException", f"Function not found: {arn}")
        return name, self._targets[name]


def sandboxed(function: Function, loop: asyncio.AbstractEventLoop) -> Target:
    """The function's own sandboxes, which live on `loop`. Not to be called on that loop: it blocks."""

    async def collect(event: bytes) -> bytes:
        call = function.invoke(event)
        body = b"".join([chunk async for chunk in call.chunks()])
        if call.error:
            raise _worded(call.error, call.request_id)
        return body

    return lambda event: asyncio.run_coroutine_threadsafe(collect(event), loop).result()


def _worded(error: FunctionError, request_id: str) -> FunctionError:
    """As Lambda words what its own service found out, in place of the function."""
    if error.error_type.startswith(("Sandbox.", "Runtime.")):
        return FunctionError(error.error_type, f"RequestId: {request_id} Error: {error}")
    return error


def _check(event: bytes, limit: int, kind: str) -> None:
    if len(event) > limit:
        message = f"{len(event)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        raise InvokeError(413, "RequestTooLargeException", message)
    try:
        json.loads(event)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise InvokeError(400, "InvalidRequestContentException", message) from error


def _run(target: Target, event: bytes) -> Answer:
    try:
        return Answer(200, target(event))
    except FunctionError as error:
        return Answer(200, error.document(), function_error=True)

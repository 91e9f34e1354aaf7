"""One invocation of a function as its caller sees it: the body as it comes, and how it ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

MAX_EVENT_BYTES = 6 * 1024 * 1024


class InvokeError(Exception):
    """Lambda refused to invoke: nothing ran."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error_type = status, error_type


class EventTooLarge(InvokeError):
    """The event is above Lambda's limit for a synchronous invocation."""

    def __init__(self, size: int) -> None:
        message = (
            f"{size} byte payload is too large for the RequestResponse invocation type (limit {MAX_EVENT_BYTES} bytes)"
        )
        super().__init__(413, "RequestEntityTooLargeException", message)


class Throttled(InvokeError):
    """Every sandbox that the function may have is busy."""

    def __init__(self) -> None:
        super().__init__(429, "TooManyRequestsException", "Rate Exceeded.")


class FunctionError(Exception):
    """The function, its runtime or its sandbox failed. `str()` of it is the errorMessage."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type

    def document(self) -> bytes:
        return json.dumps({"errorType": self.error_type, "errorMessage": str(self)}).encode()


@dataclass(eq=False)
class Call:
    """Times are `time.monotonic()`, or None until it happened. `error` is final once `chunks()` is exhausted."""

    function: str
    memory_limit_mb: int
    request_id: str = ""
    streaming: bool = False
    error: FunctionError | None = None
    init_ms: float | None = None  # of the cold start this call had to wait for
    max_memory_mb: int | None = None
    started: float = field(default_factory=time.monotonic)  # handed to a sandbox that is ready
    first_byte: float | None = None
    ended: float | None = None
    _chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None], repr=False)

    # Unbounded: as on AWS, a caller that stopped reading does not stop the function.
    def put(self, chunk: bytes) -> None:
        self.first_byte = self.first_byte or time.monotonic()
        self._chunks.put_nowait(chunk)

    def end(self, error: FunctionError | None = None) -> None:
        if self.ended is None:
            self.error, self.ended = error, time.monotonic()
            self._chunks.put_nowait(None)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body, chunk by chunk as the function wrote it. For one reader."""
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
        self._chunks.put_nowait(None)

    def summary(self, request: str, status: str) -> str:
        """The line that is logged about it, when it has ended."""
        parts = [f"{self.function} {request}".rstrip(), status]
        if self.init_ms is not None:
            parts.append(f"cold start {self.init_ms:.0f} ms")
        if self.first_byte is not None:
            parts.append(f"first byte {(self.first_byte - self.started) * 1000:.0f} ms")
        parts.append(f"duration {((self.ended or time.monotonic()) - self.started) * 1000:.0f} ms")
        if self.max_memory_mb is not None:
            parts.append(f"max memory {self.max_memory_mb} of {self.memory_limit_mb} MB")
        if self.error:
            parts.append(f"{self.error.error_type}: {self.error}")
        return "  ".join(parts)


def function_error(document: dict[str, Any]) -> FunctionError:
    """From the error document that a runtime posted."""
    return FunctionError(str(document.get("errorType", "Runtime.Unknown")), str(document.get("errorMessage", "")))

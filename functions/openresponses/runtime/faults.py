"""Errors as the Runtime API takes them, and as lines of the log. They never hold an event's body."""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import dataclass

MAX_MESSAGE = 8 * 1024
MAX_FRAMES = 30  # the document travels in a trailer, and header lines have a limit


class FaultError(Exception):
    """An error that the runtime itself found. `type` is its name in the Runtime API."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(message)
        self.type = type_


@dataclass(frozen=True, slots=True)
class Fault:
    """`type` has the form `(Runtime|Function).Name`: the service reports anything else as Runtime.Unknown."""

    type: str
    message: str
    stack: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        name = type(error).__name__
        speakable = name.isascii() and name.isalpha() and name[0].isupper()
        type_ = error.type if isinstance(error, FaultError) else f"Function.{name if speakable else 'Error'}"
        frames = traceback.format_exception(error)[-MAX_FRAMES:]
        return cls(type_, str(error)[:MAX_MESSAGE], tuple(frame[:MAX_MESSAGE] for frame in frames))

    def document(self) -> bytes:
        body = {"errorType": self.type, "errorMessage": self.message, "stackTrace": self.stack}
        return json.dumps(body).encode()


def log(level: str, message: str, fault: Fault | None = None, **fields: str | int) -> None:
    """One JSON line on stderr, which is one record in CloudWatch."""
    seconds = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds * 1000) % 1000:03}Z"
    record: dict[str, object] = {"timestamp": stamp, "level": level, "message": message, **fields}
    if fault is not None:
        record |= {"errorType": fault.type, "errorMessage": fault.message, "stackTrace": fault.stack}
    sys.stderr.write(json.dumps(record) + "\n")
    sys.stderr.flush()

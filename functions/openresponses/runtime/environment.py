"""The environment variables of Lambda, and of the emulators of it, that decide how the runtime behaves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .faults import FaultError


@dataclass(frozen=True, slots=True)
class Environment:
    api: str  # host:port
    handler: str
    buffered: bool
    snap_start: bool
    concurrency: int


def environment(env: Mapping[str, str] = os.environ) -> Environment:
    """Raises FaultError when a variable makes no sense."""
    concurrency = env.get("AWS_LAMBDA_MAX_CONCURRENCY") or "1"
    if not concurrency.isdecimal() or int(concurrency) < 1:
        raise FaultError("Runtime.InvalidEnvironment", f"AWS_LAMBDA_MAX_CONCURRENCY is {concurrency!r}")
    return Environment(
        api=env["AWS_LAMBDA_RUNTIME_API"],
        handler=env.get("_HANDLER", ""),
        buffered=buffered(env),
        snap_start=env.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
        concurrency=int(concurrency),
    )


def buffered(env: Mapping[str, str]) -> bool:
    """Whether to answer with an ordinary proxy response instead of a stream.

    The Runtime Interface Emulator, on which `sam local` is built, hands a streamed answer through as raw bytes,
    prelude included. It names the log stream `$LATEST`; on AWS that name always starts with a date.
    """
    mode = env.get("OPENRESPONSES_RESPONSE_MODE", "")
    if mode not in ("", "streaming", "buffered"):
        message = f"OPENRESPONSES_RESPONSE_MODE is {mode!r}, neither 'streaming' nor 'buffered'"
        raise FaultError("Runtime.InvalidEnvironment", message)
    if mode:
        return mode == "buffered"
    return env.get("AWS_SAM_LOCAL") == "true" or env.get("AWS_LAMBDA_LOG_STREAM_NAME") == "$LATEST"

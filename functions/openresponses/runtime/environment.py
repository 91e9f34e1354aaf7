"""The environment variables that decide how the runtime answers."""

from __future__ import annotations

from collections.abc import Mapping

from .faults import FaultError


def buffered(env: Mapping[str, str]) -> bool:
    """Whether to answer with an ordinary proxy response instead of a stream.

    The Runtime Interface Emulator, on which `sam local` is built, hands a streamed answer through as raw bytes,
    prelude included. It names the log stream `$LATEST`; on AWS that name always starts with a date.

    Raises FaultError if `OPENRESPONSES_RESPONSE_MODE` has another value than it may.
    """
    mode = env.get("OPENRESPONSES_RESPONSE_MODE", "")
    if mode not in ("", "streaming", "buffered"):
        message = f"OPENRESPONSES_RESPONSE_MODE is {mode!r}, neither 'streaming' nor 'buffered'"
        raise FaultError("Runtime.InvalidEnvironment", message)
    if mode:
        return mode == "buffered"
    return env.get("AWS_SAM_LOCAL") == "true" or env.get("AWS_LAMBDA_LOG_STREAM_NAME") == "$LATEST"

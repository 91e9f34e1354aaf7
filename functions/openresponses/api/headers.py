"""What a request's headers and its Lambda context say."""

from collections.abc import Iterator, Sequence
from math import ceil, isfinite
from typing import Any

from starlette.requests import Request

from ..core.errors import LimitReached, RequestError
from ..core.ports import Left
from ..core.settings import EventNames
from ..core.spans import received

SPEC_VERSION = "2026-04-24"
EVENT_NAMES_HEADER = "openresponses-event-names"
IDEMPOTENCY_HEADER = "idempotency-key"
MAX_KEY = 255
"""Characters of an idempotency key: as many as Stripe takes, whose convention it is."""
RESERVE = 1.0
"""Seconds before the function's deadline at which a connection is ended, so that its last events get out."""


def seconds_left(request: Request) -> float | None:
    """How long this connection may last; None outside Lambda."""
    context: Any = request.scope.get("aws.context")
    return None if context is None else max(0.1, context.get_remaining_time_in_millis() / 1000 - RESERVE)


def trace(request: Request) -> str:
    """What the client tells of its own trace."""
    return received(request.headers.getlist("traceparent"), request.headers.getlist("tracestate"))


def event_names(request: Request, default: EventNames) -> EventNames:
    """Raises RequestError."""
    match request.headers.get(EVENT_NAMES_HEADER):
        case None:
            return default
        case "open_responses":
            return "open_responses"
        case "openai":
            return "openai"
        case _:
            raise RequestError("Event names are 'open_responses' or 'openai'", param=EVENT_NAMES_HEADER)


def idempotency_key(request: Request) -> str | None:
    """Raises RequestError."""
    name = request.headers.get(IDEMPOTENCY_HEADER)
    if name and len(name) > MAX_KEY:
        raise RequestError(f"An idempotency key has at most {MAX_KEY} characters", param=IDEMPOTENCY_HEADER)
    return name


LONGEST_RETRY = 120.0
"""Seconds that a client may be asked to wait and try again by itself: OpenAI's SDK waits no longer for `retry-after`
(MAX_RETRY_AFTER_DELAY in openai/_constants.py), and earlier ones tried again at once."""
MINUTE = 60


def rate_limits(left: Left | None) -> dict[str, str]:
    """What is left of the limits of a minute, of the key or its tenant, whatever is less. Names and formats are
    OpenAI's: https://developers.openai.com/api/docs/guides/rate-limits ("Rate limits in headers"; a time is `1s`).
    """
    return {} if left is None else dict(_rate_limits(left))


def _rate_limits(left: Left) -> Iterator[tuple[str, str]]:
    meters = (left.key, left.tenant)
    requests = [(meter.limits.requests_per_minute, meter.requests) for meter in meters]
    tokens = [(meter.limits.tokens_per_minute, meter.tokens) for meter in meters]
    resets = f"{ceil(MINUTE - left.now % MINUTE)}s"
    for name, each in (("requests", requests), ("tokens", tokens)):
        if found := _tightest(each):
            most, remain = found
            yield f"x-ratelimit-limit-{name}", str(most)
            yield f"x-ratelimit-remaining-{name}", str(remain)
            yield f"x-ratelimit-reset-{name}", resets


def _tightest(taken: Sequence[tuple[int | None, int]]) -> tuple[int, int] | None:
    """A limit, and what is left of it."""
    found = [(most, max(0, most - used)) for most, used in taken if most is not None]
    return min(found, key=lambda each: each[1], default=None)


def refused_by(error: LimitReached) -> dict[str, str]:
    """When to try again, if at all."""
    wait = error.retry_after
    headers = rate_limits(error.left if isinstance(error.left, Left) else None)
    if isfinite(wait):
        headers["retry-after"] = str(max(1, ceil(wait)))
    if wait > LONGEST_RETRY:
        headers["x-should-retry"] = "false"
    return headers


def check_version(request: Request) -> None:
    """Raises RequestError for a version of the specification that this server doesn't speak."""
    version = request.headers.get("openresponses-version")
    if version not in (None, "", "latest", SPEC_VERSION):
        raise RequestError(
            f"This server speaks Open Responses {SPEC_VERSION} (or 'latest')",
            param="openresponses-version",
            code="unsupported_version",
        )

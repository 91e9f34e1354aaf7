"""What a request's headers and its Lambda context say."""

from typing import Any

from starlette.requests import Request

from ..core.errors import RequestError
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


def check_version(request: Request) -> None:
    """Raises RequestError for a version of the specification that this server doesn't speak."""
    version = request.headers.get("openresponses-version")
    if version not in (None, "", "latest", SPEC_VERSION):
        raise RequestError(
            f"This server speaks Open Responses {SPEC_VERSION} (or 'latest')",
            param="openresponses-version",
            code="unsupported_version",
        )

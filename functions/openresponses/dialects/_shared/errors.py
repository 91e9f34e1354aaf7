"""What a vendor's failure means, decided once: HTTP statuses and error objects to the error tree.

Messages are safe to show a client. Only where the vendor refuses the request itself is its own text passed
on, since only the client can act on it: cleaned of secrets, and bounded. Every other text is ours.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from pydantic import JsonValue

from ...core.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    StreamViolation,
)
from ...schema.base import JsonObject
from .json import loads, objects, text

MAX_MESSAGE = 500
_STATUS_BY_WORD = (
    ("quota", 402),
    ("billing", 402),
    ("credit", 402),
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("too_many_requests", 429),
    ("throttl", 429),
    ("auth", 401),
    ("api_key", 401),
    ("permission", 403),
    ("tool_use_failed", 503),
    ("timeout", 503),
    ("overloaded", 503),
    ("not_found", 404),
    ("invalid", 400),
    ("badrequest", 400),
    ("bad_request", 400),
    ("context_length", 400),
    ("content_filter", 400),
    ("image", 400),
    ("policy", 400),
    ("unprocessable", 422),
)
"""Words in an error's `code` or `type`, for errors that come without an HTTP status; the first match counts.

`tool_use_failed` is Groq's: the model wrote a call that doesn't parse, so a retry may help."""

_UNPAID = ("Your credit balance is too low", "You have reached your specified")
"""Anthropic says both (the latter: "API usage limits") with a 400, as if the request were wrong."""


def clean(message: str, secrets: Sequence[str]) -> str:
    """One bounded line, without the secrets."""
    for secret in secrets:
        message = message.replace(secret, "[redacted]")
    message = re.sub(r"[\x00-\x20\x7f]+", " ", message).strip()
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def from_status(status: int, body: bytes, headers: Mapping[str, str], secrets: Sequence[str] = ()) -> ProviderError:
    """The error that a reply with this status means. `headers` has lower-case names."""
    error = _error_of(_parsed(body))
    if status == 429 and not _out_of_quota(error):
        wait = retry_after(headers)
        return ProviderThrottled(
            "The provider limits our rate (HTTP 429)", retry_after=error.retry_after if wait is None else wait
        )
    return _by_status(status, error, f"HTTP {status}", secrets)


def from_object(value: JsonObject, secrets: Sequence[str] = ()) -> ProviderError | None:
    """The error that an object in a stream, or a 200's body, tells of; None where it tells of none.

    Shapes: `{"error": {...}}` (OpenAI, OpenRouter), `{"error": "text"}`, `{"object": "error", ...}` (vLLM).
    """
    if not value.get("error") and value.get("object") != "error":
        return None
    error = _error_of(value)
    status = _status_of(error)
    if status == 429:
        return ProviderThrottled("The provider limits our rate", retry_after=error.retry_after)
    return _by_status(status, error, "in its stream", secrets)


def not_a_stream(body: bytes, secrets: Sequence[str] = ()) -> ProviderError:
    """The error behind a 200 whose body isn't an event stream."""
    value = _parsed(body)
    if isinstance(value, list):
        value = value[0] if value else None
    error = from_object(value, secrets) if isinstance(value, dict) else None
    return error or StreamViolation("The provider answered with something that is not an event stream")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after` as seconds or as a date (RFC 9110, 10.2.3), or `retry-after-ms`."""
    if (value := headers.get("retry-after-ms")) and (seconds := _number(value)) is not None:
        return seconds / 1000
    value = headers.get("retry-after")
    if not value:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    until, now = _date(value), _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else None


def _by_status(status: int, error: "_Error", where: str, secrets: Sequence[str]) -> ProviderError:
    match status:
        case _ if status in (401, 403) or "API_KEY_INVALID" in error.codes:
            return ProviderMisconfigured(f"The provider refused our credentials ({where})")
        case _ if status in (402, 429) or any(words in error.message for words in _UNPAID):
            return ProviderMisconfigured(f"Our account with the provider is out of credit or quota ({where})")
        case 408 | 409 | 425:
            return ProviderUnavailable(f"The provider asks to try again ({where})")
        case 404 | 405 if error.message in ("", "Not Found", "Method Not Allowed"):
            return ProviderMisconfigured(f"The provider's address has no such API ({where})")
        case _ if 400 <= status < 500:
            detail = clean(error.message, secrets) or "it gave no reason"
            return ProviderRejected(f"The provider refused the request ({where}): {detail}")
        case _ if status >= 500:
            return ProviderUnavailable(f"The provider failed ({where})")
        case _:
            return ProviderMisconfigured(f"The provider's address answers as no API does ({where})")


class _Error:
    """A vendor's error object, whatever its shape.

    Google's has `details`: a wrong key is a 400 whose reason says so, and `retryDelay` is a number of seconds
    with an `s` (google/rpc/error_details.proto).
    """

    def __init__(self, value: JsonValue) -> None:
        fields = value if isinstance(value, dict) else {}
        details = objects(fields.get("details"))
        self.message = _message(value)
        self.codes = [fields.get(name) for name in ("code", "status_code", "status", "type")]
        self.codes += [detail.get("reason") for detail in details]
        delays = [_number(text(detail.get("retryDelay")).removesuffix("s")) for detail in details]
        self.retry_after = next((delay for delay in delays if delay is not None), None)


def _message(value: JsonValue) -> str:
    """Never more of the object than its message: other fields may quote the prompt (pydantic's `input` does)."""
    match value:
        case str():
            return value
        case {"message": message} | {"detail": message} if message:
            return _message(message)
        case {"msg": str(problem), "loc": list(place)}:
            return f"{'.'.join(map(str, place))}: {problem}"
        case list():
            return "; ".join(filter(None, map(_message, value)))
        case _:
            return ""


def _error_of(value: JsonValue) -> _Error:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict) and value.get("error"):
        return _Error(value["error"])
    return _Error(value)


def _status_of(error: _Error) -> int:
    """Unknown errors in a stream count as the provider's own: a retry may help."""
    for code in error.codes:
        number = int(code) if isinstance(code, str) and code.isdecimal() else code
        if isinstance(number, int) and 400 <= number < 600:
            return number
    words = " ".join(code.lower() for code in error.codes if isinstance(code, str))
    return next((status for word, status in _STATUS_BY_WORD if word in words), 503)


def _out_of_quota(error: _Error) -> bool:
    """OpenAI sends 429 for an empty account too, where no retry helps."""
    return any(code in ("insufficient_quota", "billing_hard_limit_reached") for code in error.codes)


def _parsed(body: bytes) -> JsonValue:
    try:
        return loads(body)
    except ValueError:
        return None


def _number(digits: str) -> float | None:
    try:
        number = float(digits)
    except ValueError:
        return None
    return max(0.0, number) if isfinite(number) else None


def _date(words: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(words)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

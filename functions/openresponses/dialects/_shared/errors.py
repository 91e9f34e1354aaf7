"""What a provider's failure means, decided once: HTTP statuses and error objects to the core's errors.

Knows no vendor: a dialect passes the words that are its vendor's own. Messages are safe to show a client. Only where
the provider refuses the request itself is its own text passed on, since only the client can act on it: cleaned of
secrets, and bounded. Every other text is ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from pydantic import JsonValue

from ...core.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    StreamViolation,
)
from ...core.surrogates import whole
from ...schema.base import JsonObject
from ...transport import errors as t
from .json import loads, objects, text

MAX_MESSAGE = 500
_LATE: Mapping[t.Phase, str] = {
    "connect": "could not be reached in time",
    "first_byte": "did not start to answer in time",
    "idle": "did not go on with its answer in time",
}
_WORDS_BY_STATUS = {
    402: ("quota", "billing", "credit"),
    429: ("rate_limit", "ratelimit", "too_many_requests", "throttl"),
    401: ("auth", "api_key"),
    403: ("permission",),
    503: ("timeout", "overloaded"),
    404: ("not_found",),
    400: ("invalid", "badrequest", "bad_request", "context_length", "content_filter", "image", "policy"),
    422: ("unprocessable",),
}
"""Words in an error's `code` or `type`, for errors that come without an HTTP status; the first match counts."""

OUT_OF_QUOTA = {"insufficient_quota": 402, "billing_hard_limit_reached": 402}
"""Codes that come with a 429 where no retry helps, from OpenAI's two APIs and those like them."""


@dataclass(frozen=True)
class UpstreamErrors:
    """Reads the errors of one provider.

    `secrets` are cut out of what a client is shown. `meanings` are words of the vendor's own, in an error's code or
    message, and the HTTP status that they mean whatever the error's own status is. `codes` are words in a code, and
    the status that they mean where an error comes without one.
    """

    secrets: Sequence[str] = field(default=(), repr=False)
    meanings: Mapping[str, int] = field(default_factory=dict[str, int])
    codes: Mapping[str, int] = field(default_factory=dict[str, int])

    def of_transport(self, error: t.TransportError) -> ProviderError:
        match error:
            case t.BadStatus():
                return self.of_reply(error.status, error.body, error.headers)
            case t.NotAStream():
                return self.of_body(error.body)
            case t.TimedOut():
                return ProviderTimeout(f"The provider {_LATE[error.phase]}")
            case t.Unreachable():
                return ProviderUnavailable("The provider could not be reached")
            case t.Unsendable():
                return ProviderMisconfigured("The provider's settings make no valid request")
            case t.EventTooLong():
                return StreamViolation(f"The provider sent an event longer than {error.limit} bytes")
            case _:
                return ProviderUnavailable("The connection to the provider broke")

    def of_reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """The error that a reply with this status means. `headers` has lower-case names."""
        error, wait = _Error(_parsed(body)), retry_after(headers)
        return self._meant(status, error, error.retry_after if wait is None else wait, f" (HTTP {status})")

    def of_body(self, body: bytes) -> ProviderError:
        """The error behind a reply with status 200 whose body isn't an event stream."""
        value = _parsed(body)
        error = self.of_object(value) if isinstance(value, dict) else None
        return error or StreamViolation("The provider answered with something that is not an event stream")

    def of_object(self, value: JsonObject) -> ProviderError | None:
        """The error that an object in a stream, or a 200's body, tells of; None where it tells of none.

        Shapes: `{"error": {...}}` (OpenAI, OpenRouter), `{"error": "text"}`, `{"object": "error", ...}` (vLLM).
        """
        if not value.get("error") and value.get("object") != "error":
            return None
        error = _Error(value)
        return self._meant(self._status_of(error), error, error.retry_after)

    def rejected(self, message: str, where: str = " (in its stream)") -> ProviderRejected:
        """The provider refused the request. `message` is its own: one bounded line is shown, without the secrets."""
        for secret in self.secrets:
            message = message.replace(secret, "[redacted]")
        message = re.sub(r"[\x00-\x20\x7f]+", " ", whole(message)).strip() or "it gave no reason"
        message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
        return ProviderRejected(f"The provider refused the request{where}: {message}")

    def _status_of(self, error: "_Error") -> int:
        """Unknown errors in a stream count as the provider's own: a retry may help."""
        for code in error.codes:
            number = int(code) if isinstance(code, str) and code.isdecimal() else code
            if isinstance(number, int) and 400 <= number < 600:
                return number
        words = " ".join(code.lower() for code in error.codes if isinstance(code, str))
        known = [*((status, (code,)) for code, status in self.codes.items()), *_WORDS_BY_STATUS.items()]
        return next((status for status, each in known if any(word in words for word in each)), 503)

    def _meant(self, status: int, error: "_Error", wait: float | None, where: str = "") -> ProviderError:
        """`where` is empty for an error in a stream."""
        said = [error.message, *(code for code in error.codes if isinstance(code, str))]
        meant = (status for words, status in self.meanings.items() if any(words in each for each in said))
        status = next(meant, status)
        if status == 429:
            return ProviderThrottled(f"The provider limits our rate{where}", retry_after=wait)
        where = where or " (in its stream)"
        match status:
            case 401 | 403:
                return ProviderMisconfigured(f"The provider refused our credentials{where}")
            case 402:
                return ProviderMisconfigured(f"Our account with the provider is out of credit or quota{where}")
            case 408 | 409 | 425:
                return ProviderUnavailable(f"The provider asks to try again{where}")
            case 404 | 405 if error.message in ("", "Not Found", "Method Not Allowed"):
                return ProviderMisconfigured(f"The provider's address has no such API{where}")
            case _ if 400 <= status < 500:
                return self.rejected(error.message, where)
            case _ if status >= 500:
                return ProviderUnavailable(f"The provider failed{where}")
            case _:
                return ProviderMisconfigured(f"The provider's address answers as no API does{where}")


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


class _Error:
    """An error object, whatever its shape. `details` have a reason and a `retryDelay`, seconds with an `s`, in
    google.rpc.Status (google/rpc/error_details.proto)."""

    def __init__(self, value: JsonValue) -> None:
        if isinstance(value, dict) and value.get("error"):
            value = value["error"]
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


def _parsed(body: bytes) -> JsonValue:
    """The body's JSON, or the first of an array; None where there is none."""
    try:
        value = loads(body)
    except ValueError:
        return None
    return value if not isinstance(value, list) else value[0] if value else None


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

"""What a provider's failure means, decided once: HTTP statuses and error objects to the core's errors.

Knows no vendor: a dialect passes the words that are its vendor's own. Messages are safe to show a client. Only where
the provider blames the request is its own text passed on, since only the client can act on it: cleaned of secrets, and
bounded. Every other text is ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import NamedTuple

from pydantic import JsonValue

from ...core.errors import (
    InputTooLong,
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
from .facts import Source
from .json import loads, objects, text

MAX_MESSAGE = 500
MAX_READ = 4_096
"""Characters of a message that are searched for words: one may quote the prompt."""
MAX_WAIT = 86_400.0
"""Seconds. Some limits are those of a day."""
_LATE: Mapping[t.Phase, str] = {
    "connect": "could not be reached in time",
    "first_byte": "did not start to answer in time",
    "idle": "did not go on with its answer in time",
}
_STATUS = re.compile("[45][0-9][0-9]")
_WORDS_BY_STATUS = {
    402: ("quota", "billing", "credit"),
    429: ("rate_limit", "ratelimit", "too_many_requests", "throttl"),
    401: ("auth", "api_key"),
    403: ("permission",),
    503: ("timeout", "overloaded"),
    404: ("not_found",),
    400: ("invalid", "badrequest", "bad_request", "context_length", "content_filter", "image", "policy"),
    422: ("unprocessable", "validation"),
}
"""Words in an error's `code` or `type`, for errors that come without an HTTP status; the first match counts."""

OUT_OF_QUOTA: Mapping[str, int] = dict.fromkeys(
    ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "insufficient balance"), 402
)
"""What comes with a 429 or a 500 where no retry helps, from OpenAI's two APIs and those like them (MiniMax:
modelscope/modelscope#1691, MiniMax-AI/MiniMax-M2#62)."""


class TooLong(NamedTuple):
    """How a vendor says that the input is too long for the model's context: a pattern, without regard to case, of what
    is in an error's code or message. Its groups are `tokens`, what it counted, and `most`, what it takes; of that,
    `kept` are for the answer.
    """

    pattern: str
    source: Source


@dataclass(frozen=True)
class UpstreamErrors:
    """Reads the errors of one provider.

    `secrets` are cut out of what a client is shown. `meanings` are words of the vendor's own, in an error's code or
    message, and the HTTP status that they mean whatever the error's own status is. `too_long` are those for an input
    that is too long.
    """

    secrets: Sequence[str] = field(default=(), repr=False)
    meanings: Mapping[str, int] = field(default_factory=dict[str, int])
    too_long: Sequence[TooLong] = ()

    def of_transport(self, error: t.TransportError) -> ProviderError:
        match error:
            case t.BadStatus():
                return self.of_reply(error.status, error.body, error.headers)
            case t.NotAStream():
                return self.of_body(error.body)
            case t.TimedOut():
                late = ProviderTimeout(f"The provider {_LATE[error.phase]}")
                late.cause = "connection" if error.phase == "connect" else "answer"
                return late
            case t.Unreachable():
                away = ProviderUnavailable(f"The provider could not be reached: {error.reason}")
                away.cause = error.cause
                return away
            case t.Unsendable():
                return ProviderMisconfigured("The provider's settings make no valid request")
            case t.EventTooLong():
                return StreamViolation(f"The provider sent an event longer than {error.limit} bytes")
            case t.TooLong():
                return StreamViolation(f"The provider sent more than {error.limit} bytes")
            case t.BrokenOff(silent=True):
                return ProviderUnavailable("The provider closed the connection before it answered")
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
        if error is None and _message(value) and not isinstance(value, str):
            error = self.of_object({"error": value})
        what = "a web page" if body.lstrip()[:1] == b"<" else "something that is not an event stream"
        return error or StreamViolation(f"The provider answered with {what}")

    def of_object(self, value: JsonObject) -> ProviderError | None:
        """The error that an object in a stream, or a 200's body, tells of; None where it tells of none.

        Shapes: `{"error": {...}}` (OpenAI, OpenRouter), `{"error": "text", "error_type": "..."}` (TGI),
        `{"object": "error", ...}` (vLLM), `{"detail": ...}` (FastAPI), `{"choices": [{"error": {...}}]}` (OpenRouter).
        """
        broken = value
        for choice in objects(value.get("choices")):
            if choice.get("error"):
                broken = choice
                break
        detail = "detail" in value and value.keys() - {"type"} == {"detail"}
        if not (broken.get("error") or value.get("object") == "error" or detail):
            return None
        error = _Error(broken)
        return self._meant(self._status_of(error), error, error.retry_after)

    def rejected(self, message: str, where: str = " (in its stream)") -> ProviderRejected:
        """The provider refused the request. `message` is its own."""
        refused = f"The provider refused the request{where}: {self._shown(message)}"
        return self._of_length([message], message, where) or ProviderRejected(refused)

    def _of_length(self, said: Sequence[str], message: str, where: str) -> InputTooLong | None:
        """None if nothing that the provider `said` says that the input is too long."""
        for words in self.too_long:
            for each in said:
                if found := re.search(words.pattern, each[:MAX_READ], re.IGNORECASE):
                    return self._too_large(message, where, *_numbers(found))
        return None

    def _too_large(self, message: str, where: str, tokens: int = 0, most: int = 0) -> InputTooLong:
        """The vendor's words are only shown where they tell no numbers: they may name our account."""
        why = f"it has {tokens:,} tokens, and {most:,} fit" if tokens else self._shown(message)
        return InputTooLong(f"The input is too long for the model{where}: {why}", tokens=tokens, most=most)

    def _shown(self, message: str) -> str:
        """One bounded line, without the secrets."""
        for secret in self.secrets:
            message = message.replace(secret, "[redacted]")
        message = re.sub(r"[\x00-\x20\x7f]+", " ", whole(message)).strip() or "it gave no reason"
        return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"

    def _status_of(self, error: "_Error") -> int:
        """What a code's words mean counts before a status that comes with them, and a status before other words.
        Unknown errors in a stream count as the provider's own: a retry may help.
        """
        numbers = (int(code) if isinstance(code, str) and _STATUS.fullmatch(code) else code for code in error.codes)
        status = next((each for each in numbers if isinstance(each, int) and 400 <= each < 600), None)
        return (_status_in(error.codes[:1]) or status if status else _status_in(error.codes)) or 503

    def _meant(self, status: int, error: "_Error", wait: float | None, where: str = "") -> ProviderError:
        """`where` is empty for an error in a stream."""
        said = [error.message, *(code for code in error.codes if isinstance(code, str))]
        if too_large := self._of_length(said, error.message, where or " (in its stream)"):
            return too_large
        meant = (status for words, status in self.meanings.items() if any(words in each for each in said))
        blamed, status = status, next(meant, status)
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
            case 413:  # RFC 9110, 15.5.14: the content is larger than the server takes
                return self._too_large(error.message, where)
            case _ if 400 <= status < 500:
                return self.rejected(error.message, where)
            case _ if status >= 500:
                why = f": {self._shown(error.message)}" if 400 <= blamed < 500 else ""
                failed = ProviderUnavailable(f"The provider failed{where}{why}")
                failed.quotes = bool(why)
                return failed
            case _:
                return ProviderMisconfigured(f"The provider's address answers as no API does{where}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, `MAX_WAIT` at most, from `retry-after` as seconds or as a date (RFC 9110, 10.2.3), or
    `retry-after-ms`.
    """
    if (value := headers.get("retry-after-ms")) and (seconds := _seconds(value, unit=0.001)) is not None:
        return seconds
    value = headers.get("retry-after")
    if not value:
        return None
    if (seconds := _seconds(value)) is not None:
        return seconds
    until, now = _date(value), _date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), MAX_WAIT) if until else None


def _numbers(found: re.Match[str]) -> tuple[int, int]:
    """What the input has, and what fits; (0, 0) unless both are told, and the first is more."""
    told = {name: int(digits.replace(",", "")) for name, digits in found.groupdict().items() if digits}
    tokens, most = told.get("tokens", 0), told.get("most", 0) - told.get("kept", 0)
    return (tokens, most) if tokens > most > 0 else (0, 0)


def _status_in(codes: Sequence[JsonValue]) -> int | None:
    words = " ".join(code.lower() for code in codes if isinstance(code, str))
    return next((status for status, each in _WORDS_BY_STATUS.items() if any(word in words for word in each)), None)


class _Error:
    """An error object, whatever its shape. `details` have a reason and a `retryDelay`, seconds with an `s`, in
    google.rpc.Status (google/rpc/error_details.proto)."""

    def __init__(self, value: JsonValue) -> None:
        around = value if isinstance(value, dict) else {}
        value = around.get("error") or value
        fields = value if isinstance(value, dict) else around
        details = objects(fields.get("details"))
        self.message = _message(value)
        self.codes = [fields.get(name) for name in ("code", "status_code", "http_code", "status", "type", "error_type")]
        self.codes += [detail.get("reason") for detail in details]
        delays = [_seconds(text(detail.get("retryDelay")).removesuffix("s")) for detail in details]
        self.retry_after = next((delay for delay in delays if delay is not None), None)


def _message(value: JsonValue, levels: int = 8) -> str:
    """Never more of the object than its message: other fields may quote the prompt (pydantic's `input` does)."""
    match value:
        case str():
            return value
        case _ if levels == 0:
            return ""
        case {"message": message} | {"detail": message} if message:
            return _message(message, levels - 1)
        case {"msg": str(problem), "loc": list(place)}:
            return f"{'.'.join(map(str, place))}: {problem}"
        case list():
            return "; ".join(filter(None, (_message(each, levels - 1) for each in value)))
        case _:
            return ""


def _parsed(body: bytes) -> JsonValue:
    """The body's JSON, or the first of an array; None where there is none."""
    try:
        value = loads(body)
    except ValueError:
        return None
    return value if not isinstance(value, list) else value[0] if value else None


def _seconds(digits: str, unit: float = 1.0) -> float | None:
    try:
        number = float(digits)
    except ValueError:
        return None
    return min(max(0.0, number * unit), MAX_WAIT) if isfinite(number) else None


def _date(words: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(words)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

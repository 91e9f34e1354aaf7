"""What can go wrong with an HTTP request. The caller decides what it means.

TransportError
├── Unsendable         the URL or a header is not one that HTTP can carry
├── Forbidden          the guard lets no connection be made to where the URL leads
├── Redirected         the reply leads to another origin, or to one more redirect than are followed
├── Unreachable        no connection was made: `cause` says what failed, and `reason` how
├── TimedOut           the server let a limit pass: `phase` names it
├── BrokenOff          the connection broke, or what came over it is not HTTP; `silent`: nothing came over it
├── BadStatus          the reply is no success: `status`, `headers` (lower-case names) and `body`
├── NotAStream         the reply is a success, but JSON or a web page: `body`
└── TooLong            the reply is longer than `limit` bytes
    └── EventTooLong   one event of it is

No message quotes a header, a URL or a body, since they may hold secrets.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["connect", "first_byte", "idle"]
Cause: TypeAlias = Literal["name", "connection", "tls"]
"""The name was not found, no connection was made to its addresses, or the server did not prove who it is."""


class TransportError(Exception):
    pass


class Unsendable(TransportError):
    pass


class Forbidden(TransportError):
    pass


class Redirected(TransportError):
    pass


class Unreachable(TransportError):
    def __init__(self, cause: Cause = "connection", reason: str = "no connection could be made") -> None:
        super().__init__(reason)
        self.cause: Cause = cause
        self.reason = reason


class TimedOut(TransportError):
    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase: Phase = phase


class BrokenOff(TransportError):
    def __init__(self, *, silent: bool = False) -> None:
        super().__init__()
        self.silent = silent


class BadStatus(TransportError):
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.headers, self.body = status, headers, body


class NotAStream(TransportError):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


class TooLong(TransportError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class EventTooLong(TooLong):
    pass

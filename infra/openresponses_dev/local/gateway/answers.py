"""What goes back to the client: a function's answer, read as API Gateway reads it, and the gateway's own answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import cast

from openresponses_dev.local.gateway.rest_event import Request
from openresponses_dev.local.template.template import GatewayResponse

Headers = list[tuple[str, str]]

SEPARATOR = b"\0" * 8
MAX_PRELUDE_BYTES = 16 * 1024
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
_REMAPPED = {"connection", "content-length", "date", "server", "www-authenticate"}
_DROPPED = {"transfer-encoding", "keep-alive", "trailer", "upgrade"}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_KEYS = {"statusCode", "headers", "multiValueHeaders", "cookies"}


class Malformed(Exception):
    """The function's answer is not what a proxy integration has to return."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, the names as API Gateway lets them through."""

    status: int
    headers: Headers


async def prepended(first: bytes, rest: AsyncGenerator[bytes, None] | None = None) -> AsyncGenerator[bytes, None]:
    """The chunks with one put back in front."""
    yield first
    if rest is not None:
        async for chunk in rest:
            yield chunk


async def read_prelude(chunks: AsyncGenerator[bytes, None]) -> tuple[Head, bytes]:
    """The head of a streamed answer, and what of the body came in the same chunk.

    Raises Malformed: no eight NULs within 16 KB, or something else than a head before them.
    """
    start = b""
    async for chunk in chunks:
        start += chunk
        at = start.find(SEPARATOR, 0, MAX_PRELUDE_BYTES + len(SEPARATOR))
        if at >= 0:
            return _read_head(start[:at], _KEYS), start[at + len(SEPARATOR) :]
        if len(start) >= MAX_PRELUDE_BYTES + len(SEPARATOR):
            break
    raise Malformed(f"no eight NUL bytes within the first {MAX_PRELUDE_BYTES} bytes: {start[:80]!r}")


def read_buffered(payload: bytes) -> tuple[Head, bytes]:
    """The proxy JSON of a function that does not stream. Raises Malformed."""
    head = _read_head(payload, _KEYS | {"body", "isBase64Encoded"})
    body = json.loads(payload).get("body")
    if body is None:
        return head, b""
    if not isinstance(body, str):
        raise Malformed(f"body is {type(body).__name__}, not a string")
    return head, body.encode()


def _read_head(document: bytes, keys: set[str]) -> Head:
    try:
        parsed: object = json.loads(document)
    except ValueError as error:
        raise Malformed(f"not JSON: {document[:80]!r}") from error
    if not isinstance(parsed, dict):
        raise Malformed(f"a {type(parsed).__name__}, not an object")
    fields = cast("dict[str, object]", parsed)
    if unknown := fields.keys() - keys:
        raise Malformed(f"unknown keys: {', '.join(sorted(unknown))}")
    status = str(fields.get("statusCode", 200))
    if not re.fullmatch(r"[2-5]\d\d", status):
        raise Malformed(f"statusCode is {status}")
    headers = [*_pairs(fields), *(("set-cookie", cookie) for cookie in _strings(fields.get("cookies"), "cookies"))]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return Head(int(status), headers)


def _pairs(fields: Mapping[str, object]) -> Headers:
    multiple = {name.lower(): values for name, values in _table(fields, "multiValueHeaders").items()}
    single = {name.lower(): [value] for name, value in _table(fields, "headers").items()}
    return [
        (f"x-amzn-remapped-{name}" if name in _REMAPPED else name, value)
        for name, values in {**single, **multiple}.items()
        if name not in _DROPPED
        for value in _strings(values, name)
    ]


def _table(fields: Mapping[str, object], key: str) -> dict[str, object]:
    value = fields.get(key)
    if not isinstance(value, dict | None):
        raise Malformed(f"{key} is not an object")
    return cast("dict[str, object]", value or {})


def _strings(value: object, name: str) -> list[str]:
    if not isinstance(value, list | None):
        raise Malformed(f"{name} is not a list")
    strings = [str(item) for item in cast("list[object]", value or [])]
    if not _NAME.fullmatch(name) or any(_FORBIDDEN.search(item) for item in strings):
        raise Malformed(f"header {name!r} cannot be sent")
    return [item.strip() for item in strings]


# Response type: the status and message that API Gateway gives unless the template says otherwise.
_OWN: dict[str, tuple[int, str | None]] = {
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, None),
    "AUTHORIZER_FAILURE": (500, None),
    "INTEGRATION_FAILURE": (502, "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "UNAUTHORIZED": (401, "Unauthorized"),
}


_BODY = '{"message":$context.error.messageString}'
_PLAIN = GatewayResponse(None, {}, None)


def own_answer(
    kind: str, request: Request, responses: Mapping[str, GatewayResponse], status: int | None = None
) -> tuple[Head, bytes]:
    """What the gateway answers itself: `kind` is a gateway response type, `status` AWS's where it has several."""
    default, message = _OWN[kind]
    status = status or default
    custom = responses.get(kind) or responses.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX") or _PLAIN
    values = {
        "error.messageString": json.dumps(message),
        "error.message": message or "",
        "error.responseType": kind,
        "requestId": request.id,
    }
    body = custom.body or _BODY
    for name, value in values.items():
        body = body.replace(f"$context.{name}", value)
    headers: Headers = [("content-type", "application/json")]
    for name, source in custom.headers.items():
        headers.append((name.lower(), values.get(source.removeprefix("context."), source.strip("'"))))
    return Head(custom.status or status, headers), body.encode()

"""The two ways to write the response of an invocation: streamed as it is made, or as one proxy response."""

from __future__ import annotations

import json
from typing import Any, Protocol, cast

from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers.api_gateway import APIGateway
from mangum.types import LambdaConfig

from .client import Client, Invocation
from .faults import Fault, FaultError, log

MAX_PRELUDE = 16 * 1024
SEPARATOR = bytes(8)
# API Gateway frames the body itself.
HOP_BY_HOP = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)

RawHeaders = list[tuple[bytes, bytes]]


class ResponseWriter(Protocol):
    """Call `start` once, `write` until `last`, then `end`; call `end` earlier if there is a fault."""

    async def start(self, status: int, headers: RawHeaders) -> None: ...
    async def write(self, body: bytes, last: bool) -> None: ...
    async def end(self, fault: Fault | None) -> None: ...


class Streamed:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html"""

    def __init__(self, client: Client, invocation: Invocation) -> None:
        self._client, self._invocation = client, invocation
        self._connection = client.connection
        self._started = False

    async def start(self, status: int, headers: RawHeaders) -> None:
        first = prelude(status, headers)
        self._started = True
        await self._client.open_stream(self._invocation, first)

    async def write(self, body: bytes, last: bool) -> None:
        await self._connection.chunk(body, last)

    async def end(self, fault: Fault | None) -> None:
        if self._started and self._connection.lost:
            log("WARN", "the Runtime API dropped the response", requestId=self._invocation.id)
        elif fault is None:
            await self._client.stream_accepted()
        elif self._started:
            await self._client.end_stream(fault)
            await self._client.stream_accepted()
        else:
            await self._client.fail(self._invocation, fault)


class Buffered:
    """The ordinary proxy response, which is all that the Runtime Interface Emulator and `sam local` understand."""

    def __init__(self, client: Client, invocation: Invocation) -> None:
        self._client, self._invocation = client, invocation
        self._status = 0
        self._headers: RawHeaders = []
        self._body = bytearray()

    async def start(self, status: int, headers: RawHeaders) -> None:
        self._status, self._headers = status, headers

    async def write(self, body: bytes, last: bool) -> None:
        self._body += body

    async def end(self, fault: Fault | None) -> None:
        if fault is None:
            await self._client.respond(self._invocation, json.dumps(self._proxy_response()).encode())
        else:
            await self._client.fail(self._invocation, fault)

    def _proxy_response(self) -> dict[str, Any]:
        config = LambdaConfig(api_gateway_base_path="/", text_mime_types=DEFAULT_TEXT_MIME_TYPES, exclude_headers=[])
        headers = [[name, value] for name, value in _end_to_end(self._headers)]
        respond = APIGateway({}, cast("Any", None), config)
        return respond({"status": self._status, "headers": headers, "body": bytes(self._body)})


def prelude(status: int, headers: RawHeaders) -> bytes:
    """The JSON and the separator that precede a streamed body; other keys than these four are refused."""
    values: dict[str, list[str]] = {}
    for name, value in _end_to_end(headers):
        values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    cookies = values.pop("set-cookie", None)
    document: dict[str, Any] = {"statusCode": status, "headers": {k: v[0] for k, v in values.items() if len(v) == 1}}
    if multiple := {k: v for k, v in values.items() if len(v) > 1}:
        document["multiValueHeaders"] = multiple
    if cookies:
        document["cookies"] = cookies
    encoded = json.dumps(document).encode() + SEPARATOR
    if len(encoded) > MAX_PRELUDE:
        message = f"status and headers take {len(encoded)} bytes; API Gateway reads {MAX_PRELUDE}"
        raise FaultError("Runtime.PreludeTooLarge", message)
    return encoded


def _end_to_end(headers: RawHeaders) -> RawHeaders:
    return [(name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP]

"""One message of JSON-RPC sent to an MCP server, and the answer read, as JSON or as server-sent events. Knows no era.

Source: 2026-07-28, basic/transports/streamable-http, "Sending Messages" and "Receiving Messages"; 2025-11-25,
basic/transports, which are the same but for what a server may send beside its answer: that is passed over.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from itertools import count
from typing import NamedTuple

from pydantic import JsonValue

from ...core.json import loads
from ...schema.base import JsonObject
from ...transport.errors import (
    BadStatus,
    Forbidden,
    Redirected,
    TimedOut,
    TooLong,
    TransportError,
    Unreachable,
    Unsendable,
)
from ...transport.http import Http, Reply
from ...transport.sse import SseParser
from .credentials import McpCredentials
from .failures import (
    MAX_MESSAGE,
    PARSE_ERROR,
    BrokenConnection,
    HttpFailure,
    McpFailure,
    ProtocolFailure,
    timed_out,
    unusable,
)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Of one message: a screenshot in base64 fits. `mcp` 2.3.0 takes 1 MiB of an event, and any JSON; what beside an answer
comes as events is bounded by the transport (`MAX_WHOLE_BYTES`)."""
MAX_REDIRECTS = 3
"""Within the server's origin: to a path with a slash at its end, as a rule."""
CALL = "tools/call"
_ACCEPT = {"accept": "application/json, text/event-stream"}


class RpcAnswer(NamedTuple):
    """`headers` have lower-case names."""

    result: JsonObject
    headers: Mapping[str, str]


class JsonRpc:
    """Messages to one server. What McpFailure says holds no secret."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._ids = count(1)

    def next_id(self) -> int:
        """No id is used twice, since two requests of a session may be answered at the same time."""
        return next(self._ids)

    async def ask(
        self,
        credentials: McpCredentials,
        method: str,
        params: JsonObject,
        headers: Mapping[str, str],
        *,
        seconds: float,
        request_id: int | None = None,
    ) -> RpcAnswer:
        """A request, answered within `seconds`. A call is sent once; anything else is sent again if its connection
        breaks, as a kept one does after a sandbox was frozen. Raises McpFailure.
        """
        request_id = request_id or self.next_id()
        message: JsonObject = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await self._answered(credentials, message, headers, request_id)
                except BrokenConnection:
                    if method == CALL:
                        raise
                return await self._answered(credentials, message, headers, request_id)
        except TimeoutError:
            raise timed_out(seconds) from None

    async def _answered(
        self, credentials: McpCredentials, message: JsonObject, headers: Mapping[str, str], request_id: int
    ) -> RpcAnswer:
        async with self._sent(credentials, message, headers) as reply:
            if reply.status == HTTPStatus.ACCEPTED:
                raise unusable("The server accepted the request, and answered nothing")
            streamed = reply.headers.get("content-type", "").lower().startswith("text/event-stream")
            answer = await (_from_stream(reply, request_id) if streamed else _from_json(reply, request_id))
            return RpcAnswer(_result(answer, credentials), reply.headers)

    async def tell(
        self,
        credentials: McpCredentials,
        method: str,
        params: JsonObject,
        headers: Mapping[str, str],
        *,
        seconds: float,
    ) -> None:
        """A notification. Nobody answers it, and nothing depends on it."""
        message: JsonObject = {"jsonrpc": "2.0", "method": method, "params": params}
        with suppress(McpFailure, TimeoutError):
            async with asyncio.timeout(seconds), self._sent(credentials, message, headers) as reply:
                await reply.drain()

    async def end(self, credentials: McpCredentials, headers: Mapping[str, str], *, seconds: float) -> None:
        """End the session that `headers` name. Nothing depends on it: a server need not let it be ended."""
        with suppress(McpFailure, TimeoutError):
            async with asyncio.timeout(seconds), self._sent(credentials, None, headers) as reply:
                await reply.drain()

    @asynccontextmanager
    async def _sent(
        self, credentials: McpCredentials, message: JsonObject | None, headers: Mapping[str, str]
    ) -> AsyncGenerator[Reply, None]:
        """POST with a message, DELETE without one."""
        body = json.dumps(message, allow_nan=False).encode() if message else b""
        sent = {**_ACCEPT, **credentials.headers, **headers}
        try:
            async with self._http.request(
                "POST" if message else "DELETE", body=body, headers=sent, redirects=MAX_REDIRECTS
            ) as reply:
                yield reply
        except BadStatus as bad:
            raise _refused(bad, credentials) from None
        except TransportError as error:
            raise _failed(error) from None


async def _from_json(reply: Reply, request_id: int) -> JsonObject:
    body = bytearray()
    async with aclosing(reply.whole()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise TooLong(MAX_ANSWER_BYTES)
    message = _message(bytes(body))
    if not _answers(message, request_id):
        raise ProtocolFailure(PARSE_ERROR, "The server answered something else than what it was asked")
    return message


async def _from_stream(reply: Reply, request_id: int) -> JsonObject:
    """The answer among notifications, and requests, which are not answered: this client can do nothing of its own."""
    parser = SseParser(MAX_ANSWER_BYTES)
    async with aclosing(_chunks(reply)) as chunks:
        async for chunk in chunks:
            for event in parser.feed(chunk):
                if event.data.strip() and _answers(message := _message(event.data), request_id):
                    await reply.drain()
                    return message
    raise unusable("The server's stream ended without an answer")


async def _chunks(reply: Reply) -> AsyncGenerator[bytes, None]:
    """With the line that ends an event at the end, which some servers leave out."""
    async with aclosing(reply.whole()) as chunks:
        async for chunk in chunks:
            yield chunk
    yield b"\n\n"


def _message(data: str | bytes) -> JsonObject:
    try:
        value = loads(data, numbers_only=True)
    except ValueError:
        raise ProtocolFailure(PARSE_ERROR, "The server's answer is not JSON") from None
    if not isinstance(value, dict):
        raise ProtocolFailure(PARSE_ERROR, "The server's answer is no message of JSON-RPC")
    return value


def _answers(message: JsonObject, request_id: int) -> bool:
    """An error without an id is one of a request that couldn't be read: this one, since it came alone."""
    answered = message.get("id")
    same = answered == request_id and not isinstance(answered, bool)
    return "method" not in message and (
        ("result" in message and same) or ("error" in message and (same or answered is None))
    )


def _result(message: JsonObject, credentials: McpCredentials) -> JsonObject:
    if "error" in message:
        raise _error(message["error"], credentials)
    try:
        result = credentials.cleaned(message.get("result"))
    except ValueError:
        raise ProtocolFailure(PARSE_ERROR, "The server's answer is nested too deeply") from None
    if not isinstance(result, dict):
        raise ProtocolFailure(PARSE_ERROR, "The server's answer has no result")
    return result


def _error(error: JsonValue, credentials: McpCredentials, status: int = 0) -> ProtocolFailure:
    fields = error if isinstance(error, dict) else {}
    code, message = fields.get("code"), fields.get("message")
    told = credentials.without(message)[:MAX_MESSAGE] if isinstance(message, str) and message else "It gave no reason"
    number = code if isinstance(code, int) and abs(code) < 2**31 else PARSE_ERROR
    return ProtocolFailure(number, told, status, fields.get("data"))


def _refused(bad: BadStatus, credentials: McpCredentials) -> McpFailure:
    """An error of JSON-RPC comes with a status too, since 2026-07-28. A gateway passes on where to log in."""
    body = _body(bad.body)
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and body.get("jsonrpc") == "2.0":
        return _error(body["error"], credentials, bad.status)
    phrase = _PHRASES.get(bad.status, "")
    told = f"HTTP {bad.status}{f' {phrase}' if phrase else ''}"
    if challenge := bad.headers.get("www-authenticate"):
        told += f": it asks for {challenge}"
    elif reason := _reason(body):
        told += f": {reason}"
    return HttpFailure(bad.status, credentials.without(told)[:MAX_MESSAGE], bad.status)


def _body(data: bytes) -> JsonValue:
    try:
        return loads(data, numbers_only=True)
    except ValueError:
        return None if data.lstrip().startswith(b"<") else data.decode(errors="replace").strip()


def _reason(body: JsonValue) -> str:
    """What an error's body says in words; nothing of a web page."""
    match body:
        case str():
            return body
        case {"message": str(text)} | {"error_description": str(text)} | {"detail": str(text)} | {"error": str(text)}:
            return text
        case {"error": {"message": str(text)}}:
            return text
        case _:
            return ""


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _failed(error: TransportError) -> HttpFailure:
    match error:
        case TooLong():
            return unusable(f"The server's answer is longer than {error.limit} bytes")
        case TimedOut():
            return HttpFailure(HTTPStatus.GATEWAY_TIMEOUT, "The server did not answer in time")
        case Unreachable() | Unsendable():
            return unusable("The server can't be reached")
        case Redirected():
            return unusable("The server redirects to another address, which is not followed")
        case Forbidden():
            return unusable("The server's address is one that this deployment does not connect to")
        case _:
            return BrokenConnection(HTTPStatus.BAD_GATEWAY, "The connection to the server broke")

"""A WebSocket API in front of the functions: an ASGI app that turns a connection and its messages into invocations.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
Messages of one connection are not held back for each other: AWS promises no order among invocations.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected

from openresponses_dev.local.background import Background
from openresponses_dev.local.gateway.answers import Malformed, read_buffered
from openresponses_dev.local.gateway.connections import Connection, Connections
from openresponses_dev.local.gateway.gatekeeper import AuthorizerContext, Denied, Gatekeeper
from openresponses_dev.local.gateway.http_exchange import Message, Receive, Send
from openresponses_dev.local.gateway.rest_event import Request
from openresponses_dev.local.gateway.socket_event import Handshake, new_id
from openresponses_dev.local.gateway.socket_line import ABNORMAL, LINE, Gone, Limits, Line, NotReading
from openresponses_dev.local.gateway.visitors import Turned, Visitors
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import InvokeError
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.template.websocket import CONNECT, DEFAULT, DISCONNECT, SocketApi, SocketRoute

# A client that sends a binary frame is disconnected with it:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-binary-media-types.html
UNSUPPORTED = 1003
GOING_AWAY = 1001
_INTERNAL = "Internal server error"
_STATUS = {
    "UNAUTHORIZED": (401, "Unauthorized"),
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
}


class Refused(Exception):
    """The handshake is answered with a status instead of a connection."""

    def __init__(self, status: int, message: str, why: str) -> None:
        super().__init__(why)
        self.status, self.message = status, message


class Unanswered(Exception):
    """A function was not invoked, failed, took too long, or answered what is no answer."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(why)
        self.message = message


class SocketGateway:
    """Serves every WebSocket of its API, whatever path a server that lets it in gave it."""

    def __init__(
        self,
        api: SocketApi,
        functions: Mapping[str, Function],
        *,
        background: Background,
        log: Log,
        visitors: Visitors,
        limits: Limits,
    ) -> None:
        self.api, self.limits = api, limits
        self.connections = Connections()
        self._functions, self._visitors = functions, visitors
        self._gatekeeper = Gatekeeper(functions)
        self._background, self._log = background, log

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        request = _request(scope)
        handshake = Handshake(self.api, request)
        try:
            self._visitors.check(request, scope["server"][1], own_page=False)
            authorizer = await self._admit(handshake)
            protocol = await self._connect(handshake, authorizer)
        except Turned as turned:
            await _answer(send, 403, turned.document())
            self._log.say(f"WebSocket {request.path}  403  {turned}", failed=True)
        except Refused as refused:
            await _answer(send, refused.status, _error(refused.message, handshake, new_id()))
            self._log.say(f"WebSocket {request.path}  {refused.status}  {refused}", failed=True)
        else:
            line = cast("Line", scope["state"][LINE])
            connection = Connection(handshake, authorizer, line, send)
            await self._serve(connection, protocol, receive)

    async def _serve(self, connection: Connection, protocol: str | None, receive: Receive) -> None:
        code, reason = ABNORMAL, ""
        try:
            await connection.accept(protocol)
            self.connections.add(connection)
            code, reason = await self._converse(connection, receive)
        except ClientDisconnected:
            pass  # while the function was asked
        finally:
            self.connections.remove(connection)
        self._log.say(f"WebSocket {connection.id}  closed {code} {reason}".rstrip())
        if route := self.api.routes.get(DISCONNECT):
            event = connection.handshake.disconnect_event(code, reason, connection.authorizer)
            self._background.spawn(self._tell(route, event), f"{DISCONNECT} of {connection.id}")

    async def _admit(self, handshake: Handshake) -> AuthorizerContext | None:
        try:
            return await self._gatekeeper.admit_socket(handshake)
        except Denied as denied:
            status, message = _STATUS.get(denied.kind, (500, _INTERNAL))
            raise Refused(status, message, str(denied)) from denied

    async def _connect(self, handshake: Handshake, authorizer: AuthorizerContext | None) -> str | None:
        """The subprotocol that the function chose. What it answers but 2xx refuses the handshake, and its failure is a
        502. https://docs.aws.amazon.com/apigateway/latest/developerguide/
        apigateway-websocket-api-route-keys-connect-disconnect.html
        """
        route = self.api.routes.get(CONNECT)
        if route is None:
            return None
        try:
            status, headers = await self._invoke(route, handshake.connect_event(new_id(), authorizer))
        except Unanswered as failed:
            raise Refused(502, failed.message, str(failed)) from failed
        if not 200 <= status < 300:
            raise Refused(status, "Forbidden" if status == 403 else _INTERNAL, f"{route.function} answered {status}")
        return headers.get("sec-websocket-protocol")

    async def _converse(self, connection: Connection, receive: Receive) -> tuple[int, str]:
        """Until it closes. Returns code and reason."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.limits.lifetime_s
        while True:
            until = min(connection.quiet_since + self.limits.idle_s, ends)
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                if min(connection.quiet_since + self.limits.idle_s, ends) <= loop.time():
                    await connection.close(GOING_AWAY, "Going away")
                continue
            if message["type"] == "websocket.disconnect":
                return message["code"], message.get("reason") or ""
            connection.active()
            if (text := message.get("text")) is None:
                await connection.close(UNSUPPORTED, "Binary frames are not supported")
            else:
                self._background.spawn(self._deliver(connection, text), f"message of {connection.id}")

    async def _deliver(self, connection: Connection, text: str) -> None:
        """To the function of its route. Where that fails, the client is told in API Gateway's own words:
        https://github.com/aws/aws-cdk/issues/18208
        """
        request_id = new_id()
        key = self._selected(text)
        route = self.api.routes.get(key)
        try:
            if route is None:
                raise Unanswered("Forbidden", f"no route {key}")
            event = connection.handshake.message_event(key, request_id, text, connection.authorizer)
            await self._invoke(route, event)
        except Unanswered as failed:
            self._log.say(f"WebSocket {connection.id}  {failed.message}  {failed}", failed=True)
            with contextlib.suppress(Gone, NotReading):
                await connection.post(_error(failed.message, connection.handshake, request_id))

    def _selected(self, text: str) -> str:
        """https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html"""
        try:
            found: object = json.loads(text)
            for name in self.api.selection:
                found = cast("dict[str, object]", found)[name] if isinstance(found, dict) else None
        except (ValueError, KeyError, RecursionError):
            return DEFAULT
        key = str(found)
        return key if key in self.api.routes and not key.startswith("$") else DEFAULT

    async def _tell(self, route: SocketRoute, event: Mapping[str, Any]) -> None:
        try:
            await self._invoke(route, event)
        except Unanswered as failed:
            self._log.say(f"{DISCONNECT}  {failed}", failed=True)

    async def _invoke(self, route: SocketRoute, event: Mapping[str, Any]) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer. A function at its limit is waited for: Lambda has a thousand sandboxes.

        Raises Unanswered.
        """
        context = event["requestContext"]
        about = f"{context['routeKey']} {context['connectionId']}"
        payload = json.dumps(event, ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(route.timeout_s):
                function = self._functions[route.function]
                call = await function.invoke_soon(payload, None, patience_s=route.timeout_s)
                body = b"".join([chunk async for chunk in call.chunks()])
        except TimeoutError:
            raise Unanswered("Endpoint request timed out", f"{route.function} took {route.timeout_s:g} s") from None
        except InvokeError as error:
            raise Unanswered(_INTERNAL, f"{error.error_type}: {error}") from error
        if call.error:
            raise Unanswered(_INTERNAL, call.summary(about, "failed"))
        try:
            head, _ = read_buffered(body)
        except Malformed as error:
            raise Unanswered(
                _INTERNAL, f"{call.function} answered what a proxy integration may not: {error}"
            ) from error
        self._log.say(call.summary(about, str(head.status)))
        return head.status, dict(head.headers)


def _request(scope: Message) -> Request:
    return Request(
        method="GET",
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
        client=scope["client"][0],
    )


def _error(message: str, handshake: Handshake, request_id: str) -> bytes:
    told = {"message": message, "connectionId": handshake.connection_id, "requestId": request_id}
    return json.dumps(told).encode()


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})

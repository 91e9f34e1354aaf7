"""The management API of the WebSocket API: how functions speak to a connection, by signed requests.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
Errors: https://docs.aws.amazon.com/boto3/latest/reference/services/apigatewaymanagementapi.html, and that of an id that
is none: https://github.com/brefphp/bref (tests/Websocket/Samples/message-failure-invalid-connectionid.json).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from urllib.parse import unquote

from openresponses_dev.local.gateway.answers import Head
from openresponses_dev.local.gateway.connections import Connections
from openresponses_dev.local.gateway.http_exchange import ClientLeft, Exchange, Message, Receive, Send
from openresponses_dev.local.gateway.rest_event import Request
from openresponses_dev.local.gateway.socket_line import Gone, Limits, NotReading
from openresponses_dev.local.own_host import is_own_host
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.services.signed_requests import Refused, check_page, check_signature

_PATH = re.compile(r"/(?P<stage>[^/]+)/@connections/(?P<id>[^/]+)")


class Failed(Exception):
    """The call is answered with an error of the API."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class Management:
    """An ASGI app, for whoever has the credentials. A message is as large as the limits let it be."""

    def __init__(self, stage: str, connections: Connections, credentials: Credentials, limits: Limits) -> None:
        self._stage, self._connections = stage, connections
        self._credentials, self._limits = credentials, limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            whole, size = await exchange.read_body(), len(exchange.request.body)
            if whole:  # of another one there is no signature
                self._check(exchange.request, scope["server"][1])
            if not whole or size > (self._limits.message or size):
                raise Failed(413, "PayloadTooLargeException", "Payload Too Large")
            body = await self._serve(exchange.request)
        except ClientLeft:
            return
        except Failed as failed:
            headers = [("content-type", "application/json"), ("x-amzn-errortype", failed.kind)]
            await exchange.whole(Head(failed.status, headers), json.dumps({"message": str(failed)}).encode())
        else:
            await exchange.whole(Head(200, [("content-type", "application/json")]), body)

    def _check(self, request: Request, port: int) -> None:
        headers = dict(request.headers)
        target = request.path + (f"?{request.query}" if request.query else "")
        try:
            check_page(is_own_host(headers.get("host", ""), port), headers.get("origin"))
            authorization = headers.get("authorization", "")
            check_signature(request.method, target, authorization, headers, request.body, self._credentials)
        except Refused as refused:
            raise Failed(403, refused.code[2], str(refused)) from refused

    async def _serve(self, request: Request) -> bytes:
        found = _PATH.fullmatch(unquote(request.path))
        if found is None or found["stage"] != self._stage:
            raise Failed(403, "ForbiddenException", "Forbidden")
        if not _is_id(found["id"]):
            raise Failed(400, "BadRequestException", f"Invalid connectionId: {found['id']}")
        try:
            connection = self._connections.get(found["id"])
            match request.method:
                case "GET":
                    return connection.document()
                case "POST":
                    await connection.post(request.body.decode("utf-8", "replace").encode())
                case "DELETE":
                    await connection.close(1000, "Connection Closed Normally")
                case _:
                    raise Failed(403, "ForbiddenException", "Forbidden")
        except Gone:
            raise Failed(410, "GoneException", "Gone") from None
        except NotReading:
            message = "The client does not read what it is sent"
            raise Failed(429, "LimitExceededException", message) from None
        return b""


def _is_id(text: str) -> bool:
    try:
        return len(base64.b64decode(text, b"-_", validate=True)) == 11
    except (binascii.Error, ValueError):
        return False

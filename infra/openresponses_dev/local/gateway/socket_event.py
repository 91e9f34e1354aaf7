"""What happens to a WebSocket -> the event that a WebSocket API sends to a function.

Shapes: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-integration-types.html, and events of real
APIs: https://gist.github.com/noid11/4aa8933d0b5cdbcc09d377c5d65d28c1,
https://github.com/aws-powertools/powertools-lambda-python/tree/develop/tests/events (apiGatewayWebSocketApi*.json).
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from openresponses_dev.local.gateway.rest_event import Request, grouped
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION
from openresponses_dev.local.template.websocket import CONNECT, DISCONNECT, SocketApi

_TAKEN = {"connection", "upgrade"}  # they do not show in the events of real APIs


def new_id() -> str:
    """As AWS makes those of connections, messages and requests: 15 characters and a `=`."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()


def _milliseconds() -> int:
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request that a connection begins with, and what is known of the connection from then on."""

    api: SocketApi
    request: Request
    connection_id: str = field(default_factory=new_id)
    connected_at: int = field(default_factory=_milliseconds)

    @property
    def identity(self) -> dict[str, str]:
        agent = self.request.header("user-agent")
        return {**({} if agent is None else {"userAgent": agent}), "sourceIp": self.request.client}

    @property
    def connect_arn(self) -> str:
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api.name}/{self.api.stage}/{CONNECT}"

    def authorizer_event(self) -> dict[str, Any]:
        context = self._context(CONNECT, "CONNECT", new_id())
        return {
            "type": "REQUEST",
            "methodArn": self.connect_arn,
            **self._head(),
            "stageVariables": {},
            "requestContext": context,
        }

    def connect_event(self, request_id: str, authorizer: Mapping[str, object] | None) -> dict[str, Any]:
        context = self._context(CONNECT, "CONNECT", request_id, authorizer)
        return {**self._head(), "requestContext": context, "isBase64Encoded": False}

    def message_event(
        self, route: str, request_id: str, body: str, authorizer: Mapping[str, object] | None
    ) -> dict[str, Any]:
        context = {"messageId": new_id(), **self._context(route, "MESSAGE", request_id, authorizer)}
        return {"requestContext": context, "body": body, "isBase64Encoded": False}

    def disconnect_event(self, code: int, reason: str, authorizer: Mapping[str, object] | None) -> dict[str, Any]:
        host = self.request.header("host") or ""
        headers = {"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
        left = {"disconnectStatusCode": code, "disconnectReason": reason}
        context = {**self._context(DISCONNECT, "DISCONNECT", new_id(), authorizer), **left}
        return {
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "requestContext": context,
            "isBase64Encoded": False,
        }

    def _head(self) -> dict[str, Any]:
        headers = [(_cased(name), value) for name, value in self.request.headers if name not in _TAKEN]
        headers += [
            ("X-Amzn-Trace-Id", self.request.trace_id),
            ("X-Forwarded-For", self.request.client),
            ("X-Forwarded-Proto", "http"),
        ]
        query = parse_qsl(self.request.query, keep_blank_values=True)
        asked = {"queryStringParameters": dict(query), "multiValueQueryStringParameters": grouped(query)}
        return {"headers": dict(headers), "multiValueHeaders": grouped(headers), **(asked if query else {})}

    def _context(
        self, route: str, kind: str, request_id: str, authorizer: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        now = _milliseconds()
        return {
            "routeKey": route,
            **({} if authorizer is None else {"authorizer": authorizer}),
            "eventType": kind,
            "extendedRequestId": request_id,
            "requestTime": datetime.fromtimestamp(now / 1000, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "messageDirection": "IN",
            "stage": self.api.stage,
            "connectedAt": self.connected_at,
            "requestTimeEpoch": now,
            "identity": self.identity,
            "requestId": request_id,
            "domainName": (self.request.header("host") or "127.0.0.1").partition(":")[0],
            "connectionId": self.connection_id,
            "apiId": self.api.name,
        }


def _cased(name: str) -> str:
    return name.title().replace("Sec-Websocket-", "Sec-WebSocket-")

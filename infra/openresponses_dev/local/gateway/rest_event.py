"""HTTP request -> the event that a REST API sends to a proxy integration, and which route it belongs to.

Shape: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from openresponses_dev.local.template.intrinsics import ACCOUNT
from openresponses_dev.local.template.template import Route

# What a gateway consumes itself, by RFC 9110.
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
}


@dataclass(slots=True)
class Request:
    """An HTTP request, whole. `path` is as on the wire; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    client: str
    body: bytes = b""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = field(default_factory=lambda: f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}")

    def header(self, name: str) -> str | None:
        return next((value for key, value in reversed(self.headers) if key == name), None)


class Routes:
    """The resources of the REST APIs. The path alone chooses one: a method it lacks falls through to no other."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._resources: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._resources.setdefault(route.path, {})[route.method] = route
        self._patterns = [(re.compile(_pattern(path)), path) for path in sorted(self._resources, key=_generality)]

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and its path parameters."""
        path = path.rstrip("/") or "/"
        for pattern, resource in self._patterns:
            if found := pattern.fullmatch(path):
                methods = self._resources[resource]
                route = methods.get(method) or methods.get("ANY")
                names = re.findall(r"\{(\w+)\+?\}", resource)
                values = [unquote(value) for value in found.groups()]
                return (route, dict(zip(names, values, strict=True))) if route else None
        return None


def _pattern(path: str) -> str:
    parts = re.split(r"(\{\w+\+?\})", path.rstrip("/") or "/")
    return "".join("(.+)" if p.endswith("+}") else "([^/]+)" if p.startswith("{") else re.escape(p) for p in parts)


def _generality(path: str) -> list[int]:
    """Sorts, segment by segment, the literal before {name} before {name+}."""
    return [2 if s.endswith("+}") else 1 if s.startswith("{") else 0 for s in path.split("/")]


def rest_event(
    request: Request,
    route: Route,
    parameters: dict[str, str],
    stage: str,
    authorizer: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """The proxy event. The template declares no binary media types, so every body is text, whatever it holds.

    `authorizer` is what one said of the caller, where the route has one.
    """
    # Names come title-cased to us and to AWS from most clients; a function must not care.
    headers = [(k.title(), v) for k, v in request.headers if k not in _HOP_BY_HOP]
    headers += [
        ("X-Amzn-Trace-Id", request.trace_id),
        ("X-Forwarded-For", request.client),
        ("X-Forwarded-Proto", "http"),
    ]
    query = parse_qsl(request.query, keep_blank_values=True)
    return {
        "resource": route.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": grouped(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": grouped(query) or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            **_context(request, route, stage),
            **({} if authorizer is None else {"authorizer": authorizer}),
        },
        "body": request.body.decode("utf-8", "replace") or None,
        "isBase64Encoded": False,
    }


def _context(request: Request, route: Route, stage: str) -> dict[str, Any]:
    now = time.time()
    host = request.header("host") or "127.0.0.1"
    return {
        "accountId": ACCOUNT,
        "apiId": route.api,
        "deploymentId": "local",
        "domainName": host.partition(":")[0],
        "domainPrefix": host.partition(".")[0],
        "extendedRequestId": request.id,
        "httpMethod": request.method,
        "identity": {"sourceIp": request.client, "userAgent": request.header("user-agent")},
        "path": f"/{stage}{request.path}",
        "protocol": "HTTP/1.1",
        "requestId": request.id,
        "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(now * 1000),
        "resourceId": "local",
        "resourcePath": route.path,
        "stage": stage,
    }


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each name."""
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups

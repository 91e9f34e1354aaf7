"""What stands before every route: paths as clients write them, HEAD, OPTIONS, upgrades, and pages of other origins."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..core.errors import MethodNotAllowed, NotFound, NoWebSocket, RequestError
from ..core.settings import Settings
from .errors import error_response

_RATE_LIMITS = tuple(
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
)
EXPOSED = ("allow", "openresponses-version", "retry-after", "x-request-id", "x-should-retry", *_RATE_LIMITS)
"""The headers that a page may read, besides those that every page may."""
MAX_AGE = 7200
"""Seconds that a browser remembers a preflight. Chromium takes no more."""
_SLASHES = re.compile("/{2,}")


_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def middleware(routes: Sequence[BaseRoute], settings: Settings) -> list[Middleware]:
    """What stands before `routes`, the outermost first."""
    origins = settings.allowed_origins
    return [*(_sharing(origins) if origins else ()), Middleware(Edge, routes, settings.websocket_url)]


def methods_of(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """What a path may be asked with, as `Allow` says it; empty if there is no such path."""
    found = {
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    }
    if found:
        found |= {"HEAD", "OPTIONS"} if "GET" in found else {"OPTIONS"}
    return ", ".join(sorted(found))


async def no_route(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, in our body."""
    assert isinstance(error, HTTPException)
    from .astray import advice, is_doubled

    path, routes = request.scope["path"], request.app.router.routes
    where = f"{request.method} {path}"
    if error.status_code != 405 or is_doubled(path):
        return error_response(NotFound(f"{where}: {advice(request.scope, routes) or 'there is nothing here'}"))
    allowed = methods_of(routes, request.scope)
    answer = error_response(MethodNotAllowed(f"{where}: this path has the methods {allowed}"))
    answer.headers["allow"] = allowed
    return answer


def _is_upgrade(scope: Scope) -> bool:
    """Whether a client opens a WebSocket. API Gateway may keep the header `upgrade` to itself, so the other one that
    every handshake has is enough: https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    """
    headers = Headers(scope=scope)
    protocols = ",".join(headers.getlist("upgrade")).lower().split(",")
    return "sec-websocket-key" in headers or "websocket" in map(str.strip, protocols)


def _no_upgrade(websocket_url: str) -> Response:
    """A client that is told 426 goes on over HTTP, or to the address that it is told.

    `Upgrade` names the protocol that there is: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.22. API Gateway
    drops it, so the address is in a header of its own: https://www.rfc-editor.org/rfc/rfc8288.
    """
    instead = f"connect to {websocket_url}, or send the request over HTTP" if websocket_url else "use HTTP"
    answer = error_response(NoWebSocket(f"No WebSocket is opened at this address: {instead}"))
    answer.headers["upgrade"] = "websocket" if websocket_url else "HTTP/1.1"
    if websocket_url:
        answer.headers["link"] = f'<{websocket_url}>; rel="alternate"'
    return answer


class Edge:
    """A path with doubled slashes, or one at its end, is the path without them: a redirect would leave the stage.

    An upgrade is refused whatever its path and its key: a client that may not come in has to know where, too.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], websocket_url: str) -> None:
        self._app, self._routes, self._websocket_url = app, routes, websocket_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "path": _SLASHES.sub("/", scope["path"]).rstrip("/") or "/"}
        match scope["method"]:
            case "GET" if _is_upgrade(scope):
                await _no_upgrade(self._websocket_url)(scope, receive, send)
            case "OPTIONS":
                await self._options(scope)(scope, receive, send)
            case "HEAD":
                # Without the query: nobody follows a stream by its head, and every page of a listing has the same.
                await self._app({**scope, "method": "GET", "query_string": b""}, receive, _headless(send))
            case _:
                await self._app(scope, receive, send)

    def _options(self, scope: Scope) -> Response:
        if allowed := methods_of(self._routes, scope):
            return Response(status_code=204, headers={"allow": allowed})
        return error_response(NotFound(f"{scope['path']}: there is nothing here"))


def _headless(send: Send) -> Send:
    """Sends the head alone."""

    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head


def _sharing(origins: Sequence[str]) -> list[Middleware]:
    from starlette.middleware.cors import CORSMiddleware

    class Sharing(CORSMiddleware):
        """The refusal of a preflight is an error like the others."""

        def preflight_response(self, request_headers: Headers) -> Response:
            answer = super().preflight_response(request_headers)
            if answer.status_code == 200:
                return answer
            return error_response(
                RequestError("This server may not be called from this page", param="origin", code="origin_not_allowed")
            )

    return [
        Middleware(
            Sharing,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=MAX_AGE,
        )
    ]

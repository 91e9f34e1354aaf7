"""The HTTP surface as an application. Starlette serves the table of routes, and FastAPI, which stands on Starlette,
documents it: to import FastAPI for every request would be a third of a cold start.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, NoReturn, TypeAlias, assert_never

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import telemetry
from ..core.afterwards import afterwards
from ..core.errors import KitError, RequestError
from ..core.settings import Settings
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from . import edge, errors
from .access import Access, access_of
from .call import Call
from .headers import check_version
from .routes import OPERATIONS, Keyed, Open, Operation

if TYPE_CHECKING:
    from ..webhooks.endpoints import StoredEndpoints

DOCUMENTATION = ("/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json")
CONSOLE = ("/console", "/console/{file}")
_Admit: TypeAlias = Callable[[Request], Call]


def no_endpoints(_: str) -> NoReturn:
    raise RequestError("This server stores nothing, so it has no webhooks", code="requires_storage")


def create_app(
    open_to: Callable[[Access], tuple[NewResponses, StoredResponses]],
    settings: Settings,
    aclose: Callable[[], Awaitable[None]],
    identify: Callable[[Request], Access] = access_of,
    endpoints_of: "Callable[[str], StoredEndpoints]" = no_endpoints,
) -> Starlette:
    """The ASGI application.

    `identify` says who calls, or raises Unauthorized; `open_to` gives the use cases that they may use. `aclose` is
    awaited when the sandbox shuts down. `endpoints_of` a tenant are its webhooks.
    """

    def admit(request: Request) -> Call:
        access = identify(request)
        new, stored = open_to(access)
        check_version(request)
        return Call(request, access, new, stored, settings, endpoints_of)

    routes = [_route(each, admit) for each in OPERATIONS]
    if settings.public_docs:
        routes += [Route(path, _Documentation(), methods=["GET"]) for path in DOCUMENTATION]
    if settings.console:
        routes += [Route(path, _console, methods=["GET"]) for path in CONSOLE]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Afterwards), *edge.middleware(routes, settings), Middleware(errors.BugGuard)],
        exception_handlers={KitError: errors.refuse, HTTPException: edge.no_route},
        lifespan=_lifespan(aclose),
    )
    app.router.redirect_slashes = False
    return app


def _route(operation: Operation, admit: _Admit) -> Route:
    match operation.endpoint:
        case Open(answer):
            return Route(operation.path, answer, methods=[operation.method])
        case Keyed(answer):
            return Route(operation.path, _keyed(answer, admit), methods=[operation.method])
        case _ as never:
            assert_never(never)


def _keyed(answer: Callable[[Call], Awaitable[Response]], admit: _Admit) -> Callable[[Request], Awaitable[Response]]:
    async def admitted(request: Request) -> Response:
        return await answer(admit(request))

    return admitted


class _Afterwards:
    """Does what was put off until a request is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with afterwards(lambda error: telemetry.crashed(errors.request_id(scope), error)):
            await self._app(scope, receive, send)


class _Documentation:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from .docs import app

        await app(scope, receive, send)


async def _console(request: Request) -> Response:
    from .console import answer

    return answer(request)


def _lifespan(aclose: Callable[[], Awaitable[None]]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        yield
        await aclose()

    return lifespan

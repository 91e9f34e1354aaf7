"""The HTTP surface: the application, and the routes that need no response."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.settings import Settings
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from . import create, docs, edge, errors, stored
from .access import Access, access_of
from .create import new_responses_of
from .headers import SPEC_VERSION, check_version


def create_app(
    open_to: Callable[[Access], tuple[NewResponses, StoredResponses]],
    settings: Settings,
    aclose: Callable[[], Awaitable[None]],
    identify: Callable[[Request], Access] = access_of,
) -> FastAPI:
    """The ASGI application.

    `identify` says who calls, or raises Unauthorized; `open_to` gives the use cases that they may use. `aclose` is
    awaited when the sandbox shuts down.
    """
    app = FastAPI(
        title="openresponses",
        version=SPEC_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(aclose),
    )
    errors.install(app)
    docs.install(app)
    edge.install(app, settings.allowed_origins)
    app.include_router(_v1(open_to, identify, settings), prefix="/v1")
    app.add_api_route("/health", _health, methods=["GET"], summary="Is it up")
    return app


def _lifespan(aclose: Callable[[], Awaitable[None]]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        yield
        await aclose()

    return lifespan


async def _health() -> Response:
    return JSONResponse({"status": "ok", "version": SPEC_VERSION})


def _v1(
    open_to: Callable[[Access], tuple[NewResponses, StoredResponses]],
    identify: Callable[[Request], Access],
    settings: Settings,
) -> APIRouter:
    async def admit(request: Request) -> None:
        request.state.access = access = identify(request)
        request.state.new, request.state.stored = open_to(access)
        check_version(request)

    async def models(request: Request) -> Response:
        listed = [_model(name) for name in await new_responses_of(request).models()]
        return JSONResponse({"object": "list", "data": listed})

    async def model(request: Request) -> Response:
        name = request.path_params["model"]
        await new_responses_of(request).check_model(name)
        return JSONResponse(_model(name))

    router = APIRouter(dependencies=[Depends(admit)])
    create.add_routes(router, settings)
    stored.add_routes(router, settings)
    router.add_api_route("/models", models, methods=["GET"], summary="List models")
    router.add_api_route("/models/{model:path}", model, methods=["GET"], summary="Read a model")
    return router


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0]}

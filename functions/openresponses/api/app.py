"""The HTTP surface: the application, and the routes that need no response."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.service import Service
from ..core.settings import Settings
from ..core.stored import Stored
from . import create, docs, errors, stored
from .auth import check_key
from .headers import SPEC_VERSION, check_version


def create_app(service: Service, kept: Stored, settings: Settings, aclose: Callable[[], Awaitable[None]]) -> FastAPI:
    """The ASGI application. `aclose` is awaited when the sandbox shuts down."""
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
    app.include_router(_v1(service, kept, settings), prefix="/v1")
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


def _v1(service: Service, kept: Stored, settings: Settings) -> APIRouter:
    async def admit(request: Request) -> None:
        check_key(request, settings.api_keys)
        check_version(request)

    async def models() -> Response:
        listed = [
            {"id": model, "object": "model", "created": 0, "owned_by": model.partition("/")[0]}
            for model in service.models()
        ]
        return JSONResponse({"object": "list", "data": listed})

    router = APIRouter(dependencies=[Depends(admit)])
    create.add_routes(router, service, kept, settings)
    stored.add_routes(router, kept, settings)
    router.add_api_route("/models", models, methods=["GET"], summary="List models")
    return router

"""The HTTP surface. Each route parses, calls one service function, and answers."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.errors import RequestError
from ..core.ports import Emit
from ..core.routing import split_model
from ..core.run import Run
from ..core.service import Service
from ..core.settings import EventNames, Settings
from ..schema.events import Event
from . import docs, errors, telemetry
from .auth import check_key
from .body import parse_create, read_body
from .sse import EventStream

SPEC_VERSION = "2026-04-24"
EVENT_NAMES_HEADER = "openresponses-event-names"
RESERVE = 1.0
"""Seconds before the function's deadline at which a response is ended, so that its last events get out."""


def create_app(service: Service, settings: Settings, aclose: Callable[[], Awaitable[None]]) -> FastAPI:
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
    app.include_router(_v1(service, settings), prefix="/v1")
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


def _v1(service: Service, settings: Settings) -> APIRouter:
    async def admit(request: Request) -> None:
        check_key(request, settings.api_keys)
        _check_version(request)

    async def create(request: Request) -> Response:
        return await _create(request, service, settings)

    async def models() -> Response:
        listed = [
            {"id": model, "object": "model", "created": 0, "owned_by": model.partition("/")[0]}
            for model in service.models()
        ]
        return JSONResponse({"object": "list", "data": listed})

    router = APIRouter(dependencies=[Depends(admit)])
    router.add_api_route("/responses", create, methods=["POST"], openapi_extra=docs.CREATE, summary="Create a response")
    router.add_api_route("/models", models, methods=["GET"], summary="List models")
    return router


async def _create(request: Request, service: Service, settings: Settings) -> Response:
    watch = telemetry.Watch(errors.request_id(request.scope))
    names = _event_names(request, settings.event_names)
    body = parse_create(await read_body(request, settings.max_body_bytes))
    run = service.accept(body)
    watch.provider = split_model(body.model, settings)[0]
    headers = {"openresponses-version": SPEC_VERSION, "x-request-id": watch.request_id or run.response.id}
    seconds = _seconds_left(request)

    async def produce(emit: Emit, committed: Callable[[], bool]) -> None:
        try:
            await service.respond(run, emit, seconds=seconds, committed=committed)
        finally:
            if run.response.status != "in_progress":
                telemetry.record(watch, run)

    if body.stream:
        options = body.stream_options

        async def produce_stream(emit: Emit) -> None:
            await produce(emit, lambda: stream.started)

        stream = EventStream(
            produce_stream,
            names=names,
            obfuscate=options is None or options.include_obfuscation is not False,
            heartbeat=settings.heartbeat_seconds,
            headers=headers,
            on_start=watch.mark_first_byte,
        )
        return stream
    await produce(_nowhere, lambda: bool(run.response.output))
    return _whole(run, headers)


def _whole(run: Run, headers: dict[str, str]) -> Response:
    return Response(run.response.model_dump_json(), media_type="application/json", headers=headers)


async def _nowhere(event: Event) -> None:
    """A plain request folds the same events; nobody hears them."""


def _seconds_left(request: Request) -> float | None:
    context: Any = request.scope.get("aws.context")
    return None if context is None else max(0.1, context.get_remaining_time_in_millis() / 1000 - RESERVE)


def _event_names(request: Request, default: EventNames) -> EventNames:
    match request.headers.get(EVENT_NAMES_HEADER):
        case None:
            return default
        case "open_responses":
            return "open_responses"
        case "openai":
            return "openai"
        case _:
            raise RequestError("Event names are 'open_responses' or 'openai'", param=EVENT_NAMES_HEADER)


def _check_version(request: Request) -> None:
    version = request.headers.get("openresponses-version")
    if version not in (None, "", "latest", SPEC_VERSION):
        raise RequestError(
            f"This server speaks Open Responses {SPEC_VERSION} (or 'latest')",
            param="openresponses-version",
            code="unsupported_version",
        )

"""`POST /v1/responses`."""

import hashlib
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .. import telemetry
from ..core.errors import IdempotencyKeyReused
from ..core.ports import Sink
from ..core.records import Claim, Record
from ..core.run import Run
from ..core.settings import Settings
from ..responses.create import Service
from ..schema.events import StreamEvent
from ..schema.request import CreateResponse
from . import docs, errors
from .access import Access
from .body import parse_create, read_body
from .headers import SPEC_VERSION, event_names, seconds_left
from .sse import EventStream
from .stored import answer_whole, stored_of, stream_of

IDEMPOTENCY_HEADER = "idempotency-key"


def service_of(request: Request) -> Service:
    """The service that the caller may use."""
    return request.state.service


def add_routes(router: APIRouter, settings: Settings) -> None:
    async def create(request: Request) -> Response:
        service = service_of(request)
        event_names(request, settings.event_names)  # a wrong name is refused before anything is done
        body = await read_body(request, settings.max_body_bytes)
        asked = parse_create(body)
        run, record = await service.accept(asked)
        key = request.headers.get(IDEMPOTENCY_HEADER) if run.response.store else None
        claim = Claim(run.response.id, hashlib.sha256(body).hexdigest())
        if key:
            held = await service.claim(key, claim)
            if held.body_hash != claim.body_hash:
                raise IdempotencyKeyReused
            if held.response_id != claim.response_id:
                return await _again(request, asked, held.response_id, settings)

        async def release() -> None:
            if key:
                await service.release(key, claim)

        return await _answer(request, asked, run, record, service, settings, release)

    router.add_api_route("/responses", create, methods=["POST"], openapi_extra=docs.CREATE, summary="Create a response")


async def _again(request: Request, asked: CreateResponse, response_id: str, settings: Settings) -> Response:
    """The same request once more: its response is followed, not made again."""
    kept = stored_of(request)
    await kept.appeared(response_id)
    if asked.stream:
        return stream_of(request, response_id, -1, settings)
    if asked.background:
        return answer_whole(await kept.retrieve(response_id), asked.include)
    await kept.follow(response_id, -1, _nowhere, seconds=seconds_left(request))
    return answer_whole(await kept.retrieve(response_id), asked.include)


async def _answer(
    request: Request,
    asked: CreateResponse,
    run: Run,
    record: Record,
    service: Service,
    settings: Settings,
    release: Callable[[], Awaitable[None]],
) -> Response:
    """`release` is awaited where nothing came of it: an idempotency key may then be used again."""
    access: Access = request.state.access
    watch = telemetry.Watch(errors.request_id(request.scope), access.tenant, access.key_id)
    seconds = seconds_left(request)

    async def produce(sink: Sink, committed: Callable[[], bool]) -> None:
        try:
            await service.respond(run, record, sink, seconds=seconds, committed=committed)
        except Exception:
            if not committed():
                await release()
                raise  # it is logged as refused, or as a crash
            telemetry.record(watch, run)
            raise
        telemetry.record(watch, run)

    headers = {"openresponses-version": SPEC_VERSION, "x-request-id": watch.request_id or run.response.id}
    if not asked.stream:
        await produce(_nowhere, lambda: bool(run.response.output))
        return answer_whole(run.response, asked.include, headers)

    async def produce_stream(sink: Sink) -> None:
        await produce(sink, lambda: stream.started)

    options = asked.stream_options
    stream = EventStream(
        produce_stream,
        names=event_names(request, settings.event_names),
        obfuscate=options is None or options.include_obfuscation is not False,
        heartbeat=settings.heartbeat_seconds,
        headers=headers,
        include=asked.include or (),
        on_start=watch.mark_first_byte,
    )
    return stream


async def _nowhere(event: StreamEvent) -> None:
    """A plain request folds the same events; nobody hears them."""

"""`POST /v1/responses`."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .. import telemetry
from ..core.ports import Sink
from ..core.records import Record
from ..core.run import Run
from ..core.settings import Settings
from ..durable.journal import nowhere
from ..responses.create import NewResponses
from ..responses.idempotency import IdempotencyKey, answered_by_the_first
from ..schema.request import CreateResponse
from . import docs, errors
from .body import parse_create, read_body
from .headers import SPEC_VERSION, event_names, seconds_left
from .sse import EventStream
from .stored import answer_whole, stored_responses_of, stream_of

IDEMPOTENCY_HEADER = "idempotency-key"


def new_responses_of(request: Request) -> NewResponses:
    """The responses that the caller may ask for."""
    return request.state.new


def add_routes(router: APIRouter, settings: Settings) -> None:
    async def create(request: Request) -> Response:
        new = new_responses_of(request)
        event_names(request, settings.event_names)  # a wrong name is refused before anything is done
        body = await read_body(request, settings.max_body_bytes)
        asked = parse_create(body)
        run, record = await new.accept(asked)
        name = request.headers.get(IDEMPOTENCY_HEADER) if run.response.store else None
        key = IdempotencyKey.of(name, body) if name else None
        if key and (earlier := await new.claim(key, run, record)) != run.response.id:
            return await _again(request, asked, earlier, settings)
        return await _answer(request, asked, run, record, key, settings)

    router.add_api_route("/responses", create, methods=["POST"], openapi_extra=docs.CREATE, summary="Create a response")


async def _again(request: Request, asked: CreateResponse, response_id: str, settings: Settings) -> Response:
    """Answer a request that came before with the response that was made of it then."""
    stored = stored_responses_of(request)
    if asked.stream:
        return stream_of(request, response_id, -1, settings, within=answered_by_the_first)
    with answered_by_the_first():
        if not asked.background:
            await stored.follow(response_id, -1, nowhere, seconds=seconds_left(request))
        return answer_whole(await stored.retrieve(response_id), asked.include)


async def _answer(
    request: Request,
    asked: CreateResponse,
    run: Run,
    record: Record,
    key: IdempotencyKey | None,
    settings: Settings,
) -> Response:
    new, access = new_responses_of(request), request.state.access
    watch = telemetry.Watch(errors.request_id(request.scope), access.tenant, access.key_id)
    seconds = seconds_left(request)

    async def produce(sink: Sink, committed: Callable[[], bool]) -> None:
        try:
            await new.respond(run, record, sink, seconds=seconds, committed=committed, key=key)
        except Exception:
            if committed():
                telemetry.requested(watch, run)
            raise  # what the client saw nothing of is logged as refused, or as a crash
        telemetry.requested(watch, run)

    headers = {"openresponses-version": SPEC_VERSION, "x-request-id": watch.request_id or run.response.id}
    if not asked.stream:
        await produce(nowhere, lambda: bool(run.response.output))
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

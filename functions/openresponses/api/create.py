"""`POST /v1/responses`."""

from collections.abc import Callable

from starlette.responses import Response

from .. import telemetry
from ..core.errors import RequestError
from ..core.opening import only_opened
from ..core.ports import Sink
from ..core.records import Record
from ..core.run import Run
from ..durable.journal import nowhere
from ..responses.idempotency import IdempotencyKey, answered_by_the_first
from ..schema.request import CreateResponse
from . import errors
from .body import parse_create, read_body
from .call import Call
from .headers import SPEC_VERSION, event_names, idempotency_key, rate_limits, seconds_left, trace
from .sse import REPEAT_GRACE, EventStream
from .stored import answer_whole, stream_of


async def create(call: Call) -> Response:
    request, new, settings = call.request, call.new, call.settings
    event_names(request, settings.event_names)  # a wrong name is refused before anything is done
    named = idempotency_key(request)
    body = await read_body(request, settings.max_body_bytes)
    asked = parse_create(body)
    key = IdempotencyKey.of(named, body) if named else None
    try:
        run, record = await new.accept(asked, trace=trace(request))
    except RequestError:  # the first request may hold the conversation now, or have made it too long for another
        if key and asked.conversation and (earlier := await new.repeated(key)):
            return await _again(call, asked, earlier)
        raise
    if not run.response.store:
        key = None
    claimed = bool(key or run.lock or run.approved)
    if claimed:
        earlier = await new.holdings.claim(key, run, record)
        if earlier != run.response.id:
            return await _again(call, asked, earlier)
    left = await new.holdings.hold(run, key, claimed=claimed)
    return await _answer(call, asked, run, record, key, claimed, rate_limits(left))


async def _again(call: Call, asked: CreateResponse, response_id: str) -> Response:
    """Answer a request that came before with the response that was made of it then."""
    if asked.stream:
        return stream_of(call, response_id, -1, within=answered_by_the_first, grace=REPEAT_GRACE)
    with answered_by_the_first():
        if not asked.background:
            await call.stored.follow(response_id, -1, nowhere, seconds=seconds_left(call.request))
        return answer_whole(await call.stored.retrieve(response_id), asked.include)


async def _answer(
    call: Call,
    asked: CreateResponse,
    run: Run,
    record: Record,
    key: IdempotencyKey | None,
    claimed: bool,
    limits: dict[str, str],
) -> Response:
    watch = telemetry.Watch(errors.request_id(call.request.scope), call.access.tenant, call.access.key_id)
    seconds = seconds_left(call.request)

    async def produce(sink: Sink, committed: Callable[[], bool]) -> None:
        try:
            await call.new.respond(run, record, sink, seconds=seconds, committed=committed, key=key, claimed=claimed)
        except Exception:
            if committed():
                telemetry.requested(watch, run)
            raise  # what the client saw nothing of is logged as refused, or as a crash
        telemetry.requested(watch, run)

    headers = {"openresponses-version": SPEC_VERSION, "x-request-id": watch.request_id or run.response.id, **limits}
    if not asked.stream:
        await produce(nowhere, lambda: not only_opened(run))
        return answer_whole(run.response, asked.include, headers)

    async def produce_stream(sink: Sink) -> None:
        await produce(sink, lambda: stream.committed())

    options = asked.stream_options
    stream = EventStream(
        produce_stream,
        names=event_names(call.request, call.settings.event_names),
        obfuscate=options is None or options.include_obfuscation is not False,
        heartbeat=call.settings.heartbeat_seconds,
        headers=headers,
        include=asked.include or (),
        on_start=watch.mark_first_byte,
    )
    return stream

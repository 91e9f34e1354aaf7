"""The routes of stored responses: list them; read or follow one, cancel it, delete it, list its input."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from pydantic import TypeAdapter
from starlette.responses import JSONResponse, Response

from ..core.listing import Wanted
from ..core.ports import Sink
from ..responses.view import shown_response
from ..schema.items import Item
from ..schema.response import Response as ResponseResource
from ..schema.timeline import TIMELINE
from .body import ListQuery, ResponsesQuery, RetrieveQuery, parse_query
from .call import Call
from .headers import SPEC_VERSION, event_names, seconds_left
from .sse import GRACE, EventStream

_ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item], config={"defer_build": True})


async def responses(call: Call) -> Response:
    """`last_id` is of the last response that was read for the page, so that who goes on after it reads none twice."""
    asked = parse_query(ResponsesQuery, call.request)
    wanted = Wanted(asked.status, asked.model, asked.metadata)
    page = await call.stored.page(wanted, limit=asked.limit, order=asked.order, after=asked.after)
    listing = {
        "object": "list",
        "data": [each.model_dump(mode="json") for each in page.data],
        "first_id": page.data[0].id if page.data else None,
        "last_id": page.last_id,
        "has_more": page.more,
    }
    return JSONResponse(listing)


async def retrieve(call: Call) -> Response:
    response_id, asked = _id(call), parse_query(RetrieveQuery, call.request)
    if not asked.stream:
        timed = TIMELINE in asked.include
        found = await (call.stored.retrieve_timed(response_id) if timed else call.stored.retrieve(response_id))
        return answer_whole(found, asked.include)
    await call.stored.check(response_id)
    after = -1 if asked.starting_after is None else asked.starting_after
    return stream_of(call, response_id, after, asked.include, asked.include_obfuscation)


async def cancel(call: Call) -> Response:
    return answer_whole(await call.stored.cancel(_id(call)), None)


async def delete(call: Call) -> Response:
    response_id = _id(call)
    await call.stored.delete(response_id)
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})


async def input_items(call: Call) -> Response:
    page = parse_query(ListQuery, call.request)
    items, more = await call.stored.input_items(
        _id(call), limit=page.limit, order=page.order, after=page.after, before=page.before
    )
    listing = {
        "object": "list",
        "data": _ITEMS.dump_python(items, mode="json"),
        "first_id": items[0].id if items else None,
        "last_id": items[-1].id if items else None,
        "has_more": more,
    }
    return JSONResponse(listing)


def _id(call: Call) -> str:
    return call.request.path_params["response_id"]


def answer_whole(
    response: ResponseResource, include: Iterable[str] | None, headers: Mapping[str, str] | None = None
) -> Response:
    shown = shown_response(response, include or ())
    sent = {"openresponses-version": SPEC_VERSION, **(headers or {})}
    return Response(shown.model_dump_json(), media_type="application/json", headers=sent)


def stream_of(
    call: Call,
    response_id: str,
    after: int,
    include: Iterable[str] = (),
    obfuscate: bool = True,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
    grace: float = GRACE,
) -> EventStream:
    """The events of a stored response from number `after` on. They are read within `within()`."""
    seconds = seconds_left(call.request)

    async def produce(sink: Sink) -> None:
        with within():
            await call.stored.follow(response_id, after, sink, seconds=seconds)

    return EventStream(
        produce,
        names=event_names(call.request, call.settings.event_names),
        obfuscate=obfuscate,
        heartbeat=call.settings.heartbeat_seconds,
        headers={"openresponses-version": SPEC_VERSION, "x-request-id": response_id},
        include=include,
        grace=grace,
        after=after,
    )

"""The routes of a stored response: read or follow it, cancel it, delete it, list its input."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.ports import Sink
from ..core.settings import Settings
from ..responses.stored import StoredResponses
from ..responses.view import shown_response
from ..schema.items import Item
from ..schema.response import Response as ResponseResource
from .body import ListQuery, RetrieveQuery, parse_query
from .headers import SPEC_VERSION, event_names, seconds_left
from .sse import EventStream

_ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item], config={"defer_build": True})


def stored_responses_of(request: Request) -> StoredResponses:
    """The responses that the caller may use."""
    return request.state.stored


def add_routes(router: APIRouter, settings: Settings) -> None:
    async def retrieve(request: Request) -> Response:
        kept, response_id, asked = stored_responses_of(request), _id(request), parse_query(RetrieveQuery, request)
        if not asked.stream:
            return answer_whole(await kept.retrieve(response_id), asked.include)
        await kept.check(response_id)
        after = -1 if asked.starting_after is None else asked.starting_after
        return stream_of(request, response_id, after, settings, asked.include, asked.include_obfuscation)

    async def cancel(request: Request) -> Response:
        return answer_whole(await stored_responses_of(request).cancel(_id(request)), None)

    async def delete(request: Request) -> Response:
        response_id = _id(request)
        await stored_responses_of(request).delete(response_id)
        return JSONResponse({"id": response_id, "object": "response", "deleted": True})

    async def input_items(request: Request) -> Response:
        page = parse_query(ListQuery, request)
        items, more = await stored_responses_of(request).input_items(
            _id(request), limit=page.limit, order=page.order, after=page.after, before=page.before
        )
        listing = {
            "object": "list",
            "data": _ITEMS.dump_python(items, mode="json"),
            "first_id": items[0].id if items else None,
            "last_id": items[-1].id if items else None,
            "has_more": more,
        }
        return JSONResponse(listing)

    path = "/responses/{response_id}"
    router.add_api_route(path, retrieve, methods=["GET"], summary="Read a response, or follow its events")
    router.add_api_route(path, delete, methods=["DELETE"], summary="Delete a response")
    router.add_api_route(f"{path}/cancel", cancel, methods=["POST"], summary="Cancel a response")
    router.add_api_route(f"{path}/input_items", input_items, methods=["GET"], summary="List what the model was shown")


def _id(request: Request) -> str:
    return request.path_params["response_id"]


def answer_whole(
    response: ResponseResource, include: Iterable[str] | None, headers: Mapping[str, str] | None = None
) -> Response:
    shown = shown_response(response, include or ())
    sent = {"openresponses-version": SPEC_VERSION, **(headers or {})}
    return Response(shown.model_dump_json(), media_type="application/json", headers=sent)


def stream_of(
    request: Request,
    response_id: str,
    after: int,
    settings: Settings,
    include: Iterable[str] = (),
    obfuscate: bool = True,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> EventStream:
    """The events of a stored response from number `after` on. They are read within `within()`."""
    kept, seconds = stored_responses_of(request), seconds_left(request)

    async def produce(sink: Sink) -> None:
        with within():
            await kept.follow(response_id, after, sink, seconds=seconds)

    return EventStream(
        produce,
        names=event_names(request, settings.event_names),
        obfuscate=obfuscate,
        heartbeat=settings.heartbeat_seconds,
        headers={"openresponses-version": SPEC_VERSION, "x-request-id": response_id},
        include=include,
    )

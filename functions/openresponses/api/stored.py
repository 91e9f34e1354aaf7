"""The routes of a stored response: read or follow it, cancel it, delete it, list its input."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.ports import Sink
from ..core.settings import Settings
from ..core.stored import Stored
from ..core.view import shown_response
from ..schema.items import Item
from ..schema.response import Response as ResponseResource
from .headers import SPEC_VERSION, event_names, seconds_left
from .sse import EventStream

_ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item], config={"defer_build": True})
Include = Annotated[list[str] | None, Query()]
BracketedInclude = Annotated[list[str] | None, Query(alias="include[]")]
"""The OpenAI SDKs write a list in a query as `include[]=...`."""


def stored_of(request: Request) -> Stored:
    """The stored responses that the caller may use."""
    return request.state.stored


def add_routes(router: APIRouter, settings: Settings) -> None:
    async def retrieve(
        request: Request,
        response_id: str,
        stream: bool = False,
        starting_after: Annotated[int | None, Query(ge=0)] = None,
        include: Include = None,
        bracketed: BracketedInclude = None,
        include_obfuscation: bool = True,
    ) -> Response:
        kept, wanted = stored_of(request), [*(include or ()), *(bracketed or ())]
        if not stream:
            return answer_whole(await kept.retrieve(response_id), wanted)
        await kept.check(response_id)
        after = -1 if starting_after is None else starting_after
        return stream_of(request, response_id, after, settings, wanted, include_obfuscation)

    async def cancel(request: Request, response_id: str) -> Response:
        return answer_whole(await stored_of(request).cancel(response_id), None)

    async def delete(request: Request, response_id: str) -> Response:
        await stored_of(request).delete(response_id)
        return JSONResponse({"id": response_id, "object": "response", "deleted": True})

    async def input_items(
        request: Request,
        response_id: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
        after: str | None = None,
        before: str | None = None,
    ) -> Response:
        kept = stored_of(request)
        items, more = await kept.input_items(response_id, limit=limit, order=order, after=after, before=before)
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
) -> EventStream:
    """The events of a stored response from number `after` on."""
    kept, seconds = stored_of(request), seconds_left(request)

    async def produce(sink: Sink) -> None:
        await kept.follow(response_id, after, sink, seconds=seconds)

    return EventStream(
        produce,
        names=event_names(request, settings.event_names),
        obfuscate=obfuscate,
        heartbeat=settings.heartbeat_seconds,
        headers={"openresponses-version": SPEC_VERSION, "x-request-id": response_id},
        include=include,
    )

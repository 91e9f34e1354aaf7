"""The routes of webhook endpoints, as the OpenAI SDK asks for them (openai.resources.webhooks)."""

from typing import TYPE_CHECKING, TypeVar

from starlette.responses import JSONResponse, Response

from ..schema.base import JsonObject, Wire
from ..schema.webhooks import EVENT_TYPES, EndpointChange, EndpointTrial, NewEndpoint, SecretRotation
from .body import EndpointsQuery, parse_body, parse_query, read_body
from .call import Call

if TYPE_CHECKING:
    from ..core.webhooks import Endpoint

MAX_LETTERS = 100
W = TypeVar("W", bound=Wire)


async def event_types(_: Call) -> Response:
    return JSONResponse({"object": "list", "data": EVENT_TYPES})


async def create_endpoint(call: Call) -> Response:
    asked = await _body(call, NewEndpoint)
    told = await call.endpoints().create(asked.name, asked.url, asked.event_types)
    return JSONResponse({**_shown(told.endpoint), "signing_secret": told.secret})


async def list_endpoints(call: Call) -> Response:
    asked = parse_query(EndpointsQuery, call.request)
    endpoints, more = await call.endpoints().page(limit=asked.limit, after=asked.after)
    listing = {
        "object": "list",
        "data": [_shown(each) for each in endpoints],
        "first_id": endpoints[0].id if endpoints else None,
        "last_id": endpoints[-1].id if endpoints else None,
        "has_more": more,
    }
    return JSONResponse(listing)


async def retrieve_endpoint(call: Call) -> Response:
    return JSONResponse(_shown(await call.endpoints().retrieve(_id(call))))


async def update_endpoint(call: Call) -> Response:
    asked = await _body(call, EndpointChange)
    changed = await call.endpoints().update(_id(call), name=asked.name, url=asked.url, event_types=asked.event_types)
    return JSONResponse(_shown(changed))


async def delete_endpoint(call: Call) -> Response:
    await call.endpoints().delete(_id(call))
    return JSONResponse({"id": _id(call), "object": "webhook_endpoint.deleted", "deleted": True})


async def rotate_secret(call: Call) -> Response:
    asked = await _body(call, SecretRotation)
    told = await call.endpoints().rotate(_id(call), keep_old=asked.keep_old_secret_active_for_24_hours)
    return JSONResponse({**_shown(told.endpoint), "signing_secret": told.secret})


async def try_endpoint(call: Call) -> Response:
    asked = await _body(call, EndpointTrial)
    status = await call.endpoints().test(_id(call), asked.event_type)
    told = {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": _id(call),
        "event_type": asked.event_type,
        "status_code": status,
        "success": True,  # "Whether the test request completed", says the SDK: an answer came
    }
    return JSONResponse(told)


async def dead_letters(call: Call) -> Response:
    """Ours: OpenAI shows none."""
    letters = await call.endpoints().dead(MAX_LETTERS)
    data = [
        {
            "object": "webhook_dead_letter",
            "event_id": each.event_id,
            "event_type": each.event_type,
            "response_id": each.response_id,
            "webhook_endpoint_id": each.endpoint_id,
            "reason": each.reason,
            "created_at": each.created_at,
            "given_up_at": each.given_up_at,
        }
        for each in letters
    ]
    return JSONResponse({"object": "list", "data": data})


def _id(call: Call) -> str:
    return call.request.path_params["webhook_endpoint_id"]


async def _body(call: Call, kind: type[W]) -> W:
    return parse_body(kind, await read_body(call.request, call.settings.max_body_bytes))


def _shown(endpoint: "Endpoint") -> JsonObject:
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": [*endpoint.event_types],
        "signing_secret_hint": endpoint.hint,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }

"""`POST /v1/responses/input_tokens`."""

from starlette.responses import JSONResponse, Response

from ..schema.base import SLUG
from .body import parse_create, read_body
from .call import Call


async def input_tokens(call: Call) -> Response:
    """The body is that of a create: what it is counted for. Shape: openai.types.responses.InputTokenCountResponse."""
    asked = parse_create(await read_body(call.request, call.settings.max_body_bytes))
    counted = await call.new.count(asked)
    estimated = {f"{SLUG}:estimated": True} if counted.estimated else {}
    return JSONResponse({"object": "response.input_tokens", "input_tokens": counted.tokens, **estimated})

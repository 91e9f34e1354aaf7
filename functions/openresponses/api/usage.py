"""The route of usage: the caller's own."""

from starlette.responses import JSONResponse, Response

from .body import UsageQuery, parse_query
from .call import Call


async def usage(call: Call) -> Response:
    asked = parse_query(UsageQuery, call.request)
    return JSONResponse(await call.stored.usage.of_key(call.access.key_id, asked.from_, asked.to, asked.by))

"""`POST /v1/responses/compact`."""

from starlette.responses import Response

from ..schema.compact import CompactRequest
from .body import parse_body, read_body
from .call import Call
from .headers import SPEC_VERSION, rate_limits, seconds_left, trace


async def compact(call: Call) -> Response:
    body = await read_body(call.request, call.settings.max_body_bytes)
    asked, seconds = parse_body(CompactRequest, body), seconds_left(call.request)
    made, left = await call.new.compact(asked, seconds=seconds, trace=trace(call.request))
    headers = {"openresponses-version": SPEC_VERSION, "x-request-id": made.id, **rate_limits(left)}
    return Response(made.model_dump_json(), media_type="application/json", headers=headers)

"""What one would write by hand with Starlette: a dict per event, dumped as it is sent. It has no model and no state."""

import json
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


async def create(request: Request) -> StreamingResponse:
    return StreamingResponse(_events((await request.json())["max_output_tokens"]), media_type="text/event-stream")


async def _events(count: int) -> AsyncIterator[str]:
    for number in range(count):
        event: dict[str, object] = {
            "type": "response.output_text.delta",
            "sequence_number": number,
            "item_id": "msg_0123456789abcdef0123456789abcdef0000",
            "output_index": 0,
            "content_index": 0,
            "delta": "word ",
            "logprobs": [],
        }
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


app = Starlette(routes=[Route("/v1/responses", create, methods=["POST"])])

"""What one would write by hand for one provider: a chunk of its stream in, one event out, and nothing else.

The environment's `BENCH_UPSTREAM` is the base URL of its Chat Completions. It has no state, no model and no limits.
"""

import json
import os
from collections.abc import AsyncIterator

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx2.AsyncClient(base_url=os.environ["BENCH_UPSTREAM"], trust_env=False)


async def create(request: Request) -> StreamingResponse:
    return StreamingResponse(_events((await request.json())["input"]), media_type="text/event-stream")


async def _events(text: str) -> AsyncIterator[str]:
    asked = {"model": "model", "stream": True, "messages": [{"role": "user", "content": text}]}
    number = 0
    async with client.stream("POST", "/chat/completions", json=asked) as reply:
        async for line in reply.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            content = json.loads(line[6:])["choices"][0]["delta"].get("content")
            if content:
                event: dict[str, object] = {
                    "type": "response.output_text.delta",
                    "sequence_number": number,
                    "item_id": "msg_0123456789abcdef0123456789abcdef0000",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": content,
                    "logprobs": [],
                }
                number += 1
                yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


app = Starlette(routes=[Route("/v1/responses", create, methods=["POST"])])

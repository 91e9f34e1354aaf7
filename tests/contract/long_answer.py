"""A child process: one response whose provider says 100 MB, and what it cost. `python -m tests.contract.long_answer
<dialect> <size of a piece>` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from importlib import import_module
from itertools import chain, repeat
from typing import Any

from openresponses.api.sse import frame
from openresponses.core.settings import ProviderSettings
from openresponses.schema.events import StreamEvent
from openresponses.schema.request import CreateResponse
from openresponses.transport.links import Request
from tests.contract.machine import House
from tests.recordings.mutations import Event, frame_of
from tests.unit.kit import Models

SAID = 100 * 1000 * 1000
"""Characters that the provider would say."""
AT_ONCE = 64 * 1024


def beginning_and_piece(dialect: str, words: str) -> tuple[list[Any], Any]:
    """The events that begin a text, and one that goes on with it."""
    match dialect:
        case "anthropic":
            block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}
            return [{"type": "message_start", "message": {}}, block], delta
        case "bedrock":
            return [], {"contentBlockIndex": 0, "delta": {"text": words}}
        case "chat_completions":
            return [], {"choices": [{"index": 0, "delta": {"content": words}}]}
        case "gemini":
            return [], {"candidates": [{"content": {"parts": [{"text": words}]}}]}
        case _:
            item = {"type": "message", "id": "msg_1"}
            added = {"type": "response.output_item.added", "output_index": 0, "item": item}
            delta = {"type": "response.output_text.delta", "output_index": 0, "item_id": "msg_1", "delta": words}
            return [added], delta


class Endless:
    """A server that says `SAID` characters as fast as they are read."""

    def __init__(self, dialect: str, size: int) -> None:
        def written(event: Any) -> bytes:
            if dialect == "bedrock":
                return frame_of(Event("contentBlockDelta", event))
            return f"data: {json.dumps(event)}\n\n".encode()

        first, piece = beginning_and_piece(dialect, "x" * size)
        many = max(1, AT_ONCE // len(written(piece)))
        self.status, self.headers = 200, dict[str, str]()
        self._chunks = chain(map(written, first), repeat(written(piece) * many, SAID // (size * many)))

    async def send(self, request: Request, until: float) -> Endless:
        return self

    async def read(self, until: float) -> bytes:
        await asyncio.sleep(0)
        return next(self._chunks, b"")

    def done(self) -> None: ...

    def close(self) -> None: ...


async def measured(dialect: str, size: int) -> dict[str, Any]:
    settings = ProviderSettings(name="p", dialect=dialect, base_url="https://a.test", api_key="key-of-a-test")
    provider = import_module(f"openresponses.dialects.{dialect}").connect(settings, Endless(dialect, size))
    house = House(Models(provider))
    run, record = await house.new.accept(CreateResponse(model="m", input="hi", stream=True, store=True))

    async def sink(event: StreamEvent) -> None:
        frame(event, "open_responses", obfuscate=False)

    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    await house.new.respond(run, record, sink, seconds=None, committed=lambda: True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.process_time() - began
    error = run.response.error and run.response.error.message
    return {"megabytes": (after - before) / 1024, "seconds": seconds, "kept": run.said, "error": error}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(sys.argv[1], int(sys.argv[2])))))

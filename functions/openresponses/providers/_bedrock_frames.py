"""Bedrock's binary event stream to events: `{"<event type>": {...}}`, exceptions too.

The framing (application/vnd.amazon.eventstream) is read by botocore, its checksums included.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from importlib import import_module
from struct import error as StructError  # noqa: N812
from typing import Any

from ..core.errors import StreamViolation
from ..schema.base import JsonObject
from ._json import fields, loads


async def events_of(chunks: AsyncIterator[bytes]) -> AsyncGenerator[JsonObject, None]:
    """Raises StreamViolation for bytes that are no such stream."""
    module = await asyncio.to_thread(import_module, "botocore.eventstream")
    buffer: Any = module.EventStreamBuffer()
    async for chunk in chunks:
        buffer.add_data(chunk)
        try:
            events = [_event(message.headers, message.payload) for message in buffer]
        except (module.ParserError, StructError, KeyError, UnicodeDecodeError):
            raise StreamViolation("The provider sent something that is not its event stream") from None
        for event in events:
            yield event


def _event(headers: dict[str, Any], payload: bytes) -> JsonObject:
    """A message is an event or an exception, by name, or an `error` that is described in its headers alone."""
    kind = headers.get(":message-type")
    if kind == "error":
        return {
            "error": {"code": str(headers.get(":error-code", "")), "message": str(headers.get(":error-message", ""))}
        }
    name = headers.get(":exception-type" if kind == "exception" else ":event-type")
    try:
        value = fields(loads(payload or b"{}"))
    except ValueError:
        raise StreamViolation("The provider sent an event that is not JSON") from None
    return {str(name): value}

"""From a reply's bytes to its JSON objects, and from those to deltas."""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from os.path import basename
from traceback import extract_tb
from typing import TypeAlias

from ...core import deltas as d
from ...core.errors import KitError, StreamViolation
from ...schema.base import JsonObject
from ...transport.errors import TransportError
from ...transport.sse import SseParser
from .errors import UpstreamErrors
from .json import loads

_log = logging.getLogger(__name__)
Objects: TypeAlias = AsyncGenerator[JsonObject, None]
DONE: JsonObject = {}
"""Stands for `[DONE]`, with which some servers end their streams. There is nothing in it."""


async def objects_of(chunks: AsyncIterator[bytes]) -> Objects:
    """Each event's object, up to `DONE`. An event's name is its `type`, if it has no other.

    Raises StreamViolation for an event that has no object.
    """
    parser = SseParser()
    async for chunk in chunks:
        for event in parser.feed(chunk):
            if event.data.strip() == "[DONE]":
                yield DONE
                return
            yield _error_of(event.data) if event.event == "error" else _named(object_of(event.data), event.event)


def _named(value: JsonObject, name: str) -> JsonObject:
    return {**value, "type": name} if name and not value.get("type") else value


def _error_of(data: str) -> JsonObject:
    """An event `error` tells of one, whatever is in it: an object with `error` in it, the error itself, or words."""
    try:
        value = loads(data)
    except ValueError:
        return {"type": "error", "error": data}
    if isinstance(value, dict) and (value.get("error") or value.get("type") == "error"):
        return _named(value, "error")
    return {"type": "error", "error": value or "unknown"}


def object_of(data: str | bytes) -> JsonObject:
    """Raises StreamViolation where `data` is no JSON object."""
    try:
        value = loads(data)
    except ValueError:
        raise StreamViolation("The provider sent an event that is not JSON") from None
    if not isinstance(value, dict):
        raise StreamViolation("The provider sent an event that is not a JSON object")
    return value


class Decoder(ABC):
    """Decodes the reply to one turn. Pure. `over`: the turn is told, and nothing more need be read."""

    over = False

    @abstractmethod
    def feed(self, event: JsonObject, /) -> Iterator[d.Delta]:
        """Raises ProviderError where the event breaks the protocol."""

    def end(self) -> Iterator[d.Delta]:
        """What comes after the last event. Raises ProviderError where the stream ended before its turn did."""
        return iter(())


async def decoded(
    objects: AsyncIterator[JsonObject],
    decoder: Decoder,
    errors: UpstreamErrors,
    heard: Callable[[], None] = lambda: None,
) -> AsyncGenerator[d.Delta, None]:
    """Raises ProviderError, also for an object that tells of an error, and TransportError. `heard` is called with each.

    Whatever else comes of reading what the provider sent is its fault to a client, and a bug of ours in the log.
    """
    try:
        async for event in objects:
            heard()
            if error := errors.of_object(event):
                raise error
            for delta in decoder.feed(event):
                yield delta
            if decoder.over:
                break
        for delta in decoder.end():
            yield delta
    except (KitError, TransportError):
        raise
    except Exception as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> StreamViolation:
    """The log gets the place alone: a message may quote the provider's words."""
    frames = extract_tb(error.__traceback__)
    where = ", ".join(f"{basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames[-6:])
    _log.error("a provider's stream could not be read: %s at %s", type(error).__name__, where)
    return StreamViolation("The provider sent something that could not be read")

"""One search: asks a service, and reads its answer, or why it gave none. Knows no service's fields."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from math import isfinite

from ...core.json import object_of
from ...schema.base import JsonObject
from ...transport.errors import BadStatus, TransportError
from ...transport.http import Http, Network
from ..source import ToolFailed
from .backend import Asked, Backend, Found, Wanted
from .configuration import Configuration

SECONDS = 15.0
MAX_ANSWER = 4 * 1024 * 1024
MAX_WAIT = 3.0
"""Seconds that a service may ask to wait before it is asked once more: a plan of one search a second is common."""
_MAX_REASON = 200


def backend_of(name: str) -> Backend:
    return getattr(import_module(f".{name}", __package__), name.upper())


async def search(configuration: Configuration, wanted: Wanted, network: Network | None = None) -> list[Found]:
    """Raises ToolFailed, which never quotes the key."""
    backend = backend_of(configuration.backend)
    try:
        http = Http(
            configuration.base_url or backend.base_url,
            {"accept": "application/json"},
            connect_timeout=5.0,
            first_byte_timeout=SECONDS,
            idle_timeout=SECONDS,
            network=network,
        )
    except ValueError:
        raise ToolFailed("Web search is not set up correctly on this server: its base_url is no URL.") from None
    asked = backend.ask(wanted, configuration.key)
    try:
        try:
            answer = await _answer(http, asked)
        except BadStatus as refusal:
            if (wait := _wait(refusal)) is None or wait > MAX_WAIT:
                raise
            await asyncio.sleep(wait)
            answer = await _answer(http, asked)
    except BadStatus as refusal:
        raise ToolFailed(_refused(backend, refusal, configuration.key)) from None
    except (TransportError, TimeoutError) as error:
        raise ToolFailed(f"{backend.title} did not answer ({type(error).__name__}). {_GO_ON}") from None
    finally:
        await http.aclose()
    try:
        return backend.found(answer, wanted)
    except (LookupError, TypeError, ValueError):
        raise ToolFailed(f"{backend.title} answered with something that is no search result. {_GO_ON}") from None


_GO_ON = "You may try again, or go on without it."


async def _answer(http: Http, asked: Asked) -> JsonObject:
    """An empty object for what is no object of JSON. Raises TransportError."""
    body = json.dumps(asked.body, ensure_ascii=False).encode(errors="replace") if asked.body is not None else b""
    async with (
        asyncio.timeout(SECONDS),
        http.request(
            asked.method, asked.path, body, query=asked.query, headers=asked.headers, limit=MAX_ANSWER
        ) as reply,
    ):
        return _object(b"".join([chunk async for chunk in reply.whole()]))


def _object(body: bytes) -> JsonObject:
    return object_of(body.decode(errors="replace")) or {}


def _wait(refusal: BadStatus) -> float | None:
    """Seconds that a service says to wait, which asks too much of it; None if it doesn't say so.

    Brave lists its limits, the shortest first: `X-RateLimit-Reset: 1, 1419704`
    (api.search.brave.com/app/documentation/web-search/response-headers).
    """
    if refusal.status != 429:
        return None
    return _seconds(refusal.headers, "retry-after") or _seconds(refusal.headers, "x-ratelimit-reset")


def _seconds(headers: Mapping[str, str], name: str) -> float | None:
    with suppress(ValueError):
        if isfinite(seconds := float(headers.get(name, "").partition(",")[0])):
            return max(0.0, seconds)
    return None


def _refused(backend: Backend, refusal: BadStatus, key: str) -> str:
    """What a model reads. What only the operator can mend says so."""
    why = backend.why(_object(refusal.body))
    reason = " ".join(why.split()) if isinstance(why, str) else ""
    if key:
        reason = reason.replace(key, "***")
    said = f"{backend.title} answered with the status {refusal.status}{f' ({reason[:_MAX_REASON]})' if reason else ''}."
    if refusal.status in (401, 402, 403, 422, 432, 433):
        return f"{said} The operator of this server must set web search up anew. Go on without it."
    if refusal.status == 429:
        wait = _wait(refusal)
        return f"{said} It was asked too often. {f'Wait {wait:g} seconds, or go on' if wait else 'Go on'} without it."
    return f"{said} {_GO_ON}"

"""Web pages, fetched without credentials from wherever a guard lets a connection be made. Knows nothing of HTML."""

import asyncio
from collections.abc import Mapping
from sys import maxsize
from typing import NamedTuple
from urllib.parse import urljoin

from .errors import BadStatus, Forbidden, Redirected, TimedOut
from .guard import Guard
from .http import Http, Network, redirect

MAX_REDIRECTS = 5


class Page(NamedTuple):
    """`url` is where the redirects led to. `headers` have lower-case names. `cut`: there is more of the body."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    cut: bool


async def fetch(
    url: str,
    guard: Guard,
    *,
    headers: Mapping[str, str],
    limit: int,
    seconds: float,
    network: Network | None = None,
) -> Page:
    """The page at `url`, with up to `limit` bytes of its body, within `seconds`, redirects included.

    `headers` go to every host: they hold no secret. Raises TransportError: Forbidden for a URL or an address that the
    guard refuses, of the page or of a redirect; Redirected after `MAX_REDIRECTS`; BadStatus for another failure.
    """
    try:
        async with asyncio.timeout(seconds):
            for _ in range(MAX_REDIRECTS + 1):
                try:
                    return await _fetched(url, guard, headers, limit, seconds, network)
                except BadStatus as reply:
                    if not (location := redirect(reply.status, reply.headers)):
                        raise
                    url = _joined(url, location)
            raise Redirected
    except TimeoutError:
        raise TimedOut("idle") from None


async def _fetched(
    url: str, guard: Guard, headers: Mapping[str, str], limit: int, seconds: float, network: Network | None
) -> Page:
    try:
        http = Http(
            url,
            headers,
            connect_timeout=seconds,
            first_byte_timeout=seconds,
            idle_timeout=seconds,
            network=network,
            guard=guard,
        )
    except ValueError:
        raise Forbidden from None
    try:
        async with http.request("GET", limit=maxsize) as reply:  # what is too long is cut here
            body, cut = b"", False
            async for chunk in reply.whole():
                body += chunk
                if cut := len(body) > limit:
                    break
            return Page(url, reply.headers, body[:limit], cut)
    finally:
        await http.aclose()


def _joined(url: str, location: str) -> str:
    """Raises Forbidden for what is no URL."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise Forbidden from None

"""One web page: fetched from wherever the guard lets it be, and made text."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ...transport.errors import BadStatus, Forbidden, Redirected, TransportError
from ...transport.guard import Guard
from ...transport.http import Network
from ...transport.pages import Page, fetch
from ..source import ToolFailed
from .domains import is_within

SECONDS = 15.0
MAX_BYTES = 2 * 1024 * 1024
READER_SECONDS, READER_BYTES = 5, 400 * 1024 * 1024
"""Of processor time, and of addresses, for making text of a page's HTML."""
_HEADERS = {"accept": "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1", "accept-encoding": "gzip, deflate"}
_HTML = ("text/html", "application/xhtml+xml")
_TEXT = re.compile(r"text/.*|application/(.*\+)?(json|xml|yaml)")
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_one_at_a_time = asyncio.Semaphore(1)
"""Readers take memory."""


class Read(NamedTuple):
    """`url` is where the page was in the end."""

    url: str
    title: str
    text: str


class _Within(Guard):
    """A guard that also lets through no URL, of a page or of a redirect, beyond the domains."""

    def __init__(self, guard: Guard, domains: Sequence[str]) -> None:
        self._guard, self._domains = guard, domains

    def check(self, url: str) -> str:
        if not is_within(url, self._domains):
            raise ValueError("must be of an allowed domain")
        return self._guard.check(url)

    async def addresses(self, host: str, port: int, *, secure: bool) -> list[str]:
        return await self._guard.addresses(host, port, secure=secure)


async def read(url: str, guard: Guard, domains: Sequence[str] = (), network: Network | None = None) -> Read:
    """The page at `url`, of one of `domains` if there are any. Raises ToolFailed."""
    url = _secure(url, guard)
    if not is_within(url, domains):
        raise ToolFailed(f"Pages may be opened at {', '.join(domains)} alone." if domains else "This is no URL.")
    try:
        page = await fetch(
            url, _Within(guard, domains), headers=_HEADERS, limit=MAX_BYTES, seconds=SECONDS, network=network
        )
    except BadStatus as reply:
        raise ToolFailed(f"The page's server answered with the status {reply.status}.") from None
    except Forbidden:
        raise ToolFailed(
            "This page may not be opened: only public https pages may, and only of the allowed domains, if there are "
            "any. The same goes for where a page redirects to."
        ) from None
    except Redirected:
        raise ToolFailed("The page redirects again and again.") from None
    except TransportError as error:
        raise ToolFailed(f"The page could not be fetched ({type(error).__name__}).") from None
    return await _read(page)


def _secure(url: str, guard: Guard) -> str:
    """The https form of an http URL, unless the guard lets the URL through as it is."""
    with suppress(ValueError):
        guard.check(url)
        return url
    return f"https://{url[7:]}" if url.lower().startswith("http://") else url


async def _read(page: Page) -> Read:
    kind, charset = _type_of(page)
    if kind in _HTML:
        return await _read_html(page, charset)
    if _TEXT.fullmatch(kind):
        with suppress(LookupError):
            return Read(page.url, "", page.body.decode(charset or "utf-8", errors="replace"))
        return Read(page.url, "", page.body.decode(errors="replace"))
    raise ToolFailed(f"The page is of the type {kind[:100]!r}, which can't be read here: only HTML and text can.")


def _type_of(page: Page) -> tuple[str, str]:
    """Its media type and its charset. What doesn't say its type is HTML if it begins like it."""
    header = page.headers.get("content-type", "")
    if not header.strip():
        return "text/html" if page.body.lstrip()[:1] == b"<" else "text/plain", ""
    charset = _CHARSET.search(header)
    return header.partition(";")[0].strip().lower(), charset[1].lower() if charset else ""


async def _read_html(page: Page, charset: str) -> Read:
    """Raises ToolFailed for a page that takes too much of anything."""
    from . import reader

    arguments = [reader.__file__, str(READER_BYTES), str(READER_SECONDS), page.url, charset]
    async with _one_at_a_time:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-S",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            async with asyncio.timeout(READER_SECONDS * 4):
                said, _ = await process.communicate(page.body)
        except TimeoutError:
            said = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    try:
        told = json.loads(said)
    except ValueError:
        raise ToolFailed("The page can't be read: it takes too much time or memory.") from None
    return Read(page.url, told["title"], told["text"])

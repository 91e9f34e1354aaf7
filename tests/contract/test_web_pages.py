"""Pages that a model opens: which are fetched, what is read of them, and what no page can do to the server."""

import asyncio
import gzip
import os
import random
import resource
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from openresponses.toolbox.source import ToolFailed
from openresponses.toolbox.web_search import page as pages
from openresponses.toolbox.web_search.page import READER_BYTES, READER_SECONDS, read
from openresponses.transport.guard import Guard
from tests.fakes.network import Answered
from tests.fakes.search import Answer, FakeSearch, fake_search
from tests.sweeps import Sweep

LOOPBACK = Guard(loopback=True)
PAGE = """<!doctype html><html><head><title> The tide
 table </title><style>p {color: red}</style></head><body><nav>Menu</nav>
<h1>Tides &amp; moon</h1><p>High water is at <b>07:12</b>. <a href="/moon?a=1&b=2">Why</a></p><script>alert(1)</script>
<ul><li>one<li>two</ul><table><tr><th>Port<th>Time<tr><td>Kiel<td>7</table><img src=x alt=drawn>
<p hidden>hidden</p><footer>Imprint</footer></body></html>"""


@pytest_asyncio.fixture
async def web() -> AsyncIterator[FakeSearch]:
    async with fake_search("searxng") as fake:
        yield fake


async def test_a_page_is_read_as_markdown_without_what_nobody_means_by_its_text(web: FakeSearch) -> None:
    web.web["/table"] = Answer(200, PAGE)
    told = await read(f"{web.url}/table", LOOPBACK)
    assert told.title == "The tide table"
    assert told.text == (
        f"# Tides & moon\n\nHigh water is at **07:12**. [Why]({web.url}/moon?a=1&b=2)\n\n- one\n- two\n\n"
        "| Port | Time |\n| --- | --- |\n| Kiel | 7 |"
    )


CHARSETS = [
    ("text/html; charset=iso-8859-1", "<p>Größe".encode("latin-1")),
    ("text/html; charset=UTF-8", "<p>Größe".encode()),
    ("text/html", '<meta charset="windows-1252"><p>Größe'.encode("cp1252")),
    ("text/html", b"\xef\xbb\xbf" + "<p>Größe".encode()),
    ("text/html; charset=no-such-thing", '<meta charset="utf-8"><p>Größe'.encode()),
    ("text/plain; charset=latin-1", "Größe".encode("latin-1")),
    ("text/plain", "Größe".encode()),
    ("text/plain; charset=nonsense", "Größe".encode()),
    ("application/json; charset=utf-8", "Größe".encode()),
    ("application/atom+xml", "Größe".encode()),
    ("", "<p>Größe".encode()),
    ("", "Größe".encode()),
    ('Text/HTML ;Charset="utf-8"', "<p>Größe".encode()),
]


@pytest.mark.parametrize(("kind", "body"), CHARSETS)
async def test_a_text_is_read_in_its_charset(web: FakeSearch, kind: str, body: bytes) -> None:
    web.web["/"] = Answer(200, body, {"content-type": kind})
    assert (await read(f"{web.url}/", LOOPBACK)).text == "Größe"


@pytest.mark.parametrize("kind", ["application/pdf", "image/png", "application/octet-stream", "video/mp4"])
async def test_what_is_no_text_is_not_read(web: FakeSearch, kind: str) -> None:
    web.web["/"] = Answer(200, b"\x00\x01", {"content-type": kind})
    with pytest.raises(ToolFailed, match=f"of the type '{kind}', which can't be read here"):
        await read(f"{web.url}/", LOOPBACK)


async def test_a_page_that_is_compressed_or_has_no_words_is_read(web: FakeSearch) -> None:
    web.web["/zipped"] = Answer(200, gzip.compress(b"<p>Hello"), {"content-encoding": "gzip"})
    web.web["/empty"] = Answer(200, b"")
    assert (await read(f"{web.url}/zipped", LOOPBACK)).text == "Hello"
    assert (await read(f"{web.url}/empty", LOOPBACK)).text == ""


async def test_redirects_are_followed_and_named(web: FakeSearch) -> None:
    web.web["/a"] = Answer(301, "", {"location": "/b"})
    web.web["/b"] = Answer(302, "", {"location": f"{web.url}/c"})
    web.web["/c"] = Answer(200, "<p>There")
    web.web["/loop"] = Answer(302, "", {"location": "/loop"})
    told = await read(f"{web.url}/a", LOOPBACK)
    assert (told.url, told.text) == (f"{web.url}/c", "There")
    with pytest.raises(ToolFailed, match="redirects again and again"):
        await read(f"{web.url}/loop", LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://user:password@example.com/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "javascript:alert(1)",
        "//example.com",
        "no url",
        "https://",
        "https://a b/",
    ],
)
async def test_what_the_guard_refuses_is_not_opened(url: str) -> None:
    def nobody(_: httpx2.Request) -> httpx2.Response:
        raise AssertionError

    with pytest.raises(ToolFailed):
        await read(url, Guard(), network=Answered(nobody))


async def test_an_http_url_is_opened_by_https() -> None:
    asked: list[str] = []

    def web(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200, text="Hello", headers={"content-type": "text/plain"})

    assert (await read("http://example.com/x?y=1", Guard(), network=Answered(web))).text == "Hello"
    assert asked == ["https://example.com/x?y=1"]


async def test_a_redirect_to_a_private_address_or_another_domain_is_not_followed() -> None:
    asked: list[str] = []
    locations = iter(("https://169.254.169.254/", "https://other.example/", "https://evilexample.com/"))

    def web(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"location": next(locations)})

    for _ in range(3):
        with pytest.raises(ToolFailed, match="may not be opened"):
            await read("https://www.example.com/", Guard(), ["example.com"], Answered(web))
    assert asked == ["https://www.example.com/"] * 3
    with pytest.raises(ToolFailed, match=r"Pages may be opened at example\.com alone"):
        await read("https://other.example/", Guard(), ["example.com"], Answered(web))
    assert len(asked) == 3


async def test_a_failure_of_the_pages_server_is_the_models_to_read(web: FakeSearch) -> None:
    web.web["/gone"] = Answer(410, "<p>Gone")
    with pytest.raises(ToolFailed, match="answered with the status 410"):
        await read(f"{web.url}/gone", LOOPBACK)
    with pytest.raises(ToolFailed, match="could not be fetched"):
        await read("http://127.0.0.1:9/", LOOPBACK)


async def test_a_page_is_read_up_to_two_megabytes(web: FakeSearch) -> None:
    web.web["/long"] = Answer(200, "<p>Hello</p>" + "<p>word</p>" * 500_000)
    told = await read(f"{web.url}/long", LOOPBACK)
    assert told.text.startswith("Hello\n\nword")
    assert len(told.text) == 200_000


FORMATTING = b"".join(b"<b id=%d><p>" % n for n in range(70_000))


def bombs() -> dict[str, bytes]:
    """1 MB each, of what parsers and their trees are known to take badly."""
    size = 1_000_000
    tags = [b"<b>", b"<p>", b"<table>", b"<td>", b"</b>", b"</p>", b"<a href=x>", b"<svg>", b"<style>", b"<select>"]
    mixed = random.Random(1)
    return {
        **{tag: f"<{tag}>".encode() * (size // (len(tag) + 2)) for tag in ("div", "b", "a", "ul", "svg", "template")},
        "lists": b"<ul><li>x" * (size // 9),
        "tables": b"<table><tr><td>" * (size // 15),
        "quotes": b"<blockquote>" * 200 + b"<p>x" * (size // 4),
        "one attribute": b'<p title="' + b"x" * size,
        "attributes": b"<p " + b" ".join(b"a%d=1" % n for n in range(size // 9)) + b">x",
        "entities": b"&amp;" * (size // 5),
        "an entity": b"&" + b"a" * size,
        "brackets": b"<" * size,
        "comments": b"<!--" * (size // 4),
        "cells": b"<table><tr>" + b"<td rowspan=65534 colspan=1000>x" * (size // 32),
        "nothing": b"\0" * size,
        "bytes": mixed.randbytes(size),
        "soup": b"".join(mixed.choices(tags, k=size // 5)),
    }


async def test_no_page_takes_the_server_with_it(web: FakeSearch, sweep: Sweep) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    for name, page in sweep.sample([*bombs().items()], 4):
        began, web.web["/"] = _processor_time(), Answer(200, page)
        assert len((await read(f"{web.url}/", LOOPBACK)).text) <= 200_000, name
        assert _processor_time() - began < READER_SECONDS + 1, name
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A child has the memory of its parent, by now or earlier, until it runs a program of its own.
    before = max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert took.ru_maxrss * 1024 <= max(READER_BYTES, before * 1024)


async def test_a_page_whose_tree_is_of_gigabytes_is_given_up(web: FakeSearch) -> None:
    web.web["/"] = Answer(200, FORMATTING)  # by the rules of HTML each paragraph repeats what is open
    began = _processor_time()
    with pytest.raises(ToolFailed, match="takes too much time or memory"):
        await read(f"{web.url}/", LOOPBACK)
    assert _processor_time() - began < READER_SECONDS + 1


def _processor_time() -> float:
    """Seconds, of processes that have ended."""
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took.ru_utime + took.ru_stime


async def test_the_process_that_reads_a_page_has_no_secrets(web: FakeSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    started: list[dict[str, str]] = []
    start = asyncio.create_subprocess_exec

    async def noted(*arguments: Any, **more: Any) -> Any:
        started.append(more["env"])
        return await start(*arguments, **more)

    monkeypatch.setattr(pages.asyncio, "create_subprocess_exec", noted)
    web.web["/"] = Answer(200, "<p>Hello")
    await read(f"{web.url}/", LOOPBACK)
    assert [[*each] for each in started] == [["PYTHONPATH"]]
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "hidden"


async def test_a_reader_that_is_cancelled_leaves_nothing_running(web: FakeSearch) -> None:
    web.web["/"] = Answer(200, FORMATTING)
    reading = asyncio.create_task(read(f"{web.url}/", LOOPBACK))
    await asyncio.sleep(0.2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    web.web["/"] = Answer(200, "<p>Hello")
    assert (await read(f"{web.url}/", LOOPBACK)).text == "Hello"

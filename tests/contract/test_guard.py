# ruff: noqa: RUF001 - what looks like another character is the attack
"""Which addresses may be connected to where a client chose the URL: every form of an address, every way to a name."""

import asyncio
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import httpx2
import pytest

from openresponses.transport import errors
from openresponses.transport.guard import Guard, host_of, is_public
from openresponses.transport.http import Http
from openresponses.transport.links import Request
from openresponses.transport.pages import fetch
from tests.contract.ssrf import (
    PRIVATE_HERE,
    PUBLIC,
    PUBLIC_HERE,
    Door,
    Half,
    Listener,
    Names,
    Refusal,
    Tally,
    every_private,
    redirecting,
    tried,
)
from tests.sweeps import Sweep

SECONDS = {"connect_timeout": 5.0, "first_byte_timeout": 5.0, "idle_timeout": 5.0}


def http(url: str, guard: Guard, headers: dict[str, str] | None = None) -> Http:
    return Http(url, headers or {}, connect_timeout=5.0, first_byte_timeout=5.0, idle_timeout=5.0, guard=guard)


@asynccontextmanager
async def refusing() -> AsyncIterator[None]:
    try:
        yield
    except (errors.Forbidden, ValueError):
        raise Refusal from None


async def by_request(url: str, guard: Guard) -> None:
    async with refusing():
        client = http(url, guard)
    try:
        async with refusing(), client.request("POST", body=b"{}", redirects=3) as reply:
            assert [chunk async for chunk in reply.whole()]
    finally:
        await client.aclose()


async def by_page(url: str, guard: Guard) -> None:
    async with refusing():
        await fetch(url, guard, headers={"accept": "text/html"}, limit=1000, seconds=5)


DOORS: dict[str, Door] = {"a request": by_request, "a page": by_page}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
async def test_nothing_reaches_an_address_that_is_not_public(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    tally = await tried(door)
    with capsys.disabled():
        print(f"\nSSRF, by {door.__name__}: tried {tally.tried}, through {len(tally.through)}")
    assert (tally.through, tally.otherwise) == ([], [])
    assert tally.tried > 200


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
async def test_a_guard_that_allows_loopback_lets_it_through_and_nothing_else(door: Door) -> None:
    """And so the listener hears who comes."""
    async with Listener().at("127.0.0.1") as listener:
        guard = Guard(loopback=True)
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            await door(f"http://{host}:{listener.port}/", guard)
        assert len(listener.requests) == 3
        tally, private = Tally(), [each for each in every_private() if not _loopback(each)]
        for each in private:
            for scheme in ("http", "https"):
                names = Names(public_test=[[each]])
                await tally.attempt(door, f"{scheme}://public.test/", Guard(loopback=True, resolve=names))
        for each in PUBLIC:  # http goes nowhere but to loopback
            names = Names(public_test=[[each]])
            await tally.attempt(door, "http://public.test/", Guard(loopback=True, resolve=names))
        assert (tally.through, tally.otherwise, len(listener.requests)) == ([], [], 3)


def _loopback(text: str) -> bool:
    address = ip_address(text)
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback


@pytest.mark.parametrize("address", every_private())
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_no_address_is_public_that_python_does_not_call_global() -> None:
    """Two tables that nobody copied from each other. Python knows nothing of NAT64, and of what is mapped less with
    each version.
    """
    draw = random.Random(13)
    four = [IPv4Address(draw.getrandbits(32)) for _ in range(20_000)]
    six = [
        IPv6Address(draw.getrandbits(120) | draw.choice((0x00, 0x20, 0x2A, 0x3F, 0xFC, 0xFE)) << 120)
        for _ in range(20_000)
    ]
    near = [IPv6Address(0x2001 << 112 | draw.getrandbits(24) << 88) for _ in range(20_000)]
    assert [each for each in (*four, *six, *near) if is_public(each) and not each.is_global] == []
    assert sum(map(is_public, four)) > 15_000
    assert sum(map(is_public, six)) > 5_000


async def test_a_name_is_resolved_once_for_a_connection_and_the_judged_address_is_connected_to() -> None:
    """A name that says a public address when it is judged, and a private one whenever it is asked again."""
    names = Names(public_test=[[PUBLIC_HERE], [PRIVATE_HERE]])
    async with Listener().at(PUBLIC_HERE) as public, Listener(port=public.port).at(PRIVATE_HERE) as private:
        client = http(f"http://public.test:{public.port}", Half(names))
        for _ in range(3):  # over the link that is kept
            async with client.request("GET") as reply:
                assert [chunk async for chunk in reply.whole()] == [b"{}"]
        assert (names.asked["public.test"], public.connections, len(public.requests)) == (1, 1, 3)
        await client.aclose()
        with pytest.raises(errors.Forbidden):
            async with client.request("GET"):
                pass
        assert (names.asked["public.test"], private.connections) == (2, 0)


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    class Both(Half):
        def may(self, address: object, *, secure: bool) -> bool:
            return True

    async with Listener().at(PUBLIC_HERE) as public:
        guard = Both(Names(public_test=[["127.0.0.3", "127.0.0.4", PUBLIC_HERE]]))
        await by_request(f"http://public.test:{public.port}/", guard)
        gone = Both(Names(public_test=[["127.0.0.3", "127.0.0.4"]]))
        with pytest.raises(errors.Unreachable):
            await by_request(f"http://public.test:{public.port}/", gone)
        nowhere = Both(Names(public_test=[[]]))
        with pytest.raises(errors.Unreachable):
            await by_request(f"http://public.test:{public.port}/", nowhere)


async def test_names_are_looked_up_in_threads_that_nothing_else_waits_for() -> None:
    class Full(ThreadPoolExecutor):
        def submit(self, *_: object, **__: object) -> Any:
            raise AssertionError("these threads are for others")

    asyncio.get_running_loop().set_default_executor(Full())
    assert "127.0.0.1" in await Guard(loopback=True).addresses("localhost", 80, secure=False)
    with pytest.raises(errors.Forbidden):
        await Guard().addresses("localhost", 443, secure=True)


SAME: dict[str, tuple[str, str]] = {
    "a path": ("/there", "/there"),
    "a path and a query": ("/there?a=1&b=%20", "/there?a=1&b=%20"),
    "beside it": ("there", "/at/there"),
    "the whole URL": ("http://public.test:{port}/there", "/there"),
    "in capitals": ("HTTP://PUBLIC.test:{port}/there", "/there"),
    "with a fragment": ("/there#part", "/there"),
    "with characters that a request can't carry": ("/there is", "/there%20is"),
    "with a name that nobody is sent": ("http://user:word@public.test:{port}/there", "/there"),
}


@pytest.mark.parametrize(("location", "asked"), SAME.values(), ids=SAME)
@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_within_the_origin_takes_the_method_and_the_body_along(
    status: int, location: str, asked: str
) -> None:
    async with Listener().at(PUBLIC_HERE) as public:
        public.replies["/at/first"] = redirecting(status, location.format(port=public.port))
        guard = Half(Names(public_test=[[PUBLIC_HERE]]))
        client = http(f"http://public.test:{public.port}/at/first", guard, {"authorization": "Bearer planted"})
        for method in ("POST", "DELETE"):
            public.requests.clear()
            async with client.request(method, body=b"{}", headers={"x-more": "1"}, redirects=3) as reply:
                assert [chunk async for chunk in reply.whole()] == [b"{}"]
            first, second = public.requests
            assert second == first.replace(b"/at/first", asked.encode())
            assert b"authorization: Bearer planted" in second
            assert second.startswith(method.encode())
            assert second.endswith(b"{}")
        assert public.connections == 1
        await client.aclose()


async def test_a_redirect_is_followed_three_times_and_not_once_more() -> None:
    async with Listener().at(PUBLIC_HERE) as public:
        guard = Half(Names(public_test=[[PUBLIC_HERE]]))
        for number in range(5):
            public.replies[f"/{number}"] = redirecting(307, f"/{number + 1}")
        await by_request(f"http://public.test:{public.port}/2", guard)
        assert len(public.requests) == 4
        with pytest.raises(errors.Redirected):
            await by_request(f"http://public.test:{public.port}/1", guard)
        assert len(public.requests) == 8


ELSEWHERE = (
    *("http://private.test:{port}/", "//private.test:{port}/", "http://127.0.0.1:{port}/", "http://public.test:1/"),
    *(
        "https://public.test:{port}/",
        "http://public.test.:{port}/",
        "http://a.public.test:{port}/",
        "ftp://public.test/",
    ),
    *("http://public.test@private.test:{port}/", "http://[::1]:{port}/", "http://2130706433:{port}/", "http://["),
    "http://public.test:port/",
    *("http://169.254.169.254/latest/meta-data/", "data:text/plain,a", "file:///etc/passwd", "https://other.test/"),
)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_an_error_and_is_sent_nothing(status: int) -> None:
    names = Names(public_test=[[PUBLIC_HERE]], private_test=[[PRIVATE_HERE]], other_test=[[PUBLIC_HERE]])
    async with Listener().at(PUBLIC_HERE) as public, Listener(port=public.port).at(PRIVATE_HERE) as private:
        for location in ELSEWHERE:
            public.replies["/"] = redirecting(status, location.format(port=public.port))
            client = http(f"http://public.test:{public.port}/", Half(names), {"authorization": "Bearer planted"})
            with pytest.raises(errors.Redirected):
                async with client.request("POST", body=b"{}", redirects=3):
                    pass
            await client.aclose()
        assert (len(public.requests), private.connections) == (len(ELSEWHERE), 0)
        assert set(names.asked) == {"public.test"}


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_would_change_the_method_is_a_bad_status(status: int) -> None:
    async with Listener().at(PUBLIC_HERE) as public:
        public.replies["/"] = redirecting(status, "/there")
        client = http(f"http://public.test:{public.port}/", Half(Names(public_test=[[PUBLIC_HERE]])))
        with pytest.raises(errors.BadStatus) as caught:
            async with client.request("POST", body=b"{}", redirects=3):
                pass
        assert (caught.value.status, len(public.requests)) == (status, 1)
        await client.aclose()


async def test_a_provider_s_redirect_is_a_bad_status_as_ever() -> None:
    async with Listener().at(PRIVATE_HERE) as provider:
        for location in ("/there", "https://other.test/"):
            provider.replies["/v1/x"] = redirecting(307, location)
            client = Http(f"http://{PRIVATE_HERE}:{provider.port}/v1", {}, **SECONDS)
            with pytest.raises(errors.BadStatus):
                async with client.post("/x", b"{}"):
                    pass
            await client.aclose()
        assert len(provider.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_page_is_followed_to_other_origins_that_the_guard_lets_through(status: int) -> None:
    names = Names(public_test=[[PUBLIC_HERE]], other_test=[[PUBLIC_HERE]], private_test=[[PRIVATE_HERE]])
    async with (
        Listener(body=b"hello").at(PUBLIC_HERE) as public,
        Listener(port=public.port).at(PRIVATE_HERE) as private,
    ):
        there = f"http://other.test:{public.port}/page?a=%20b"
        public.replies["/"] = redirecting(status, there)
        page = await fetch(f"http://public.test:{public.port}/", Half(names), headers={}, limit=4, seconds=5)
        assert (page.url, page.body, page.cut, page.headers["content-length"]) == (there, b"hell", True, "5")
        assert public.requests[1].startswith(b"GET /page?a=%20b HTTP/1.1\r\nhost: other.test:")
        assert b"content-" not in public.requests[1]
        tally = Tally()
        for location in (
            "http://private.test:{port}/",
            "http://127.0.0.1:{port}/",
            "//private.test:{port}/",
            "http://[",
        ):
            public.replies["/"] = redirecting(status, location.format(port=public.port))
            await tally.attempt(by_page, f"http://public.test:{public.port}/", Half(names))
        assert (tally.refused, tally.through, tally.otherwise, private.connections) == (4, [], [], 0)


async def test_a_page_is_followed_five_times_and_not_once_more() -> None:
    async with Listener().at(PUBLIC_HERE) as public:
        guard = Half(Names(public_test=[[PUBLIC_HERE]]))
        for number in range(9):
            public.replies[f"/{number}"] = redirecting(302, f"{number + 1}")
        await by_page(f"http://public.test:{public.port}/4", guard)
        with pytest.raises(errors.Redirected):
            await by_page(f"http://public.test:{public.port}/3", guard)
        public.replies["/"] = redirecting(302, "/")
        with pytest.raises(errors.Redirected):
            await by_page(f"http://public.test:{public.port}/", guard)


async def test_what_comes_of_a_page_takes_no_longer_than_its_seconds() -> None:
    left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            writer.close()
            left.set()

    async with await asyncio.start_server(drip, PRIVATE_HERE, 0) as server:
        url = f"http://{PRIVATE_HERE}:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(errors.TimedOut):
            await fetch(url, Guard(loopback=True), headers={}, limit=999, seconds=0.3)
        await asyncio.wait_for(left.wait(), 10)


async def test_a_reply_may_be_as_long_as_its_caller_says() -> None:
    async with Listener(body=b"x" * 100).at(PRIVATE_HERE) as listener:
        client = Http(f"http://{PRIVATE_HERE}:{listener.port}/", {}, **SECONDS)
        async with client.request("GET", limit=100) as reply:
            assert [chunk async for chunk in reply.whole()] == [b"x" * 100]
        for body in ("whole", "stream"):
            async with client.request("GET", limit=99) as reply:
                with pytest.raises(errors.TooLong, match="more than 99 bytes"):
                    assert [chunk async for chunk in getattr(reply, body)()]
        await client.aclose()


@pytest.mark.parametrize(
    "url",
    ["https://a.test/mcp/", "https://a.test/mcp", "https://a.test", "https://a.test?k", "https://a.test/ü?a=b c#d"],
)
async def test_a_url_is_asked_for_as_it_was_given(url: str) -> None:
    asked = list[str]()

    class Heard:
        async def send(self, request: Request, until: float) -> object:
            asked.append(request.target)
            raise errors.Unreachable

    client = Http(url.replace(" ", "%20"), {}, **SECONDS, network=Heard())  # pyright: ignore[reportArgumentType]
    with pytest.raises(errors.Unreachable):
        async with client.request("GET"):
            pass
    expected = {"https://a.test": "/", "https://a.test?k": "/?k", "https://a.test/ü?a=b c#d": "/%C3%BC?a=b%20c"}
    assert asked == [expected.get(url, url.removeprefix("https://a.test"))]


PIECES = (
    *(
        "http",
        "https",
        "://",
        ":",
        "/",
        "//",
        "?",
        "#",
        "@",
        "\\",
        ".",
        "..",
        "-",
        "_",
        "[",
        "]",
        "%",
        "%2f",
        "%00",
        " ",
    ),
    *(
        "a",
        "A",
        "z9",
        "test",
        "public.test",
        "private.test",
        "xn--mnchen-3ya",
        "münchen",
        "ß",
        "１",
        "。",
        "①",
        "ſ",
        "K",
    ),
    *(
        "127.0.0.1",
        "127.1",
        "0x7f",
        "017",
        "1",
        "256",
        "::1",
        "::ffff:127.0.0.1",
        "443",
        "0",
        "65536",
        "\t",
        "\r\n",
        "\x00",
    ),
)


def test_a_url_that_is_taken_names_the_host_that_another_parser_finds(sweep: Sweep) -> None:
    """httpx2 has a parser of its own. What it refuses may be taken here, if nothing else reads a host there."""
    draw, taken = random.Random(sweep.sample(range(1_000_000), 1)[0]), 0
    for _ in range(300_000 if sweep.full else 10_000):
        lead = draw.choice(("https://", "http://", "https:", "HTTPS://", ""))
        url = lead + "".join(draw.choices(PIECES, k=draw.randint(1, 7)))
        try:
            host = host_of(url)
        except ValueError:
            continue
        taken += 1
        try:
            other = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError):
            continue
        found = other.raw_host.decode().strip("[]")
        assert found == host or (":" in host and ip_address(found) == ip_address(host)), (url, host, found)
    assert taken > 200

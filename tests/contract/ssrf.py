# ruff: noqa: RUF001 - what looks like another character is the attack
"""Ways to make a server connect to where it must not, tried on a door: a function that fetches what a client named.

A listener on loopback stands for what is private: it counts who reaches it. Another one, at 127.0.0.2, stands for the
public internet, where a test needs one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeAlias

from openresponses.transport.guard import Address, Guard

Door: TypeAlias = Callable[[str, Guard], Awaitable[None]]
"""Fetches a URL with a guard. Raises Refusal where the guard refuses, and another error where nobody answers."""


class Refusal(Exception):
    """The guard refused. A door makes this of what its own callers are told."""


PRIVATE = (
    *("0.0.0.0", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1"),
    *("127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.255.255", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::2", "::127.0.0.1", "::169.254.169.254", "64:ff9b:1::7f00:1", "100::1"),
    *("2001::1", "2001::4136:e378:8000:63bf:3fff:fdd2", "2001:0:7f00:1::", "2001:1::1", "2001:2::1", "2001:20::1"),
    *("2001:1ff:ffff::1", "2001:db8::1", "2002::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "3fff:fff::1"),
    *("4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd00:ec2::23", "fdff::1", "fe80::1", "febf::1", "fec0::1"),
    *("feff::1", "ff02::1", "ff0e::1", "::ffff:0:127.0.0.1"),
)
"""The ends of each range that is not public, and what has a meaning within one."""
EMBEDDED = ("::ffff:{}", "64:ff9b::{}")
"""IPv6 addresses that reach an IPv4 one."""
PUBLIC = (
    *(
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
    ),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0"),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0"),
    *("223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "3ffe::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
)


def every_private() -> list[str]:
    four = [each for each in PRIVATE if ":" not in each]
    return [*PRIVATE, *(form.format(each) for form in EMBEDDED for each in four)]


URLS = (
    # an address in the host, in every form that some program reads as one
    *("https://127.0.0.1:{port}/", "https://127.1:{port}/", "https://127.0.1:{port}/", "https://2130706433:{port}/"),
    *(
        "https://0x7f000001:{port}/",
        "https://0x7f.1:{port}/",
        "https://0x7f.0x0.0x0.0x1:{port}/",
        "https://0177.1:{port}/",
    ),
    *("https://017700000001:{port}/", "https://0177.0.0.01:{port}/", "https://127.0.0.0x1:{port}/"),
    *(
        "https://0X7F000001:{port}/",
        "https://4294967297:{port}/",
        "https://127.000.000.001:{port}/",
        "https://0:{port}/",
    ),
    *("https://0.0.0.0:{port}/", "https://00000000000000000000177.1:{port}/", "https://127.0.0.1.:{port}/"),
    *("https://2852039166/latest/meta-data/", "https://169.254.169.254/latest/meta-data/", "https://0xa9fea9fe/"),
    *("https://[::1]:{port}/", "https://[::]:{port}/", "https://[0:0:0:0:0:0:0:1]:{port}/", "https://[::0001]:{port}/"),
    *("https://[::ffff:127.0.0.1]:{port}/", "https://[::FFFF:7F00:1]:{port}/", "https://[::127.0.0.1]:{port}/"),
    *(
        "https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
        "https://[64:ff9b::127.0.0.1]:{port}/",
        "https://[::1%25lo]:{port}/",
    ),
    *("https://[::1%lo]:{port}/", "https://[fe80::1%25eth0]:{port}/", "https://[2606:4700::1111%25lo]:{port}/"),
    *("https://[fd00:ec2::254]/", "https://[fec0::1]/", "https://[2002:7f00:1::]:{port}/", "https://[v1.127.0.0.1]/"),
    *(
        "https://[::1]public.test:{port}/",
        "https://public.test[::1]:{port}/",
        "https://[127.0.0.1]:{port}/",
        "https://::1/",
    ),
    # digits, dots and letters of other scripts
    *(
        "https://１２７．０．０．１:{port}/",
        "https://127。0。0。1:{port}/",
        "https://①②⑦.⓪.⓪.①:{port}/",
        "https://１２７.1:{port}/",
    ),
    *("https://ｌｏｃａｌｈｏｓｔ:{port}/", "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/", "https://٣٤.1/", "https://127.0.0.1:８０/"),
    # names of this machine
    *(
        "https://localhost:{port}/",
        "https://LOCALHOST:{port}/",
        "https://localhost.:{port}/",
    ),
    # what a reader takes for another host than a program does
    *(
        "https://public.test@127.0.0.1:{port}/",
        "https://public.test:443@127.0.0.1:{port}/",
        "https://@127.0.0.1:{port}/",
    ),
    *(
        "https://127.0.0.1:{port}@public.test/",
        "https://public.test\\@127.0.0.1:{port}/",
        "https://127.0.0.1\\.public.test/",
    ),
    *(
        "https://public.test%40127.0.0.1:{port}/",
        "https://%31%32%37.0.0.1:{port}/",
        "https://127.0.0.1%00.public.test/",
    ),
    *("https://127.0.0.1%2f@public.test/", "https://a@b@127.0.0.1:{port}/", "https://127.0.0.1 :{port}/"),
    *(
        " https://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/\r\nhost: a",
        "https://127.0.0.1\t:{port}/",
        "https://127.0.0.1\n/",
    ),
    # ports and schemes
    *("https://public.test:0/", "https://public.test:65536/", "https://public.test:-1/", "https://public.test:+443/"),
    *("http://127.0.0.1:{port}/", "http://public.test/", "HTTP://127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/"),
    *(
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_",
        "data:text/plain,a",
        "ws://127.0.0.1:{port}/",
        "unix:/tmp/s",
    ),
    *(
        "https:127.0.0.1:{port}",
        "https:/127.0.0.1:{port}",
        "https:///127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "127.0.0.1",
    ),
    *(
        "https:\\\\127.0.0.1:{port}/",
        "https://",
        "https://?@127.0.0.1/",
        "https://#@127.0.0.1/",
        "",
        "https://.:{port}/",
    ),
    *(
        "https://-a.test/",
        "https://a..test/",
        "https://a_.test../",
        "https://" + "a" * 64 + ".test/",
        "https://" + "a." * 130 + "test/",
    ),
)


class Names:
    """A resolver: each name has a sequence of answers, and the last one stays."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): [*each] for name, each in answers.items()}
        self.asked = Counter[str]()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answers = self._answers.get(host)
        if answers is None:
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
            return [str(address[0]) for *_, address in found]
        self.asked[host] += 1
        return answers.pop(0) if len(answers) > 1 else answers[0]


PUBLIC_HERE, PRIVATE_HERE = "127.0.0.2", "127.0.0.1"


class Half(Guard):
    """For which 127.0.0.2 alone is public, and may be spoken to without TLS. All else of loopback stays private."""

    def __init__(self, resolve: Names) -> None:
        super().__init__(loopback=True, resolve=resolve)

    def may(self, address: Address, *, secure: bool) -> bool:
        return address == ip_address(PUBLIC_HERE)


@dataclass
class Listener:
    """Answers every request with `replies`, by its path, or with 200 and `body`. `requests` are the heads."""

    replies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    body: bytes = b"{}"
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])
    _serving: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int((head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) or b"0")
                self.requests.append(head + await reader.readexactly(length))
                path = head.split(b" ")[1].decode()
                ok = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                writer.write(self.replies.get(path) or ok % (len(self.body), self.body))
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def at(self, *hosts: str) -> AsyncIterator["Listener"]:
        """On one port at each of the addresses."""
        servers = list[asyncio.Server]()
        try:
            for host in hosts:
                servers.append(await asyncio.start_server(self._accept, host, self.port))
                self.port = servers[0].sockets[0].getsockname()[1]
            yield self
        finally:
            for server in servers:
                server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await asyncio.sleep(0)


def redirecting(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()


@dataclass
class Tally:
    """How the attempts ended."""

    refused: int = 0
    through: list[str] = field(default_factory=list[str])
    otherwise: list[str] = field(default_factory=list[str])

    @property
    def tried(self) -> int:
        return self.refused + len(self.through) + len(self.otherwise)

    async def attempt(self, door: Door, url: str, guard: Guard) -> None:
        try:
            async with asyncio.timeout(10):
                await door(url, guard)
        except Refusal:
            self.refused += 1
        except Exception as error:
            self.otherwise.append(f"{url}: {error!r}")
        else:
            self.through.append(url)


async def tried(door: Door, without: Container[str] = ()) -> Tally:
    """Every way but redirects, which a door may follow or not, and the URLs that a door makes others of. Asserts that
    nothing reached the listener.
    """
    tally, listener = Tally(), Listener()
    async with listener.at("127.0.0.1", *_own_ipv6()) as private:
        for url in URLS:
            if url in without:
                continue
            await tally.attempt(door, url.format(port=private.port), Guard())
        for number, answers in enumerate(_answers()):
            names = Names(public_test=answers)
            for _ in answers[1:]:  # what the name says first is public: nobody answers there
                await seen_as_public(door, f"https://public.test:{private.port}/{number}", Guard(resolve=names))
            await tally.attempt(door, f"https://public.test:{private.port}/{number}", Guard(resolve=names))
        assert (private.connections, private.requests) == (0, [])
    return tally


async def seen_as_public(door: Door, url: str, guard: Guard) -> None:
    """An address of the internet is tried, and this machine lets no test reach it. A door may ask twice."""
    passed = Tally()
    await passed.attempt(door, url, guard)
    assert passed.through == []


LOCATIONS = (
    *("http://private.test:{port}/", "//private.test:{port}/", "http://127.0.0.1:{port}/", "http://[::1]:{port}/"),
    *("http://public.test@private.test:{port}/", "http://127.1:{port}/", "http://2130706433:{port}/", "http://["),
    *(
        "https://private.test:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0:{port}/",
    ),
    *("http://private.test:{port}/?http://public.test", "http://public.test\\@private.test:{port}/", "/again"),
)


async def redirected(door: Door) -> int:
    """How many redirects of a public server to a private one were tried. Asserts that each was an error, and that
    nothing reached the private one.
    """
    names = Names(public_test=[[PUBLIC_HERE]], private_test=[[PRIVATE_HERE]])
    tally = Tally()
    async with Listener().at(PUBLIC_HERE) as public, Listener(port=public.port).at(PRIVATE_HERE) as private:
        for status in (301, 302, 303, 307, 308):
            for location in LOCATIONS:
                there = redirecting(status, location.format(port=public.port))
                onward = redirecting(status, f"http://private.test:{public.port}/")
                public.replies.update({"/": there, "/again": onward})
                await tally.attempt(door, f"http://public.test:{public.port}/", Half(names))
        assert (tally.through, private.connections, private.requests) == ([], 0, [])
        assert len(public.requests) >= tally.tried
    return tally.tried


def _answers() -> Iterator[Sequence[Sequence[str]]]:
    """What a name may lead to: a private address; that beside public ones, in either order; and that later."""
    for each in every_private():
        yield [[each]]
    for each in ("127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"):
        yield [["1.1.1.1", each]]
        yield [[each, "1.1.1.1"]]
        yield [["2606:4700::1111", "1.1.1.1", each]]
        yield [["1.1.1.1"], [each]]
    yield [["nonsense"]]
    yield [["fe80::1%1"]]
    yield [["2606:4700::1111%1"]]


def _own_ipv6() -> tuple[str, ...]:
    import socket

    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return ("::1",)
    except OSError:
        return ()

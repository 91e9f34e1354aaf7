"""HTTP/1.1 as servers speak it, well or badly: over real sockets, against the library that the wire was tested with."""

import asyncio
import gc
import gzip
import socket
import ssl
import warnings
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from openresponses.transport import errors
from openresponses.transport.guard import Guard
from openresponses.transport.http import Http
from openresponses.transport.link import MAX_BARE, MAX_INFLATED, MAX_WAITING
from openresponses.transport.links import Links, Request
from tests.contract.ssrf import Names

Said = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


class Server:
    """Says `reply` to each request, then hangs up if `once`."""

    def __init__(self, reply: bytes, *, once: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self._reply, self._once, self._tls = reply, once, tls
        self.connections, self.requests = 0, list[bytes]()
        self.writers = set[asyncio.StreamWriter]()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self._reply)
                await writer.drain()
                if self._once:
                    break
        except (OSError, EOFError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self.writers:
                writer.transport.abort()
            await asyncio.sleep(0)


def http(port: int, scheme: str = "http", **more: float) -> Http:
    seconds = {"connect_timeout": 5.0, "first_byte_timeout": 5.0, "idle_timeout": 5.0, **more}
    return Http(f"{scheme}://127.0.0.1:{port}", {}, **seconds)


async def said(client: Http) -> bytes:
    async with client.post("/x", b"{}") as reply:
        return b"".join([chunk async for chunk in reply.whole()])


def chunked(*chunks: bytes, after: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + after + b"\r\n"


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
REPLIES: dict[str, bytes] = {
    "a length": OK + b"content-length: 5\r\n\r\nhello",
    "chunks": CHUNKED + chunked(b"he", b"llo"),
    "a chunk's extension": CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "spaces after a chunk's size": CHUNKED + b"5  \r\nhello\r\n0  \r\n\r\n",
    "trailers": CHUNKED + chunked(b"hello", after=b"x-trailer: 1\r\n"),
    "chunks and a length": OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"hello"),
    "an informational reply first": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + CHUNKED + chunked(b"hello"),
    "continue first": b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + chunked(b"hello"),
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello",
    "lines without CR": b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
    "gzip": OK + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(gzip.compress(b"hello")),
    "gzip, byte by byte": OK
    + b"Content-Encoding: GZIP\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunked(*(bytes([byte]) for byte in gzip.compress(b"hello"))),
    "deflate": OK
    + b"content-encoding: deflate\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunked(zlib.compress(b"hello")),
    "deflate without a header": OK
    + b"content-encoding: deflate\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunked(zlib.compress(b"hello", wbits=-15)),
    "both": OK
    + b"content-encoding: deflate, gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunked(gzip.compress(zlib.compress(b"hello"))),
    "another coding, which is none": OK + b"content-encoding: utf-8\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_a_reply_is_read_and_its_connection_is_used_again(reply: bytes) -> None:
    server = Server(reply)
    async with server.listening() as port:
        client = http(port)
        assert [await said(client), await said(client), server.connections] == [b"hello", b"hello", 1]
        await client.aclose()


ONCE: dict[str, bytes] = {
    "the connection's end": OK + b"\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "connection: close": OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello",
    "gzip to the connection's end": OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"hello"),
    "more than was said": OK + b"content-length: 5\r\n\r\nhello, and more",
}


@pytest.mark.parametrize("reply", ONCE.values(), ids=ONCE)
async def test_a_reply_that_ends_with_its_connection_is_read_too(reply: bytes) -> None:
    server = Server(reply, once=True)
    async with server.listening() as port:
        client = http(port)
        assert [await said(client), await said(client), server.connections] == [b"hello", b"hello", 2]
        await client.aclose()


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a head": OK + b"content-le",
    "less than was said": OK + b"content-length: 9\r\n\r\nhello",
    "half a chunk": CHUNKED + b"9\r\nhello",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "no size": CHUNKED + b"x\r\nhello\r\n",
    "not gzip": OK + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("cut", [False, True])
async def test_what_is_no_whole_reply_is_an_error(reply: bytes, cut: bool) -> None:
    """`cut`: the end of the connection is the news. Otherwise, where the server says no more, time is."""
    async with Server(reply, once=cut).listening() as port:
        client = http(port) if cut else http(port, first_byte_timeout=0.2, idle_timeout=0.2)
        with pytest.raises((errors.BrokenOff,) if cut else (errors.BrokenOff, errors.TimedOut)):
            await said(client)
        await client.aclose()


GZIPPED = OK + b"content-encoding: %b\r\ntransfer-encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(8 * MAX_INFLATED))
NOTHING = zlib.compressobj(wbits=31).flush(zlib.Z_SYNC_FLUSH)
HOSTILE: dict[str, bytes] = {
    "a head without end": OK + b"x: y\r\n" * (MAX_BARE // 5),
    "a header without end": OK + b"x: " + b"y" * 2 * MAX_BARE,
    "informational replies without end": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * (MAX_BARE // 30),
    "trailers without end": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * MAX_BARE,
    "a trailer without end": CHUNKED + b"5\r\nhello\r\n0\r\nx: " + b"y" * 8 * MAX_BARE,
    "a chunk's extension without end": CHUNKED + b"5;" + b"a" * 8 * MAX_BARE,
    "a chunk's size without end": CHUNKED + b"0" * 8 * MAX_BARE,
    "a bomb": GZIPPED % b"gzip" + chunked(BOMB),
    "a bomb that was deflated": GZIPPED % b"deflate" + chunked(zlib.compress(bytes(8 * MAX_INFLATED))),
    "a bomb in a bomb": GZIPPED % b"gzip, gzip" + chunked(gzip.compress(BOMB)),
    "a bomb in many chunks": GZIPPED % b"gzip"
    + chunked(*(BOMB[start : start + 16] for start in range(0, len(BOMB), 16))),
    "codings without end": GZIPPED % b", ".join([b"gzip"] * 3) + chunked(b"x"),
    "what is compressed of nothing": GZIPPED % b"gzip" + chunked(NOTHING + NOTHING[-5:] * MAX_BARE),
    "what follows what was compressed": GZIPPED % b"gzip" + chunked(gzip.compress(b"hello"), b"x" * 8 * MAX_BARE),
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
async def test_a_server_that_means_to_fill_the_memory_is_hung_up_on(reply: bytes) -> None:
    server = Server(reply)
    async with server.listening() as port:
        client = http(port)
        with pytest.raises((errors.BrokenOff, errors.TooLong)):
            await said(client)
        await client.aclose()


async def test_a_connection_that_the_server_left_is_replaced_though_the_loop_has_not_heard_of_it() -> None:
    server = Server(OK + b"content-length: 5\r\n\r\nhello", once=True)
    async with server.listening() as port:
        client = http(port)
        for _ in range(3):
            assert await said(client) == b"hello"
        assert (server.connections, len(server.requests)) == (3, 3)
        await client.aclose()


async def test_a_connection_that_was_kept_for_too_long_is_replaced() -> None:
    server = Server(OK + b"content-length: 5\r\n\r\nhello")
    async with server.listening() as port:
        links = Links("127.0.0.1", port, None, seconds=0.05, timeout=5.0)
        until = asyncio.get_running_loop().time() + 5
        for wait in (0.0, 0.1, 0.0):
            await asyncio.sleep(wait)
            link = await links.send(Request(f"http://127.0.0.1:{port}", "/", {}, b""), until)
            assert (await link.read(until), await link.read(until)) == (b"hello", b"")
            link.done()
        assert server.connections == 2
        links.close()


async def test_a_reader_that_does_not_read_makes_its_server_wait() -> None:
    async with Server(OK + b"content-length: 99999999\r\n\r\n" + b"x" * 99999999).listening() as port:
        client = http(port)
        async with client.post("/", b"") as reply:
            chunks = reply.stream()
            first = await anext(chunks)
            await asyncio.sleep(0.1)
            second = await anext(chunks)
            assert max(len(first), len(second)) <= MAX_WAITING * 2
            assert len(first) + len(second) + sum([len(chunk) async for chunk in chunks]) == 99999999
        await client.aclose()


async def test_a_link_whose_reply_was_not_read_is_not_used_again() -> None:
    server = Server(OK + b"content-length: 7999999\r\n\r\n" + b"x" * 7999999)
    async with server.listening() as port:
        client = http(port)
        for _ in range(2):
            async with client.post("/", b"") as reply:
                assert await anext(reply.whole())
        assert (len(await said(client)), server.connections) == (7999999, 3)
        await client.aclose()


async def test_a_link_that_no_longer_reads_is_not_used_again() -> None:
    body = b"x" * (MAX_WAITING + 1)
    server = Server(CHUNKED + chunked(body))
    async with server.listening() as port:
        links = Links("127.0.0.1", port, None, seconds=5, timeout=5)
        until = asyncio.get_running_loop().time() + 5
        for _ in range(2):
            link = await links.send(Request(f"http://127.0.0.1:{port}", "/", {}, b""), until)
            await asyncio.sleep(0.1)  # all of it is here, and nobody reads
            link.done()
        link = await links.send(Request(f"http://127.0.0.1:{port}", "/", {}, b""), until)
        read = b""
        while chunk := await link.read(until):
            read += chunk
        assert (read, server.connections) == (body, 3)
        link.done()
        links.close()


async def test_the_settings_headers_win_over_the_host_of_the_address() -> None:
    server = Server(OK + b"content-length: 5\r\n\r\nhello")
    async with server.listening() as port:
        seconds = {"connect_timeout": 5.0, "first_byte_timeout": 5.0, "idle_timeout": 5.0}
        client = Http(f"http://user:pass%20word@127.0.0.1:{port}", {"Host": "a.test"}, **seconds)
        assert await said(client) == b"hello"
        await client.aclose()
    assert server.requests[0].lower().count(b"host: ") == 1
    assert b"\r\nhost: a.test\r\n" in server.requests[0]
    assert b"\r\nauthorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n" in server.requests[0]


@pytest.mark.parametrize("target", ["/a b", "/a\r\nhost: b", "", "/é"])
def test_an_address_can_t_end_its_line(target: str) -> None:
    with pytest.raises(errors.Unsendable):
        Request("http://a.test", target, {}, b"").written()


async def test_a_header_can_t_end_its_line() -> None:
    async with Server(OK + b"content-length: 0\r\n\r\n").listening() as port:
        for name, value in (("x", "a\r\nb: c"), ("x\r\ny", "a"), ("x", "a\x00"), ("", "a"), ("x", "é")):
            client = http(port)
            with pytest.raises(errors.Unsendable):
                async with client.post("/", b"", headers={name: value}):
                    pass
            await client.aclose()


URLS = [
    ("http://a.test", {}, "/x", "a.test"),
    ("https://a.test:8443/v1/", {}, "/v1/x", "a.test:8443"),
    ("http://[::1]:80/a b?api-version=1&k", {"alt": "sse"}, None, None),
    ("https://a.test/a%2Fb?api-version=1&k=", {"alt": "sse"}, "/a%2Fb/x?api-version=1&k=&alt=sse", "a.test"),
    ("https://münchen.test/ü", {}, "/%C3%BC/x", "xn--mnchen-3ya.test"),
    ("https://a.test?k=1", {"k": "2"}, "/x?k=2", "a.test"),
    ("https://a.test?k=1&k=2&l=a,b", {"m": "3"}, "/x?k=1&k=2&l=a%2Cb&m=3", "a.test"),
    ("http://[::1]:8080", {}, "/x", "[::1]:8080"),
    ("https://", {}, None, None),
    ("ftp://a.test", {}, None, None),
    ("http://a.test:port", {}, None, None),
    ("http://a.test/\n", {}, None, None),
    ("http://a..test", {}, "/x", "a..test"),
]


@pytest.mark.parametrize(("base", "query", "target", "host"), URLS)
async def test_the_address_is_put_together_as_it_was_given(
    base: str, query: dict[str, str], target: str | None, host: str | None
) -> None:
    asked = list[Request]()

    class Heard:
        async def send(self, request: Request, until: float) -> object:
            asked.append(request)
            raise errors.Unreachable

    seconds = {"connect_timeout": 1.0, "first_byte_timeout": 1.0, "idle_timeout": 1.0}
    if target is None:
        with pytest.raises(ValueError, match="base_url must be an http or https URL"):
            Http(base, {}, **seconds)
        return
    with pytest.raises(errors.Unreachable):
        async with Http(base, {}, **seconds, network=Heard()).post("/x", b"", query=query):  # pyright: ignore[reportArgumentType]
            pass
    assert asked[0].target == target
    assert f"host: {host}\r\n".encode() in asked[0].written()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1 and public.test, which nobody signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("public.test")]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem))
    return path


def served_with(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async with Server(OK + b"\r\n", tls=served_with(certificate)).listening() as port:
        client = http(port, "https")
        with pytest.raises(errors.Unreachable):
            await said(client)
        await client.aclose()


async def test_a_name_that_the_certificate_lacks_is_refused(certificate: Path) -> None:
    async with Server(OK + b"\r\n", tls=served_with(certificate)).listening() as port:
        links = Links("localhost", port, ssl.create_default_context(cafile=certificate), seconds=5, timeout=5)
        with pytest.raises(errors.Unreachable):
            await links.send(Request("https://localhost", "/", {}, b""), asyncio.get_running_loop().time() + 5)


@pytest.mark.parametrize(("host", "fits"), [("public.test", True), ("other.test", False), ("127.0.0.1", True)])
async def test_a_guarded_link_goes_to_a_judged_address_and_verifies_the_name(
    host: str, fits: bool, certificate: Path
) -> None:
    guard = Guard(loopback=True, resolve=Names(public_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]]))
    async with Server(OK + b"content-length: 5\r\n\r\nhello", tls=served_with(certificate)).listening() as port:
        context = ssl.create_default_context(cafile=certificate)
        links = Links(host, port, context, seconds=5, timeout=5, guard=guard)
        until = asyncio.get_running_loop().time() + 5
        request = Request(f"https://{host}:{port}", "/", {}, b"{}")
        if not fits:
            with pytest.raises(errors.Unreachable):
                await links.send(request, until)
            return
        link = await links.send(request, until)
        assert await link.read(until) == b"hello"
        link.done()
        links.close()


async def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    with socket.create_server(("127.0.0.3", 0)) as silent:  # TLS is not begun there
        port = silent.getsockname()[1]
        names = Names(public_test=[["127.0.0.3", "127.0.0.4"]], other_test=[["127.0.0.3"] * 9])
        guard = Guard(loopback=True, resolve=names)
        until = asyncio.get_running_loop().time() + 5
        for host, error in (("public.test", errors.Unreachable), ("other.test", errors.TimedOut)):
            links = Links(host, port, ssl.create_default_context(), seconds=5, timeout=0.2, guard=guard)
            with pytest.raises(error):
                await links.send(Request(f"https://{host}:{port}", "/", {}, b"{}"), until)


async def test_replies_come_over_tls_and_its_connection_is_used_again(certificate: Path) -> None:
    body = b"x" * 3_000_000
    server = Server(CHUNKED + chunked(body), tls=served_with(certificate))
    async with server.listening() as port:
        links = Links("127.0.0.1", port, ssl.create_default_context(cafile=certificate), seconds=5, timeout=5)
        until = asyncio.get_running_loop().time() + 5
        for _ in range(3):
            link = await links.send(Request(f"https://127.0.0.1:{port}", "/", {}, b"{}"), until)
            read = list[bytes]()
            while chunk := await link.read(until):
                read.append(chunk)
            assert b"".join(read) == body
            link.done()
        assert server.connections == 1
        links.close()


@pytest.mark.parametrize("guard", [None, Guard(loopback=True)], ids=["a race", "a guard"])
async def test_who_gives_up_while_a_link_is_made_leaves_no_socket_open(guard: Guard | None) -> None:
    """At each turn of the event loop until it is made. asyncio's race of addresses leaves one if it is cancelled."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    request = Request(f"http://127.0.0.1:{port}", "/", {}, b"{}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for turns in range(12):
            links = Links("127.0.0.1", port, None, seconds=1, timeout=1, guard=guard)
            asking = asyncio.create_task(links.send(request, asyncio.get_running_loop().time() + 5))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises((asyncio.CancelledError, errors.BrokenOff)):  # the server hangs up once it is made
                await asking
            await asyncio.sleep(0.01)
            gc.collect()
        server.close()
    ours = [str(each.message) for each in caught if f"raddr=('127.0.0.1', {port})" in str(each.message)]
    assert ours == []

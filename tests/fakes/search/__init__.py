"""Stand-ins for search services, on loopback, each by the rules of its documentation; and a few web pages.

In a test: `async with fake_search("brave") as fake: ... fake.url, fake.asked`.
In a process of its own: `python -m tests.fakes.search brave`, which prints its URL.

They all know the same few pages. A query with the words `answer STATUS` is answered with that status, `answer garbage`
with what is no answer, `answer nothing` with no result. A query with `wait N` is told once to come back in N seconds.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

KEY = "key-planted-for-search"
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A page that every service has found."""

    url: str
    title: str
    text: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


KNOWN = [
    Known("https://tides.example/moon", "Tides and the moon", "The moon pulls the sea. " * 100),
    Known("https://docs.tides.example/table", "A table of tides", "High water comes twice a day."),
    Known("https://harbour.example/?a=1&b=2", "Harbour & sea", "Ships wait for high water."),
    Known("https://nottides.example/", "Of something else", "No domain of tides.example."),
    *(Known(f"https://more.example/{n}", f"More {n}", f"More of it, {n}.") for n in range(20)),
]


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json | str | bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refused(Exception):
    """A request that the service would refuse."""

    def __init__(self, status: int, code: str, why: str) -> None:
        super().__init__(why)
        self.status, self.code = status, code


class Service(Protocol):
    """A module of this package."""

    def check(self, request: Received) -> str:
        """The query. Raises Refused."""
        ...

    def found(self, request: Received, pages: list[Known]) -> Json: ...

    def error(self, status: int, code: str, why: str) -> Answer: ...

    def later(self, seconds: int) -> Mapping[str, str]:
        """The headers of a 429."""
        ...


@dataclass
class FakeSearch:
    """`asked` are the requests that it let pass, `refused` says why it refused others."""

    service: Service
    url: str = ""
    asked: list[Received] = field(default_factory=list[Received])
    refused: list[str] = field(default_factory=list[str])
    web: dict[str, Answer] = field(default_factory=dict[str, Answer])
    opened: list[str] = field(default_factory=list[str])
    waited: set[str] = field(default_factory=set[str])

    def answer(self, request: Received) -> Answer:
        if page := self.web.get(request.path):
            self.opened.append(request.path)
            return page
        try:
            query = self.service.check(request)
        except Refused as refused:
            self.refused.append(str(refused))
            return self.service.error(refused.status, refused.code, str(refused))
        self.asked.append(request)
        if (told := re.search(r"wait (\d+)", query)) and query not in self.waited:
            self.waited.add(query)
            error = self.service.error(429, "RATE_LIMITED", "Too many requests.")
            return Answer(429, error.body, self.service.later(int(told[1])))
        match re.search(r"answer (\w+)", query):
            case None:
                return Answer(200, self.service.found(request, KNOWN))
            case found if found[1] == "nothing":
                return Answer(200, self.service.found(request, []))
            case found if found[1] == "garbage":
                return Answer(200, "<html>Down for maintenance</html>")
            case found:
                return self.service.error(int(found[1]), "SCRIPTED", f"Said for a test, about {KEY}.")


@asynccontextmanager
async def fake_search(name: str, port: int = 0) -> AsyncIterator[FakeSearch]:
    service: Any = import_module(f"tests.fakes.search.{name}")
    fake = FakeSearch(service)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                answer = fake.answer(await _received(reader))
                kind, content = _content(answer.body)
                headers = {"content-type": kind, "content-length": str(len(content)), **answer.headers}
                head = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
                writer.write(f"HTTP/1.1 {answer.status} Said\r\n{head}\r\n".encode() + content)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**24)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        await asyncio.sleep(0)


def _content(body: Json | str | bytes) -> tuple[str, bytes]:
    if isinstance(body, dict):
        return "application/json", json.dumps(body).encode()
    return "text/html", body.encode() if isinstance(body, str) else body


async def _received(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    return Received(method, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)


def need(holds: object, why: str, status: int = 400, code: str = "VALIDATION") -> None:
    if not holds:
        raise Refused(status, code, why)


def only(given: Mapping[str, object], known: str, status: int = 400) -> None:
    """What a service doesn't document is a mistake here, whatever the service would make of it."""
    need(not (more := set(given) - {*known.split()}), f"no parameters {sorted(more)}", status)


def of_domains(pages: list[Known], domains: list[str]) -> list[Known]:
    return [
        page
        for page in pages
        if not domains or any(page.host == each or page.host.endswith(f".{each}") for each in domains)
    ]

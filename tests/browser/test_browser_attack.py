"""A page of another origin in Chromium tries to read and to change the local cloud of the developer who looks at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.server import HttpServer
from tests.browser.chromium import opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_name("attack.html")
PARAMETER = "/openresponses/local/providers/openai"
SETTINGS = {"dialect": "chat_completions", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-planted-provider-key"}
STOLEN = {**SETTINGS, "base_url": "http://evil.example/v1"}
PUT = {"Name": PARAMETER, "Value": json.dumps(STOLEN), "Type": "SecureString", "Overwrite": True}
WRITES = {
    "AmazonSSM.PutParameter": PUT,
    "AmazonSSM.DeleteParameter": {"Name": PARAMETER},
    "AmazonSSM.GetParameter": {"Name": PARAMETER, "WithDecryption": True},
    "DynamoDB_20120810.Scan": {"TableName": "ResponsesTable"},
}
SOCKETS = ["/v1/responses", "/responses"]
NOTHING = ("TypeError", "opaque", "error", "nothing", "sent")
"""What a try ends with by which a page learns and changes nothing; whether it did change anything is looked at."""


class Attacker:
    """Serves the page, on its own origin and on those that are made to lead to `victims`."""

    def __init__(self, victims: dict[str, str], reads: dict[str, list[str]]) -> None:
        self._victims, self._reads = victims, reads
        self.told: dict[str, Any] = {}
        self.complete = asyncio.Event()
        self.origin = ""

    def plan(self, name: str, of: dict[str, str]) -> dict[str, Any]:
        """What the page named `name` tries, with these origins of the victims."""
        reads = [origin + path for victim, origin in of.items() for path in self._reads[victim]]
        origins = [origin for victim, origin in of.items() if victim != "gateway"]
        writes = [
            {"url": f"{origin}/", "target": target, "body": json.dumps(body)}
            for origin in origins
            for target, body in WRITES.items()
        ]
        sockets = [origin.replace("http", "ws") + path for origin in of.values() for path in SOCKETS]
        rebound = [f"http://rebound.example:{urlsplit(origin).port}/attack" for origin in self._victims.values()]
        frames = rebound if name == "page" else []
        tries = {"reads": reads, "writes": writes, "sockets": sockets, "frames": frames}
        return {"name": name, "report": self.origin, **tries}

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str, None]:
        """The origin of the page."""

        async def page(_: Request) -> Response:
            return FileResponse(PAGE)

        async def given(_: Request) -> Response:
            return JSONResponse(self.plan("page", self._victims))

        async def tell(request: Request) -> Response:
            self.told[request.path_params["name"]] = await request.json()
            if self.told.keys() == {"page", *self._victims}:
                self.complete.set()
            return Response()

        routes = [Route("/", page), Route("/attack.json", given), Route("/told/{name}", tell, methods=["POST"])]
        server = HttpServer(Starlette(routes=routes), 0)
        self.origin = (await server.start()).replace("127.0.0.1", "page.example")
        rebound = [await self._rebound(name, origin) for name, origin in self._victims.items()]
        try:
            yield self.origin
        finally:
            for each in rebound:
                each.close()
            await server.stop()

    async def _rebound(self, name: str, origin: str) -> asyncio.Server:
        """The page's server at the victim's port, on another address. All but the page goes to the victim: as if the
        name were that of the victim's address by now."""
        port = urlsplit(origin).port

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readline()  # empty for a connection that was opened in advance
            if head.startswith(b"GET /attack "):
                await _reply(writer, "text/html", PAGE.read_bytes())
            elif head.startswith(b"GET /attack.json "):
                await _reply(writer, "application/json", json.dumps(self.plan(name, {name: ""})).encode())
            else:
                back, forth = await asyncio.open_connection("127.0.0.1", port)
                forth.write(head)
                await asyncio.gather(_pipe(reader, forth), _pipe(back, writer))

        return await asyncio.start_server(served, "127.0.0.2", port)


async def _reply(writer: asyncio.StreamWriter, kind: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def attacked(victims: dict[str, str], reads: dict[str, list[str]], profile: Path) -> dict[str, Any]:
    """What each of the attacker's pages was able to read."""
    attacker = Attacker(victims, reads)
    names = "--host-resolver-rules=MAP page.example 127.0.0.1,MAP rebound.example 127.0.0.2"
    async with attacker.serving() as origin, opened(f"{origin}/", profile, names):
        await asyncio.wait_for(attacker.complete.wait(), 200)
    return attacker.told


def learnt(told: dict[str, Any]) -> dict[str, Any]:
    """The tries by which a page read something else than a refusal."""
    return {
        f"{page}: {what}": found
        for page, tries in told.items()
        for what, found in tries.items()
        if found not in NOTHING and not (isinstance(found, dict) and _refusal(found))
    }


def _refusal(found: dict[str, Any]) -> bool:
    """A page of the server's own name by now can read that it is refused."""
    says = ("The local cloud has another name", "this server has another name")
    return found["status"] in (0, 403) and any(each in found["text"] for each in says)


async def test_a_page_of_another_origin_reads_and_changes_nothing(tmp_path: Path) -> None:
    async with LocalCloud(ROOT / "template.yaml", providers={"openai": SETTINGS}) as cloud:
        victims = {"gateway": cloud.origin, "aws": cloud.aws.endpoint_url, "sockets": cloud.socket_origin}
        reads = {
            "gateway": ["/_local.json", "/_local", "/v1/models", "/docs"],
            "sockets": ["/responses", "/responses/@connections/AAAAAAAAAAAAAAA="],
            "aws": ["/", "/moto-api/", "/moto-api/data.json", "/moto-api/reset", "/latest/meta-data/"],
        }
        told = await attacked(victims, reads, tmp_path)
        ssm = cloud.aws.client("ssm")
        kept = await asyncio.to_thread(ssm.get_parameter, Name=PARAMETER, WithDecryption=True)
        sandboxes = cloud.sandboxes
    print({page: len(tries) for page, tries in told.items()}, "tries, 0 through")
    assert learnt(told) == {}
    assert (json.loads(kept["Parameter"]["Value"]), kept["Parameter"]["Version"]) == (SETTINGS, 1)
    assert sandboxes == [], "a function was invoked"
    assert len(told["page"]) > 100


async def test_the_same_page_reads_a_server_that_lets_it(tmp_path: Path) -> None:
    """So what the other test doesn't read is not for want of trying."""

    async def anyone(_: Request) -> Response:
        return PlainTextResponse("secret")

    async def everyone(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive()

    open_to_all = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    every = [Route("/", anyone, methods=["GET", "POST", "PUT", "DELETE"]), WebSocketRoute(SOCKETS[0], everyone)]
    server = HttpServer(Starlette(routes=every, middleware=[open_to_all]), 0, SOCKETS[0])
    origin = await server.start()
    try:
        told = await attacked({"open": origin}, {"open": ["/"]}, tmp_path)
    finally:
        await server.stop()
    found = learnt(told)
    assert {name.partition(":")[0] for name in found} == {"page", "open"}
    assert found[f"page: cors omit {origin}/"] == {"status": 200, "text": "secret"}
    assert found[f"page: POST signed AmazonSSM.PutParameter {origin}/"] == {"status": 200, "text": "secret"}
    assert found[f"page: socket {origin.replace('http', 'ws')}{SOCKETS[0]}"] == "opened"
    assert found[f"open: socket {SOCKETS[0]}"] == "opened"
    assert found["open: same-origin include /"] == {"status": 200, "text": "secret"}

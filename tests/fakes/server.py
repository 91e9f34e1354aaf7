"""The server of every fake upstream: a socket on loopback, and one exchange after the other on each connection.

In a process of its own: `python -m tests.fakes.<dialect> --port 0`, which prints its base URL. All dialects in one:
`python -m tests.fakes`, which prints the providers that they are, as JSON.
In a test: `async with fake_upstream("<dialect>") as upstream: ... upstream.url, upstream.requests`.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec

from tests.fakes import scenarios
from tests.fakes.reply import Reply
from tests.fakes.scenarios import SCENARIOS, Exchange
from tests.fakes.wire import Asked, Body, Received, Refused, Rules, Script, Wire, need

TLS_HANDSHAKE = b"\x16"


@dataclass(slots=True)
class FakeUpstream:
    """`requests` are those that it let pass; `refused` says why it didn't the others. `counted` asked for tokens alone.
    `seen` counts directives.

    While it is `down`, it resets the connection of every request.
    """

    wire: Wire
    url: str = ""
    requests: list[Received] = field(default_factory=list[Received])
    refused: list[str] = field(default_factory=list[str])
    counted: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    down: bool = False
    seen: Counter[str] = field(default_factory=Counter[str])
    writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def settings(self) -> Body:
        """What a provider is set up with to use it."""
        kind = type(self.wire)
        return {
            "dialect": kind.__module__.rpartition(".")[2],
            "base_url": self.url,
            "models": [kind.model],
            **kind.settings,
        }

    def drop_connections(self) -> None:
        """Reset every open connection, as a load balancer does that has forgotten them."""
        for writer in self.writers:
            writer.transport.abort()


def dialects() -> list[str]:
    """Those of the product that have a fake upstream, by name."""
    from openresponses import dialects as providers

    return [name for name in providers.dialects() if find_spec(f"tests.fakes.{name}")]


def wire_of(dialect: str) -> type[Wire]:
    return import_module(f"tests.fakes.{dialect}").WIRE


@asynccontextmanager
async def fake_upstream(
    dialect: str | type[Wire], port: int = 0, rules: Rules | None = None
) -> AsyncIterator[FakeUpstream]:
    kind = wire_of(dialect) if isinstance(dialect, str) else dialect
    upstream = FakeUpstream(kind(rules or Rules()))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.connections += 1
        upstream.writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await _exchange(upstream, reader, writer):
                pass
        upstream.writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**24)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{kind.base}"
    try:
        yield upstream
    finally:
        server.close()
        upstream.drop_connections()
        await asyncio.sleep(0)


async def _exchange(upstream: FakeUpstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request and its reply. False where the connection must end."""
    start = await reader.readexactly(1)
    if start == TLS_HANDSHAKE:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return False
    head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    wire, reply = upstream.wire, Reply(reader, writer)
    bare = path.partition("?")[0]
    if upstream.down:
        reply.reset()
        return False
    if method == "GET" and bare.endswith("/models"):
        return await reply.json(200, wire.models())
    counts = wire.counts(bare)
    if method != "POST" or not (counts or wire.serves(bare)):
        return await reply.json(404, {"detail": "Not Found"})
    try:
        request = Received(headers, _object(content), path)
        if counts:
            counted = wire.count(request)
            upstream.counted.append(request)
            return await reply.json(200, counted)
        wire.check(request)
        asked = wire.read(request)
        script, scenario = _script(upstream, request, asked)
    except Refused as refused:
        upstream.refused.append(str(refused))
        body = wire.error(refused.status, str(refused), refused.code)
        return await reply.json(refused.status, body, wire.error_headers(refused.status))
    if "window" in script.values:  # its calls are no longer all of the conversation's: number them anew
        asked = replace(asked, all_calls=asked.all_calls + 1000 * len(upstream.requests))
    to = Exchange(wire, script, asked, wire.stream(request, asked, script), reply)
    return await to.overflow() if to.overflows else await SCENARIOS[scenario](to)


def _object(content: bytes) -> dict[str, object]:
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    need(isinstance(body, dict), "We could not parse the JSON body of your request")
    return body


def _script(upstream: FakeUpstream, request: Received, asked: Asked) -> tuple[Script, str]:
    """The script, and the scenario that it has this time."""
    script = Script.of(request, asked)
    upstream.requests.append(request)
    upstream.seen[script.directive] += 1
    again = upstream.seen[script.directive] > script.number("fails", 10**9)
    scenario = "text" if again else script.scenario
    need(scenario in SCENARIOS, f"The model `{asked.model}` does not exist", 404, "model_not_found")
    return script, scenario


def main(wire: type[Wire]) -> None:
    """The command of a dialect's module."""
    parser = argparse.ArgumentParser(
        description=scenarios.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", default="", help="refuse every other key")
    parser.add_argument("--lenient", action="store_true", help="allow what only strict servers refuse")
    parser.add_argument("--reasoning", action="store_true", help="insist on the reasoning before a call")
    options = parser.parse_args()
    rules = Rules(options.api_key, strict=not options.lenient, reasoning=options.reasoning)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(wire, options.port, rules))


async def _serve(wire: type[Wire], port: int, rules: Rules) -> None:
    async with fake_upstream(wire, port, rules) as upstream:
        print(upstream.url, flush=True)
        await asyncio.Event().wait()

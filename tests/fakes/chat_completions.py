"""A fake upstream that speaks Chat Completions over HTTP and SSE, and refuses what real servers refuse.

In a process of its own: `python -m tests.fakes.chat_completions --port 0`, which prints its base URL.
In a test: `async with fake_upstream() as upstream: ... upstream.url, upstream.requests`.

What it answers is scripted by a directive: the header `x-fake`, or else the last user message where that
starts with `/fake `, or else the model's name. A directive is `<scenario>[;<name>=<value>]...`:

| scenario     | what happens                                                                              |
|--------------|-------------------------------------------------------------------------------------------|
| `text`       | `tokens` (5) words, or the words of `say`                                                 |
| `echo`       | the last user message, said back                                                          |
| `tools`      | calls offered tools for `turns` (1) turns, `parallel` (1) at once, then says the outputs  |
| `json`       | a smallest instance of the `response_format`'s schema                                     |
| `refusal`    | a refusal                                                                                 |
| `length`     | stops for length after `tokens` (5), or after the request's limit                         |
| `filter`     | stops for the content filter                                                              |
| `error`      | an error object in the stream after `tokens` (3)                                          |
| `cut`        | closes the connection after `bytes` (200) of the body                                     |
| `reset`      | resets the connection in place of a reply                                                 |
| `stall`      | stops sending after `tokens` (3), and keeps the connection; `tokens=-1`: not even headers |
| `garbage`    | an event that isn't JSON after `tokens` (3)                                               |
| `html`       | a 200 with a web page                                                                     |
| `object`     | a 200 with a JSON error object                                                            |
| `endless`    | tokens for ever                                                                           |
| `throttle`   | 429 with `retry-after: <after>` (2)                                                       |
| `status`     | `code` (500), with an error object                                                        |

And for all of them: `delay_ms` per token (0), `first_delay_ms` before the first (0), `reasoning` words before
all else (0), `field` for those (`reasoning_content`), `args` (a call's arguments, JSON), `fails=N`: only the
first N requests of this directive fare so, and later ones as `text`. `done=0` leaves out `[DONE]`.
A model's name that is no directive is answered with 404, as real servers do.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.fakes.chat_reply import Body, Reply, Script
from tests.fakes.chat_rules import Refused, Rules, check
from tests.fakes.chat_scenarios import SCENARIOS

TLS_HANDSHAKE = b"\x16"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came. `headers` has lower-case names."""

    headers: Mapping[str, str]
    body: Body


@dataclass(slots=True)
class FakeUpstream:
    rules: Rules
    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def drop_connections(self) -> None:
        """Reset every open connection, as a load balancer does that has forgotten them."""
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def fake_upstream(port: int = 0, rules: Rules | None = None) -> AsyncIterator[FakeUpstream]:
    upstream = FakeUpstream(rules or Rules())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.connections += 1
        upstream.writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await _exchange(upstream, reader, writer):
                pass
        upstream.writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**24)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
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
    reply = Reply(reader, writer)
    if method == "GET" and path.split("?")[0].endswith("/models"):
        models = [{"id": "text", "object": "model", "created": 0, "owned_by": "fake"}]
        return await reply.json(200, {"object": "list", "data": models})
    if method != "POST" or not path.split("?")[0].endswith("/chat/completions"):
        return await reply.json(404, {"detail": "Not Found"})
    try:
        body = check(headers, content, upstream.rules)
    except Refused as refused:
        return await reply.json(refused.status, refused.as_object())
    upstream.requests.append(Received(headers, body))
    script = Script.of(headers, body)
    upstream.seen[script.directive] += 1
    if upstream.seen[script.directive] > script.number("fails", 10**9):
        script = Script(script.directive, "text", script.values)
    scenario = SCENARIOS.get(script.scenario)
    if scenario is None:
        error = {"message": f"The model `{body['model']}` does not exist", "type": "invalid_request_error"}
        return await reply.json(404, {"error": {**error, "param": None, "code": "model_not_found"}})
    return await scenario(script, body, reply)


async def _main(port: int, rules: Rules) -> None:
    async with fake_upstream(port, rules) as upstream:
        print(upstream.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", default="", help="refuse every other key with 401")
    parser.add_argument("--lenient", action="store_true", help="allow the role developer, and system anywhere")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(arguments.port, Rules(arguments.api_key, strict=not arguments.lenient)))

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
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.chat_rules import Refused, Rules, check

Body = dict[str, Any]
TLS_HANDSHAKE = b"\x16"
REASONS = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


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
    reply = _Reply(reader, writer)
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


@dataclass(frozen=True, slots=True)
class Script:
    directive: str
    scenario: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, headers: Mapping[str, str], body: Body) -> "Script":
        asked = last_user_text(body)
        directive = headers.get("x-fake") or (asked.removeprefix("/fake ") if asked.startswith("/fake ") else "")
        directive = directive or body["model"]
        scenario, *pairs = directive.split(";")
        return cls(directive, scenario, {name: value for name, _, value in (pair.partition("=") for pair in pairs)})

    def number(self, name: str, default: int) -> int:
        return int(self.values.get(name, default))


class _Reply:
    """Writes one reply. Each token is one write, from a template that is encoded once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._cut: int | None = None

    async def json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> bool:
        return await self.whole(status, json.dumps(value).encode(), "application/json", headers)

    async def whole(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> bool:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'OK' if status == 200 else 'Error')}"]
        lines += [f"content-type: {content_type}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()
        return True

    def start(self, cut: int | None = None) -> None:
        self._cut = cut
        self._writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    def send(self, data: bytes) -> None:
        if self._cut is not None:
            data, self._cut = data[: self._cut], self._cut - len(data)
            if self._cut <= 0:
                self._frame(data)
                self._writer.close()
                raise ConnectionAbortedError
        self._frame(data)

    def reset(self) -> None:
        self._writer.transport.abort()

    async def client_gone(self) -> None:
        await self._reader.read(1)

    async def flush(self) -> None:
        await self._writer.drain()

    def end(self) -> bool:
        self._writer.write(b"0\r\n\r\n")
        return True

    def _frame(self, data: bytes) -> None:
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        if data:
            self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))


class _Stream:
    """A completion's chunks."""

    def __init__(self, script: Script, body: Body, reply: _Reply, *, cut: int | None = None) -> None:
        self._script, self._body, self._reply = script, body, reply
        self._pause = script.number("delay_ms", 0) / 1000
        self._words = 0
        self._cut = cut
        head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1700000000}
        self._head = json.dumps({**head, "model": body["model"], "choices": []})[:-2].encode()

    async def begin(self) -> None:
        await asyncio.sleep(self._script.number("first_delay_ms", 0) / 1000)
        self._reply.start(self._cut)
        self.chunk({"role": "assistant", "content": ""})
        reasoning = self._script.number("reasoning", 0)
        await self.words(
            self._script.values.get("field", "reasoning_content"), (f"thought{i} " for i in range(reasoning))
        )

    async def words(self, name: str, words: Any) -> None:
        prefix = b'data: %b{"index":0,"delta":{"%b":' % (self._head, name.encode())
        suffix = b'},"logprobs":null,"finish_reason":null}]}\n\n'
        loop = asyncio.get_running_loop()
        due = loop.time()
        for word in words:
            if self._pause:
                due += self._pause
                await asyncio.sleep(due - loop.time())
            self._reply.send(prefix + json.dumps(word).encode() + suffix)
            self._words += 1
            if not self._pause and self._words % 32 == 0:
                await self._reply.flush()
                await asyncio.sleep(0)

    def chunk(self, delta: Body, finish: str | None = None) -> None:
        choice = json.dumps({"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}).encode()
        self._reply.send(b"data: " + self._head + choice + b"]}\n\n")

    async def call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        function = {"name": name, "arguments": ""}
        self.chunk({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        for start in range(0, len(arguments), 8):
            piece = {"index": index, "function": {"arguments": arguments[start : start + 8]}}
            self.chunk({"tool_calls": [piece]})
            self._words += 1
        await self._reply.flush()

    async def end(self, finish: str = "stop") -> bool:
        self.chunk({}, finish)
        if (self._body.get("stream_options") or {}).get("include_usage"):
            prompt = len(json.dumps(self._body["messages"])) // 4
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": self._words,
                "total_tokens": prompt + self._words,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": self._script.number("reasoning", 0)},
            }
            self._reply.send(b"data: " + self._head + b'],"usage":' + json.dumps(usage).encode() + b"}\n\n")
        if self._script.number("done", 1):
            self._reply.send(b"data: [DONE]\n\n")
        self._reply.end()
        await self._reply.flush()
        return True

    async def broken(self, data: bytes) -> bool:
        self._reply.send(data)
        self._reply.end()
        await self._reply.flush()
        return True


def last_user_text(body: Body) -> str:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            parts = [{"text": content}] if isinstance(content, str) else content
            return " ".join(part["text"] for part in parts if "text" in part)
    return ""


def instance(schema: Body) -> Any:
    """A smallest value that fits the schema."""
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: instance(properties.get(name, {})) for name in schema.get("required", properties)}
        case "array":
            return [instance(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "x" * max(1, schema.get("minLength", 1))
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return None


def _tokens(count: int) -> list[str]:
    return [f"token{i} " for i in range(count)]


async def _text(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply)
    await stream.begin()
    say = script.values.get("say")
    await stream.words("content", [f"{w} " for w in say.split()] if say else _tokens(script.number("tokens", 5)))
    return await stream.end()


async def _echo(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", [f"{word} " for word in last_user_text(body).split()])
    return await stream.end()


async def _tools(script: Script, body: Body, reply: _Reply) -> bool:
    messages = body["messages"]
    start = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=-1) + 1
    parallel = script.number("parallel", 1)
    turn = sum(len(message.get("tool_calls", ())) for message in messages[start:]) // parallel
    tools = [tool["function"] for tool in body.get("tools", ())]
    stream = _Stream(script, body, reply)
    await stream.begin()
    if turn >= script.number("turns", 1) or not tools:
        outputs = " ".join(m["content"] for m in messages[start:] if m["role"] == "tool")
        await stream.words("content", [f"{word} " for word in f"The tools said: {outputs}".split()])
        return await stream.end()
    for i in range(parallel):
        tool = tools[i % len(tools)]
        arguments = script.values.get("args") or json.dumps(instance(tool.get("parameters", {})))
        await stream.call(i, f"call_fake_{turn}_{i}", tool["name"], arguments)
    return await stream.end("tool_calls")


async def _json(script: Script, body: Body, reply: _Reply) -> bool:
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    stream = _Stream(script, body, reply)
    await stream.begin()
    text = json.dumps(instance(schema))
    await stream.words("content", [text[i : i + 6] for i in range(0, len(text), 6)])
    return await stream.end()


async def _refusal(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("refusal", ["I can't ", "help with ", "that."])
    return await stream.end()


async def _length(script: Script, body: Body, reply: _Reply) -> bool:
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or 5
    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", limit)))
    return await stream.end("length")


async def _filter(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 3)))
    return await stream.end("content_filter")


async def _error(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 3)))
    error = {"message": "The engine died", "type": "server_error", "code": script.number("code", 500)}
    return await stream.broken(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")


async def _cut(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply, cut=script.number("bytes", 200))
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 5)))
    return await stream.end()


async def _reset(script: Script, body: Body, reply: _Reply) -> bool:
    reply.reset()
    return False


async def _stall(script: Script, body: Body, reply: _Reply) -> bool:
    if (tokens := script.number("tokens", 3)) >= 0:
        stream = _Stream(script, body, reply)
        await stream.begin()
        await stream.words("content", _tokens(tokens))
        await reply.flush()
    await reply.client_gone()
    return False


async def _garbage(script: Script, body: Body, reply: _Reply) -> bool:
    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 3)))
    return await stream.broken(b"data: {not json\n\n")


async def _html(script: Script, body: Body, reply: _Reply) -> bool:
    return await reply.whole(200, b"<html><body>Welcome!</body></html>", "text/html")


async def _object(script: Script, body: Body, reply: _Reply) -> bool:
    code = script.number("code", 503)
    return await reply.json(200, {"error": {"message": "No capacity", "type": "server_error", "code": code}})


async def _endless(script: Script, body: Body, reply: _Reply) -> bool:
    def words() -> Any:
        while True:
            yield "token "

    stream = _Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", words())
    return False


async def _throttle(script: Script, body: Body, reply: _Reply) -> bool:
    error = {"message": "Rate limit reached for org-secret", "type": "requests", "code": "rate_limit_exceeded"}
    return await reply.json(429, {"error": error}, {"retry-after": script.values.get("after", "2")})


async def _status(script: Script, body: Body, reply: _Reply) -> bool:
    error = {"message": script.values.get("message", "It failed"), "type": "fake", "param": None, "code": None}
    return await reply.json(script.number("code", 500), {"error": error})


SCENARIOS: Mapping[str, Callable[[Script, Body, _Reply], Awaitable[bool]]] = {
    "text": _text,
    "echo": _echo,
    "tools": _tools,
    "json": _json,
    "refusal": _refusal,
    "length": _length,
    "filter": _filter,
    "error": _error,
    "cut": _cut,
    "reset": _reset,
    "stall": _stall,
    "garbage": _garbage,
    "html": _html,
    "object": _object,
    "endless": _endless,
    "throttle": _throttle,
    "status": _status,
}


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

"""What the fake upstream writes: a reply's bytes, and a completion's chunks."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
REASONS = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


def last_user_text(body: Body) -> str:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            parts = [{"text": content}] if isinstance(content, str) else content
            return " ".join(part["text"] for part in parts if "text" in part)
    return ""


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


class Reply:
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


class Stream:
    """A completion's chunks."""

    def __init__(self, script: Script, body: Body, reply: Reply, *, cut: int | None = None) -> None:
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

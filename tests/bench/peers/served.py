"""A server that is measured: how it is asked, and what its processes use."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import httpx2
import psutil

from tests.bench.paced import Script
from tests.bench.sandbox import PATIENCE, SERVER, Sandbox, sandbox


class Unusable(Exception):
    """It cannot be installed, does not start, or answers something else than the upstream said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A stream, as it arrived: seconds since it was asked for."""

    first_text: float
    end: float


class Served(Protocol):
    async def ask(self, script: Script) -> Answer:
        """Raises Unusable unless the answer is what the script says."""
        ...

    @property
    def cold(self) -> float | None:
        """Seconds from the start of its process to the end of its first answer."""
        ...

    def cpu(self) -> float | None:
        """Seconds of processor time so far, of all its processes."""
        ...

    def rss(self) -> float | None:
        """Resident megabytes, of all its processes."""
        ...

    async def prepare(self, streams: int) -> None:
        """It will be asked for so many at once."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a request goes, and what the events of text look like."""

    path: str
    text: bytes

    def body(self, model: str, script: Script) -> dict[str, Any]:
        raise NotImplementedError

    def said(self, event: dict[str, Any]) -> str:
        raise NotImplementedError


class Responses(Wire):
    def body(self, model: str, script: Script) -> dict[str, Any]:
        return {"model": model, "input": script.input, "stream": True, "store": False}

    def said(self, event: dict[str, Any]) -> str:
        return event["delta"] if event["type"] == "response.output_text.delta" else ""


class ChatCompletions(Wire):
    def body(self, model: str, script: Script) -> dict[str, Any]:
        return {"model": model, "messages": [{"role": "user", "content": script.input}], "stream": True}

    def said(self, event: dict[str, Any]) -> str:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])


RESPONSES = Responses("/responses", b"response.output_text.delta")
CHAT_COMPLETIONS = ChatCompletions("/chat/completions", b'"content"')


@dataclass
class OverHttp:
    """A process and its children, or what is not ours to measure, at loopback."""

    base_url: str
    model: str
    process: Process | None = None
    wire: Wire = RESPONSES
    key: str = "none"
    cold: float | None = None
    client: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(timeout=PATIENCE))

    async def ask(self, script: Script) -> Answer:
        url, headers = self.base_url + self.wire.path, {"authorization": f"Bearer {self.key}"}
        arrived, chunks = list[float](), list[bytes]()
        began = time.monotonic()
        body = self.wire.body(self.model, script)
        async with self.client.stream("POST", url, json=body, headers=headers) as reply:
            async for chunk in reply.aiter_bytes():
                arrived.append(time.monotonic() - began)
                chunks.append(chunk)
        end = time.monotonic() - began
        return _checked(self.wire, script, arrived, chunks, end)

    async def prepare(self, streams: int) -> None: ...

    def cpu(self) -> float | None:
        return self.process and sum(sum(each.cpu_times()[:4]) for each in self.process.tree())

    def rss(self) -> float | None:
        return self.process and sum(each.memory_info().rss for each in self.process.tree()) / 2**20


class Function:
    """Our API function, in sandboxes as Lambda starts them: each takes one request at a time."""

    def __init__(self, stack: AsyncExitStack, environment: Mapping[str, str]) -> None:
        self._stack, self._environment = stack, environment
        self._sandboxes, self._free = list[Sandbox](), list[Sandbox]()
        self.cold: float | None = None

    async def prepare(self, streams: int) -> None:
        while len(self._sandboxes) < streams:
            it = await self._stack.enter_async_context(sandbox(SERVER, **self._environment))
            self._sandboxes.append(it)
            self._free.append(it)
            answer = await self.ask(Script(tokens=1))
            self.cold = self.cold or it.init.wall + answer.end

    async def ask(self, script: Script) -> Answer:
        it = self._free.pop()
        try:
            body = RESPONSES.body("fake/model", script)
            answer = await it.stream(**body)
        finally:
            self._free.append(it)
        return _checked(RESPONSES, script, answer.arrived, answer.chunks, answer.arrived[-1])

    def cpu(self) -> float:
        return sum(it.cpu() for it in self._sandboxes)

    def rss(self) -> float:
        return sum(it.rss() for it in self._sandboxes)


def _checked(wire: Wire, script: Script, arrived: list[float], chunks: list[bytes], end: float) -> Answer:
    lines = b"".join(chunks).decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    try:
        text = "".join(map(wire.said, events))
    except (KeyError, TypeError):
        text = ""
    if text != script.text:
        raise Unusable(f"it answers something else than the upstream: {b''.join(chunks)[-200:]!r}")
    complete = b"".join(chunks).index(wire.text) + len(wire.text)
    sizes = accumulate(map(len, chunks))
    return Answer(next(at for at, size in zip(arrived, sizes, strict=True) if size >= complete), end)


@dataclass(frozen=True, slots=True)
class Process:
    """A child of this one, since `began`. What it printed is in `log`."""

    child: asyncio.subprocess.Process
    began: float
    log: Path

    def tree(self) -> list[psutil.Process]:
        root = psutil.Process(self.child.pid)
        return [root, *root.children(recursive=True)]


@asynccontextmanager
async def process(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> AsyncGenerator[Process, None]:
    """All that it started ends with it."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    began, log = time.monotonic(), folder / "server.log"
    with log.open("wb") as printed:
        child = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env={**environment, **env}, stdout=printed, stderr=printed, start_new_session=True
        )
    try:
        yield Process(child, began, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(child.wait(), 10)
        except TimeoutError:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


@asynccontextmanager
async def answering(it: OverHttp) -> AsyncGenerator[OverHttp, None]:
    """`it`, once it has answered. Raises Unusable: its process ended, or does not answer."""
    assert it.process
    async with it.client:
        while it.cold is None:
            try:
                await it.ask(Script(tokens=1))
                it.cold = time.monotonic() - it.process.began
            except httpx2.TransportError as error:  # nobody listens yet
                if time.monotonic() > it.process.began + PATIENCE or it.process.child.returncode is not None:
                    raise Unusable(f"it does not start: {_last_line(it.process.log)}") from error
                await asyncio.sleep(0.01)
        yield it


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

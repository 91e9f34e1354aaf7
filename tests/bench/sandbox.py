"""A sandbox as Lambda starts it, at our Runtime API, and what can be read off its process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from openresponses_dev.local.address import KEY_OF_EVENTS
from openresponses_dev.local.sandbox.environment import NO_AWS
from openresponses_dev.local.sandbox.runtime_api import RuntimeApi
from openresponses_dev.local.sandbox.sandbox import STOCK_BOOTSTRAP

REPO = Path(__file__).parents[2]
FUNCTIONS = REPO / "functions"
EVENT = json.loads((REPO / "events/responses_create_stream.json").read_text())
API_KEY = KEY_OF_EVENTS
SERVER = "openresponses.entry.api.app"
AUTHORIZER = "openresponses.entry.authorizer.handler"
STOCK = (sys.executable, str(STOCK_BOOTSTRAP))
"""The command that starts Lambda's own runtime, where ours starts the one that streams."""
PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Checkout:
    """Of this project, with an environment of its own: `python` is that environment's."""

    root: Path
    python: Path
    version: str = "now"

    @property
    def command_line(self) -> str:
        return str(self.python.with_name("openresponses"))


HERE = Checkout(REPO, Path(sys.executable))


def checkout(folder: str) -> Checkout:
    """Raises ValueError: nobody has run `uv sync` there."""
    root = Path(folder).resolve()
    python = root / ".venv/bin/python"
    if not python.exists():
        raise ValueError(f"{python} does not exist: run `uv sync --frozen` in {root}")
    asked = ("git", "-C", str(root), "rev-parse", "--short=7", "HEAD")
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return Checkout(root, python, version)


@dataclass(frozen=True, slots=True)
class Init:
    """Seconds from the start of the process to its first GET /next: on the clock, and on the processor."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer's body. `arrived` are seconds since the event was delivered, one for each chunk."""

    arrived: list[float]
    chunks: list[bytes]

    @property
    def events(self) -> int:
        """A chunk has one or many."""
        return b"".join(self.chunks).count(b"event: ")

    def until(self, needle: bytes) -> float:
        """Seconds to the first chunk that contains `needle`."""
        return next(at for at, chunk in zip(self.arrived, self.chunks, strict=True) if needle in chunk)


class Sandbox:
    def __init__(self, api: RuntimeApi, process: asyncio.subprocess.Process, init: Init) -> None:
        self._api, self._process, self.init = api, process, init

    async def stream(self, **request: object) -> Streamed:
        """Invoke with a streamed POST /v1/responses, and read all of its body."""
        payload = {**EVENT, "body": json.dumps({"stream": True, **request})}
        invocation = await self._api.invoke(
            json.dumps(payload).encode(), deadline_ms=int((time.time() + PATIENCE) * 1000), arn="arn:bench"
        )
        arrived, chunks = list[float](), list[bytes]()
        async for chunk in invocation.chunks():
            arrived.append(time.monotonic())
            chunks.append(chunk)
        delivered = invocation.delivered
        if invocation.error or delivered is None or b'"statusCode": 200' not in chunks[0]:
            raise RuntimeError(f"no answer: {invocation.error} {chunks[:2]}")
        return Streamed([at - delivered for at in arrived[1:]], chunks[1:])

    def cpu(self) -> float:
        """Seconds on a processor so far."""
        return cpu_seconds(self._process.pid)

    def rss(self) -> float:
        """Resident megabytes."""
        return _status(self._process.pid, "VmRSS")

    def peak_rss(self) -> float:
        return _status(self._process.pid, "VmHWM")


@asynccontextmanager
async def sandbox(
    handler: str, runtime: Sequence[str] | None = None, of: Checkout = HERE, **env: str
) -> AsyncGenerator[Sandbox, None]:
    """`runtime`: the command that starts another runtime than ours."""
    api, functions = RuntimeApi(), of.root / "functions"
    runtime = runtime or (str(functions / "bootstrap"), str(of.python), "/var/runtime/bootstrap.py")
    address = await api.start()
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *runtime,
        cwd=functions,
        env={
            "PATH": os.environ["PATH"],
            **NO_AWS,
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/31/[1]0123456789abcdef",
            "LAMBDA_TASK_ROOT": str(functions),
            "PYTHONPATH": str(of.root),  # where the baselines are
            "POWERTOOLS_METRICS_NAMESPACE": "bench",
            "_HANDLER": handler,
            **env,
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    exited, ready = asyncio.ensure_future(process.wait()), asyncio.ensure_future(api.ready.wait())
    try:
        await asyncio.wait({exited, ready}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise RuntimeError(f"{handler} did not start")
        yield Sandbox(api, process, Init(time.monotonic() - began, cpu_seconds(process.pid)))
    finally:
        ready.cancel()
        with suppress(ProcessLookupError):
            process.kill()
        await exited
        await api.close()


def cpu_seconds(pid: int) -> float:
    """Of all the threads it has now; counted in nanoseconds, where /proc/<pid>/stat has ticks of 10 ms."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {name}")

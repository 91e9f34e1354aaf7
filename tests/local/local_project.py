"""What the tests of the local cloud share: a project to run, and clients that see what is on the wire."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE = 60.0


def make_project(folder: Path) -> Path:
    """A copy of the test project that a test may change. Returns its template."""
    shutil.copytree(HERE / "task", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "template.yaml", folder)
    for name in ("bootstrap", "openresponses"):
        (folder / "functions" / name).symlink_to(ROOT / "functions" / name)
    return folder / "template.yaml"


def steps(*items: dict[str, Any]) -> bytes:
    """The body that makes the test app do this."""
    return json.dumps({"steps": items}).encode()


START: dict[str, Any] = {"start": {"headers": [["content-type", "text/plain"]]}}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    """Whether the process is there, and not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Wire:
    """One TCP connection, byte by byte."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host, self.reader, self.writer = host, reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def begin(self, head: str) -> None:
        """The head of a request, to which `Host` is added."""
        await self.send(f"{head}\r\nHost: {self.host}\r\n\r\n".encode())

    async def post(self, path: str, body: bytes) -> None:
        await self.begin(f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}")
        await self.send(body)

    async def head(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        return int(first.split(" ")[1]), {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}

    async def chunk(self) -> bytes:
        """The next chunk; empty at the proper end. IncompleteReadError when the connection was cut."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def chunks(self) -> list[bytes]:
        found: list[bytes] = []
        while chunk := await self.chunk():
            found.append(chunk)
        return found

    async def whole(self) -> tuple[int, bytes]:
        status, headers = await self.head()
        if "content-length" in headers:
            return status, await self.reader.readexactly(int(headers["content-length"]))
        return status, b"".join(await self.chunks())


@asynccontextmanager
async def wire(origin: str) -> AsyncGenerator[Wire, None]:
    host = origin.removeprefix("http://")
    address, port = host.split(":")
    reader, writer = await asyncio.open_connection(address, int(port), limit=2**20)
    try:
        async with asyncio.timeout(PATIENCE):
            yield Wire(host, reader, writer)
    finally:
        writer.close()


def environment() -> dict[str, str]:
    """For child processes: the tests must not pick up a server or a key from the developer's shell."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "OPENRESPONSES_"))}

"""What the tests of the local WebSocket API share: a project with one, and clients."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect

from openresponses_dev.local.cloud import LocalCloud
from tests.local.local_project import HERE, PATIENCE

KEY = {"Authorization": "Bearer key"}


def socket_project(folder: Path) -> Path:
    """Returns its template."""
    shutil.copytree(HERE / "task", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    return Path(shutil.copy(HERE / "websocket.yaml", folder / "template.yaml"))


@asynccontextmanager
async def opened(
    cloud: LocalCloud, do: dict[str, Any] | None = None, *, base: str = "", **options: Any
) -> AsyncGenerator[ClientConnection, None]:
    """A connection whose $connect does this. `base` is a websocket_base_url, the cloud's own if it is not given."""
    query = f"?do={quote(json.dumps(do))}" if do else ""
    url = f"{base or cloud.websocket_base_url}/responses{query}"
    given = {"additional_headers": KEY, "proxy": None, "open_timeout": PATIENCE, "ping_interval": None}
    async with connect(url, **{**given, **options}) as socket:
        yield socket


async def ask(socket: ClientConnection, **asked: Any) -> Any:
    """The first message after this was sent."""
    await socket.send(json.dumps(asked))
    return json.loads(await socket.recv())


async def connection_id(socket: ClientConnection) -> str:
    return (await ask(socket, tell=True))["event"]["requestContext"]["connectionId"]


async def alone(code: str, folder: Path) -> list[str]:
    """The lines that this program prints, in a process of its own: there is one local cloud at a time in a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", code, str(folder), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return out.decode().splitlines()

"""Clients of the WebSocket mode, and a model whose words say when they were said."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection, connect

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.server import HttpServer
from openresponses_dev.local.logs import Log

PATIENCE = 600.0
ROOT = Path(__file__).parents[2]
TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")
Json = dict[str, Any]


@asynccontextmanager
async def local_cloud(folder: Path, **options: Any) -> AsyncGenerator[LocalCloud, None]:
    """With the provider `clock`, whose model `words-<n>-<ms>` says n times what time it is, every so many
    milliseconds, and whose model `bytes-<n>` says as many bytes."""
    log, clock = (
        Log(None, file=folder / "log"),
        HttpServer(Starlette(routes=[Route("/{p:path}", _say, methods=["POST"])]), 0),
    )
    provider = {"dialect": "chat_completions", "base_url": f"{await clock.start()}/v1", "api_key": "none"}
    try:
        async with LocalCloud(ROOT / "template.yaml", log=log, providers={"clock": provider}, **options) as cloud:
            yield cloud
    finally:
        await clock.stop()
        log.close()


async def _say(request: Request) -> Response:
    kind, *numbers = (await request.json())["model"].split("-")

    async def chunks() -> AsyncGenerator[str, None]:
        yield _chunk({"role": "assistant", "content": ""})
        if kind == "words":
            count, pause_ms = map(int, numbers)
            for _ in range(count):
                await asyncio.sleep(pause_ms / 1000)
                yield _chunk({"content": f"{time.monotonic_ns()} "})
        else:
            for at in range(0, int(numbers[0]), 1000):
                yield _chunk({"content": "x" * min(1000, int(numbers[0]) - at)})
        yield _chunk({}, "stop")
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


def _chunk(delta: Json, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "clock", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


@asynccontextmanager
async def opened(cloud: LocalCloud, **options: Any) -> AsyncGenerator[ClientConnection, None]:
    given = {"additional_headers": {"Authorization": f"Bearer {cloud.api_key}"}, "proxy": None, "open_timeout": 90}
    url = f"{cloud.websocket_base_url}/responses"
    async with connect(url, **{**given, "ping_interval": None, "max_queue": 1000, **options}) as socket:
        yield socket


def create(text: str, **more: Any) -> str:
    return json.dumps({"type": "response.create", "model": "offline/demo", "input": text, "store": False, **more})


async def turn(socket: ClientConnection, message: str, hear: Callable[[Json], object] = lambda _: None) -> list[Json]:
    """The frames of a message that is sent alone. `hear` is given each when it comes."""
    await socket.send(message)
    frames: list[Json] = []
    while not ends(frames):
        frames.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE)))
        hear(frames[-1])
    return frames


async def rest(socket: ClientConnection, frames: list[Json], after: int = 0) -> list[Json]:
    """These and the further frames of a turn, its last one included. `after` so many the turn begins."""
    while len(frames) <= after or frames[-1]["type"] not in TERMINAL:
        frames.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE)))
    return frames


def ends(frames: list[Json]) -> list[str]:
    return [frame["type"] for frame in frames if frame["type"] in TERMINAL]


async def silence(socket: ClientConnection, seconds: float) -> list[Json]:
    """What comes although nothing was asked."""
    frames: list[Json] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                frames.append(json.loads(await socket.recv()))
    except TimeoutError:
        return frames


def kill(cloud: LocalCloud, function: str) -> int:
    """The sandboxes that are alive. Returns how many."""
    sandboxes = cloud.functions[function].sandboxes
    for sandbox in sandboxes:
        os.kill(sandbox.pid, signal.SIGKILL)
    return len(sandboxes)

"""The measurements. Ours and its baseline take turns, so that whatever else the machine does meets both."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from openresponses_dev.local.private_folder import read_private
from openresponses_dev.local.status_page import JSON_PATH
from tests.bench.figures import Figure, Samples
from tests.bench.sandbox import API_KEY, HERE, REPO, SERVER, Checkout, Sandbox, sandbox

APPS = "tests.bench.apps"
RAW, ONE_ROUTE = f"{APPS}.raw.app", f"{APPS}.one_route.app"
OFFLINE = {"model": "offline/demo", "input": "Say hello."}
DELTA = b"response.output_text.delta"


async def first_byte(rounds: int) -> list[Figure]:
    """From the event's delivery to the first chunk of the body, in a sandbox that is warm."""
    async with sandbox(SERVER) as ours, sandbox(RAW) as raw:
        mine, theirs = list[float](), list[float]()
        for number in range(rounds + rounds // 4):
            for it, times in ((ours, mine), (raw, theirs)):
                answer = await it.stream(**OFFLINE)
                if number >= rounds // 4:
                    times.append(answer.arrived[0] * 1e3)
    return [Figure("event to first byte", "ms", Samples(mine), Samples(theirs), "raw ASGI app", 3)]


async def event_cost(rounds: int, events: int) -> list[Figure]:
    """Processor time of the sandbox for each event that it streams."""
    async with (
        sandbox(f"{APPS}.cheap_model.app") as ours,
        sandbox(f"{APPS}.starlette_events.app") as starlette,
        sandbox(SERVER) as offline,
    ):
        cheap = {"model": "cheap", "input": "Go.", "max_output_tokens": events}
        runs = [
            (ours, cheap),
            (starlette, cheap),
            (ours, {**cheap, "stream_options": {"include_obfuscation": False}}),
            (offline, {"model": "offline/demo", "input": f"[[words {events}]]"}),
        ]
        costs = [Samples([]) for _ in runs]
        for number in range(rounds + 1):
            for (it, request), samples in zip(runs, costs, strict=True):
                before = it.cpu()
                answer = await it.stream(**request)
                spent = it.cpu() - before
                if number:
                    samples.values.append(spent / answer.events * 1e6)
    mine, theirs, plain, real = costs
    return [
        Figure("CPU per event", "us", mine, theirs, "Starlette, json.dumps"),
        Figure("  without obfuscation", "us", plain, theirs, "Starlette, json.dumps"),
        Figure("  with the offline model", "us", real, theirs, "Starlette, json.dumps"),
    ]


async def added_latency(rounds: int) -> list[Figure]:
    """To the first text: through the server, less that of calling the same upstream."""
    async with (
        upstream() as url,
        local_cloud(url) as cloud,
        sandbox(SERVER, **cloud.configuration) as it,
        httpx2.AsyncClient() as client,
    ):
        calls = [
            lambda: _through_sandbox(it),
            lambda: _through_gateway(client, cloud.base_url),
            lambda: _directly(client, url),
        ]
        times = [Samples([]) for _ in calls]
        for number in range(rounds + 10):
            for call, samples in zip(calls, times, strict=True):
                seconds = await call()
                if number >= 10:
                    samples.values.append(seconds * 1e3)
    ours, gateway, direct = times
    return [
        Figure("added latency, Runtime API", "ms", ours, direct, "direct call", 3, kind="difference"),
        Figure("  through the local gateway", "ms", gateway, direct, "direct call", kind="difference"),
    ]


async def memory(streams: int) -> list[Figure]:
    """Of the sandbox, once it has streamed from a provider."""
    async with upstream() as url, local_cloud(url) as cloud, sandbox(SERVER, **cloud.configuration) as it:
        for _ in range(streams):
            await _through_sandbox(it)
        return [
            Figure(f"RSS after {streams} streams", "MB", Samples([it.rss()]), goal=110),
            Figure("  at its peak", "MB", Samples([it.peak_rss()])),
        ]


async def _through_sandbox(it: Sandbox) -> float:
    return (await it.stream(model="fake/text", input="Say hello.")).until(DELTA)


async def _through_gateway(client: httpx2.AsyncClient, base_url: str) -> float:
    request = {"model": "fake/text", "input": "Say hello.", "stream": True}
    return await _first(client, f"{base_url}/responses", request, DELTA.decode())


async def _directly(client: httpx2.AsyncClient, url: str) -> float:
    request = {"model": "text", "stream": True, "messages": [{"role": "user", "content": "Say hello."}]}
    return await _first(client, f"{url}/chat/completions", request, '"content":"token0')


async def _first(client: httpx2.AsyncClient, url: str, request: object, needle: str) -> float:
    """Seconds to the first line that contains `needle`."""
    began, found = time.monotonic(), 0.0
    async with client.stream("POST", url, json=request, headers={"authorization": f"Bearer {API_KEY}"}) as reply:
        async for line in reply.aiter_lines():
            if not found and needle in line:
                found = time.monotonic() - began
    if not found:
        raise RuntimeError(f"{url}: status {reply.status_code}, and no text")
    return found


@asynccontextmanager
async def upstream(module: str = "tests.fakes.chat_completions") -> AsyncGenerator[str, None]:
    """The base URL of a fake Chat Completions server, in a process of its own."""
    async with process(sys.executable, "-m", module, says="http") as (line, _):
        yield line


@dataclass(frozen=True, slots=True)
class Cloud:
    """`configuration` is the environment in which a sandbox reads the cloud's parameters, once for the whole run."""

    base_url: str
    state_machine: str
    configuration: dict[str, str]
    pid: int


@asynccontextmanager
async def local_cloud(url: str, of: Checkout = HERE, **env: str) -> AsyncGenerator[Cloud, None]:
    """The template's API, by `openresponses dev`; the models of `url` are called `fake/...`. `env` is of every
    function."""
    with TemporaryDirectory() as name:
        folder = Path(name)  # where it keeps its state
        providers = folder / "providers.json"
        providers.write_text(json.dumps({"fake": {"dialect": "chat_completions", "base_url": url}}))
        options = ["--port", "0", "--no-reload", "--api-key", API_KEY, "--providers", str(providers)]
        options += ["--template", str(of.root / "template.yaml")]
        options += [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
        command, says = (of.command_line, "dev", *options), "export OPENAI_BASE_URL="
        async with process(*command, says=says, root=folder) as (line, pid):
            base_url = line.partition("=")[2].strip("'\"")
            told = httpx2.get(base_url.removesuffix("/v1") + JSON_PATH).json()
            yield Cloud(
                base_url,
                told["state_machine"],
                {
                    **_access(told),
                    "OPENRESPONSES_SSM_PREFIX": told["prefix"],
                    "OPENRESPONSES_CONFIG_SECONDS": "3600",
                },
                pid,
            )


@asynccontextmanager
async def process(*command: str, says: str, root: Path = REPO) -> AsyncGenerator[tuple[str, int], None]:
    """A process, once it has printed a line that starts with `says`: that line, and the process's id."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert child.stdout
    rest = None
    try:
        async for line in child.stdout:
            if line.decode().startswith(says):
                rest = asyncio.ensure_future(child.stdout.read())  # so that it never waits for us to read
                yield line.decode().strip(), child.pid
                return
        raise RuntimeError(f"{command} ended without a word of {says!r}")
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()
        if rest:
            await rest


async def everything(scale: float) -> list[Figure]:
    """All figures; `scale` shortens the run."""

    def times(rounds: int) -> int:
        return max(1, round(rounds * scale))

    return [
        *await first_byte(times(300)),
        *await event_cost(times(20), events=3000),
        *await added_latency(times(200)),
        *await memory(100),
    ]


def _access(told: Mapping[str, Any]) -> dict[str, str]:
    """The variables that lead to the cloud's services. A checkout of an earlier version tells its endpoint to everyone,
    and takes any credentials."""
    if "access" in told:
        return {name: str(value) for name, value in read_private(Path(told["access"])).items()}
    anyone = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return {**anyone, "AWS_ENDPOINT_URL": told["endpoint_url"]}

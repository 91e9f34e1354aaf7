"""The servers that are measured: which version, how each is installed into a folder of its own, and how it is run.

Every version is pinned, and so is all that it depends on: no package that came out after `NEWEST` is taken.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measures import local_cloud
from tests.bench.peers.served import (
    CHAT_COMPLETIONS,
    Function,
    OverHttp,
    Process,
    Served,
    Unusable,
    answering,
    free_port,
    process,
)
from tests.bench.sandbox import API_KEY, FUNCTIONS, REPO

NEWEST = "2026-11-21"
LITELLM, OGX = "1.108.7", "1.5.0"
RESPONSES_JS, RESPONSES_JS_SOURCE = (
    "c0ac6ee8b1f26ba3be53739c1810c4e9c4218246",
    "https://github.com/huggingface/responses.js",
)
PNPM = "10.10.0"  # as its package.json wants it
Serve = Callable[[Path, str], AbstractAsyncContextManager[Served]]


async def _nothing(folder: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Server:
    """`install` fills a folder, `serve` runs it before the upstream of this base URL. Both raise Unusable."""

    name: str
    about: str
    serve: Serve
    install: Callable[[Path], Awaitable[None]] = _nothing


def servers(responses_js: str = RESPONSES_JS_SOURCE) -> list[Server]:
    """`responses_js`: where its repository is cloned from, since no registry has it."""
    return [
        Server("none", "the upstream itself: the floor", _upstream),
        Server("ours, the function", "at Lambda's Runtime API: a sandbox for each stream", _function),
        Server("ours, uvicorn", "the function's application, one process", _uvicorn),
        Server("ours, local cloud", "`openresponses dev`: gateway, authorizer, moto and sandboxes", _cloud),
        Server("LiteLLM", f"{LITELLM}, its proxy, with its own list of prices", _litellm, _install_litellm),
        Server(
            "responses.js",
            f"commit {RESPONSES_JS[:7]}",
            _responses_js,
            lambda folder: _install_responses_js(folder, responses_js),
        ),
        Server("OGX", f"{OGX}, with SQLite", _ogx, _install_ogx),
    ]


@asynccontextmanager
async def _upstream(folder: Path, upstream: str) -> AsyncGenerator[OverHttp, None]:
    it = OverHttp(upstream, "model", wire=CHAT_COMPLETIONS)
    async with it.client:
        yield it


@asynccontextmanager
async def _function(folder: Path, upstream: str) -> AsyncGenerator[Function, None]:
    async with local_cloud(upstream) as cloud, AsyncExitStack() as stack:
        it = Function(stack, cloud.configuration)
        await it.prepare(1)
        yield it


@asynccontextmanager
async def _uvicorn(folder: Path, upstream: str) -> AsyncGenerator[OverHttp, None]:
    port = free_port()
    command = (sys.executable, "-m", "uvicorn", "tests.bench.apps.served:app", "--port", str(port), "--no-access-log")
    async with local_cloud(upstream) as cloud:  # it only has the provider's configuration
        env = {**cloud.configuration, "PYTHONPATH": f"{FUNCTIONS}:{REPO}"}
        async with process(command, folder, env) as child, _at(port, "fake/model", child) as it:
            yield it


@asynccontextmanager
async def _cloud(folder: Path, upstream: str) -> AsyncGenerator[OverHttp, None]:
    port, providers = free_port(), folder / "providers.json"
    providers.write_text(json.dumps({"fake": {"dialect": "chat_completions", "base_url": upstream}}))
    options = (
        "--port",
        str(port),
        "--no-reload",
        "--concurrency",
        "25",
        "--api-key",
        API_KEY,
        "--providers",
        str(providers),
    )
    command = (sys.executable, "-m", "openresponses_dev.cli.cli", "dev", *options)
    async with process(command, folder, {}) as child, _at(port, "fake/model", child, key=API_KEY) as it:
        yield it


async def _install_litellm(folder: Path) -> None:
    await _venv(folder, "3.11", f"litellm[proxy]=={LITELLM}")


@asynccontextmanager
async def _litellm(folder: Path, upstream: str) -> AsyncGenerator[OverHttp, None]:
    key, port, config = "sk-bench", free_port(), folder / "config.yaml"
    parameters = {"model": "openai/model", "api_base": upstream, "api_key": "none", "use_chat_completions_api": True}
    config.write_text(json.dumps({"model_list": [{"model_name": "model", "litellm_params": parameters}]}))
    command = (str(folder / "venv/bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": key}
    async with process(command, folder, env) as child, _at(port, "model", child, key=key) as it:
        yield it


async def _install_responses_js(folder: Path, source: str) -> None:
    clone = folder / "clone"
    if not clone.exists():
        await _run("git", "clone", "--quiet", source, str(clone))
    await _run("git", "-C", str(clone), "checkout", "--quiet", RESPONSES_JS)
    if not (clone / "dist").exists():  # its own script builds it
        await _run("npx", "--yes", f"pnpm@{PNPM}", "install", "--frozen-lockfile", cwd=clone)


@asynccontextmanager
async def _responses_js(folder: Path, upstream: str) -> AsyncGenerator[OverHttp, None]:
    port = free_port()
    env = {"PORT": str(port), "OPENAI_BASE_URL": upstream, "NODE_ENV": "production"}
    command = ("node", str(folder / "clone/dist/index.js"))
    async with process(command, folder, env) as child, _at(port, "model", child) as it:
        yield it


async def _install_ogx(folder: Path) -> None:
    """With what its own registry of providers names for those that `config.json` has."""
    await _venv(folder, "3.12", f"ogx=={OGX}", "sqlite-vec", "numpy", "chardet", "pypdf")


@asynccontextmanager
async def _ogx(folder: Path, upstream: str) -> AsyncGenerator[OverHttp, None]:
    port, config = free_port(), folder / "config.json"
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    config.write_text(json.dumps(_ogx_config(data, upstream, port)))
    env = {"TIKTOKEN_CACHE_DIR": str(_encodings(folder))}
    command = (str(folder / "venv/bin/ogx"), "run", str(config), "--insecure", "--port", str(port))
    async with process(command, folder, env) as child, _at(port, "openai/model", child) as it:
        yield it


def _encodings(folder: Path) -> Path:
    """tiktoken's: OGX would download one at its first start. LiteLLM's package has it."""
    brought = next(folder.parent.glob("*/venv/lib/*/site-packages/litellm/litellm_core_utils/tokenizers"), None)
    return brought or folder / "encodings"


def _ogx_config(data: Path, upstream: str, port: int) -> dict[str, object]:
    """Responses, and the least that they depend on."""

    def provider(api: str, kind: str, **config: object) -> dict[str, object]:
        return {api: [{"provider_id": kind.partition("::")[2], "provider_type": kind, "config": config}]}

    def table(name: str) -> dict[str, str]:
        return {"table_name": name, "backend": "sql"}

    vectors = {"namespace": "vectors", "backend": "kv"}
    providers = {
        **provider("inference", "remote::openai", api_key="none", base_url=upstream),
        **provider("responses", "inline::builtin", persistence={"responses": table("responses")}),
        **provider("files", "inline::localfs", storage_dir=str(data / "files"), metadata_store=table("files")),
        **provider("vector_io", "inline::sqlite-vec", db_path=str(data / "vectors.db"), persistence=vectors),
        **provider("tool_runtime", "inline::file-search"),
    }
    model = {"model_id": "model", "provider_id": "openai", "provider_model_id": "model", "model_type": "llm"}
    return {
        "version": 2,
        "distro_name": "bench",
        "apis": list(providers),
        "providers": providers,
        "storage": {
            "backends": {
                "kv": {"type": "kv_sqlite", "db_path": str(data / "kv.db")},
                "sql": {"type": "sql_sqlite", "db_path": str(data / "sql.db")},
            },
            "stores": {
                "metadata": {"namespace": "registry", "backend": "kv"},
                **{name: table(name) for name in ("inference", "conversations", "prompts", "connectors")},
            },
        },
        "registered_resources": {"models": [{**model, "metadata": {}}]},
        "server": {"port": port, "host": "127.0.0.1"},
    }


def _at(port: int, model: str, child: Process, key: str = "none") -> AbstractAsyncContextManager[OverHttp]:
    return answering(OverHttp(f"http://127.0.0.1:{port}/v1", model, child, key=key))


async def _venv(folder: Path, version: str, *requirements: str) -> None:
    """An environment of its own, made once."""
    python, mark = folder / "venv/bin/python", folder / "installed"
    if mark.exists() and mark.read_text() == " ".join(requirements):
        return
    find = ("make", "-sf", str(FUNCTIONS / "Makefile"), "find-python", f"PY={version}")
    found = (await _run(*find)).strip() or version
    await _run("uv", "venv", "--quiet", "--clear", "--python", found, str(folder / "venv"))
    pinned = ("--python", str(python), "--exclude-newer", NEWEST)
    await _run("uv", "pip", "install", "--quiet", *pinned, *requirements)
    mark.write_text(" ".join(requirements))


async def _run(*command: str, cwd: Path = REPO) -> str:
    """What it printed. Raises Unusable: it failed, or is not on this machine."""
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        child = await asyncio.create_subprocess_exec(
            *command, cwd=cwd, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError as error:
        raise Unusable(f"it cannot be installed: there is no {command[0]}") from error
    printed = (await child.communicate())[0].decode()
    if child.returncode:
        raise Unusable(f"it cannot be installed: {' '.join(printed.split())[-300:]}")
    return printed

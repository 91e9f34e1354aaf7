"""`openresponses dev` as a user starts it, and fake upstreams behind it whose requests the tests can read."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.conftest import CLIENT_KEY, exported
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.npm import npm_install

DIALECTS = ("chat_completions", "anthropic", "openai_responses")
BUILD = Path(__file__).parents[2] / "build/clients"
CODEX = "0.171.0"


@dataclass(frozen=True)
class Cloud:
    """Aliases: `demo` is a model that does what a request is fit for (see `willing` in `tests.fakes.scenarios`),
    `gpt-6.2-sol`, Codex's default, one which says back what it is told, and `gpt-recalls` one which says each word
    `fact-...` that it is shown.
    """

    base_url: str
    api_key: str
    upstreams: dict[str, FakeUpstream]
    log_file: Path


@contextmanager
def in_a_thread(dialect: str) -> Iterator[FakeUpstream]:
    """It answers while the test waits for a client's process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = fake_upstream(dialect)
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def program() -> Path:
    """Codex CLI."""
    folder = BUILD / "codex"
    npm_install(folder, f"@openai/codex@{CODEX}")
    return folder / "node_modules/.bin/codex"


@pytest.fixture(scope="session")
def upstreams() -> Iterator[dict[str, FakeUpstream]]:
    with ExitStack() as stack:
        yield {dialect: stack.enter_context(in_a_thread(dialect)) for dialect in DIALECTS}


@contextmanager
def _dev(folder: Path, upstreams: dict[str, FakeUpstream], *options: str) -> Iterator[Cloud]:
    log_file = folder / "dev.log"
    (folder / "providers.json").write_text(json.dumps({name: each.settings for name, each in upstreams.items()}))
    command = [
        str(Path(sys.executable).parent / "openresponses"), "dev", "--port", "0", "--api-key", CLIENT_KEY,
        "--providers", str(folder / "providers.json"), "--alias", "demo=chat_completions/text!willing",
        "--alias", "gpt-6.2-sol=chat_completions/text!echo", "--alias", "gpt-recalls=chat_completions/gpt-5.5!recalls",
        "--log-file", str(log_file), "--no-reload", "--keep-nothing", *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Cloud(exported(process, "OPENAI_BASE_URL"), exported(process, "OPENAI_API_KEY"), upstreams, log_file)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, FakeUpstream]) -> Iterator[Cloud]:
    with _dev(tmp_path_factory.mktemp("cloud"), upstreams) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def cloud_with(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, FakeUpstream]
) -> Iterator[Callable[..., Cloud]]:
    """One that was started with these options of `dev`."""
    with ExitStack() as stack:

        @cache
        def started(*options: str) -> Cloud:
            folder = tmp_path_factory.mktemp("cloud")
            return stack.enter_context(_dev(folder, upstreams, *options)) if options else cloud

        yield started

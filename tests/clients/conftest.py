"""`openresponses dev` as a user starts it, and fake upstreams behind it whose requests the tests can read."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import CLIENT_KEY, exported
from tests.fakes.server import FakeUpstream, fake_upstream

DIALECTS = ("chat_completions", "anthropic", "openai_responses")
BUILD = Path(__file__).parents[2] / "build/clients"


@dataclass(frozen=True)
class Cloud:
    """`demo` is the alias of a model that does what a request is fit for: see `willing` in `tests.fakes.scenarios`.
    `gpt-6.2-sol`, Codex's default, is that of one which says back what it is told.
    """

    base_url: str
    api_key: str
    upstreams: dict[str, FakeUpstream]


@contextmanager
def _in_a_thread(dialect: str) -> Iterator[FakeUpstream]:
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
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with ExitStack() as stack:
        upstreams = {dialect: stack.enter_context(_in_a_thread(dialect)) for dialect in DIALECTS}
        (folder / "providers.json").write_text(json.dumps({name: each.settings for name, each in upstreams.items()}))
        command = [
            str(Path(sys.executable).parent / "openresponses"), "dev", "--port", "0", "--api-key", CLIENT_KEY,
            "--providers", str(folder / "providers.json"), "--alias", "demo=chat_completions/text!willing",
            "--alias", "gpt-6.2-sol=chat_completions/text!echo",
            "--log-file", str(folder / "dev.log"), "--no-reload",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield Cloud(exported(process, "OPENAI_BASE_URL"), exported(process, "OPENAI_API_KEY"), upstreams)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)

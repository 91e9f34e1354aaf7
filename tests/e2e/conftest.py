"""One local cloud for each test process: `openresponses dev` as a user starts it, and its printed contract."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CLIENT_KEY = f"or_plantedclien_{'PlantedClientSecret' * 2}abcde"
PLANTED = ("PlantedClientSecret", "planted-provider-key", "planted-header", "planted-prompt", "planted-answer")
"""Must never be in a log line: the secret of the client's key, the provider's, a prompt, a piece of an output."""


@dataclass(frozen=True)
class Endpoint:
    base_url: str
    api_key: str
    log_file: Path

    def log_lines(self) -> list[str]:
        return self.log_file.read_text().splitlines()


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """The base URL of a fake Chat Completions server."""
    command = [sys.executable, "-m", "tests.fakes.chat_completions", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="session")
def cloud(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("cloud")
    log_file, providers_file = folder / "dev.log", folder / "providers.json"
    providers = {
        "fake": {
            "dialect": "chat_completions",
            "base_url": upstream,
            "api_key": "planted-provider-key",
            "headers": {"x-planted": "planted-header"},
            "models": ["text"],
            "idle_timeout": 2,
            "first_byte_timeout": 2,
        },
        "gone": {"dialect": "chat_completions", "base_url": "http://127.0.0.1:9", "api_key": "planted-provider-key"},
    }
    providers_file.write_text(json.dumps(providers))
    command = [
        str(Path(sys.executable).parent / "openresponses"), "dev", "--port", "0", "--api-key", CLIENT_KEY,
        "--providers", str(providers_file), "--log-file", str(log_file), "--no-reload",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Endpoint(_export(process, "OPENAI_BASE_URL"), _export(process, "OPENAI_API_KEY"), log_file)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    lines = log_file.read_text()
    for secret in PLANTED:
        assert secret not in lines, f"{secret} was logged"


def _export(process: subprocess.Popen[str], name: str) -> str:
    assert process.stdout
    for line in process.stdout:
        if found := re.match(rf"export {name}=(\S+)", line.strip()):
            return found[1].strip("'\"")
    raise AssertionError(f"openresponses dev ended without printing {name}")

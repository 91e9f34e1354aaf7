"""One local cloud for each test process: `openresponses dev` as a user starts it, and its printed contract."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.contract.collector import Collector, collecting_aside

Json = dict[str, Any]
CLIENT_KEY = f"or_plantedclien_{'PlantedClientSecret' * 2}abcde"
SECRETS = (
    *("PlantedClientSecret", "planted-provider-key", "planted-header"),
    *("planted-mcp-path", "planted-mcp-key", "planted-mcp-token"),
)
"""Must never be anywhere but where they are needed: the secret of the client's key, the provider's, and what a client
gave for an MCP server.
"""
PLANTED = (*SECRETS, "planted-prompt", "planted-answer", "planted-webhook")
"""Must never be in a log line: a prompt, a piece of an output, and a webhook's URL neither."""


@dataclass(frozen=True)
class Endpoint:
    base_url: str
    api_key: str
    log_file: Path
    collector: Collector = field(default_factory=Collector)

    def log_lines(self) -> list[str]:
        return self.log_file.read_text().splitlines()


@pytest.fixture(scope="session")
def upstreams() -> Iterator[dict[str, Json]]:
    """A fake upstream of each dialect, as the settings of a provider that is named as its dialect. None is retried."""
    with subprocess.Popen([sys.executable, "-m", "tests.fakes"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield {name: settings | {"retries": 0} for name, settings in json.loads(process.stdout.readline()).items()}
        assert process.poll() is None, "the fake upstreams ended before the tests did"
        process.terminate()


def variants(upstreams: dict[str, Json]) -> dict[str, Json]:
    """The upstreams as they can't be reached, or not in time, or are asked once more; or run no tools themselves."""
    providers: dict[str, Json] = {}
    for name, settings in upstreams.items():
        providers[f"{name}-gone"] = {**settings, "base_url": "http://127.0.0.1:9"}
        providers[f"{name}-tls"] = {**settings, "base_url": settings["base_url"].replace("http:", "https:")}
        providers[f"{name}-hasty"] = {**settings, "first_byte_timeout": 0.5}
        providers[f"{name}-restless"] = {**settings, "idle_timeout": 0.5}
        providers[f"{name}-patient"] = {**settings, "retries": 1}
        if "upstream_tools" in (options := settings.get("options", {})):
            providers[f"{name}-toolless"] = {**settings, "options": {**options, "upstream_tools": []}}
    return providers


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """What is traced of all these tests."""
    with collecting_aside() as collector:
        yield collector
    for request in collector.requests:
        assert request.spans
        assert [each for each in PLANTED if each.encode() in request.body] == []


@pytest.fixture(scope="session")
def cloud(
    upstreams: dict[str, Json], collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("cloud")
    log_file, providers_file = folder / "dev.log", folder / "providers.json"
    providers = {
        **upstreams,
        **variants(upstreams),
        "fake": {
            **upstreams["chat_completions"],
            "api_key": "planted-provider-key",
            "headers": {"x-planted": "planted-header"},
            "idle_timeout": 2,
            "first_byte_timeout": 2,
        },
        "gone": {"dialect": "chat_completions", "base_url": "http://127.0.0.1:9", "api_key": "planted-provider-key"},
    }
    providers_file.write_text(json.dumps(providers))
    command = [
        str(Path(sys.executable).parent / "openresponses"), "dev", "--port", "0", "--api-key", CLIENT_KEY,
        "--providers", str(providers_file), "--log-file", str(log_file), "--no-reload", "--keep-nothing",
        "--parameter", f"OtlpEndpoint={collector.url}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Endpoint(exported(process, "OPENAI_BASE_URL"), exported(process, "OPENAI_API_KEY"), log_file, collector)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    lines = log_file.read_text()
    for secret in PLANTED:
        assert secret not in lines, f"{secret} was logged"


def exported(process: subprocess.Popen[str], name: str) -> str:
    assert process.stdout
    for line in process.stdout:
        if found := re.match(rf"export {name}=(\S+)", line.strip()):
            return found[1].strip("'\"")
    raise AssertionError(f"openresponses dev ended without printing {name}")

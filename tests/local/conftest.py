"""Fixtures of the local cloud's tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from tests.local.local_project import PATIENCE, ROOT, environment, make_project


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
async def cloud(template: Path, log_file: Path) -> AsyncGenerator[LocalCloud, None]:
    log = Log(None, file=log_file)
    async with LocalCloud(template, log=log) as cloud:
        yield cloud
    log.close()


@pytest.fixture
async def client(cloud: LocalCloud) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server runs."""
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[dict[str, str]]:
    """The exports of a server that runs the project's own template."""
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "dev", "--port", "0", "--no-reload", "--keep-nothing"]
    command += ["--template", str(ROOT / "template.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment()) as process:
        assert process.stdout
        lines = [process.stdout.readline().removeprefix("export ").rstrip("\n") for _ in range(2)]
        yield dict(line.split("=", 1) for line in lines)
        process.send_signal(signal.SIGTERM)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"

"""Fixtures of the local cloud's tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from tests.local.local_project import PATIENCE, make_project


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

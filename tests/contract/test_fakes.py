"""The fake upstreams on their own."""

from __future__ import annotations

import sys
from asyncio import create_subprocess_exec, subprocess

import pytest

from openresponses.core.settings import ProviderSettings
from tests.contract.turns import driven
from tests.fakes.server import dialects, wire_of


@pytest.mark.parametrize("dialect", dialects())
async def test_a_fake_upstream_runs_as_a_process_of_its_own(dialect: str) -> None:
    command = (sys.executable, "-m", f"tests.fakes.{dialect}", "--port", "0")
    process = await create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    wire = wire_of(dialect)
    settings = ProviderSettings(**{"name": "v", "dialect": dialect, "base_url": url, **wire.settings})
    run = await driven(settings, model=f"{wire.model}!text;say=It is noon")
    process.terminate()
    await process.wait()
    assert run.response.output[0].model_dump()["content"][0]["text"] == "It is noon "

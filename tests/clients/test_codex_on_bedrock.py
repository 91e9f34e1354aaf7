"""The example `codex-on-bedrock`: its files, unchanged, with Codex itself and with `openresponses dev`.

Bedrock alone is a fake: it speaks ConverseStream in the binary frames of AWS, refuses what Bedrock refuses, and does
what a prompt's `/fake ...` says. It runs no model, and it takes an API key in place of AWS's signature.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import in_a_thread
from tests.clients.test_codex import calls, command
from tests.e2e.conftest import exported
from tests.fakes.server import FakeUpstream

EXAMPLE = Path(__file__).parents[2] / "examples/codex-on-bedrock"
SONNET = "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"

pytestmark = [pytest.mark.clients, pytest.mark.timeout(500), pytest.mark.xdist_group("codex")]


@dataclass(frozen=True)
class Server:
    base_url: str
    key: str
    bedrock: FakeUpstream


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """`dev` in a copy of the example's folder, which it applies by itself. `key` is the one that the file declares."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    with in_a_thread("bedrock") as bedrock:
        own = {"BEDROCK_URL": bedrock.url, "AWS_BEARER_TOKEN_BEDROCK": bedrock.settings["api_key"]}
        program, log = Path(sys.executable).parent / "openresponses", tmp_path / "dev.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [str(program), "dev", "--port", "0", "--keep-nothing"],
                cwd=folder, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=stderr, text=True,
            )  # fmt: skip
        try:
            base_url = exported(process, "OPENAI_BASE_URL")
            told = log.read_text()
            key = re.search(r"keys\.codex: .*: (or_\w+)", told)
            assert key, told
            yield Server(base_url, key[1], bedrock)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


def test_codex_works_with_claude_on_bedrock(program: Path, server: Server, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    shutil.copy(EXAMPLE / "config.toml", home)
    write = calls(command("claude", "echo heron > bird.txt && echo Written"))
    ran = subprocess.run(
        [str(program), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
         "-c", f'model_providers.openresponses.base_url="{server.base_url}"', write],
        cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "OPENAI_API_KEY": server.key},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (work / "bird.txt").read_text() == "heron\n"
    assert "Written" in ran.stdout
    assert [request.path for request in server.bedrock.requests] == [SONNET, SONNET]
    assert server.bedrock.refused == []

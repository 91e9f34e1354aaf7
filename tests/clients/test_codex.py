"""Codex CLI, as npm has it, headless and with its defaults. Foreign dialects stand behind the server.

Codex chooses its tools by the model's name, of which it looks at the part after the slash: for a name that it doesn't
know it offers functions and namespaces of them; for `gpt-5.5` also custom tools and `tool_search`; for `gpt-6` a
namespace with a custom member, in an item `additional_tools`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import BUILD, Cloud

VERSION = "0.171.0"
NOTES = Path(__file__).parent / "notes_server.py"

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240), pytest.mark.xdist_group("codex")]


@dataclass
class Codex:
    """`events` are what it printed in JSON; `body` is the last request that reached the upstream."""

    program: Path
    cloud: Cloud
    folder: Path

    def run(self, model: str, prompt: str, **options: str) -> str:
        """Its last message. Raises AssertionError for an exit code, or a turn that failed."""
        home, work, last = self.folder / "home", self.folder / "work", self.folder / "last.txt"
        home.mkdir()
        work.mkdir()
        provider = {"name": "ours", "base_url": self.cloud.base_url, "env_key": "OURS", "wire_api": "responses"}
        settings = {f"model_providers.ours.{name}": value for name, value in provider.items()}
        settings |= {"model": model, "model_provider": "ours", **options}
        command = [str(self.program), "exec", "--json", "--skip-git-repo-check", "--color", "never"]
        command += ["--dangerously-bypass-approvals-and-sandbox", "-C", str(work), "-o", str(last)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value if value.startswith('[') else json.dumps(value)}"]
        ran = subprocess.run(
            [*command, prompt],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "OURS": self.cloud.api_key},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return last.read_text()

    def made(self) -> dict[str, str]:
        """The files in its working folder."""
        return {path.name: path.read_text() for path in (self.folder / "work").iterdir()}


@pytest.fixture(scope="session")
def program() -> Path:
    folder = BUILD / "codex"
    folder.mkdir(parents=True, exist_ok=True)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
    subprocess.run([*install, f"@openai/codex@{VERSION}"], check=True)
    return folder / "node_modules/.bin/codex"


@pytest.fixture
def codex(program: Path, cloud: Cloud, tmp_path: Path) -> Codex:
    return Codex(program, cloud, tmp_path)


def calls(**each: Any) -> str:
    """The prompt that makes the model call these tools, one a turn."""
    return "/fake calls;" + ";".join(f"{name}={json.dumps(arguments)}" for name, arguments in each.items())


both = pytest.mark.parametrize("dialect", ["chat_completions", "anthropic"])


def body(cloud: Cloud, dialect: str, holds: Callable[[str], bool] = bool) -> dict[str, Any]:
    """The newest request that reached the upstream and of which this holds."""
    return next(each.body for each in reversed(cloud.upstreams[dialect].requests) if holds(json.dumps(each.body)))


@both
def test_a_plain_task(codex: Codex, dialect: str) -> None:
    assert codex.run(f"{dialect}/text!echo", "Say hello.").split()[-2:] == ["Say", "hello."]


@both
def test_a_tool_task_runs_a_command(codex: Codex, dialect: str) -> None:
    said = codex.run(f"{dialect}/text!echo", calls(exec_command={"cmd": "echo hello | tee made.txt"}))
    assert said.startswith("The tools said:")
    assert codex.made() == {"made.txt": "hello\n"}


@both
def test_multi_agent_gives_a_task_to_another_agent(codex: Codex, cloud: Cloud, dialect: str) -> None:
    codex.run(
        f"{dialect}/text!echo",
        calls(spawn_agent={"message": "Think of herons."}, exec_command={"cmd": "sleep 3"}),
    )
    assert body(cloud, dialect, lambda text: "Think of herons." in text and "/fake calls" not in text)


@both
def test_an_mcp_server_of_its_configuration_is_called(codex: Codex, tmp_path: Path, dialect: str) -> None:
    written = tmp_path / "notes.txt"
    codex.run(
        f"{dialect}/text!echo",
        calls(write_note={"text": "milk"}),
        **{
            "mcp_servers.notes.command": sys.executable,
            "mcp_servers.notes.args": json.dumps([str(NOTES), str(written)]),
        },
    )
    assert written.read_text() == "milk\n"

"""`openresponses chat` against a server: in a pipe, and at a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from tests.local.local_project import PATIENCE, environment
from tests.screen import Terminal


def chat(
    env: dict[str, str], *arguments: str, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "chat", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env={**environment(), **env}, timeout=PATIENCE, cwd=cwd
    )


def listed(server: dict[str, str]) -> list[dict[str, Any]]:
    headers = {"authorization": f"Bearer {server['OPENAI_API_KEY']}"}
    answer = httpx2.get(f"{server['OPENAI_BASE_URL']}/responses", headers=headers, timeout=PATIENCE)
    return list(answer.raise_for_status().json()["data"])


def at_a_terminal(server: dict[str, str], state: Path, *words: str, columns: int = 100, **env: str) -> Terminal:
    named = {**environment(), **server, "XDG_STATE_HOME": str(state), "TERM": "xterm-256color", **env}
    return Terminal("chat", *words, env=named, columns=columns, cwd=str(state.parent))

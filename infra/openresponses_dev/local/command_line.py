"""How this program was called, so that a command that is printed can be pasted as it is."""

from __future__ import annotations

import os

NAME = "openresponses"


def program() -> str:
    """The words before a command: `openresponses`, or `uv run openresponses` where uv runs it.

    uv sets this variable for what it runs: https://docs.astral.sh/uv/reference/environment/#uv_run_recursion_depth
    """
    return f"uv run {NAME}" if os.environ.get("UV_RUN_RECURSION_DEPTH") else NAME


def command(words: str) -> str:
    """The command line that does this here, for `words` such as `providers set openai`."""
    return f"{program()} {words}"

"""The words of a command line: how this program was called, so that a command that is printed can be pasted as it is,
and what belongs to --local.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from openresponses_dev.local.address import is_port, is_url

NAME = "openresponses"
LOCAL = "--local"


def program() -> str:
    """The words before a command: `openresponses`, or `uv run openresponses` where uv runs it.

    uv sets this variable for what it runs: https://docs.astral.sh/uv/reference/environment/#uv_run_recursion_depth
    """
    return f"uv run {NAME}" if os.environ.get("UV_RUN_RECURSION_DEPTH") else NAME


def command(words: str) -> str:
    """The command line that does this here, for `words` such as `providers set openai`."""
    return f"{program()} {words}"


def told_apart(words: Sequence[str]) -> list[str]:
    """The words, with --local and the port or URL that it names behind the others: there it takes none of them for its
    own.
    """
    end = words.index("--") if "--" in words else len(words)
    others, local, after = list[str](), list[str](), False
    for word in words[:end]:
        names = after and (is_port(word) or is_url(word))
        (local if names or word == LOCAL else others).append(word)
        after = word == LOCAL
    return [*others, *local, *words[end:]]

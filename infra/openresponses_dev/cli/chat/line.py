"""A line that is typed at a terminal that need not move its cursor."""

from __future__ import annotations

import sys

from openresponses_dev.local.terminal import say


def typed_line(prompt: str) -> str:
    """Without its end. Raises KeyboardInterrupt at Ctrl-C, EOFError at Ctrl-D."""
    to = sys.stderr if sys.stderr.isatty() else sys.stdout
    say(prompt, to, end="")
    try:
        line = sys.stdin.buffer.readline().decode(errors="replace")
    except KeyboardInterrupt:
        say("", to)
        raise
    if not line:
        say("", to)
        raise EOFError
    return line.strip()

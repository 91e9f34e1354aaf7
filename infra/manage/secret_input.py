"""Secrets come from standard input or a prompt, never from an argument: those are seen by every process, and kept in
the shell's history.
"""

from __future__ import annotations

import sys
from getpass import getpass

from infra.manage.problems import Problem


def read_secret(what: str) -> str:
    """One line: asked for where a person sits, else the next of standard input. Raises Problem."""
    secret = getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not (secret := secret.strip()):
        raise Problem(f"{what} is missing: nothing came on standard input", "pipe it in, or run this in a terminal")
    return secret


def read_document() -> str:
    """All of standard input. Raises Problem."""
    if sys.stdin.isatty():
        print("The document, then Ctrl-D:", file=sys.stderr)
    text = sys.stdin.read()
    if not text.strip():
        raise Problem("nothing came on standard input", "pipe a JSON document in")
    return text

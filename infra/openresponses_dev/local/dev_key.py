"""The key that a `dev` printed, for its user's own commands: it is in the private file of the folder where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from openresponses_dev.local.private_folder import NotPrivate, read_private

VARIABLE = "OPENAI_API_KEY"


def key_of(origin: str, status: Mapping[str, object]) -> str:
    """`status` is what it says at /_local.json. Empty if its file can't be read, or is another one's: a server may name
    any file, and is told no key but its own.
    """
    path = Path(str(status.get("access") or ""))
    if path.name != f"{urlsplit(origin).port}.json":
        return ""
    try:
        return str(read_private(path).get(VARIABLE, ""))
    except (NotPrivate, OSError, ValueError):
        return ""

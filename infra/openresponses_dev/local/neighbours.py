"""Which other `openresponses dev` is in the way: at a port, or in a folder."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.private_folder import NAME, NotPrivate, read_private
from openresponses_dev.local.status_page import JSON_PATH

_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`folder` and `pid` are known of one's own alone."""

    base_url: str
    folder: Path | None = None
    pid: int | None = None

    def __str__(self) -> str:
        where = f" that runs in {self.folder}" if self.folder else " of another user"
        process = f" (process {self.pid})" if self.pid else ""
        return f"the openresponses dev{where}{process}"


def about() -> dict[str, object]:
    """What the file in the private folder says of this process."""
    return {"pid": os.getpid()}


def at_port(port: int) -> Neighbour | None:
    """None where something else listens."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{LOOPBACK}:{port}{JSON_PATH}", timeout=_PATIENCE_S) as answer:
            told = json.loads(answer.read(100_000))
        base_url, access = str(told["base_url"]), Path(str(told["access"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return Neighbour(base_url, *_private(access)) if access.name else Neighbour(base_url)


def in_folder(folder: Path) -> Neighbour | None:
    """The one that runs in a private folder, which is one's own; None where nothing there says."""
    for file in sorted(folder.glob("[0-9]*.json")):
        found = at_port(int(file.stem)) if file.stem.isdecimal() else None
        if found and found.folder == folder.parent:
            return found
    return None


def _private(file: Path) -> tuple[Path | None, int | None]:
    try:
        pid = read_private(file).get("pid")
    except (NotPrivate, OSError, ValueError):
        return None, None
    folder = file.parent.parent if file.parent.name == NAME else None
    return folder, pid if isinstance(pid, int) else None

"""Packages from npm, for the tests of JavaScript clients."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterable
from pathlib import Path

_TRIES = 3
_LIMIT_S = 100.0


def npm_install(folder: Path, *packages: str, files: Iterable[Path] = ()) -> None:
    """Copies the files to the folder, and installs `packages`, or what a package.json among the files names.

    Two workers may ask at once, and npm can't bear that: the second waits, and finds everything done. A registry that
    doesn't answer is asked again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), *packages]
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in files:
            copy = folder / path.name
            if not copy.exists() or copy.read_bytes() != path.read_bytes():
                copy.write_bytes(path.read_bytes())
        for left in reversed(range(_TRIES)):
            try:
                subprocess.run(command, cwd=folder, check=True, timeout=_LIMIT_S)
            except subprocess.SubprocessError:
                if not left:
                    raise
            else:
                return

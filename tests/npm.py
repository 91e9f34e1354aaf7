"""Packages from npm, for the tests of JavaScript clients."""

from __future__ import annotations

import fcntl
import os
import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path

_TRIES = 3
_LIMIT_S = 100.0
_DEBIANS = "/etc/ssl/certs/ca-certificates.crt"


def _environment() -> dict[str, str]:
    """Node trusts a list of authorities of its own: behind a proxy with another one, it needs the system's, too."""
    system = ssl.get_default_verify_paths().cafile or _DEBIANS
    return ({"NODE_EXTRA_CA_CERTS": system} if Path(system).exists() else {}) | os.environ


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
                subprocess.run(command, cwd=folder, env=_environment(), check=True, timeout=_LIMIT_S)
            except subprocess.SubprocessError:
                if not left:
                    raise
            else:
                return

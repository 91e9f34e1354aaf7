"""`.openresponses/` in the folder where `dev` runs: it tells its user's own commands, and nobody else, the way into the
local cloud. It is never served over HTTP.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import cast

NAME = ".openresponses"
_MODE_OF_FOLDER, _MODE_OF_FILE, _OF_OTHERS = 0o700, 0o600, 0o077


class NotPrivate(Exception):
    """Someone else may read or change what is there, or did."""


class InUse(Exception):
    """Another process has claimed the folder."""


class PrivateFolder:
    """In `parent`. Its files are JSON objects. No symbolic link is followed, and nothing of another user is trusted."""

    def __init__(self, parent: Path) -> None:
        self.path = parent.absolute() / NAME

    def write(self, name: str, document: Mapping[str, object]) -> Path:
        """Replace the file at once, for whoever reads it. Raises NotPrivate, OSError."""
        with self._made() as folder:
            _replace(folder, name, json.dumps(document, indent=2) + "\n")
        return self.path / name

    def claim(self) -> int:
        """Have the folder to oneself until the descriptor that this returns is closed, or this process ends somehow.

        It keeps nobody from `write`, `remove` and `file`. Raises InUse, NotPrivate, OSError.
        """
        with self._made() as folder:
            claimed = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        try:
            fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(claimed)
            raise InUse(str(self.path)) from error
        return claimed

    def file(self, name: str) -> Path:
        """Of a file that its user alone may read and change, empty if it was not there. Raises NotPrivate, OSError."""
        with self._made() as folder:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            with open(os.open(name, flags, _MODE_OF_FILE, dir_fd=folder), "rb") as opened:
                _check(os.fstat(opened.fileno()), self.path / name)
        return self.path / name

    def set_aside(self, name: str) -> Path:
        """Give the file another name, of its own. Raises OSError."""
        with self._made() as folder:
            aside = f"{name}.broken-{secrets.token_hex(4)}"
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        return self.path / aside

    def remove(self, name: str) -> None:
        """Also where it is gone already."""
        with contextlib.suppress(OSError, NotPrivate), _opened(self.path) as folder:
            os.unlink(name, dir_fd=folder)

    @contextlib.contextmanager
    def _made(self) -> Generator[int, None, None]:
        self.path.mkdir(_MODE_OF_FOLDER, exist_ok=True)
        with _opened(self.path) as folder:
            os.fchmod(folder, _MODE_OF_FOLDER)
            _replace(folder, ".gitignore", "*\n")
            yield folder


def read_private(path: Path) -> dict[str, object]:
    """What `PrivateFolder.write` wrote there. Raises NotPrivate, OSError, ValueError."""
    with _opened(path.parent) as folder:
        file = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with open(file, encoding="utf-8") as opened:
            _check(os.fstat(file), path)
            document: object = json.load(opened)
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no JSON object")
    return cast("dict[str, object]", document)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[int, None, None]:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise NotPrivate(f"{path} is no folder, or a symbolic link") from error
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise NotPrivate(f"{path} belongs to another user")
        yield folder
    finally:
        os.close(folder)


def _replace(folder: int, name: str, text: str) -> None:
    fresh = f".{name}.{secrets.token_hex(8)}"
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE_OF_FILE, dir_fd=folder)
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(text)
    os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)


def _check(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
        raise NotPrivate(f"{path} is no file of yours")
    if found.st_mode & _OF_OTHERS:
        raise NotPrivate(f"{path} is open to others: its mode has to be {_MODE_OF_FILE:o}")

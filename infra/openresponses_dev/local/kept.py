"""What the local cloud keeps over a restart: rows of one SQLite file in its private folder, written as they change. It
does not know what they mean.

A transaction is in the file once it is committed, whatever then happens to this process (it is not synced to the disk,
so a machine that loses its power may lose the last ones, and never half of one).
https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from openresponses_dev.local.private_folder import InUse, PrivateFolder

FILE = "kept.sqlite"
FORMAT = 1
"""Of the rows. SQLite keeps it in the file as `user_version`."""
_BESIDE = ("", "-wal", "-journal", "-shm")
"""What SQLite adds to the names of its files."""
_PRAGMAS = ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL", "journal_size_limit = 16777216")
_TABLE = """
CREATE TABLE kept (
    kind TEXT NOT NULL, place TEXT NOT NULL, name TEXT NOT NULL, expires REAL, about TEXT NOT NULL, body BLOB,
    UNIQUE (kind, place, name)
);
CREATE INDEX expiring ON kept (expires) WHERE expires IS NOT NULL;
"""
_COLUMNS = "kind, place, name, about, body, expires"


class OtherFormat(Exception):
    """The file was written by another version."""


class Key(NamedTuple):
    """Of a row: what it is, where it is, and its name there."""

    kind: str
    place: str
    name: str


class Row(NamedTuple):
    """`about` is JSON. `expires` is in Unix seconds."""

    key: Key
    about: str
    body: bytes | None = None
    expires: float | None = None


class Kept:
    """The file is this process's alone until `close`. `fresh` forgets what is in it; `say` tells the user of a file
    that was damaged: it is set aside, and what can be read of it is kept.

    Raises InUse, NotPrivate, OtherFormat, OSError, and sqlite3.Error if there is no place for the file.
    """

    def __init__(self, folder: PrivateFolder, *, now: float, fresh: bool = False, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._lock = threading.Lock()
        self._claim: int | None = _claimed(folder)
        try:
            if fresh:
                for beside in _BESIDE:
                    folder.remove(FILE + beside)
            self._file = self._open()
            self._expire(now)
        except BaseException:
            os.close(self._claim)
            raise

    @property
    def path(self) -> Path:
        return self._folder.path / FILE

    def rows(self) -> Iterator[Row]:
        """All of them. Not to be written meanwhile."""
        for *key, about, body, expires in self._file.execute(f"SELECT {_COLUMNS} FROM kept ORDER BY rowid"):
            yield Row(Key(*key), about, body, expires)

    def find(self, key: Key) -> str | None:
        """What it is about."""
        with self._lock:
            where = "kind = ? AND place = ? AND name = ?"
            found = self._file.execute(f"SELECT about FROM kept WHERE {where}", key).fetchone()
        return found and found[0]

    def expired(self, now: float) -> list[Key]:
        with self._lock:
            found = self._file.execute("SELECT kind, place, name FROM kept WHERE expires <= ?", (now,)).fetchall()
        return [Key(*each) for each in found]

    def write(self, rows: Iterable[Row], gone: Iterable[Key] = ()) -> None:
        """All of it or nothing. Raises sqlite3.Error."""
        with self._lock, _transaction(self._file) as file:
            file.executemany("DELETE FROM kept WHERE kind = ? AND place = ? AND name = ?", gone)
            file.executemany(
                f"INSERT INTO kept ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, place, name) DO UPDATE"
                " SET about = excluded.about, body = excluded.body, expires = excluded.expires",
                ((*row.key, row.about, row.body, row.expires) for row in rows),
            )

    def close(self) -> None:
        """To do it again is harmless."""
        with self._lock:
            self._file.close()
            if self._claim is not None:
                os.close(self._claim)
                self._claim = None

    def _open(self) -> sqlite3.Connection:
        was_there = os.path.lexists(self.path)
        path = self._folder.file(FILE)
        if was_there and not path.stat().st_size:
            self._say(f"{path} was empty: what was in it is lost")
        try:
            file = _connected(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
                raise  # no place on the disk, say: the file may be whole
            return self._mended([], error)
        try:
            (broken,) = file.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            broken = str(error)
        if broken == "ok":
            return file
        with closing(file):
            rows = _salvaged(file)
        return self._mended(rows, broken)

    def _mended(self, rows: list[Row], why: object) -> sqlite3.Connection:
        aside = self._folder.set_aside(FILE)
        for beside in _BESIDE[1:]:
            self._folder.remove(FILE + beside)
        self._say(f"{self.path} is damaged ({why}): {len(rows)} entries could be read; the file is now {aside.name}")
        self._file = _connected(self._folder.file(FILE))
        self.write(rows)
        return self._file

    def _expire(self, now: float) -> None:
        with _transaction(self._file) as file:
            file.execute("DELETE FROM kept WHERE expires <= ?", (now,))
        self._file.execute("PRAGMA incremental_vacuum").fetchall()


def _claimed(folder: PrivateFolder) -> int:
    try:
        return folder.claim()
    except InUse as error:
        raise InUse(
            f"another openresponses dev runs here, and keeps its state in {error}: end that one, or start this one in "
            "another folder or with --keep-nothing"
        ) from None


def _connected(path: Path) -> sqlite3.Connection:
    """Raises OtherFormat, and sqlite3.DatabaseError for what is no such file."""
    file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # Exclusive before all else: then SQLite needs no shared memory, and looks at no lock again.
        file.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        (found,) = file.execute("PRAGMA user_version").fetchone()
        if found not in (0, FORMAT):
            raise OtherFormat(
                f"{path} has format {found}, and this version of openresponses reads {FORMAT}: run the version that "
                "wrote it, or forget what is in it with --fresh"
            )
        for pragma in _PRAGMAS:
            file.execute(f"PRAGMA {pragma}").fetchall()
        if found == 0 and not file.execute("SELECT 1 FROM sqlite_master").fetchone():
            with _transaction(file):
                for statement in filter(str.strip, _TABLE.split(";")):
                    file.execute(statement)
                file.execute(f"PRAGMA user_version = {FORMAT}")
        file.execute(f"SELECT {_COLUMNS} FROM kept LIMIT 1").fetchall()
    except BaseException:
        file.close()
        raise
    return file


@contextlib.contextmanager
def _transaction(file: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    file.execute("BEGIN IMMEDIATE")
    try:
        yield file
        file.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            file.execute("ROLLBACK")
        raise


def _salvaged(file: sqlite3.Connection) -> list[Row]:
    """What can be read before the damage, and after it."""
    found: dict[Key, Row] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError):
            for *key, about, body, expires in file.execute(f"SELECT {_COLUMNS} FROM kept ORDER BY rowid {order}"):
                found[Key(*key)] = Row(Key(*key), about, body, expires)
    return [*found.values()]

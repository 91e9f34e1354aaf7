"""The file of what is kept: who may read it, what a kill, damage and other versions do to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openresponses_dev.local.kept import FILE, FORMAT, Kept, Key, OtherFormat, Row
from openresponses_dev.local.private_folder import NAME, InUse, NotPrivate, PrivateFolder
from tests.sweeps import Sweep

Open = Callable[..., Kept]
ROWS = [Row(Key("item", "table", f"{number:03}"), f'{{"n": {number}}}', os.urandom(2000)) for number in range(60)]
NOW = 1_000.0


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def opened(tmp_path: Path, said: list[str]) -> Iterator[Open]:
    files: list[Kept] = []

    def opened(folder: Path = tmp_path, *, fresh: bool = False, now: float = NOW) -> Kept:
        files.append(Kept(PrivateFolder(folder), now=now, fresh=fresh, say=said.append))
        return files[-1]

    yield opened
    for file in files[::-1]:
        file.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One that holds the rows, and that nobody has open."""
    kept = Kept(PrivateFolder(tmp_path), now=NOW, say=print)
    kept.write(ROWS)
    kept.close()
    return tmp_path / NAME / FILE


def test_rows_are_written_replaced_and_deleted_in_one_go(opened: Open, tmp_path: Path) -> None:
    kept = opened()
    kept.write(ROWS[:3])
    kept.write([ROWS[0]._replace(about="{}", body=None), ROWS[4]], [ROWS[1].key])
    with pytest.raises(sqlite3.Error):
        kept.write([ROWS[5], Row(Key("item", "table", "x"), None)])  # type: ignore[arg-type]
    assert sorted(kept.rows()) == [ROWS[0]._replace(about="{}", body=None), ROWS[2], ROWS[4]]
    kept.close()
    assert sorted(opened().rows()) == [ROWS[0]._replace(about="{}", body=None), ROWS[2], ROWS[4]]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_its_user_alone_may_read_it_and_what_lies_beside_it(opened: Open, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        opened().write(ROWS)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / NAME).iterdir()}
    assert modes == {".gitignore": 0o600, FILE: 0o600, f"{FILE}-wal": 0o600}
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o700


def test_a_file_that_others_may_have_read_or_a_link_is_refused(file: Path, opened: Open, tmp_path: Path) -> None:
    file.chmod(0o644)
    with pytest.raises(NotPrivate, match="open to others"):
        opened()
    moved = file.rename(tmp_path / "elsewhere")
    moved.chmod(0o600)
    file.symlink_to(moved)
    with pytest.raises(OSError, match="symbolic links"):
        opened()


def test_one_process_has_it_at_a_time(file: Path, opened: Open) -> None:
    first = opened()
    for fresh in (False, True):
        with pytest.raises(InUse, match=r"another openresponses dev runs here.*--keep-nothing"):
            opened(fresh=fresh)
    assert [*first.rows()] == ROWS
    first.write([], [ROWS[0].key])
    first.close()
    assert [*opened().rows()] == ROWS[1:]


def test_fresh_forgets_it_also_if_it_is_damaged_or_of_another_version(file: Path, opened: Open) -> None:
    file.write_bytes(b"garbage")
    kept = opened(fresh=True)
    assert [*kept.rows()] == []


def test_what_expired_is_gone_when_it_is_opened_and_told_while_it_is_open(opened: Open) -> None:
    kept = opened()
    kept.write([row._replace(expires=NOW + number) for number, row in enumerate(ROWS)])
    assert kept.expired(NOW + 1) == [ROWS[0].key, ROWS[1].key]
    kept.close()
    kept = opened(now=NOW + 57)
    assert [row.key for row in kept.rows()] == [row.key for row in ROWS[58:]]
    size = kept.path.stat().st_size
    kept.close()
    assert kept.path.stat().st_size < max(size, 20_000), "its place is given back"


GARBAGE = {
    "nothing": b"",
    "a word": b"garbage",
    "a head alone": b"SQLite format 3\0" + b"\xff" * 4096,
    "noise": os.urandom(9000),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_set_aside_and_told(file: Path, opened: Open, said: list[str], content: bytes) -> None:
    file.write_bytes(content)
    kept = opened()
    assert [*kept.rows()] == []
    assert len(said) == 1
    if content:
        (aside,) = file.parent.glob(f"{FILE}.broken-*")
        assert aside.read_bytes() == content
        assert said[0].endswith(f"0 entries could be read; the file is now {aside.name}")
    kept.write(ROWS)
    assert [*kept.rows()] == ROWS


def test_what_can_be_read_of_a_damaged_file_is_read(file: Path, opened: Open, said: list[str], sweep: Sweep) -> None:
    whole = file.read_bytes()
    read = list[int]()
    pages = range(4096, len(whole), 4096)
    for start in sweep.sample(pages, 6):
        file.touch(0o600)
        file.write_bytes(whole[:start] + b"\xff" * 4096 + whole[start + 4096 :])
        kept = opened()
        rows = [*kept.rows()]
        assert {*rows} <= {*ROWS} or len(rows) == len(ROWS)
        kept.close()
        read.append(len(rows))
        for each in file.parent.glob(f"{FILE}*"):
            each.unlink()
    assert max(read) > 0
    assert all("could be read" in each for each in said)


def test_a_kill_at_any_moment_leaves_what_was_committed(opened: Open, tmp_path: Path, sweep: Sweep) -> None:
    """What a kill leaves is what is in the files. Of the last write, some bytes may be missing."""
    kept = opened()
    for row in ROWS:
        kept.write([row, ROWS[0]._replace(about=row.about)])
    log = (tmp_path / NAME / f"{FILE}-wal").read_bytes()
    counts = list[int]()
    for number, size in enumerate(sweep.sample([*range(0, len(log), 997), len(log)], 12)):
        other = tmp_path / f"{number}"
        shutil.copytree(tmp_path / NAME, other / NAME)
        (other / NAME / f"{FILE}-wal").write_bytes(log[:size])
        copy = opened(other)
        rows = [*copy.rows()]
        copy.close()
        assert rows[1:] == ROWS[1 : len(rows)]
        assert not rows or rows[0].about == ROWS[len(rows) - 1].about
        counts.append(len(rows))
    assert counts == sorted(counts)


def test_another_version_s_file_is_refused_and_left_alone(file: Path, opened: Open) -> None:
    with sqlite3.connect(file) as newer:
        newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
    newer.close()
    content = file.read_bytes()
    with pytest.raises(OtherFormat, match=f"has format {FORMAT + 1}.* reads {FORMAT}: .*--fresh"):
        opened()
    assert file.read_bytes() == content

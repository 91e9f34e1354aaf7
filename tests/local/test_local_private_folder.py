"""The folder of a running local cloud: who may read it, and what is not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from openresponses_dev.local.private_folder import NotPrivate, PrivateFolder, read_private

DOCUMENT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": "s3cret"}


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {:03o}".format)
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PrivateFolder]:
    before = os.umask(request.param)
    yield PrivateFolder(tmp_path)
    os.umask(before)


def test_what_is_written_is_read_by_its_user_alone_and_by_no_git(folder: PrivateFolder) -> None:
    path = folder.write("8080.json", DOCUMENT)
    assert read_private(path) == DOCUMENT
    assert (_mode(folder.path), _mode(path)) == (0o700, 0o600)
    assert (folder.path / ".gitignore").read_text() == "*\n"
    assert {each.name for each in folder.path.iterdir()} == {".gitignore", "8080.json"}


def test_each_port_has_its_own_and_a_stale_one_is_replaced(folder: PrivateFolder) -> None:
    folder.write("1.json", {"stale": True}).chmod(0o666)
    first, second = folder.write("1.json", DOCUMENT), folder.write("2.json", {})
    assert (read_private(first), _mode(first)) == (DOCUMENT, 0o600)
    folder.remove("1.json")
    folder.remove("1.json")
    assert (first.exists(), read_private(second)) == (False, {})


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    folder.path.mkdir()
    folder.path.chmod(0o777)
    folder.write("1.json", DOCUMENT)
    assert _mode(folder.path) == 0o700


def test_a_link_in_place_of_a_file_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    folder, victim = PrivateFolder(tmp_path), tmp_path / "victim"
    victim.write_text("mine")
    folder.write("other.json", {})
    (folder.path / "1.json").symlink_to(victim)
    path = folder.write("1.json", DOCUMENT)
    assert (victim.read_text(), path.is_symlink(), read_private(path)) == ("mine", False, DOCUMENT)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", PrivateFolder(tmp_path)
    elsewhere.mkdir()
    (elsewhere / "1.json").write_text("mine")
    folder.path.symlink_to(elsewhere)
    with pytest.raises(NotPrivate, match="no folder, or a symbolic link"):
        folder.write("1.json", DOCUMENT)
    folder.remove("1.json")
    assert [each.name for each in elsewhere.iterdir()] == ["1.json"]
    with pytest.raises(NotPrivate):
        read_private(folder.path / "1.json")


def test_what_others_may_have_written_is_not_believed(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    path = folder.write("1.json", DOCUMENT)
    path.chmod(0o644)
    with pytest.raises(NotPrivate, match="open to others"):
        read_private(path)
    (folder.path / "link.json").symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        read_private(folder.path / "link.json")
    os.mkfifo(folder.path / "pipe.json", 0o600)
    with pytest.raises(NotPrivate, match="no file of yours"):
        read_private(folder.path / "pipe.json")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)

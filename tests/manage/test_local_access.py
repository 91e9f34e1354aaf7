"""How the commands find the way into a local cloud: by a file that its user alone may read."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from openresponses_dev.local.command_line import told_apart
from openresponses_dev.manage.running import running_dev
from tests.manage.conftest import OPENRESPONSES, Cloud, run

pytestmark = pytest.mark.xdist_group("manage")


@contextlib.contextmanager
def dev(folder: Path) -> Iterator[str]:
    """The origin of a local cloud that runs in this folder, maybe beside others."""
    command = [OPENRESPONSES, "dev", "--port", "0", "--no-reload", "--keep-nothing"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield re.sub(r"export \w+=|/v1$", "", process.stdout.readline().strip())
        finally:
            process.send_signal(signal.SIGINT)


def told(origin: str) -> dict[str, str]:
    return httpx2.get(f"{origin}/_local.json").raise_for_status().json()


def test_each_local_cloud_has_a_file_of_its_own_while_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / ".openresponses"
    with dev(tmp_path) as one, dev(tmp_path) as other:
        files = [folder / f"{origin.rpartition(':')[2]}.json" for origin in (one, other)]
        assert [told(origin)["access"] for origin in (one, other)] == [str(each) for each in files]
        assert [stat.S_IMODE(each.stat().st_mode) for each in (folder, *files)] == [0o700, 0o600, 0o600]
        first, second = (json.loads(each.read_text()) for each in files)
        assert first.keys() == {
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "OPENAI_API_KEY",
            "pid",
        }
        assert first.pop("pid") != second.pop("pid")  # which are no secrets
        assert {*first.values()} & {*second.values()} == set()
        for origin, found in ((one, first), (other, second)):
            assert [each for each in found.values() if each in json.dumps(told(origin))] == []
            page = httpx2.get(f"{origin}/_local").text
            assert [each for each in found.values() if each in page] == []
        assert run("models", "list", "--local", other).status == 0, "from another folder"
    assert [each.name for each in folder.iterdir()] == [".gitignore"]


def test_local_finds_the_newest_that_runs_in_this_folder_or_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "src" / "app"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    alias = ("models", "alias", "--local", "fast", "offline/demo")
    with dev(tmp_path) as older:
        with dev(tmp_path) as newer:
            assert f"in the local cloud at {newer}," in run(*alias).out
            ports = [origin.rpartition(":")[2] for origin in (older, newer)]
            named = run("models", "alias", "--local", ports[0], "fast", "gone/demo")
            assert f"in the local cloud at {older}," in named.out
            assert f"openresponses providers set gone --local {ports[0]}" in named.err
            found = running_dev()
            assert found is not None
            assert found.base_url == f"{newer}/v1"
        mended = run("models", "alias", "--local", "fast", "gone/demo")
        assert f"in the local cloud at {older}," in mended.out
        assert mended.err.endswith("openresponses providers set gone --local\n")
    assert running_dev() is None


def test_where_none_runs_the_error_says_what_starts_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    forged = tmp_path / ".openresponses" / "9.json"
    forged.parent.mkdir()
    forged.write_text("{}")
    assert running_dev() is None, "nothing answers there"
    done = run("models", "list", "--local", "9")
    assert (done.status, done.err.splitlines()) == (
        1,
        [
            "openresponses: no local cloud answers at http://127.0.0.1:9",
            "  try: openresponses dev, or name its port: --local PORT",
        ],
    )


@pytest.mark.parametrize(
    ("words", "apart"),
    [
        (("tools", "test", "--local", "clock"), ["tools", "test", "clock", "--local"]),
        (("keys", "list", "--local", "--json"), ["keys", "list", "--json", "--local"]),
        (("tools", "test", "--local", "--", "-x"), ["tools", "test", "--local", "--", "-x"]),
        (("tools", "test", "--local", "9000", "clock"), ["tools", "test", "clock", "--local", "9000"]),
        (("doctor", "--local", "http://[::1]:9"), ["doctor", "--local", "http://[::1]:9"]),
        (("doctor", "--local"), ["doctor", "--local"]),
        (("models", "alias", "x", "--local", "99999"), ["models", "alias", "x", "99999", "--local"]),
    ],
)
def test_a_local_that_names_no_cloud_takes_no_other_word(words: tuple[str, ...], apart: list[str]) -> None:
    assert told_apart(words) == apart


def test_a_file_that_others_may_read_or_that_is_gone_lets_no_command_in(cloud: Cloud) -> None:
    path = Path(told(cloud.origin)["access"])
    kept = path.read_text()
    try:
        path.chmod(0o644)
        opened = cloud.run("providers", "list")
        path.unlink()
        gone = cloud.run("providers", "list")
        path.symlink_to(__file__)
        linked = cloud.run("providers", "list")
    finally:
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_text(kept)
    for done, why in ((opened, "is open to others"), (gone, "No such file"), (linked, "symbolic link")):
        assert done.status == 1
        assert f"the secret of the local cloud at {cloud.origin} cannot be read" in done.err
        assert why in done.err
        assert "try: run this as the user, and on the machine, of openresponses dev" in done.err
    assert cloud.run("providers", "list").status == 0


def test_a_stand_in_with_another_secret_refuses_the_commands(cloud: Cloud) -> None:
    path = Path(told(cloud.origin)["access"])
    kept = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(kept), "AWS_SECRET_ACCESS_KEY": "guessed"}))
        done = cloud.run("models", "alias", "mine", "offline/demo")
    finally:
        path.write_text(kept)
    assert done.status == 1
    assert "InvalidSignatureException" in done.err
    assert "mine" not in cloud.run("models", "list").out

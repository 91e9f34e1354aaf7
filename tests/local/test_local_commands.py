"""What `openresponses` says of itself, and of what was typed wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
from cyclopts import App

from openresponses_dev.cli.cli import app
from tests.local.local_project import PATIENCE, ROOT, environment

HEAVY = {"boto3", "botocore", "fastapi", "httpx2", "moto", "pydantic", "uvicorn", "yaml"}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=PATIENCE)


def commands(of: App, *before: str) -> Iterator[tuple[str, ...]]:
    for name in of:
        if not name.startswith("-"):
            yield (*before, name)
            yield from commands(of[name], *before, name)


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_the_help_lists_the_commands_in_their_groups(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    places = [done.stdout.index(word) for word in ("Run", "dev ", "Configure", "providers ", "Look after", "doctor ")]
    assert places == sorted(places)


def test_every_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    found = [*commands(app)]
    assert ("providers", "set") in found
    for words in found:
        app([*words, "--help"], result_action="return_value")
        assert f"Usage: openresponses {' '.join(words)}" in capsys.readouterr().out


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert run("--version").stdout == f"{project['version']}\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["dve"], "dev"),
        (["providers", "lsit"], "list"),
        (["dev", "--prot", "0"], "--port"),
    ],
)
def test_what_was_meant_is_suggested(words: list[str], meant: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean" in done.stderr
    assert meant in done.stderr


@pytest.mark.parametrize(
    "words", [["keys", "create"], ["keys", "revoke"], ["models", "alias", "fast"], ["invoke", "F"]]
)
def test_what_is_missing_is_a_usage_error(words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "requires an argument" in done.stderr


def test_the_help_imports_no_command() -> None:
    code = "import sys, openresponses_dev.cli.cli as c; c.app([], result_action='return_value'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert HEAVY & {*done.stdout.splitlines()[-1].split()} == set()


def test_a_shell_can_complete_the_commands(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [sys.executable, "-m", "openresponses_dev.cli.cli", "--install-completion", "--shell", "bash"],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert any("providers" in path.read_text() for path in home.rglob("*") if path.is_file())

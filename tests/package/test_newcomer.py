"""A newcomer's quarter of an hour, from the wheel: what docs/project.md tells, in an empty home and an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.package.newcomer import Newcomer, after, upstream

pytestmark = [pytest.mark.package, pytest.mark.timeout(600), pytest.mark.xdist_group("package")]
MINUTES, COMMANDS = 15, 15


def test_a_newcomer_has_a_project_that_runs_and_can_be_deployed(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with upstream() as provider, Newcomer(tmp_path / "newcomer") as new:
        after(new, provider, wheel)
    with capsys.disabled():
        print(f"\n{new.table()}")
    assert new.all().seconds < MINUTES * 60
    assert len(new.all().commands) <= COMMANDS


def test_a_server_that_runs_in_an_empty_folder_says_how_to_get_a_project(wheel: Path, tmp_path: Path) -> None:
    with Newcomer(tmp_path / "newcomer") as new, new.step("run it"):
        new.type_in_another_terminal(f"uvx --from {wheel} openresponses dev --port 0")
        new.wait_for("# What it keeps:")
        shown = new.server_shows()
    assert re.search("^# Its project: +none here; this makes one: openresponses init mine$", shown, re.MULTILINE)

"""`openresponses init`: what it writes, what it refuses, and where the project finds the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest
import yaml

from openresponses_dev.local.project import find_project
from openresponses_dev.manage.init import LONGEST
from openresponses_dev.manage.origin import Origin, origin
from tests.manage.conftest import OPENRESPONSES, Cloud, run

pytestmark = pytest.mark.xdist_group("manage")
FILES = [
    ".github/workflows/deploy.yml",
    ".gitignore",
    "README.md",
    "openresponses.toml",
    "pyproject.toml",
    "samconfig.toml",
    "template.yaml",
    "tests/test_tools.py",
    "tools/Makefile",
    "tools/dictionary.py",
]


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_it_writes_a_project_and_says_what_to_type_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("init", "my-app")
    assert (done.status, done.err) == (0, "")
    assert files(tmp_path / "my-app") == FILES
    typed = [line for line in done.out.splitlines() if line.startswith(("cd ", "uv "))]
    assert typed == [
        "cd my-app",
        "uv sync",
        "uv run openresponses dev",
        'uv run openresponses chat --model fast "Hello"',
        "uv run pytest",
    ]
    assert find_project(tmp_path / "my-app/tools") == tmp_path / "my-app"


def test_its_name_is_the_projects_and_the_stacks(tmp_path: Path) -> None:
    run("init", str(tmp_path / "my-app"))
    project, stack = (
        tomllib.loads((tmp_path / "my-app" / name).read_text()) for name in ("pyproject.toml", "samconfig.toml")
    )
    assert project["project"]["name"] == "my-app"
    assert stack["default"]["global"]["parameters"]["stack_name"] == "my-app"
    assert "CAPABILITY_AUTO_EXPAND" in stack["default"]["deploy"]["parameters"]["capabilities"].split()
    assert (tmp_path / "my-app/README.md").read_text().startswith("# my-app\n")
    assert len((tmp_path / "my-app/README.md").read_text().splitlines()) <= 10


def test_nothing_is_left_to_be_filled_in_but_what_the_files_say_themselves(tmp_path: Path) -> None:
    run("init", str(tmp_path / "mine"))
    for name in ("pyproject.toml", "samconfig.toml", "README.md", "tests/test_tools.py"):
        assert "$" not in (tmp_path / "mine" / name).read_text(), name
    assert "$(ARTIFACTS_DIR)" in (tmp_path / "mine/tools/Makefile").read_text()
    assert "${{ vars.AWS_ROLE }}" in (tmp_path / "mine/.github/workflows/deploy.yml").read_text()


def test_this_folder_may_hold_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my-app"
    (folder / ".git").mkdir(parents=True)
    (folder / "LICENSE").write_text("mine")
    monkeypatch.chdir(folder)
    done = run("init", ".")
    assert done.status == 0, done.err
    assert done.out.startswith("This folder")
    assert "cd " not in done.out
    assert files(folder) == sorted([*FILES, "LICENSE"])


def test_files_that_are_in_the_way_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "mine/tools").mkdir(parents=True)
    (tmp_path / "mine/tools/dictionary.py").write_text("mine")
    (tmp_path / "mine/README.md").symlink_to("nowhere")
    done = run("init", str(tmp_path / "mine"))
    assert (done.status, done.out) == (1, "")
    assert "README.md, tools/dictionary.py already" in done.err
    assert files(tmp_path / "mine") == ["tools/dictionary.py"]
    assert (tmp_path / "mine/tools/dictionary.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("init", str(tmp_path / "file/mine"))
    assert done.status == 1
    assert "file/mine" in done.err
    assert "Traceback" not in done.err


def test_what_was_written_goes_where_not_all_can_be(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/tools").write_text("no folder")
    done = run("init", str(tmp_path / "mine"))
    assert done.status == 1
    assert "mine/tools: File exists" in done.err
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["tools"]


def test_a_folder_without_a_name_needs_another() -> None:
    done = run("init", "/")
    assert (done.status, "is no name for a project" in done.err) == (1, True)
    assert done.err.endswith("openresponses init / --name mine\n")


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("my_app", "my-app"),
        ("my app.py", "my-app-py"),
        ("2nd-try", "nd-try"),
        ("été", "ete"),
        ("...", "mine"),
        ("x-", "x"),
        ("a" * (LONGEST + 1), "a" * LONGEST),
        ("openresponses", "my-openresponses"),
        ("PyYAML", "my-PyYAML"),
        ("pytest", "my-pytest"),
    ],
)
def test_a_name_that_neither_uv_nor_aws_takes_is_answered_with_one_that_they_do(
    tmp_path: Path, name: str, better: str
) -> None:
    refused = run("init", str(tmp_path / "folder"), "--name", name)
    assert (refused.status, files(tmp_path)) == (1, [])
    assert "is no name for a project" in refused.err
    mend = refused.err.splitlines()[-1]
    assert mend.endswith(f"openresponses init {tmp_path / 'folder'} --name {better}")
    assert run("init", str(tmp_path / "folder"), "--name", better).status == 0


def test_the_folders_name_is_refused_with_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "my app").err.endswith("openresponses init my-app\n")
    assert run("init", "below/my_app").err.endswith("openresponses init below/my-app\n")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    run("init", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_its_own_tests_pass(project: Path) -> None:
    """Without the settings of this repository's pytest, and without the package: a tool is a function."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_its_python_is_as_ruff_wants_it(project: Path) -> None:
    for words in (["check"], ["format", "--check", "--line-length", "120"]):
        done = subprocess.run(["ruff", *words, "--isolated", "."], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_its_workflow_asks_for_a_token_of_github_only_where_it_deploys(project: Path) -> None:
    workflow = yaml.safe_load((project / ".github/workflows/deploy.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["test"]
    deploy = workflow["jobs"]["deploy"]
    assert deploy["permissions"] == {"contents": "read", "id-token": "write"}
    assert (deploy["needs"], deploy["if"]) == ("test", "github.event_name == 'push' && vars.AWS_ROLE != ''")
    ran = [step["run"] for step in deploy["steps"] if "run" in step]
    assert ran[:3] == [
        "uv sync --locked",
        "uvx --from aws-sam-cli sam build",
        "uvx --from aws-sam-cli sam deploy --no-confirm-changeset --no-fail-on-empty-changeset",
    ]
    assert ran[3].endswith("uv run openresponses apply --yes\n")


def test_its_workflow_makes_no_key_since_the_log_would_show_it(cloud: Cloud, project: Path, tmp_path: Path) -> None:
    """The last step, as GitHub runs it (bash -e), with `uv` for a command that runs ours against the local cloud."""
    workflow = yaml.safe_load((project / ".github/workflows/deploy.yml").read_text())
    step = tmp_path / "step"
    step.write_text(workflow["jobs"]["deploy"]["steps"][-1]["run"])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(f'#!/bin/sh\nshift 2\nexec {OPENRESPONSES} "$@" --local {cloud.origin}\n')
    (tmp_path / "bin/uv").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    def follow() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-e", step], cwd=project, env=environment, capture_output=True, text=True)

    file = project / "openresponses.toml"
    file.write_text('[aliases]\nof-a-workflow = ["offline/demo"]\n')
    assert follow().returncode == 0
    file.write_text(file.read_text() + '[keys.fresh]\ntenant = "workflow"\n')
    refused = follow()
    assert (refused.returncode, "::error::" in refused.stdout) == (1, True)
    assert "fresh" not in cloud.run("keys", "list").out
    assert run("apply", str(file), "--local", cloud.origin).status == 0
    done = follow()
    assert (done.returncode, "::error::" in done.stdout) == (0, False), done.stderr
    cloud.run("models", "remove", "of-a-workflow")


PEP_610 = {
    "index": (None, "openresponses>=9.8.7", {}),
    "wheel": (
        {"url": "file:///tmp/my%20wheels/openresponses-9.8.7-py3-none-any.whl", "archive_info": {"hash": "sha256=0"}},
        "openresponses",
        {"path": "/tmp/my wheels/openresponses-9.8.7-py3-none-any.whl"},
    ),
    "address": (
        {"url": "https://example.com/openresponses-9.8.7-py3-none-any.whl", "archive_info": {}},
        "openresponses",
        {"url": "https://example.com/openresponses-9.8.7-py3-none-any.whl"},
    ),
    "branch": (
        {
            "url": "https://git.example.com/openresponses.git",
            "vcs_info": {
                "vcs": "git",
                "requested_revision": "main",
                "commit_id": "7921be1537eac1e97bc40179a57f0349c2aee67d",
            },
        },
        "openresponses",
        {"git": "https://git.example.com/openresponses.git", "rev": "main"},
    ),
    "no branch": (
        {
            "url": "https://git.example.com/all.git",
            "vcs_info": {"vcs": "git", "commit_id": "7921be1537eac1e97bc40179a57f0349c2aee67d"},
            "subdirectory": "server",
        },
        "openresponses",
        {"git": "https://git.example.com/all.git", "subdirectory": "server"},
    ),
    "editable": (
        {"url": "file:///home/me/openresponses", "dir_info": {"editable": True}},
        "openresponses",
        {"path": "/home/me/openresponses"},
    ),
}


@pytest.mark.parametrize("case", PEP_610)
def test_the_project_takes_the_package_from_where_it_was_installed(tmp_path: Path, case: str) -> None:
    direct, requirement, source = PEP_610[case]
    installed = tmp_path / "openresponses-9.8.7.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: openresponses\nVersion: 9.8.7\n")
    if direct:
        (installed / "direct_url.json").write_text(json.dumps(direct))
    found: Origin = origin(Distribution.at(installed))
    assert found.requirement == requirement
    assert tomllib.loads(found.source) == ({"tool": {"uv": {"sources": {"openresponses": source}}}} if source else {})

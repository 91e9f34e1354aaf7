"""The wheel, installed by pip into a fresh environment, and run from an empty folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.package.conftest import environment

PATIENCE = 60

pytestmark = [pytest.mark.package, pytest.mark.timeout(600), pytest.mark.xdist_group("package")]


@pytest.fixture(scope="session")
def openresponses(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that holds the wheel, and what pip brings with it."""
    home = tmp_path_factory.mktemp("environment")
    interpreter = Path(sys.executable).resolve()  # not of the virtual environment that runs the tests
    subprocess.run([interpreter, "-m", "venv", home / "venv"], check=True)
    install = [home / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(install, check=True, env=environment(home))
    return home / "venv/bin/openresponses"


def run(openresponses: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [openresponses, *words]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.fixture
def cloud(openresponses: Path, tmp_path: Path) -> Iterator[httpx2.Client]:
    """What `openresponses dev` serves from an empty folder, until it is interrupted."""
    command = [openresponses, "dev", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            url, key = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
            with httpx2.Client(
                base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE, trust_env=False
            ) as client:
                yield client
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_the_wheel_holds_two_packages_and_the_project_twice(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    version = wheel.name.split("-")[1]
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        *("openresponses", "openresponses_dev"),
        f"openresponses-{version}.data",
    }
    beneath = ("openresponses_dev/project/", f"openresponses-{version}.data/data/share/openresponses/")
    project, shared = ({name.removeprefix(each) for name in names if name.startswith(each)} for each in beneath)
    assert project == shared
    assert {
        "template.yaml",
        "openresponses.schema.json",
        "pyproject.toml",
        "uv.lock",
        "functions/Makefile",
        "functions/bootstrap",
        "functions/openresponses/entry/api.py",
        "infra/statemachine/loop.asl.json",
        "infra/templates/domain.yaml",
        "infra/examples/counter/app.py",
        "infra/examples/refund/app.py",
        "events/responses_create_stream.json",
    } <= project
    assert [name for name in names if "__pycache__" in name] == []


def test_the_kit_is_where_a_projects_template_names_it(openresponses: Path) -> None:
    kit = openresponses.parents[1] / "share/openresponses"
    assert (kit / "template.yaml").is_file()
    assert os.access(kit / "functions/bootstrap", os.X_OK)


def test_the_command_says_its_version_and_its_help(openresponses: Path, wheel: Path, tmp_path: Path) -> None:
    assert run(openresponses, tmp_path, "--version").stdout == f"{wheel.name.split('-')[1]}\n"
    bare = run(openresponses, tmp_path)
    assert (bare.returncode, bare.stdout[:28], bare.stderr) == (0, "Usage: openresponses COMMAND", "")


def test_the_local_cloud_streams_an_answer_from_an_empty_folder(cloud: httpx2.Client, tmp_path: Path) -> None:
    assert [each.name for each in tmp_path.iterdir()] == [".openresponses"]  # what is said of it in the documentation
    body = {"model": "offline/demo", "input": "Hello", "stream": True}
    with cloud.stream("POST", "responses", json=body) as response:
        assert response.status_code == 200
        events = [json.loads(event.data) for event in httpx2.EventSource(response) if event.data != "[DONE]"]
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert len([event for event in events if event["type"] == "response.output_text.delta"]) > 1
    assert events[-1]["type"] == "response.completed"


def test_the_local_cloud_runs_a_background_response_to_its_end(cloud: httpx2.Client) -> None:
    """The state machine and its functions are in the wheel too."""
    made = cloud.post("responses", json={"model": "offline/demo", "input": "Hello", "background": True}).json()
    with cloud.stream("GET", f"responses/{made['id']}", params={"stream": "true"}) as response:
        events = [json.loads(event.data) for event in httpx2.EventSource(response) if event.data != "[DONE]"]
    assert events[-1]["type"] == "response.completed"


def test_an_event_of_the_project_is_found_from_any_folder(openresponses: Path, tmp_path: Path) -> None:
    done = run(openresponses, tmp_path, "invoke", "ApiFunction", "--event", "events/responses_create_stream.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("data: [DONE]\n\n")

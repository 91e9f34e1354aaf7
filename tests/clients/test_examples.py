"""The examples, run as their READMEs say, against `openresponses dev`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.clients.conftest import BUILD, Cloud
from tests.clients.test_clients import BEFORE
from tests.npm import npm_install

EXAMPLES = Path(__file__).parents[2] / "examples"
WORDS = 60

pytestmark = [pytest.mark.clients, pytest.mark.timeout(500)]


def environment(cloud: Cloud, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "VIRTUAL_ENV"))}
    return {**own, "OPENAI_BASE_URL": cloud.base_url, "OPENAI_API_KEY": cloud.api_key, **more}


def test_the_desk_hands_over_to_the_agent_that_has_the_tool(cloud: Cloud) -> None:
    app = EXAMPLES / "agents-sdk/app.py"
    asked = ("[[call transfer_to_orders]] Hello", '[[call order_status {"number": "1002"}]] Where is it?')
    ran = subprocess.run(
        ["uv", "run", "--quiet", "--exclude-newer", BEFORE, "--script", app, *asked],
        env=environment(cloud), capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    print(ran.stderr)
    assert ran.returncode == 0
    told = [line for line in ran.stdout.splitlines() if line.startswith("[")]
    assert told == ["[Desk]", "[Orders]", "[Orders]", "[tool] waits for your payment"]
    assert "waits for your payment" in ran.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def research() -> Path:
    folder = BUILD / "research"
    npm_install(folder, files=[EXAMPLES / "research/package.json", EXAMPLES / "research/research.mjs"])
    return folder


def test_research_goes_on_after_its_program_was_killed(cloud: Cloud, research: Path, tmp_path: Path) -> None:
    place = tmp_path / "research.json"
    command = ["node", str(research / "research.mjs"), f"[[words {WORDS}]] [[slow 50]] heron"]
    variables = environment(cloud, PLACE=str(place))
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as begun:
        until = time.monotonic() + 60
        while not (place.exists() and json.loads(place.read_text() or "{}").get("text")):
            assert time.monotonic() < until
            time.sleep(0.05)
        begun.send_signal(signal.SIGKILL)
    killed_at = json.loads(place.read_text())
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    assert f"goes on after event {killed_at['after']}" in ran.stderr
    assert len(killed_at["text"].split()) < WORDS
    assert ran.stdout.startswith(killed_at["text"])
    assert len(ran.stdout.split()) == WORDS
    assert not place.exists()


def test_research_can_be_polled(cloud: Cloud, research: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["node", research / "research.mjs", "--poll", "[[words 30]] [[slow 50]] heron"],
        env=environment(cloud, PLACE=str(tmp_path / "place.json")), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) == 30
    assert "is completed" in ran.stderr

"""Real clients, unmodified and pinned, each in an environment of its own. `docs/clients.md` says what each does."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import BUILD, Cloud
from tests.npm import npm_install

SCRIPTS = Path(__file__).parent / "scripts"
PAGE = Path(__file__).parents[2] / "docs/clients.md"
BEFORE = "2026-11-27"
"""What the Python clients depend on is no newer than this; they have no lock files."""
RECALLS = "gpt-recalls"
"""Begins as the compacting sessions of the Agents SDKs want it."""
CELLS = ("text", "stream", "tools", "structured", "turns")
STATE_CELLS = ("compaction", "count", "conversation", "socket")


def _rows(begin: str, place: int) -> dict[str, list[str]]:
    """Of a table of the page: a row's cells, by the name of its script, which stands at this place."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if f"tests/clients/scripts/{begin}" in line
    ]
    return {row[place].strip("`").rpartition("/")[2]: row for row in rows}


ROWS = _rows("with_", 6)
STATE_ROWS = _rows("state_", 5)


@pytest.mark.parametrize("rows", [ROWS, STATE_ROWS], ids=["with", "state"])
def test_each_script_has_a_row_with_the_version_that_it_runs(rows: dict[str, list[str]]) -> None:
    begin = "with_*" if rows is ROWS else "state_*"
    assert sorted(rows) == sorted(path.name for path in SCRIPTS.glob(begin))
    packages = json.loads((SCRIPTS / "package.json").read_text())["dependencies"]
    pinned = {f"{name}@{version}" for name, version in packages.items()}
    for script, row in rows.items():
        pin = row[0].split("`")[1]
        assert pin in pinned if script.endswith(".mjs") else f'"{pin}"' in (SCRIPTS / script).read_text()


@pytest.fixture(scope="session")
def node() -> Path:
    """Node finds packages beside a script alone: the scripts, and what they need."""
    folder = BUILD / "node"
    npm_install(folder, files=[SCRIPTS / "package.json", *SCRIPTS.glob("*.mjs")])
    return folder


@pytest.mark.clients
@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    "script",
    sorted(ROWS),
)
def test_a_client_does_what_its_row_says(cloud: Cloud, node: Path, script: str) -> None:
    upstream = cloud.upstreams["chat_completions"]
    weather = secrets.token_hex(8)
    told = _run(script, cloud, node, weather)
    asked_last = json.dumps(upstream.requests[-1].body)
    does = {cell: _holds(cell, value, weather, asked_last) for cell, value in told.items()}
    assert ROWS[script][1:6] == ["yes" if does.get(cell) else "no" for cell in CELLS], told


@pytest.mark.clients
@pytest.mark.timeout(500)
@pytest.mark.parametrize("script", sorted(STATE_ROWS))
def test_what_a_client_leaves_to_the_server_is_known_there(cloud: Cloud, node: Path, script: str) -> None:
    fact = f"fact-{secrets.token_hex(4)}"
    told = _run(script, cloud, node, secrets.token_hex(8), CLIENT_MODEL=RECALLS, CLIENT_FACT=fact)
    does = ["-" if cell not in told else "yes" if fact in (told[cell] or "") else "no" for cell in STATE_CELLS]
    assert STATE_ROWS[script][1:5] == does, told


def _run(script: str, cloud: Cloud, node: Path, weather: str, **more: str) -> dict[str, Any]:
    """What each cell of the script returned, or None."""
    variables = {name: os.environ[name] for name in os.environ if not name.startswith(("OPENAI_", "VIRTUAL_ENV"))}
    variables |= {"OPENAI_BASE_URL": cloud.base_url, "OPENAI_API_KEY": cloud.api_key}
    variables |= {"CLIENT_MODEL": "demo", "CLIENT_WEATHER": weather, **more}
    ran = subprocess.run(_command(script, node), env=variables, capture_output=True, text=True, timeout=200)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"cell"')]
    print(ran.stderr)
    assert lines
    return {line["cell"]: line.get("value") for line in lines}


def _command(script: str, node: Path) -> list[str]:
    if script.endswith(".py"):
        return ["uv", "run", "--quiet", "--exclude-newer", BEFORE, "--script", str(SCRIPTS / script)]
    return ["node", "--experimental-websocket", str(node / script)]


def _holds(cell: str, value: Any, weather: str, asked_last: str) -> bool:
    if value is None:
        return False
    match cell:
        case "text":
            return "blue heron" in value
        case "stream":
            return len(value) > 1
        case "tools":
            return weather in value
        case "structured":
            return {name: type(each) for name, each in value.items()} == {"name": str, "population": int}
        case _:  # the model was shown the first turn before the second
            return bool(re.search(r"My name is Ada.*What is my name", asked_last))

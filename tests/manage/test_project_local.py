"""What `dev` does with the file: it follows it, and removes only what the file had declared."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.project.entries import SECTIONS
from openresponses_dev.manage.project.local import apply_locally
from openresponses_dev.manage.project.state import state_of
from tests.manage.conftest import run
from tests.manage.project_examples import FILES, VARIABLES, WHOLE

pytestmark = pytest.mark.xdist_group("manage")


@pytest.fixture
def project(tmp_path: Path, deployment: Deployment) -> Path:
    """A folder whose variables are in `.env`."""
    for name, content in {**FILES, ".env": "".join(f"{name}={value}\n" for name, value in VARIABLES.items())}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    write(tmp_path, WHOLE)
    return tmp_path


def write(folder: Path, toml: str) -> None:
    (folder / "openresponses.toml").write_text(toml)


def applied(folder: Path, origin: str) -> list[str]:
    """What is said."""
    said: list[str] = []
    apply_locally(folder, origin, said.append)
    return said


def places(origin: str) -> set[str]:
    return {str(entry) for entry in state_of(deployment_at(Where(local=origin)), SECTIONS, ()).found}


def test_it_follows_the_file_and_leaves_what_was_set_by_command(project: Path, origin: str) -> None:
    for words in (
        ("models", "alias", "mine", "offline/demo"),
        ("keys", "create", "--tenant", "default", "--name", "own"),
    ):
        assert run(*words, "--local", origin).status == 0
    said = applied(project, origin)
    assert len(said) == 13
    assert "+ providers.openai" in said
    assert [each.partition(": or_")[0] for each in said if ": or_" in each] == [
        "+ keys.app: a new key, shown only now",
        "+ keys.partner of tenant acme: a new key, shown only now",
    ]
    assert [value for value in VARIABLES.values() if value in "".join(said)] == []
    assert applied(project, origin) == [], "nothing is said where nothing changed"
    write(project, WHOLE.replace("[mcp.docs]", "[mcp.handbook]").replace("retries = 1", "retries = 2"))
    assert applied(project, origin) == ["~ providers.mine", "+ mcp.handbook", "- mcp.docs"]
    write(project, '[aliases]\nfast = ["offline/demo"]\n')
    gone = applied(project, origin)
    assert "~ aliases.fast" in gone
    assert {each for each in gone if each[0] == "-"} > {"- providers.openai", "- mcp.handbook", "- tools.weather"}
    assert places(origin) == {"aliases.fast", "aliases.mine", "keys.own"}
    assert run("models", "remove", "mine", "--local", origin).status == 0


def test_what_lacks_a_variable_is_left_out_and_stays_as_it_was(project: Path, origin: str) -> None:
    some = [f"{name}={VARIABLES[name]}\n" for name in ("MINE", "DOCS_TOKEN")]
    (project / ".env").write_text("".join(some))
    said = applied(project, origin)
    missing = "is set neither in the environment nor in .env"
    assert said[:2] == [
        f"warning: providers.openai is left out: $OPENAI_API_KEY {missing}",
        f"warning: tools.web_search is left out: $BRAVE_API_KEY {missing}",
    ]
    assert {"providers.mine", "mcp.docs", "aliases.fast"} < places(origin)
    assert not {"providers.openai", "tools.web_search"} & places(origin)
    (project / ".env").write_text("".join(f"{name}={value}\n" for name, value in VARIABLES.items()))
    assert applied(project, origin) == ["+ providers.openai", "+ tools.web_search"]
    (project / ".env").unlink()
    assert len([each for each in applied(project, origin) if each.startswith("warning")]) == 4
    assert "providers.openai" in places(origin), "what is left out is not removed"
    write(project, "")
    assert "- providers.openai" in applied(project, origin), "it was declared all the time"


def test_a_wrong_file_changes_nothing_and_tells_each_mistake(project: Path, origin: str) -> None:
    before = places(origin)
    write(project, '[provders]\n[aliases]\nfast = "a/b"\nother = ["offline/demo"]\n')
    with pytest.raises(Problem, match="2 mistakes") as raised:
        applied(project, origin)
    assert [each.partition(":")[0] for each in raised.value.details] == ["provders", "aliases.fast"]
    assert places(origin) == before
    (project / "openresponses.toml").unlink()
    with pytest.raises(Problem, match="there is no file"):
        applied(project, origin)
    write(project, "")
    with pytest.raises(Problem, match="no local cloud answers at"):
        applied(project, "http://127.0.0.1:9")


@pytest.mark.parametrize("kept", ["", "[]", '{"declared": 5}', '{"declared": [["nothing", "", "x"], ["aliases"]]}'])
def test_what_was_kept_and_is_of_no_use_removes_nothing(project: Path, origin: str, kept: str) -> None:
    write(project, '[aliases]\nfast = ["offline/demo"]\n')
    applied(project, origin)
    (project / ".openresponses/applied.json").write_text(kept)
    write(project, "[aliases]\n")
    assert applied(project, origin) == []
    assert "aliases.fast" in places(origin)
    assert run("models", "remove", "fast", "--local", origin).status == 0


def test_what_was_done_before_a_kill_is_known_to_be_the_files(project: Path, origin: str) -> None:
    write(project, '[aliases]\none = ["offline/demo"]\ntwo = ["offline/demo"]\n')

    class Killed(BaseException):
        pass

    def die(line: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        apply_locally(project, origin, die)
    assert {"aliases.one", "aliases.two"} & places(origin) == {"aliases.one"}
    write(project, "[aliases]\n")
    assert applied(project, origin) == ["- aliases.one"]
    kept = project / ".openresponses/applied.json"
    assert json.loads(kept.read_text()) == {"declared": []}
    assert os.stat(kept).st_mode & 0o077 == 0

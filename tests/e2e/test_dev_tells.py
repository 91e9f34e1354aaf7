"""`openresponses dev` in a project tells what happened, and follows what its user changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AuthenticationError, InternalServerError, OpenAI

from tests.local.local_project import PATIENCE, ROOT, environment

pytestmark = pytest.mark.xdist_group("dev-tells")  # one `dev`, which the first test mends
COMMAND = [str(Path(sys.executable).parent / "openresponses"), "dev"]
STARTER = ROOT / "infra/openresponses_dev/manage/starter"
LONG = "[[turns 3]] [[slow 60ms]] [[words 30]] " + '[[call calculator {"expression": "15 * 37"}]]'
CALCULATOR: Any = [{"type": "serverless:calculator"}]
LOOKUP: Any = [{"type": "serverless:lookup"}]
ASKS = '[[call lookup {"word": "no"}]]'
UNUSABLE = "def unusable(word) -> str:\n    return word\n"
RAISES = '''"""A tool."""

WORDS = {"yes": "no"}


def lookup(word: str) -> str:
    """Look it up."""
    return WORDS[word]
'''


class Dev:
    """In a project with the starter's template and one tool."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.clients = folder, folder / "dev.log", list[OpenAI]()
        self.template, self.tool = folder / "template.yaml", folder / "tools/lookup.py"
        self.tool.parent.mkdir()
        self.tool.write_text(RAISES)
        (folder / "tools/unusable.py").write_text(UNUSABLE)
        text = (STARTER / "template.yaml").read_text()
        self.template.write_text(text.replace(".venv/share/openresponses/template.yaml", str(ROOT / "template.yaml")))
        (folder / "openresponses.toml").write_text('[aliases]\nfast = ["offline/demo"]\n')
        words = [*COMMAND, "--port", "0", "--log-file", str(self.log)]
        self.errors = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=folder, env=environment()
        )
        assert self.process.stdout
        lines = [self.process.stdout.readline().removeprefix("export ").strip() for _ in range(2)]
        told = dict(line.split("=", 1) for line in lines)
        self.url, self.key = told["OPENAI_BASE_URL"], told["OPENAI_API_KEY"]

    def client(self, key: str = "", retries: int = 0) -> OpenAI:
        client = OpenAI(base_url=self.url, api_key=key or self.key, max_retries=retries, timeout=PATIENCE)
        self.clients.append(client)
        return client

    def get(self, path: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx2.get(self.url.removesuffix("/v1") + path, headers=headers, timeout=PATIENCE).json()

    def console(self) -> dict[str, Any]:
        return self.get("/_local/console.json")

    def shown(self) -> str:
        return (self.folder / "stderr").read_text()

    def until_shown(self, text: str) -> None:
        until(lambda: text in self.shown(), lambda: f"{text!r} is not in\n{self.shown()}")


def until(condition: Callable[[], object], why: Callable[[], str] = lambda: "it did not happen") -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    dev = Dev(tmp_path_factory.mktemp("project"))
    try:
        yield dev
        dev.process.send_signal(signal.SIGTERM)
        assert dev.process.wait(PATIENCE) == 0
    finally:
        dev.process.kill()
        dev.process.wait()
        dev.errors.close()
        for client in dev.clients:
            client.close()
        assert dev.process.stdout
        dev.process.stdout.close()


def test_a_wrong_key_is_one_line_without_the_key(dev: Dev) -> None:
    wrong = f"{dev.key[:-3]}abc"
    with pytest.raises(AuthenticationError):
        dev.client(wrong).models.list()
    dev.until_shown("a wrong key: ")
    lines = [line for line in dev.shown().splitlines() if "Authorizer" in line or "wrong key" in line]
    key_id = dev.key.split("_")[1]
    assert len(lines) == 1
    assert lines[0].endswith(f"GET /v1/models  401  a wrong key: or_{key_id}_... (wrong secret)")
    assert wrong not in dev.shown()
    assert wrong.split("_")[2] not in dev.log.read_text()


def test_a_tool_that_was_wrong_before_is_told_at_the_start(dev: Dev) -> None:
    dev.until_shown("tool unusable can't be used: TypeError at tools/unusable.py:1: ")
    (problem,) = dev.console()["problems"]
    assert problem["kind"] == "tool"
    (dev.folder / "tools/unusable.py").unlink()
    dev.until_shown("unusable.py is gone, reloading")
    until(lambda: not dev.console()["problems"])


def test_a_tool_that_is_wrong_is_told_with_its_line(dev: Dev) -> None:
    client = dev.client()
    response: Any = client.responses.create(model="offline/demo", input=ASKS, tools=LOOKUP)
    assert [item.status for item in response.output if item.type == "serverless:lookup"] == ["failed"]
    dev.until_shown("tool lookup raised KeyError at tools/lookup.py:8: 'no'")
    dev.until_shown("return WORDS[word]")
    (problem,) = dev.console()["problems"]
    assert problem["kind"] == "tool"
    begin, place, *_ = problem["text"].splitlines()
    assert (begin, place) == ("Traceback (most recent call last):", f'  File "{dev.tool}", line 8, in lookup')

    dev.tool.write_text(RAISES.replace("return", "return ("))  # nobody has to call it
    dev.until_shown("lookup.py changed, reloading")
    dev.until_shown("tool lookup can't be used: SyntaxError at tools/lookup.py:8: '(' was never closed")
    with pytest.raises(InternalServerError, match=r"'lookup' can't be used: SyntaxError at tools/lookup.py:8"):
        client.responses.create(model="offline/demo", input=ASKS, tools=LOOKUP)
    assert client.responses.create(model="offline/demo", input="Hello", tools=CALCULATOR).status == "completed"

    dev.tool.write_text(RAISES.replace("word: str", "word"))
    dev.until_shown("tool lookup can't be used: TypeError at tools/lookup.py:6: ")
    dev.tool.write_text(RAISES.replace("[word]", ".get(word, 'none')"))
    until(lambda: not dev.console()["problems"])
    mended: Any = client.responses.create(model="offline/demo", input=ASKS, tools=LOOKUP)
    assert [item.output for item in mended.output if item.type == "serverless:lookup"] == ["none"]


def test_the_projects_file_is_followed_and_what_is_wrong_with_it_is_said(dev: Dev) -> None:
    client, file = dev.client(), dev.folder / "openresponses.toml"
    assert client.responses.create(model="fast", input="Hello").status == "completed"
    file.write_text("[aliasses]\n")
    until(lambda: [each["kind"] for each in dev.console()["problems"]] == ["project"])
    assert client.responses.create(model="fast", input="Hello").status == "completed"
    file.write_text('[aliases]\nquick = ["offline/demo"]\n')
    until(lambda: "quick" in [each.id for each in client.models.list().data])
    until(lambda: not dev.console()["problems"])


def test_a_template_that_changes_is_run_and_one_that_is_wrong_is_not(dev: Dev) -> None:
    client, right = dev.client(), dev.template.read_text()
    (dev.folder / "openresponses.toml").write_text('[aliases]\nlasting = ["offline/demo"]\n')
    until(lambda: "lasting" in [each.id for each in client.models.list().data])
    stored = client.responses.create(model="offline/demo", input="Hello")
    assert dev.get("/_local.json")["websocket_base_url"] != ""
    dev.template.write_text(right.replace("ContentUri: tools/", "ContentUri: {tools"))
    dev.until_shown("changed, and is wrong: ")
    assert [each["kind"] for each in dev.console()["problems"]] == ["template"]
    assert client.responses.retrieve(stored.id) == stored

    going_on = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, background=True)
    changed = right.replace("# Others are", "WebSocket: 'false'\n        # Others are")
    beside = dev.template.with_suffix(".new")
    beside.write_text(changed)
    os.replace(beside, dev.template)  # as an editor does
    dev.until_shown("template.yaml changed: the local cloud starts anew")
    patient = dev.client(retries=5)
    assert patient.responses.retrieve(stored.id) == stored  # who asks meanwhile waits, or is told to come again
    dev.until_shown("template.yaml runs, after ")
    until(lambda: client.responses.retrieve(going_on.id).status == "completed")
    assert client.responses.create(model="lasting", input="Hello").status == "completed"
    assert dev.get("/_local.json")["websocket_base_url"] == ""
    assert dev.console()["problems"] == []


def test_a_second_one_says_which_one_runs(dev: Dev, tmp_path: Path) -> None:
    port = dev.url.rpartition(":")[2].removesuffix("/v1")
    taken = f"openresponses: port {port} is taken by the openresponses dev that runs in {dev.folder} "
    here = "openresponses: another openresponses dev runs here, and keeps its state in "
    for folder, option, said in ((tmp_path, port, taken), (dev.folder, "0", here)):
        words = [*COMMAND, "--port", option]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment(), timeout=PATIENCE)
        assert done.returncode == 2
        assert done.stderr.startswith(said)
        assert f"process {dev.process.pid}" in done.stderr
        assert f"export OPENAI_BASE_URL={dev.url}" in done.stderr
        assert dev.key not in done.stderr

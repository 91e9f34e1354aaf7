"""`openresponses dev` goes on with what the one before it left, however that one ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest
from openai import AuthenticationError, NotFoundError, OpenAI

from openresponses_dev.cli.cli import app
from openresponses_dev.local.kept import Kept, Key, Row
from openresponses_dev.local.private_folder import PrivateFolder, read_private
from openresponses_dev.local.status_page import JSON_PATH
from openresponses_dev.manage.problems import Problem
from tests.local.local_project import PATIENCE, environment
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("restart")
OPENRESPONSES = str(Path(sys.executable).parent / "openresponses")
CALCULATOR: Any = [{"type": "serverless:calculator"}]
LONG = "[[turns 3]] [[slow 60ms]] [[words 30]] " + '[[call calculator {"expression": "15 * 37"}]]'
REFUND: Any = [{"type": "serverless:refund"}]
REFUNDS = "[[parallel 2]] " + " ".join(f'[[call refund {{"order": "a", "amount": {n}}}]]' for n in (5, 6))
WITH_TOOL = ("--parameter", "ExampleTool=true")
OVER = ("completed", "incomplete", "failed", "cancelled")


@dataclass
class Dev:
    folder: Path
    base_url: str
    key: str
    keeps: str
    """What it says that it found."""

    def client(self, key: str = "") -> OpenAI:
        return OpenAI(base_url=self.base_url, api_key=key or self.key, max_retries=0, timeout=PATIENCE)

    def asked(self) -> dict[str, str]:
        """The token of each refund that somebody was asked for, by its amount."""
        found = re.findall(
            r"A refund of (\d+) for.*?tools answer (\S+) --output", (self.folder / "log").read_text(), re.S
        )
        return dict(found)

    def services(self, name: str) -> Any:
        port = self.base_url.removesuffix("/v1").rpartition(":")[2]
        access = read_private(Path(f"{self.folder}/.openresponses/{port}.json"))
        names = {"AWS_ENDPOINT_URL": "endpoint_url", "AWS_ACCESS_KEY_ID": "aws_access_key_id"}
        names |= {"AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
        return boto3.client(
            name, region_name="us-east-1", **{names[each]: value for each, value in access.items() if each in names}
        )

    def command(self, *words: str) -> str:
        """What it prints."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert app([*words, "--local", self.base_url], result_action="return_value") == 0
        return printed.getvalue().strip()


@contextlib.contextmanager
def dev(folder: Path, *options: str, ends: signal.Signals = signal.SIGTERM) -> Iterator[Dev]:
    command = [OPENRESPONSES, "dev", "--port", "0", "--no-reload", "--log-file", str(folder / "log"), *options]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        assert process.stdout
        try:
            told = {}
            for line in process.stdout:
                name, _, value = line.removeprefix("export ").strip().partition("=" if "export" in line else ":")
                told[name] = value.strip()
                if name == "# What it keeps":
                    break
            yield Dev(folder, told["OPENAI_BASE_URL"], told["OPENAI_API_KEY"], told["# What it keeps"])
            process.send_signal(ends)
            process.wait(PATIENCE)
        finally:
            process.kill()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def finished(client: OpenAI, response_id: str, tool: str) -> tuple[str, list[str]]:
    """Its status, and what the tool answered, once it is over."""
    until(lambda: client.responses.retrieve(response_id).status in OVER)
    response: Any = client.responses.retrieve(response_id)
    return response.status, [item.output for item in response.output if item.type == f"serverless:{tool}"]


@pytest.mark.timeout(300)  # two servers, each killed and started again
def test_what_was_there_is_there_again_and_what_was_in_progress_goes_on(
    tmp_path_factory: pytest.TempPathFactory, sweep: Sweep
) -> None:
    for ends in sweep.sample([signal.SIGKILL, signal.SIGTERM], 1):
        _restart(tmp_path_factory.mktemp("restart"), ends)


def _restart(folder: Path, ends: signal.Signals) -> None:
    large = os.urandom(300_000).hex()  # too large for an item of the table
    with dev(folder, "--alias", "quick=offline/demo", *WITH_TOOL, ends=ends) as first:
        client = first.client()
        conversation = client.conversations.create(items=[{"role": "user", "content": "My name is Ada."}])
        said = client.responses.create(model="quick", input="Hello", conversation=conversation.id)
        stored = client.responses.create(model="quick", input=large)
        key = first.command("keys", "create", "--tenant", "other")
        revoked = first.command("keys", "create", "--tenant", "other")
        first.command("keys", "revoke", revoked)
        first.command("models", "alias", "fast", "offline/demo")
        settings = json.dumps({"dialect": "openai_responses", "api_key": "sk-kept"})
        prefix = httpx2.get(first.base_url.replace("/v1", JSON_PATH)).json()["prefix"]
        first.services("ssm").put_parameter(Name=f"{prefix}/providers/openai", Value=settings, Type="SecureString")
        parked = client.responses.create(model="offline/demo", input=REFUNDS, tools=REFUND, background=True)
        until(lambda: len(first.asked()) == 2)
        loop = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, background=True)
        stream = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, stream=True)
        inline = next(iter(stream)).response.id  # type: ignore[union-attr]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / ".openresponses").iterdir()}
    assert {*modes.values()} == {0o600}, modes

    with dev(folder, *WITH_TOOL) as second:
        command = [OPENRESPONSES, "dev", "--port", "0", "--fresh"]
        refused = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment())
        assert refused.returncode == 2
        assert refused.stderr.startswith("openresponses: another openresponses dev runs here, and keeps its state in ")
        client = second.client()
        assert second.key == first.key
        counts = "3 keys, 1 provider, 1 alias, 5 responses, 1 conversation, 3 of them in progress"
        assert second.keeps == f"{folder}/.openresponses/kept.sqlite: {counts}; --fresh forgets it"
        _answer(second, first.asked())
        assert client.responses.retrieve(stored.id) == stored
        assert client.responses.input_items.list(stored.id).data[0].content[0].text == large  # type: ignore[union-attr]
        client.responses.create(model="fast", input="And?", previous_response_id=said.id)
        client.responses.create(model="fast", input="Bye", conversation=conversation.id)
        assert len(client.conversations.items.list(conversation.id, limit=100).data) == 5
        assert second.client(key).responses.create(model="fast", input="Hello").status == "completed"
        with pytest.raises(AuthenticationError):
            second.client(revoked).responses.create(model="fast", input="Hello")
        with pytest.raises(NotFoundError):
            client.responses.create(model="quick", input="An option holds for one run.")
        assert "openai" in second.command("providers", "list")
        for each in (loop.id, inline):
            assert finished(client, each, "calculator") == ("completed", ["555"] * 3)
        assert finished(client, parked.id, "refund") == ("completed", ["Approved 5", "Approved 6"])


def _answer(dev: Dev, asked: dict[str, str]) -> None:
    """With the tokens of before, once each."""
    for amount in ("6", "5"):
        dev.command("tools", "answer", asked[amount], "--output", f"Approved {amount}")
    for token in asked.values():
        with pytest.raises(Problem, match="this call waits no more"):
            dev.command("tools", "answer", token, "--output", "Again")
    # Who was asked just as it ended may be asked once more, and by the same token.
    assert dev.asked() == asked


def test_fresh_forgets_what_was_kept(tmp_path: Path) -> None:
    kept = Kept(PrivateFolder(tmp_path), now=0, say=print)
    kept.write([Row(Key("parameter", "", "/a"), "{}")])
    kept.close()
    command = [OPENRESPONSES, "dev", "--port", "0", "--template", "nowhere.yaml"]
    for options, left in ((["--keep-nothing", "--fresh"], 1), (["--fresh"], 0)):
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, env=environment())
        assert "nowhere.yaml" in done.stderr
        kept = Kept(PrivateFolder(tmp_path), now=0, say=print)
        assert len([*kept.rows()]) == left
        kept.close()

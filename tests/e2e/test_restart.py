"""`openresponses dev` goes on with what the one before it left, however that one ended."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import AuthenticationError, NotFoundError, OpenAI

from tests.local.local_project import PATIENCE, environment

pytestmark = pytest.mark.xdist_group("restart")
OPENRESPONSES = str(Path(sys.executable).parent / "openresponses")
CALCULATOR: Any = [{"type": "serverless:calculator"}]
LONG = "[[turns 3]] [[slow 60ms]] [[words 12]] " + '[[call calculator {"expression": "15 * 37"}]]'
OVER = ("completed", "incomplete", "failed", "cancelled")


@dataclass
class Dev:
    process: subprocess.Popen[str]
    base_url: str
    key: str
    keeps: str
    """What it says that it found."""

    def client(self, key: str = "") -> OpenAI:
        return OpenAI(base_url=self.base_url, api_key=key or self.key, max_retries=0, timeout=PATIENCE)

    def command(self, *words: str, stdin: str = "") -> str:
        command = [OPENRESPONSES, *words, "--local", self.base_url]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, env=environment())
        return done.stdout.strip()


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
            yield Dev(process, told["OPENAI_BASE_URL"], told["OPENAI_API_KEY"], told["# What it keeps"])
            process.send_signal(ends)
            process.wait(PATIENCE)
        finally:
            process.kill()


def finished(client: OpenAI, response_id: str) -> Any:
    until = time.monotonic() + PATIENCE
    while (response := client.responses.retrieve(response_id)).status not in OVER:
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.1)
    return response


def outputs(response: Any) -> list[str]:
    return [item.output for item in response.output if item.type == "serverless:calculator"]


@pytest.mark.parametrize("ends", [signal.SIGKILL, signal.SIGTERM])
def test_everything_is_there_again_and_what_was_in_progress_goes_on(tmp_path: Path, ends: signal.Signals) -> None:
    large = os.urandom(300_000).hex()  # too large for an item of the table
    with dev(tmp_path, ends=ends) as first:
        client = first.client()
        conversation = client.conversations.create(items=[{"role": "user", "content": "My name is Ada."}])
        said = client.responses.create(model="offline/demo", input="Hello", conversation=conversation.id)
        stored = client.responses.create(model="offline/demo", input=large)
        key = first.command("keys", "create", "--tenant", "other")
        revoked = first.command("keys", "create", "--tenant", "other")
        first.command("keys", "revoke", revoked)
        first.command("models", "alias", "fast", "offline/demo")
        first.command("providers", "set", "openai", stdin="sk-kept\n")
        loop = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, background=True)
        stream = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, stream=True)
        inline = next(iter(stream)).response.id  # type: ignore[union-attr]
        before = stored.to_dict(warnings=False)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / ".openresponses").iterdir()}
    assert {*modes.values()} == {0o600}, modes

    with dev(tmp_path) as second:
        client = second.client()
        assert second.key == first.key
        assert "3 keys, 1 provider, 1 alias, 4 responses, 1 conversation, 2 of them in progress" in second.keeps
        assert client.responses.retrieve(stored.id).to_dict(warnings=False) == before
        assert client.responses.input_items.list(stored.id).data[0].content[0].text == large  # type: ignore[union-attr]
        after = client.responses.create(model="fast", input="And?", previous_response_id=said.id)
        assert after.status == "completed"
        client.responses.create(model="fast", input="Bye", conversation=conversation.id)
        assert len(client.conversations.items.list(conversation.id, limit=100).data) == 5
        assert second.client(key).responses.create(model="fast", input="Hello").status == "completed"
        with pytest.raises(AuthenticationError):
            second.client(revoked).responses.create(model="fast", input="Hello")
        assert "openai" in second.command("providers", "list")
        for each in (loop.id, inline):
            response = finished(client, each)
            assert (response.status, outputs(response)) == ("completed", ["555"] * 3)


def test_fresh_forgets_and_keep_nothing_leaves_it_alone(tmp_path: Path) -> None:
    with dev(tmp_path) as first:
        made = first.client().responses.create(model="offline/demo", input="Hello")
        refused = subprocess.run(
            [OPENRESPONSES, "dev", "--port", "0", "--fresh"], cwd=tmp_path, capture_output=True, text=True
        )
        assert refused.returncode == 2
        assert "another openresponses dev runs here" in refused.stderr
        assert first.client().responses.retrieve(made.id).id == made.id
    with dev(tmp_path, "--fresh") as second:
        assert second.keeps.endswith("nothing yet; --fresh forgets it")
        assert second.key != first.key
        with pytest.raises(AuthenticationError):
            second.client(first.key).responses.retrieve(made.id)
        with pytest.raises(NotFoundError):
            second.client().responses.retrieve(made.id)

"""`openresponses dev` goes on with what the one before it left, however that one ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
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

from openresponses.client_keys import new_token
from openresponses_dev.cli.cli import app
from openresponses_dev.local.kept import Kept, Key, Row
from openresponses_dev.local.private_folder import PrivateFolder, read_private
from openresponses_dev.local.status_page import JSON_PATH
from tests.local.local_project import PATIENCE, ROOT, environment
from tests.sweeps import Sweep

pytestmark = pytest.mark.xdist_group("restart")
OPENRESPONSES = str(Path(sys.executable).parent / "openresponses")
CALCULATOR: Any = [{"type": "serverless:calculator"}]
LONG = "[[turns 3]] [[slow 60ms]] [[words 12]] " + '[[call calculator {"expression": "15 * 37"}]]'
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

    def services(self, name: str) -> Any:
        port = self.base_url.removesuffix("/v1").rpartition(":")[2]
        access = read_private(Path(f"{self.folder}/.openresponses/{port}.json"))
        names = {"AWS_ENDPOINT_URL": "endpoint_url", "AWS_ACCESS_KEY_ID": "aws_access_key_id"}
        names |= {"AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
        return boto3.client(name, region_name="us-east-1", **{names[each]: value for each, value in access.items()})

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


def finished(client: OpenAI, response_id: str) -> Any:
    until(lambda: client.responses.retrieve(response_id).status in OVER)
    return client.responses.retrieve(response_id)


def outputs(response: Any) -> list[str]:
    return [item.output for item in response.output if item.type == "serverless:calculator"]


def endings(sweep: Sweep) -> list[signal.Signals]:
    return sweep.sample([signal.SIGKILL, signal.SIGTERM], 1)


def test_everything_is_there_again_and_what_was_in_progress_goes_on(
    tmp_path_factory: pytest.TempPathFactory, sweep: Sweep
) -> None:
    for ends in endings(sweep):
        _restart(tmp_path_factory.mktemp("restart"), ends)


def _restart(tmp_path: Path, ends: signal.Signals) -> None:
    large = os.urandom(300_000).hex()  # too large for an item of the table
    with dev(tmp_path, "--alias", "quick=offline/demo", ends=ends) as first:
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
        loop = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, background=True)
        stream = client.responses.create(model="offline/demo", input=LONG, tools=CALCULATOR, stream=True)
        inline = next(iter(stream)).response.id  # type: ignore[union-attr]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / ".openresponses").iterdir()}
    assert {*modes.values()} == {0o600}, modes

    with dev(tmp_path) as second:
        client = second.client()
        assert second.key == first.key
        counts = "3 keys, 1 provider, 1 alias, 4 responses, 1 conversation, 2 of them in progress"
        assert second.keeps == f"{tmp_path}/.openresponses/kept.sqlite: {counts}; --fresh forgets it"
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
            response = finished(client, each)
            assert (response.status, outputs(response)) == ("completed", ["555"] * 3)


TOOL = """\
Resources:
  RefundFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub ${AWS::StackName}_tool_refund
      CodeUri: refund/
      Handler: app.handler
      Runtime: python3.13

  RefundParameter:
    Type: AWS::SSM::Parameter
    Properties:
      Name: !Sub /openresponses/${AWS::StackName}/tools/refund
      Type: String
      Value: !Sub '{"function": "${RefundFunction.Arn}", "answers": "later", "timeout": 3600}'

"""
CODE = """\
import json, os

def handler(event, context):
    with open(os.environ["ASKED"], "a") as asked:
        asked.write(json.dumps(event) + "\\n")
"""


def project_in(tmp_path: Path) -> Path:
    """A copy of the project with a tool that answers later: somebody reads what it was asked in the file `asked`."""
    for name in ("functions", "infra"):
        (tmp_path / name).symlink_to(ROOT / name)
    template = (ROOT / "template.yaml").read_text().replace("\nResources:\n", f"\n{TOOL}")
    (tmp_path / "template.yaml").write_text(template)
    (tmp_path / "refund").mkdir()
    (tmp_path / "refund/app.py").write_text(CODE)
    return tmp_path


def test_a_tool_answers_after_the_sandbox_died_and_dev_restarted(
    tmp_path_factory: pytest.TempPathFactory, sweep: Sweep
) -> None:
    for ends in endings(sweep):
        _restart_parked(project_in(tmp_path_factory.mktemp("parked")), ends)


def _restart_parked(project: Path, ends: signal.Signals) -> None:
    asked, options = project / "asked", ("--env", f"ASKED={project / 'asked'}")
    ask = '[[parallel 2]] [[call refund {"amount": 5}]] [[call refund {"amount": 6}]]'
    with dev(project, *options, ends=ends) as first:
        tools: Any = [{"type": "serverless:refund"}]
        waiting = first.client().responses.create(model="offline/demo", input=ask, tools=tools, background=True)
        until(lambda: asked.exists() and asked.read_text().count("\n") == 2)
    tokens = {
        each["arguments"]["amount"]: each["task_token"] for each in map(json.loads, asked.read_text().splitlines())
    }

    with dev(project, *options) as second:
        assert "1 response, 1 of them in progress" in second.keeps
        client = second.services("stepfunctions")
        client.send_task_success(taskToken=tokens[6], output='"six"')
        client.send_task_success(taskToken=tokens[5], output='"five"')
        for token in tokens.values():
            with pytest.raises(client.exceptions.TaskTimedOut):
                client.send_task_success(taskToken=token, output='"again"')
        response = finished(second.client(), waiting.id)
        found = [item.output for item in response.output if item.type == "serverless:refund"]
        assert (response.status, found) == ("completed", ["five", "six"])
    # Who was asked just as it ended may be asked again, by the same token.
    asked_with = {
        (each["arguments"]["amount"], each["task_token"]) for each in map(json.loads, asked.read_text().splitlines())
    }
    assert asked_with == {*tokens.items()}


def test_fresh_forgets_and_another_dev_is_refused(tmp_path: Path) -> None:
    kept = Kept(PrivateFolder(tmp_path), now=0, say=print)
    token = new_token()
    kept.write([Row(Key("key", "", ""), token), Row(Key("parameter", "", "/a"), "{}")])
    kept.close()
    with dev(tmp_path, "--fresh") as running:
        assert running.keeps.endswith("kept.sqlite: nothing yet; --fresh forgets it")
        assert running.key != token
        for options in ([], ["--fresh"]):
            command = [OPENRESPONSES, "dev", "--port", "0", *options]
            refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
            assert refused.returncode == 2
            assert refused.stderr.startswith("openresponses: another openresponses dev runs here, and keeps its state")
    again = Kept(PrivateFolder(tmp_path), now=0, say=print)
    assert again.find(Key("key", "", "")) == running.key
    again.close()

"""The commands as their users run them, against one local cloud and one stack in a stand-in for AWS.

They run in this process, whose imports they share. Those in test_terminal.py are processes, as are the blocks of
README and docs.
"""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest

from openresponses_dev.cli.cli import main
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.project.difference import difference
from openresponses_dev.manage.project.doing import do
from openresponses_dev.manage.project.entries import SECTIONS
from openresponses_dev.manage.project.reading import Wanted
from openresponses_dev.manage.project.state import state_of
from tests.manage.aws_stack import REGION

OPENRESPONSES = str(Path(sys.executable).parent / "openresponses")
TENANTS = ("default", "acme")
UPSTREAM_KEY = "sk-planted-upstream-key"
_OTHERS = ("AWS_", "UV_RUN_")
_OWN = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    def rows(self) -> list[list[str]]:
        """Of what is printed in columns, without the head."""
        return [re.split(r"\s{2,}", line) for line in self.out.splitlines()[1:]]


def _command(words: tuple[str, ...]) -> None:
    try:
        main(words)
    finally:
        gc.collect()  # the end of a process closes what it left open
        gc.freeze()  # or each collection would walk through what the ones before have seen


def run(*words: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Ran:
    """One command, and nobody at a terminal. Nothing secret may be among the words."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        patch.dict(os.environ, {**_OWN, **(env or {})}, clear=True),
        patch.multiple(sys, stdin=StringIO(stdin), stdout=out, stderr=err),
        patch.object(boto3, "DEFAULT_SESSION", None),  # it keeps the credentials of the command before
        warnings.catch_warnings(action="ignore", category=ResourceWarning),
        pytest.raises(SystemExit) as ended,
    ):
        _command(words)
    texts: list[str] = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return Ran(int(ended.value.code or 0), *texts)


Run = Callable[..., Ran]


@dataclass(frozen=True)
class Cloud:
    """`run` says `--local` and its address."""

    origin: str
    api_key: str
    upstream: str

    @property
    def flags(self) -> str:
        """What names it in a command that is printed."""
        return f"--local {self.origin.rpartition(':')[2]}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def run(self, *words: str, stdin: str = "") -> Ran:
        return run(*words, "--local", self.origin, stdin=stdin)


@dataclass(frozen=True)
class Aws:
    endpoint: str
    users: Mapping[str, Mapping[str, str]]

    def run(self, *words: str, stdin: str = "", user: str = "admin") -> Ran:
        return run(*words, stdin=stdin, env=self.environment(user))

    def environment(self, user: str) -> dict[str, str]:
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        where = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}
        return {**where, **nowhere, **self.users.get(user, {})}


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """A model provider that takes one key."""
    with _process("-m", "tests.fakes.chat_completions", "--api-key", UPSTREAM_KEY) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="session")
def cloud(upstream: str) -> Iterator[Cloud]:
    seconds = ("--parameter", "ConfigSeconds=1", "--parameter", "AuthorizerSeconds=1")
    command = [OPENRESPONSES, "dev", "--port", "0", "--no-reload", "--keep-nothing", *seconds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        base_url, key = (re.sub(r"export \w+=", "", process.stdout.readline().strip()) for _ in range(2))
        yield Cloud(base_url.removesuffix("/v1"), key, upstream)
        process.send_signal(signal.SIGINT)


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a local cloud that others set nothing up in: a project's file may remove whatever is there."""
    command = [OPENRESPONSES, "dev", "--port", "0", "--no-reload", "--keep-nothing"]
    folder = tmp_path_factory.mktemp("project")
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield re.sub(r"export \w+=|/v1$", "", process.stdout.readline().strip())
        process.send_signal(signal.SIGINT)


@pytest.fixture
def deployment(origin: str) -> Deployment:
    """Where nothing is set up."""
    deployment, now = deployment_at(Where(local=origin)), time.time()
    everything = state_of(deployment, SECTIONS, TENANTS)
    do(deployment, difference(everything, Wanted(frozenset(SECTIONS), {}), now), lambda change, token: None)
    return deployment


@pytest.fixture(scope="session")
def aws(cloud: Cloud) -> Iterator[Aws]:
    """Its stack's endpoint is the local cloud's."""
    with _process("-m", "tests.manage.aws_stack", cloud.base_url) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        yield Aws(told["endpoint"], told["users"])
        process.terminate()


def _process(*arguments: str) -> subprocess.Popen[str]:
    environment = {**_OWN, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)

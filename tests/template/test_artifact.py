"""The artifact that `sam build` makes, built by the same makefile for this machine, and run as Lambda would."""

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import distributions
from pathlib import Path

import pytest

from openresponses_dev.local.sandbox.environment import NO_AWS
from openresponses_dev.local.sandbox.runtime_api import RuntimeApi
from tests.template.building import INTERPRETER, make
from tests.template.image import NAMESPACE
from tests.template.reading import ROOT, Json

ARN = "arn:aws:lambda:us-east-1:123456789012:function:ApiFunction"

TOOL = '''
from markupsafe import escape


def escaped(text: str) -> str:
    """Escape a text for HTML."""
    return f"{escape(text)}, by {__name__}"
'''

pytestmark = [pytest.mark.artifact, pytest.mark.timeout(300), pytest.mark.xdist_group("artifact")]


def environment(artifact: Path, source: Json, runtime_api: str) -> dict[str, str]:
    """The variables of a sandbox: Lambda's own, and the template's with its defaults, but nothing of AWS."""
    function = source["Resources"]["ApiFunction"]["Properties"]
    values = {name: str(parameter.get("Default", "")) for name, parameter in source["Parameters"].items()}
    declared = {
        name: values.get(value.get("Ref"), "") if isinstance(value, dict) else value
        for name, value in function["Environment"]["Variables"].items()
    }
    return (
        declared
        | NO_AWS
        | {
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(artifact),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "_HANDLER": function["Handler"],
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_LAMBDA_FUNCTION_NAME": "ApiFunction",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    )


@asynccontextmanager
async def sandbox(artifact: Path, source: Json, layer: Path | None = None) -> AsyncIterator[RuntimeApi]:
    """The function behind its Runtime API, started by the wrapper as Lambda starts it. A layer is at /opt."""
    api = RuntimeApi()
    variables = environment(artifact, source, await api.start())
    wrapper = variables["AWS_LAMBDA_EXEC_WRAPPER"].replace("/var/task", str(artifact))
    mounted = [*NAMESPACE, "sh", "-euc", 'mount --bind "$0" /opt && exec "$@"', str(layer)] if layer else []
    tools = {"OPENRESPONSES_TOOLS": "/opt/python/tools"} if layer else {}
    command = [*mounted, wrapper, str(INTERPRETER), "/var/runtime/bootstrap.py"]
    process = await asyncio.create_subprocess_exec(*command, cwd=artifact, env=variables | tools)
    exited = asyncio.ensure_future(process.wait())
    exited.add_done_callback(lambda done: api.fail_all("Runtime.ExitError", f"exit status {done.result()}"))
    try:
        yield api
    finally:
        if process.returncode is None:
            process.kill()
        await exited
        await api.close()


async def answer(api: RuntimeApi, event: str, body: Json | None = None) -> tuple[Json, str]:
    """The prelude and the body of the function's answer to a file in events/, with another body or its own."""
    given = json.loads((ROOT / f"events/{event}.json").read_text())
    payload = json.dumps({**given, "body": json.dumps(body)} if body else given).encode()
    invocation = await api.invoke(payload, deadline_ms=int(time.time() * 1000) + 60_000, arn=ARN)
    async with asyncio.timeout(60):
        sent = b"".join([chunk async for chunk in invocation.chunks()])
    assert invocation.error is None
    prelude, separator, rest = sent.partition(b"\0" * 8)
    assert separator
    return json.loads(prelude), rest.decode()


def stream_of(body: str) -> list[Json]:
    return [json.loads(data) for data in re.findall(r"^data: (\{.*)$", body, re.MULTILINE)]


@pytest.mark.parametrize(
    ("event", "kinds"),
    [("responses_create_stream", ["message"]), ("responses_create_tools", ["function_call"])],
)
async def test_the_artifact_serves_a_stream(event: str, kinds: list[str], artifact: Path, source: Json) -> None:
    async with sandbox(artifact, source) as api:
        prelude, body = await answer(api, event)
    assert prelude["statusCode"] == 200
    assert prelude["headers"]["content-type"].startswith("text/event-stream")
    events = stream_of(body)
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [item["type"] for item in events[-1]["response"]["output"]] == kinds


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer of one tool, with a package that it needs and that the server does not have."""
    tools, made = tmp_path / "tools", tmp_path / "layer"
    shutil.copytree(ROOT / "infra/openresponses_dev/manage/starter/tools", tools)
    (tools / "requirements.txt").write_text("markupsafe\n")
    (tools / "escaped.py").write_text(TOOL)
    made.mkdir()
    make("ToolsLayer", made, makefile=tools / "Makefile")
    return made


async def test_the_artifact_offers_the_tools_of_a_layer(artifact: Path, source: Json, layer: Path) -> None:
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    tools = [{"type": "serverless:escaped"}]
    body = {"model": "offline/demo", "input": '[[call escaped {"text": "<b>"}]]', "tools": tools}
    async with sandbox(artifact, source, layer) as api:
        _, told = await answer(api, "responses_create", body)
    assert "The tool escaped answered: &lt;b&gt;, by tools.escaped" in told


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("health", 200),
        ("models", 200),
        ("docs", 200),
        ("openapi", 200),
        ("responses_create", 200),
        ("unknown_path", 404),
        ("responses_get", 404),
        ("responses_get_stream", 404),
        ("responses_delete", 404),
        ("responses_cancel", 404),
        ("responses_input_items", 404),
    ],
)
async def test_the_artifact_answers_every_event(event: str, status: int, artifact: Path, source: Json) -> None:
    async with sandbox(artifact, source) as api:
        prelude, body = await answer(api, event)
    assert (prelude["statusCode"], bool(body)) == (status, True)


def test_the_artifact_starts_with_an_executable_wrapper(artifact: Path) -> None:
    assert stat.S_IMODE((artifact / "bootstrap").stat().st_mode) == 0o755


def test_every_file_can_be_read_by_lambdas_user(artifact: Path) -> None:
    needed = {False: 0o444, True: 0o555}
    paths = list(artifact.rglob("*"))
    assert [path for path in paths if path.stat().st_mode & needed[path.is_dir()] != needed[path.is_dir()]] == []


def test_every_module_has_bytecode_that_is_never_checked_against_its_source(artifact: Path) -> None:
    tag = sys.implementation.cache_tag
    for module in artifact.rglob("*.py"):
        bytecode = module.parent / "__pycache__" / f"{module.stem}.{tag}.pyc"
        # https://peps.python.org/pep-0552/: bit 0 says hash-based, bit 1 says to check the source.
        assert (bytecode.name, bytecode.read_bytes()[4:8]) == (bytecode.name, b"\x01\0\0\0")


def test_the_artifact_holds_neither_tests_nor_scripts_nor_the_sdk_that_lambda_has(artifact: Path) -> None:
    names = {path.name for path in artifact.iterdir()}
    assert names & {"bin", "boto3", "botocore", "infra", "openresponses_dev", "tests", ".lock"} == set()
    assert list(artifact.rglob("tests")) == []


def test_every_distribution_lists_only_files_that_are_there(artifact: Path) -> None:
    found = list(distributions(path=[str(artifact)]))
    assert {"fastapi", "mangum", "pydantic"} <= {distribution.name for distribution in found}
    for distribution in found:
        rows = (distribution.read_text("RECORD") or "").splitlines()
        assert rows
        assert [row for row in rows if not (artifact / row.split(",")[0]).exists()] == []


PRICED = """
import importlib.util
from openresponses.prices.published import load
assert load().providers
print([each for each in ("httpx2", "httpcore2", "h11") if importlib.util.find_spec(each)])
"""


def test_prices_are_in_the_artifact_without_the_http_client_that_updates_them(artifact: Path) -> None:
    command = [INTERPRETER, "-S", "-c", PRICED]
    done = subprocess.run(command, cwd=artifact, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": "."})
    assert (done.stderr, done.stdout.strip()) == ("", "[]")


def test_the_artifact_is_far_below_lambdas_limit(artifact: Path) -> None:
    megabytes = sum(path.stat().st_size for path in artifact.rglob("*") if path.is_file()) / 2**20
    assert megabytes < 50  # of 250; a dependency that doubles the artifact should be a decision


def test_the_worker_function_gets_a_copy(artifact: Path) -> None:
    directory = artifact.parent / "WorkerFunction"
    directory.mkdir()
    assert make("WorkerFunction", directory) == ""
    copied, original = ({file.relative_to(root) for file in root.rglob("*")} for root in (directory, artifact))
    assert copied == original


def test_a_function_that_is_built_alone_is_built_in_full(tmp_path: Path) -> None:
    assert "uv export" in make("WorkerFunction", tmp_path, "--just-print")


def test_the_authorizers_artifact_is_what_it_imports_and_what_reads_tokens(tmp_path: Path) -> None:
    make("AuthorizerFunction", tmp_path)
    entry = "openresponses.entry"
    code = (
        f"import sys, {entry}.authorizer; first = {{*sys.modules}}\n"
        f"import {entry}.issuer, {entry}.jwt_tokens\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('openresponses')))\n"
        "print(*{*sys.modules} - first)\nprint(*first)\n"
        "import jwt, cryptography; print(jwt.__file__, cryptography.__file__)"
    )
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    # Its other imports are the standard library's and botocore's, which the runtime brings, and here our environment.
    imported = subprocess.run([sys.executable, "-c", code], env=variables, check=True, capture_output=True, text=True)
    ours, later, first, packages = (line.split() for line in imported.stdout.splitlines())
    assert {Path(file) for file in ours} == {*(tmp_path / "openresponses").rglob("*.py")}
    assert {"jwt", "cryptography"} <= {*later}
    assert not {"jwt", "cryptography"} & {*first}
    assert all(Path(file).is_relative_to(tmp_path) for file in packages)
    roots = {path.name for path in tmp_path.iterdir() if path.suffix not in (".dist-info", ".so")}
    assert roots == {"openresponses", "jwt", "cryptography", "cffi", "pycparser"}
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 25 * 2**20


def test_no_other_function_has_what_reads_tokens(artifact: Path) -> None:
    assert not {"jwt", "cryptography"} & {path.name for path in artifact.iterdir()}


async def test_the_state_machines_function_starts_from_the_artifact(artifact: Path, source: Json) -> None:
    """The stock runtime, in small, imports the handler; without a table that is as far as it gets."""
    handler = source["Resources"]["WorkerFunction"]["Properties"]["Handler"].rpartition(".")[0]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(artifact)}
    code = f"import {handler}"
    process = subprocess.run([INTERPRETER, "-c", code], env=variables, cwd=artifact, capture_output=True, text=True)
    assert process.stderr.splitlines()[-1].startswith("ValueError: OPENRESPONSES_TABLE")

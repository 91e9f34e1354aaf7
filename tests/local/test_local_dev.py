"""`openresponses dev` and `openresponses invoke` as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openresponses_dev.local.address import KEY_OF_EVENTS
from tests.local.local_project import PATIENCE, ROOT, environment, running

COMMAND = [sys.executable, "-m", "openresponses_dev.cli.cli"]
EVENT = {"body": '{"answer": {"statusCode": 200, "body": "hello"}}', "pathParameters": {"id": "1"}}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment() | variables
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=env, timeout=PATIENCE)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def dev(template: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The process and what it exports."""
    command = [*COMMAND, "dev", "--port", "0", "--template", str(template), *arguments]
    where = {"cwd": template.parent, "env": environment()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **where) as process:
        assert process.stdout
        try:
            lines = [process.stdout.readline().removeprefix("export ").rstrip("\n") for _ in range(2)]
            yield process, dict(line.split("=", 1) for line in lines)
        finally:
            process.kill()


def get(exports: dict[str, str], path: str) -> dict[str, object]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{exports['OPENAI_BASE_URL']}{path}", timeout=PATIENCE) as response:
        return json.load(response)


def pid_of(exports: dict[str, str]) -> int:
    pid = get(exports, "/echo")["pid"]
    assert isinstance(pid, int)
    return pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_every_sandbox(template: Path, number: signal.Signals) -> None:
    with dev(template) as (process, exports):
        pid = pid_of(exports)
        assert running(pid)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert not running(pid)


def test_sandboxes_end_when_it_is_killed(template: Path) -> None:
    with dev(template) as (process, exports):
        streaming = pid_of(exports)
        stock = get({"OPENAI_BASE_URL": exports["OPENAI_BASE_URL"].removesuffix("/v1")}, "/items/1")["pid"]
        assert isinstance(stock, int)
        process.kill()
        process.wait(PATIENCE)
        until(lambda: not running(streaming) and not running(stock))


def test_it_prints_what_clients_need_and_serves_loopback_only(template: Path) -> None:
    with dev(template, "--api-key", KEY_OF_EVENTS) as (process, exports):
        assert exports["OPENAI_API_KEY"] == KEY_OF_EVENTS
        assert exports["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
        assert exports["OPENAI_BASE_URL"].endswith("/v1")
        inodes = {os.readlink(fd) for fd in Path(f"/proc/{process.pid}/fd").iterdir() if fd.is_symlink()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
        assert listening
        assert all(address.startswith("0100007F:") for address in listening)


def test_options_reach_the_functions_and_the_log(template: Path, tmp_path: Path) -> None:
    env_file, log_file = tmp_path / "env", tmp_path / "log"
    env_file.write_text("# a comment\n\nexport A=from file\nB='quoted=value'\n")
    options = [
        "--env-file",
        str(env_file),
        "--env",
        "A=given",
        "--log-file",
        str(log_file),
        "--parameter",
        "Greeting=goodbye",
    ]
    with dev(template, *options) as (_, exports):
        env = get(exports, "/echo")["env"]
        assert isinstance(env, dict)
        assert (env["A"], env["B"], env.get("GREETING")) == ("given", "quoted=value", None)
        until(lambda: "GET /v1/echo  200  cold start" in log_file.read_text())


def test_a_port_that_is_taken_is_named(template: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("dev", "--keep-nothing", "--template", str(template), "--port", port)
    assert done.returncode == 2
    assert done.stderr == (
        f"openresponses: port {port} on 127.0.0.1 is taken by another process: "
        "choose another with --port, or --port 0 for any\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--template", "nowhere.yaml"], "nowhere.yaml: "),
        (["--env", "nonsense"], "--env nonsense: not NAME=VALUE"),
        (["--env-file", "nowhere"], "nowhere"),
        (["--api-key", "mine"], "a key is or_<12 of a-z0-9>_<43 of A-Za-z0-9>"),
        (["--providers", "nowhere.json"], "--providers nowhere.json: "),
        (["--providers", str(ROOT / "samconfig.toml")], "samconfig.toml: Expecting value"),
        (["--alias", "fast"], "--alias fast: not NAME=VALUE"),
        (["--parameter", "Nothing=1"], "Parameters.Nothing: is given a value but not declared"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(template: Path, options: list[str], message: str) -> None:
    done = run("dev", "--keep-nothing", "--port", "0", "--template", str(template), *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrapper_that_cannot_run_is_named(template: Path) -> None:
    (template.parent / "functions" / "raw_bootstrap").chmod(0o644)
    done = run("dev", "--keep-nothing", "--port", "0", "--template", str(template))
    assert done.returncode == 2
    assert "Resources.Raw.Properties.Environment.Variables.AWS_LAMBDA_EXEC_WRAPPER: " in done.stderr
    assert done.stderr.endswith("raw_bootstrap is not an executable file\n")


@pytest.mark.parametrize("options", [["--port", "65536"], ["--port", "x"], ["--concurrency", "0"]])
def test_a_number_out_of_range_is_a_usage_error(options: list[str]) -> None:
    done = run("dev", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("openresponses: Invalid value")
    assert f"for {options[0]}" in done.stderr


def invoke(template: Path, event: object, *arguments: str, function: str = "Buffered", **variables: str):
    path = template.parent / "event.json"
    path.write_text(json.dumps(event))
    return run("invoke", function, "--template", str(template), "--event", str(path), *arguments, **variables)


def test_invoke_prints_the_body_and_the_rest_apart(template: Path) -> None:
    done = invoke(template, EVENT)
    assert (done.returncode, done.stdout) == (0, "hello")
    assert "HTTP 200" in done.stderr
    assert "Buffered  ok  cold start" in done.stderr


def test_invoke_prints_an_answer_that_is_no_proxy_answer_as_it_is(template: Path) -> None:
    done = invoke(template, {**EVENT, "body": '{"answer": {"state": 1}}'})
    assert (done.returncode, done.stdout) == (0, '{"state": 1}\n')


def test_invoke_streams_what_the_project_s_own_function_answers() -> None:
    event = ROOT / "events" / "responses_create_stream.json"
    done = run("invoke", "ApiFunction", "--template", str(ROOT / "template.yaml"), "--event", str(event))
    assert done.returncode == 0
    assert done.stdout.startswith("event: response.created\ndata: {")
    assert done.stdout.endswith("data: [DONE]\n\n")


def test_invoke_fails_when_the_function_does(template: Path) -> None:
    done = invoke(template, {**EVENT, "body": '{"raise": "no luck"}'})
    assert (done.returncode, done.stdout) == (1, "")
    assert '{"errorType": "ValueError", "errorMessage": "no luck"}' in done.stderr.splitlines()


def test_invoke_names_the_functions_there_are(template: Path) -> None:
    done = invoke(template, EVENT, function="Nothing")
    assert done.returncode == 2
    assert "no function 'Nothing'; there are: Streaming, Gate, Hasty, Buffered, Raw, Broken" in done.stderr


def test_invoke_says_when_the_emulator_is_not_there(template: Path) -> None:
    done = invoke(template, EVENT, "--rie", OPENRESPONSES_RIE="/nowhere/rie")
    assert done.returncode == 2
    assert done.stderr == "openresponses: OPENRESPONSES_RIE is /nowhere/rie, which is not an executable file\n"


@pytest.mark.skipif("OPENRESPONSES_RIE" not in os.environ, reason="OPENRESPONSES_RIE names no emulator")
def test_invoke_through_the_emulator_answers_the_same(template: Path) -> None:
    rie = {"OPENRESPONSES_RIE": os.environ["OPENRESPONSES_RIE"]}
    assert invoke(template, EVENT, "--rie", **rie).stdout == "hello"
    failed = invoke(template, {**EVENT, "body": '{"raise": "no luck"}'}, "--rie", **rie)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no luck" in failed.stderr


@pytest.mark.skipif("OPENRESPONSES_RIE" not in os.environ, reason="OPENRESPONSES_RIE names no emulator")
def test_the_project_s_own_function_finds_its_services_behind_the_emulator() -> None:
    paths = {"--template": ROOT / "template.yaml", "--event": ROOT / "events/responses_create.json"}
    options = [str(each) for option in paths.items() for each in option]
    done = run("invoke", "ApiFunction", *options, "--rie", OPENRESPONSES_RIE=os.environ["OPENRESPONSES_RIE"])
    assert done.returncode == 0
    assert json.loads(done.stdout).items() >= {"status": "completed", "store": True}.items()

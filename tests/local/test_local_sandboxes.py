"""What a sandbox is given, and when it is replaced."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx2
import pytest

from openresponses_dev.local.address import KEY_OF_EVENTS
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from tests.local.local_project import PATIENCE, START, running, steps, until

# The shell and the C library of a machine may add these themselves.
_AMBIENT = {
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "LC_CTYPE",
    "HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
}


async def test_a_sandbox_has_lambda_s_environment_and_not_the_developer_s(template: Path) -> None:
    assert "PYTEST_CURRENT_TEST" in os.environ
    async with (
        LocalCloud(template, env={"MINE": "1", "TOPIC": "mine"}, parameters={"Greeting": "goodbye"}) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        env = (await client.get("/echo")).json()["env"]
    found = {key: value for key, value in env.items() if key not in _AMBIENT}
    found["AWS_LAMBDA_RUNTIME_API"] = found["AWS_LAMBDA_RUNTIME_API"].partition(":")[0]
    found["AWS_LAMBDA_LOG_STREAM_NAME"] = found["AWS_LAMBDA_LOG_STREAM_NAME"][10:21]
    found["_X_AMZN_TRACE_ID"] = found["_X_AMZN_TRACE_ID"][:7]
    assert found == {
        "_HANDLER": "paced.app",
        "_X_AMZN_TRACE_ID": "Root=1-",
        **cloud.aws.credentials.environment(),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "Streaming",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/Streaming",
        "AWS_LAMBDA_LOG_STREAM_NAME": "/[$LATEST]" + found["AWS_LAMBDA_LOG_STREAM_NAME"][-1],
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1",
        "AWS_REGION": "us-east-1",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "LAMBDA_TASK_ROOT": str(template.parent / "functions"),
        "LANG": "C.UTF-8",
        "MINE": "1",
        "OPENRESPONSES_LOOPBACK": "true",
        "OPENRESPONSES_TRACEBACKS": "true",
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "TOPIC": "mine",
        "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:Topic",
        "TZ": ":UTC",
    }


async def test_the_api_key_is_random_unless_it_is_given(template: Path) -> None:
    first, second = LocalCloud(template), LocalCloud(template)
    assert first.api_key != second.api_key
    assert LocalCloud(template, api_key=KEY_OF_EVENTS).api_key == KEY_OF_EVENTS
    with pytest.raises(ValueError, match="a key is or_"):
        LocalCloud(template, api_key="mine")


async def test_a_change_of_source_replaces_idle_sandboxes_and_lets_busy_ones_finish(
    template: Path, tmp_path: Path
) -> None:
    source, gate = template.parent / "functions" / "paced.py", tmp_path / "gate"
    log = Log(None, file=tmp_path / "log")
    async with (
        LocalCloud(template, reload=True, log=log) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        here = tmp_path / "here"
        program = steps(START, {"touch": str(here)}, {"await": str(gate)}, {"send": "old"})
        busy = asyncio.create_task(client.post("/busy", content=program))
        await until(here.exists)
        idle = (await client.get("/echo")).json()
        source.write_text(source.read_text().replace("VERSION = 1", "VERSION = 2"))
        await until(lambda: "paced.py changed, reloading" in (tmp_path / "log").read_text())
        await until(lambda: not running(idle["pid"]))
        assert (await client.get("/echo")).json()["version"] == 2
        gate.touch()
        assert (await busy).text == "old"
        versions = {(await client.get("/echo")).json()["version"] for _ in range(3)}
    log.close()
    assert (idle["version"], versions) == (1, {2})


async def test_source_that_does_not_load_is_reported_and_can_be_mended(template: Path, tmp_path: Path) -> None:
    source = template.parent / "functions" / "paced.py"
    good = source.read_text()
    log = Log(None, file=tmp_path / "log")
    async with (
        LocalCloud(template, reload=True, log=log) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        await client.get("/echo")
        source.write_text("this is no Python")
        await until(lambda: "Streaming does not start: Runtime.UserCodeSyntaxError" in (tmp_path / "log").read_text())
        assert (await client.get("/echo")).status_code == 502
        source.write_text(good)
        assert (await client.get("/echo")).status_code == 200
    log.close()


async def test_leaving_the_cloud_ends_every_sandbox_also_a_busy_one(template: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    async with LocalCloud(template) as cloud:
        async with httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client:
            await client.get("/items/1")
        call = cloud.invoke(
            "Buffered", {"body": f'{{"touch": "{here}", "await": "/never"}}', "pathParameters": {"id": 1}}
        )
        await until(here.exists)
        pids = [sandbox.pid for sandbox in cloud.sandboxes]
        assert len(pids) == 1
    assert [pid for pid in pids if running(pid)] == []
    assert [chunk async for chunk in call.chunks()] == []
    assert call.error is not None
    assert call.error.error_type == "Runtime.ExitError"

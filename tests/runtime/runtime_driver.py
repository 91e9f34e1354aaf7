"""Drives the real runtime as a child process: its environment, its events, its answers and its log."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openresponses_dev.local.sandbox.environment import NO_AWS
from openresponses_dev.local.sandbox.runtime_api import Invocation, RuntimeApi

REPO = Path(__file__).parents[2]
TASK = Path(__file__).parent / "task"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:api"
SEPARATOR = bytes(8)
PATIENCE = 60  # seconds; only ever reached by a test that fails


def rest_event(path: str = "/count", body: object = None, method: str = "POST", **fields: Any) -> dict[str, Any]:
    """A REST proxy event as API Gateway makes it: the stage is in the request context and not in the path."""
    event: dict[str, Any] = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "abc.execute-api.eu-west-1.amazonaws.com", "X-Forwarded-Proto": "https"},
        "multiValueHeaders": {
            "Host": ["abc.execute-api.eu-west-1.amazonaws.com"],
            "X-Forwarded-Proto": ["https"],
        },
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "stage": "v",
            "path": f"/v{path}",
            "httpMethod": method,
            "requestId": "request-1",
            "identity": {"sourceIp": "192.0.2.7", "userAgent": "test"},
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }
    return event | fields


@dataclass
class Answer:
    """An invocation that has ended, as the caller of Lambda sees it."""

    invocation: Invocation
    chunks: list[bytes]

    @property
    def error(self) -> dict[str, Any] | None:
        return self.invocation.error

    @property
    def error_type(self) -> str | None:
        return None if self.error is None else self.error["errorType"]

    @property
    def prelude(self) -> dict[str, Any]:
        first = self.chunks[0]
        assert first.endswith(SEPARATOR)
        return json.loads(first.removesuffix(SEPARATOR))

    @property
    def parts(self) -> list[bytes]:
        return self.chunks[1:]

    @property
    def json(self) -> Any:
        return json.loads(b"".join(self.parts))


@dataclass
class Sandbox:
    api: RuntimeApi
    process: asyncio.subprocess.Process
    output: Path

    async def invoke(self, event: object, *, seconds: float = PATIENCE) -> Invocation:
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        return await self.api.invoke(
            payload, deadline_ms=int((time.time() + seconds) * 1000), arn=ARN, trace_id="Root=1"
        )

    async def answer(self, event: object, *, seconds: float = PATIENCE) -> Answer:
        return await ended(await self.invoke(event, seconds=seconds))

    async def exit_status(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines() if line.startswith("{")]


async def ended(invocation: Invocation) -> Answer:
    return Answer(invocation, await asyncio.wait_for(_all(invocation), PATIENCE))


async def _all(invocation: Invocation) -> list[bytes]:
    return [chunk async for chunk in invocation.chunks()]


def environment(api: str, handler: str, task_root: Path, **extra: str) -> dict[str, str]:
    """What Lambda sets, and nothing that this machine happens to have; the way to AWS is barred."""
    lambda_ = {
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": "api",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/31/[$LATEST]0123456789abcdef",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(task_root),
        "_HANDLER": handler,
    }
    return (
        {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error"}
        | NO_AWS
        | lambda_
        | extra
    )


def task_root(directory: Path) -> Path:
    """A /var/task: our code and the applications of these tests side by side."""
    root = directory / "task"
    root.mkdir()
    ours = REPO / "functions"
    for source in (ours / "openresponses", ours / "bootstrap", TASK / "package", *TASK.glob("*.py")):
        (root / source.name).symlink_to(source)
    (root / "syntax.py").write_text("app = (\n")  # no file of the repository, so that no tool reads it
    return root


@asynccontextmanager
async def launched(directory: Path, handler: str, **env: str) -> AsyncGenerator[Sandbox, None]:
    """A sandbox started as Lambda does it, through the wrapper. Its process is gone afterwards, whatever happened."""
    root = await asyncio.to_thread(task_root, directory)
    api = RuntimeApi()
    address = await api.start()
    output = directory / "output"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(root / "bootstrap", sys.executable, "/var/runtime/bootstrap.py"),
            cwd=root,
            env=environment(address, handler, root, **env),
            stdout=file,
            stderr=file,
        )
    try:
        yield Sandbox(api, process, output)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await api.close()

"""One invocation through the real Lambda Runtime Interface Emulator, the program that `sam local` runs in its image."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import httpx2

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.sandbox.sandbox import command_line

VARIABLE = "OPENRESPONSES_RIE"
_INVOKE = "/2015-03-31/functions/function/invocations"
_LOCATE = "import pathlib, samcli; print(pathlib.Path(samcli.__file__).parent / 'local' / 'rapid')"
_STARTUP_ATTEMPTS = 200
_ENDS_S = 5


class RieMissing(Exception):
    """The emulator is not on this machine, and could not be brought here."""


def locate() -> Path:
    """The program of this machine's architecture. Raises RieMissing."""
    if given := os.environ.get(VARIABLE):
        if not os.access(given, os.X_OK):
            raise RieMissing(f"{VARIABLE} is {given}, which is not an executable file")
        return Path(given)
    print("looking for the emulator in aws-sam-cli (the first time takes minutes)", file=sys.stderr)
    command = ["uv", "tool", "run", "--from", "aws-sam-cli", "python", "-c", _LOCATE]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RieMissing(
            f"aws-sam-cli could not be had ({error}): set {VARIABLE} to an aws-lambda-rie binary"
        ) from error
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    path = Path(found.stdout.strip()) / f"aws-lambda-rie-{machine}"
    if sys.platform != "linux" or not path.is_file():
        raise RieMissing(f"the emulator runs on Linux only, as {path.name}; it is not at {path}")
    path.chmod(path.stat().st_mode | 0o111)  # a wheel does not carry modes
    return path


async def invoke_through_rie(program: Path, cloud: LocalCloud, function: str, payload: bytes) -> bytes:
    """The answer, or the error document of a function that failed; `cloud` runs. Raises RieMissing, OSError."""
    spec = cloud.template.functions[function]
    front, runtime_api = _free_address(), _free_address()
    # As `sam local` sets it; the emulator names the log stream itself, by which it is known.
    emulated = {"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_FUNCTION_TIMEOUT": str(spec.timeout_s)}
    variables = {**cloud.environment(spec, runtime_api), **emulated}
    del variables["AWS_LAMBDA_LOG_STREAM_NAME"]
    process = await asyncio.create_subprocess_exec(
        str(program),
        *("--runtime-interface-emulator-address", front, "--runtime-api-address", runtime_api, "--log-level", "error"),
        *command_line(spec),
        cwd=spec.task_root,
        env=variables,
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        return await _post(f"http://{front}{_INVOKE}", payload, process, spec.timeout_s)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """The emulator starts the runtime in a process group of its own, and kills it when it is asked to end itself."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_ENDS_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _post(url: str, payload: bytes, process: asyncio.subprocess.Process, timeout_s: int) -> bytes:
    async with httpx2.AsyncClient(timeout=timeout_s + 10, trust_env=False) as client:
        for _ in range(_STARTUP_ATTEMPTS):
            try:
                return (await client.post(url, content=payload)).content
            except httpx2.ConnectError:
                if process.returncode is not None:
                    break
                await asyncio.sleep(0.05)
    raise RieMissing(f"the emulator does not answer at {url} (exit status {process.returncode})")


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"

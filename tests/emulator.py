"""AWS's Lambda Runtime Interface Emulator, which comes with the SAM CLI, and what starting one takes."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PATIENCE = 60.0
PYTHON_OF_SAM = ["uv", "tool", "run", "--offline", "--from", "aws-sam-cli", "python"]
_FIND = "import importlib.util; print(importlib.util.find_spec('samcli').origin)"


def emulator() -> str:
    """Its path: OPENRESPONSES_RIE, or on the PATH, or from uv's cache of aws-sam-cli. Skips the test without one."""
    if path := os.environ.get("OPENRESPONSES_RIE") or shutil.which("aws-lambda-rie") or _cached():
        return path
    pytest.skip("no Runtime Interface Emulator: set OPENRESPONSES_RIE or run `uv tool run --from aws-sam-cli sam`")


def _cached() -> str | None:
    try:
        found = subprocess.run(
            [*PYTHON_OF_SAM, "-c", _FIND], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    path = Path(found.stdout.strip()).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    return str(path) if path.exists() else None


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until somebody listens there. Fails when the process ends before."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((host, int(port)), PATIENCE).close()
        except ConnectionRefusedError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]

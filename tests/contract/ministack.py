"""ministack: an emulator of AWS that shares no line with moto, in a process of its own, and on loopback.

It is not one of our dependencies, since it pins its own botocore: uv runs it in an environment apart.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

RELEASE = "ministack==1.5.33"
ACCOUNT = "123456789012"
ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""Of the account's root, who may do all: https://github.com/ministackorg/ministack, "Multi-Tenancy"."""
_START_SECONDS = 120  # the first time it has to be installed
# It ends with whoever started it, however that ends: its standard input is closed then.
_PROGRAM = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from ministack.app import main
main()
"""


@dataclass(frozen=True)
class Ministack:
    url: str

    def reset(self) -> None:
        """Forget everything."""
        _post(f"{self.url}/_ministack/reset")


@contextmanager
def emptied(*, enforces: bool = False) -> Iterator[Ministack]:
    """The emulator, with nothing in it, as the endpoint of every client that is made meanwhile, with the root's
    credentials. `enforces`: roles may do what their policies say.
    """
    server = _started(enforces)
    server.reset()
    before = {name: os.environ.get(name) for name in ("AWS_ENDPOINT_URL", *ROOT)}
    os.environ |= {"AWS_ENDPOINT_URL": server.url, **ROOT}
    try:
        yield server
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@cache
def _started(enforces: bool) -> Ministack:
    """One for each process that runs tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "AUTH": "true" if enforces else "false",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": "us-east-1",
    }
    server = Ministack(f"http://127.0.0.1:{port}")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["uv", "tool", "run", "--from", RELEASE, "python", "-c", _PROGRAM],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        atexit.register(process.communicate)
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError):
                server.reset()
                return server
            time.sleep(0.1)
        log.seek(0)
        raise RuntimeError(f"{RELEASE} does not answer: {log.read().decode(errors='replace')[-2000:]}")


def _post(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10) as answer:
        answer.read()

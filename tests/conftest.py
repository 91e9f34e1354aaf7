"""For every test: no socket leaves this machine. What needs more than loopback, or a quiet machine, runs only if `-m`
names it. hypothesis tries the same examples in every run: a failure can be repeated, and a green run stays green.
"""

from __future__ import annotations

import gc
import ipaddress
import socket
import sys

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

pytest_plugins = ["tests.sweeps", "tests.recordings.summary"]
pytest.register_assert_rewrite("tests.openresponses_schema", "tests.stream_checker")

_OWN_NAMES = {"", "localhost", "localhost.localdomain", socket.gethostname()}


def _stays_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if not isinstance(name, str) or name in _OWN_NAMES or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook sees every socket of the process, whichever library opens it, and nothing needs patching."""
    match event, arguments:
        case ("socket.connect" | "socket.sendto", (socket.socket(family=socket.AF_INET | socket.AF_INET6), (host, *_))):
            pass
        case "socket.getaddrinfo", (host, *_):
            pass
        case _:
            return
    if not _stays_here(host):
        raise PermissionError(f"a test tried to reach {host!r}: only loopback is allowed")


sys.addaudithook(_guard)

_OPT_IN = {
    "artifact": "builds the deployment artifact",
    "browser": "runs a page in Chromium, with a package from npm",
    "bench": "measures, and so needs the machine for itself",
    "clients": "installs real clients, and runs them",
    "ministack": "installs an emulator of AWS, and runs on it",
    "docs": "runs the command blocks of README and docs",
    "package": "builds the wheel and installs it with pip",
}
"""Markers of tests that fetch packages from an index, or measure. `.ci/run` names each."""


def pytest_configure(config: pytest.Config) -> None:
    for name, does in _OPT_IN.items():
        config.addinivalue_line("markers", f"{name}: {does}; runs only if -m names it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unnamed = {name for name in _OPT_IN if name not in (config.option.markexpr or "")}
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in unnamed)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Thousands of tests and what they import stay for the whole run: the garbage collector need not look at them."""
    gc.collect()
    gc.freeze()

"""For every test: no socket leaves this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys

import pytest

pytest_plugins = ["tests.sweeps"]
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

"""Secrets at a terminal: asked for, and not shown."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from tests.manage.conftest import UPSTREAM_KEY, Cloud

pytestmark = pytest.mark.xdist_group("manage")
AT_A_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


def test_a_key_is_asked_for_and_what_is_typed_is_not_shown(cloud: Cloud) -> None:
    words = [
        "providers",
        "set",
        "typed",
        "--dialect",
        "chat_completions",
        "--base-url",
        cloud.upstream,
        "--header",
        "x-a",
    ]
    master, slave = pty.openpty()
    command = [sys.executable, "-c", AT_A_TERMINAL, "-m", "openresponses_dev.cli.cli", *words, "--local", cloud.origin]
    with subprocess.Popen(command, stdin=slave):
        os.close(slave)
        shown = shown_until(master, "API key of typed: ")
        os.write(master, f"{UPSTREAM_KEY}\n".encode())
        shown += shown_until(master, "Header x-a of typed: ")
        os.write(master, b"hidden-header\n")
        shown += shown_until(master, "typed is set in the local cloud")
    os.close(master)
    assert UPSTREAM_KEY not in shown
    assert "hidden-header" not in shown
    assert cloud.run("providers", "test", "typed", "--model", "text").status == 0


def shown_until(terminal: int, text: str) -> str:
    shown, end = "", time.monotonic() + 30
    while text not in shown:
        assert select.select([terminal], [], [], end - time.monotonic())[0], shown
        shown += os.read(terminal, 1024).decode()
    return shown

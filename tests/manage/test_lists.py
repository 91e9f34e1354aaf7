"""What lists show: JSON for programs, and a table that fits a terminal."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest
from cyclopts import App

from openresponses_dev.cli.cli import app
from openresponses_dev.manage.output import AsJson
from tests.manage.conftest import OPENRESPONSES, UPSTREAM_KEY, Cloud, Ran, run

pytestmark = pytest.mark.xdist_group("manage")
LISTS = ("list", "presets", "dead", "prices", "usage", "doctor")
"""Names of commands that list. So does each whose help begins with these words, and `mcp test`."""
SAY_SO = ("List ", "Show ")
ARGUMENTS = dict.fromkeys(("prompts list", "webhooks list", "webhooks dead"), ("--tenant", "acme"))
ELSEWHERE = ("mcp test", "usage", "responses list", "responses show")
"""What these print is tested beside what they do."""
HEADER = "planted-header-value"
_AT_A_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


def commands(of: App, before: str = "") -> Iterator[tuple[str, App]]:
    for name in of:
        if name.startswith("-"):
            continue
        path, found = f"{before} {name}".strip(), of[name]
        if found.default_command:
            yield path, found
        else:
            yield from commands(found, path)


def listing() -> dict[str, Any]:
    """The functions of those that list, by their words."""
    return {
        path: each.default_command
        for path, each in commands(app)
        if path.split()[-1] in LISTS or path == "mcp test" or each.help.startswith(SAY_SO)
    }


def test_each_command_that_lists_has_json() -> None:
    found = listing()
    assert {"providers list", "keys list", "webhooks dead", "doctor", "usage", "mcp test"} <= found.keys()
    without = [path for path, function in found.items() if not has_json(function)]
    assert without == []


def has_json(function: Any) -> bool:
    hints = get_type_hints(function, include_extras=True)
    return any(hints[name] == AsJson for name in signature(function).parameters)


@pytest.fixture(scope="module")
def full(cloud: Cloud) -> Iterator[Cloud]:
    """With something in each list, and secrets in what is listed."""
    for words, stdin in (
        (("providers", "set", "listed", "--dialect", "chat_completions", "--base-url", cloud.upstream), UPSTREAM_KEY),
        (("models", "alias", "both", "listed/echo", "gone/model"), ""),
        (("mcp", "set", "docs", "https://mcp.example.com/mcp", "--header", "authorization"), HEADER),
        (("keys", "create", "--tenant", "acme", "--models", "listed/*", "--usd-per-day", "2.50"), ""),
        (("prompts", "set", "greet", "--tenant", "acme"), '{"instructions": "Be brief."}'),
        (("webhooks", "create", "https://hooks.example.com/", "--tenant", "acme"), ""),
    ):
        done = cloud.run(*words, stdin=f"{stdin}\n")
        assert done.status == 0, done.err
    yield cloud
    for words in (
        ("providers", "remove", "listed"),
        ("models", "remove", "both"),
        ("mcp", "remove", "docs"),
        ("prompts", "remove", "greet", "--tenant", "acme"),
    ):
        assert cloud.run(*words).status == 0


def asked(cloud: Cloud, path: str) -> Ran:
    words = (*path.split(), *ARGUMENTS.get(path, ()), "--json")
    return run(*words) if path == "providers presets" else cloud.run(*words)


def test_what_they_print_is_read_by_programs_and_holds_no_secret(full: Cloud) -> None:
    ours = [path for path in listing() if path not in ELSEWHERE]
    found = {path: asked(full, path) for path in ours}
    data = {path: json.loads(each.out)["data"] for path, each in found.items()}
    assert [path for path, rows in data.items() if not rows] == ["webhooks dead"]
    names = {name for rows in data.values() for row in rows for name in fields(row)}
    assert [name for name in names if not re.fullmatch("[a-z][a-z0-9_]*", name)] == []
    for each in found.values():
        assert each.out.count("\n") == 1
        assert UPSTREAM_KEY not in each.out
        assert HEADER not in each.out
    (key,) = [each for each in data["keys list"] if each["models"] == ["listed/*"]]
    assert key["limits"] == {
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "usd_per_day": "2.5",
        "usd_per_month": None,
        "concurrent": None,
    }
    assert type(key["created_at"]) is int
    (alias,) = data["models list"]
    assert alias == {"alias": "both", "targets": ["listed/echo", "gone/model"], "unconfigured": ["gone"], "error": None}
    assert {"ok", "problem"} <= {each["state"] for each in data["doctor"]}
    provider = next(each for each in data["providers list"] if each["name"] == "listed")
    assert (provider["key"], provider["models"], provider["error"]) == (True, [], None)
    if jq := shutil.which("jq"):
        for path, each in found.items():
            read = subprocess.run([jq, ".data | length"], input=each.out, capture_output=True, text=True, check=True)
            assert int(read.stdout) == len(data[path])


def fields(row: Mapping[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        yield name
        if isinstance(value, dict) and name not in ("parameters",):
            yield from fields(cast("Mapping[str, Any]", value))


def test_a_table_fits_the_terminal_and_leaves_every_word_whole(full: Cloud, tmp_path: Path) -> None:
    hostile = "[red]x[/red]\x1b]0;title\x07"
    words = (
        "mcp",
        "set",
        "bold",
        "https://mcp.example.com/a/rather/long/path/to/an/endpoint",
        "--description",
        hostile,
    )
    assert full.run(*words).status == 0
    listed = json.loads(full.run("keys", "list", "--json").out)["data"]
    key = next(each for each in listed if each["models"] == ["listed/*"])
    for width in (40, 100, 200):
        servers, keys = (at_a_terminal(full, width, command, "list") for command in ("mcp", "keys"))
        assert "[red]x[/red]\\x1b]0;title\\x07" in " ".join(servers.split())
        assert "https://mcp.example.com/a/rather/long/path/to/an/endpoint" in servers
        assert key["id"] in keys
        whole = [line for line in (servers + keys).splitlines() if "endpoint" not in line]
        assert max(map(len, whole)) <= width
    assert full.run("mcp", "remove", "bold").status == 0


def at_a_terminal(cloud: Cloud, width: int, *words: str) -> str:
    """What is shown, without styles, of which there is no colour."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-c", _AT_A_TERMINAL, OPENRESPONSES, *words, "--local", cloud.origin]
    with subprocess.Popen(command, stdin=slave, env=environment):
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # EIO: nobody has the other end any more
            pass
    os.close(master)
    text = shown.decode().replace("\r\n", "\n")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)

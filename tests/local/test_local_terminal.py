"""What others write gets to a terminal without what a terminal obeys: every place that prints is here."""

from __future__ import annotations

import ast
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from openresponses_dev.cli.chat.screen import ScreenView
from openresponses_dev.local import terminal
from openresponses_dev.local.answer.plain import PlainView
from openresponses_dev.local.answer.view import View
from openresponses_dev.local.logs import Log
from openresponses_dev.local.terminal import body_writer, one_line, visible
from openresponses_dev.manage.doctor.findings import problem, shown
from openresponses_dev.manage.problems import Problem, columns, fail, tell, warn
from tests.local.local_project import ROOT, environment

SOURCE = ROOT / "infra/openresponses_dev"
HOSTILE = "a\x1b]52;c;aGk=\x07\x1b[2J\rb\x08\x9b31m\x7f\x00\u202ec\u2066\ud800d"
HARMLESS = "grün 漢 👩\u200d🚀 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 ~"
OBEYED = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
}


_COLOURS = re.compile("\x1b\\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def obeyed(text: str, ours: str = "") -> set[str]:
    """What of `text` a terminal would obey, but for newlines, tabs and our own colours."""
    text = _COLOURS.sub("", text) if ours else text
    return {each for each in text if each in OBEYED or "\ud800" <= each <= "\udfff"} - {"\n", "\t"}


def test_what_a_terminal_obeys_is_written_out() -> None:
    assert visible(HOSTILE) == ("a\\x1b]52;c;aGk=\\x07\\x1b[2J\\x0db\\x08\\x9b31m\\x7f\\x00\\u202ec\\u2066\\ud800d")
    assert (visible("a\n\tb"), one_line("a\n\tb")) == ("a\n\tb", "a\\x0a\\x09b")
    assert visible(HARMLESS) == one_line(HARMLESS) == HARMLESS


@given(st.text())
def test_nothing_else_is_changed(text: str) -> None:
    assert obeyed(visible(text)) == set()
    assert visible(text) == visible(visible(text)) == "".join(map(visible, text))


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("raw", [True, False])
def test_the_log_shows_it_and_keeps_what_was_written(tmp_path: Path, colours: bool, raw: bool) -> None:
    stream: io.StringIO = Terminal() if colours else io.StringIO()
    log = Log(stream, raw=raw, file=tmp_path / "log")
    record = json.dumps({"level": "INFO", "message": f"{HOSTILE}\n00:00:00 forged", "exception": HOSTILE})
    plain = HOSTILE.replace("\ud800", "")
    log.output(f"F{plain}", plain)
    log.output("F", record)
    log.say(f"GET /{plain}  403", failed=True)
    log.close()
    text = stream.getvalue()
    if colours or not raw:
        assert obeyed(text, ours="colours" if colours else "") == set()
        assert not [line for line in text.splitlines() if line.startswith("00:00:00")]
    else:
        assert plain in text
    kept = (tmp_path / "log").read_bytes().decode()
    assert f"F{plain} | {plain}\n" in kept
    assert f"F | {record}\n" in kept


EVENTS: list[dict[str, Any]] = [
    {"type": "response.output_text.delta", "delta": HOSTILE},
    {"type": "response.refusal.delta", "delta": HOSTILE},
    {"type": "response.reasoning_text.delta", "delta": HOSTILE},
    {"type": "response.output_item.added", "item": {"type": "serverless:x", "name": HOSTILE, "arguments": HOSTILE}},
    {
        "type": "response.output_item.done",
        "item": {"type": "serverless:x", "name": HOSTILE, "status": HOSTILE, "output": HOSTILE},
    },
    {"type": "response.output_item.done", "item": {"type": "function_call", "name": HOSTILE, "arguments": HOSTILE}},
    {
        "type": "response.output_item.done",
        "item": {"type": "mcp_approval_request", "server_label": HOSTILE, "name": HOSTILE, "arguments": HOSTILE},
    },
    {"type": "response.failed", "response": {"error": {"message": HOSTILE}}},
    {"type": "response.incomplete", "response": {"incomplete_details": {"reason": HOSTILE}}},
    {"type": "error", "error": {"message": HOSTILE}},
    {"type": "error", "message": HOSTILE},
]


def plain(out: io.StringIO) -> View:
    return PlainView(out, out)


def screen(out: io.StringIO) -> View:
    """Of a terminal without colours: what is left of rich's own sequences moves the cursor."""
    return ScreenView(Console(file=out, force_terminal=True, no_color=True, width=200, height=20, _environ={}))


DRAWING = re.compile("\x1b\\[[0-9;?]*[mAKhlJG]")


@pytest.mark.parametrize("view", [plain, screen])
@pytest.mark.parametrize("event", EVENTS)
def test_no_model_of_a_conversation_writes_to_the_terminal(
    view: Callable[[io.StringIO], View], event: dict[str, Any]
) -> None:
    out = Terminal()
    shown = view(out)
    shown.begin("offline/demo")
    shown.show(event)
    shown.end()
    text = DRAWING.sub("", out.getvalue().replace("\r", ""))
    assert obeyed(text) == set()
    assert "\\x1b]52;c;aGk=\\x07" in text


@pytest.mark.parametrize("text", ["&#x202e;", "&#8238;", "a&#x2066;b", "[a](<x&#x202e;>)", "`\x1b[31m`", "<b>\x9b</b>"])
def test_no_entity_of_markdown_does_either(text: str) -> None:
    out = Terminal()
    shown = screen(out)
    shown.begin("offline/demo")
    shown.show({"type": "response.output_text.delta", "delta": f"{text} said"})
    shown.end()
    drawn = DRAWING.sub("", out.getvalue().replace("\r", ""))
    assert obeyed(drawn) == set()
    assert "said" in drawn


def test_a_sequence_in_two_deltas_is_none_either() -> None:
    out = Terminal()
    view = plain(out)
    for delta in ("one\n\ttwo ", "\x1b", "[31m", "\ud83d", "\ude00"):
        view.show({"type": "response.output_text.delta", "delta": delta})
    assert out.getvalue() == "one\n\ttwo \\x1b[31m\\ud83d\\ude00"


@pytest.mark.parametrize("where", ["out", "err"])
def test_no_answer_of_a_deployment_does_either(capsys: pytest.CaptureFixture[str], where: str) -> None:
    if where == "out":
        terminal.say(columns(("NAME", "NOTE"), [(f"{HOSTILE}\nall is well", HOSTILE)]))
        terminal.say(shown(problem(f"{HOSTILE}\nok", f"{HOSTILE}\nok", f"{HOSTILE}\nok")))
    else:
        tell(Problem(f"{HOSTILE}\n  try: it", f"{HOSTILE}\n  try: that"))
        warn(f"{HOSTILE}\nopenresponses: no")
        fail(HOSTILE)
    text = getattr(capsys.readouterr(), where)
    assert obeyed(text) == set()
    assert [line for line in text.splitlines() if line.startswith(("all", "ok", "  try: it", "  try: that"))] == []
    assert len(text.splitlines()) == 4


def test_every_module_prints_through_this_one() -> None:
    """`print` and `write` of the standard streams are called with words of our own only, and not with others'."""
    found = [
        f"{path.relative_to(SOURCE)}: {ast.unparse(node.func)}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _prints(node.func) and not all(map(_constant, node.args))
    ]
    assert sorted(found) == [
        "cli/chat/command.py: print",
        "local/logs.py: self._stream.write",
        "local/terminal.py: out.buffer.write",
        "local/terminal.py: out.write",
        "local/terminal.py: print",
        "manage/project/apply.py: print",
    ]


def _prints(function: ast.expr) -> bool:
    name = ast.unparse(function)
    streams = ("stdout", "stderr", "_out", "_stream", "out", "out.buffer")
    return name == "print" or (name.endswith(".write") and name.removesuffix(".write").endswith(streams))


def _constant(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Constant)


class Out:
    def __init__(self, terminal: bool) -> None:
        self.buffer, self.text, self._terminal = io.BytesIO(), "", terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_a_body_is_written_as_it_is_but_for_a_terminal() -> None:
    body = f"{HARMLESS}\r\n\x1b[2J\x9b".encode() + b"\xff"
    piped: Any = Out(terminal=False)
    shown_on: Any = Out(terminal=True)
    for out in (piped, shown_on):
        write = body_writer(out)
        for at in range(len(body)):
            write(body[at : at + 1])
    assert (piped.buffer.getvalue(), piped.text) == (body, "")
    assert (shown_on.buffer.getvalue(), shown_on.text) == (b"", f"{HARMLESS}\\x0d\n\\x1b[2J\\x9b\ufffd")


INVOKE = [sys.executable, "-m", "openresponses_dev.cli.cli", "invoke"]
LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


def test_invoke_shows_an_answer_on_a_terminal_and_writes_it_into_a_pipe(template: Path, tmp_path: Path) -> None:
    body = "\x1b]0;owned\x07\x9b2J"
    event = tmp_path / "event.json"
    event.write_text(
        json.dumps(
            {
                "httpMethod": "GET",
                "body": json.dumps({"answer": {"statusCode": 200, "body": body, "headers": {"x-a": "\x9b1"}}}),
            }
        )
    )
    words = [*INVOKE[1:], "Buffered", "--template", str(template), "--event", str(event)]
    piped = subprocess.run([sys.executable, *words], capture_output=True, timeout=60, env=environment())
    assert piped.stdout == body.encode()
    assert b"x-a: \\x9b1" in piped.stderr
    master, slave = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", LOGIN, *words], stdin=slave, env=environment()):
        os.close(slave)
        seen = b"".join(_all(master))
    os.close(master)
    assert b"\\x1b]0;owned\\x07\\x9b2J" in seen
    assert b"\x1b]" not in seen
    assert b"\x07" not in seen


def _all(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # EIO: everyone hung up
            return
        if not chunk:
            return
        yield chunk

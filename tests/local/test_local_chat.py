"""The terminal client: what it shows, what it sends, and how it ends."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest

from openresponses_dev.cli.chat import Conversation, Event, TurnFailed, View
from tests.local.local_project import PATIENCE, ROOT, environment

CALL = {"type": "serverless:calculator", "name": "calculator", "arguments": '{"e":"1+1"}', "status": "in_progress"}


def delta(kind: str, text: str) -> Event:
    return {"type": f"response.{kind}.delta", "delta": text}


def item(stage: str, **fields: Any) -> Event:
    return {"type": f"response.output_item.{stage}", "item": fields}


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([delta("output_text", "Hel"), delta("output_text", "lo")], "Hello\n"),
        ([delta("refusal", "No.")], "No.\n"),
        (
            [delta("reasoning", "hm"), delta("reasoning_text", "m"), delta("reasoning_summary_text", "!")],
            "thinking: hmm!\n",
        ),
        ([delta("reasoning", "hm"), delta("output_text", "Hi")], "thinking: hm\nHi\n"),
        (
            [
                delta("output_text", "So"),
                item("added", **CALL),
                item("done", **{**CALL, "status": "completed", "output": "2"}),
                delta("output_text", "Two"),
            ],
            'So\n-> calculator({"e":"1+1"})\n<- calculator: 2\nTwo\n',
        ),
        ([item("done", **{**CALL, "status": "failed", "output": "no"})], "<- calculator [failed]: no\n"),
        (
            [item("done", type="function_call", name="f", arguments="{}", call_id="c")],
            "-> f({})\n(a function of the client: not run here)\n",
        ),
        ([{"type": "response.failed", "response": {"error": {"message": "upstream"}}}], "(failed: upstream)\n"),
        (
            [{"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}],
            "(incomplete: max_output_tokens)\n",
        ),
        ([{"type": "error", "error": {"message": "broken"}}], "(error: broken)\n"),
        ([{"type": "response.something.new"}, {"type": "serverless:progress"}], ""),
    ],
)
def test_events_become_lines(events: list[Event], shown: str) -> None:
    out = io.StringIO()
    view = View(out)
    for event in events:
        view.show(event)
    view.end()
    assert out.getvalue() == shown


def answer(*events: Event) -> httpx2.Response:
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def ended(status: str, *output: Event) -> Event:
    return {"type": f"response.{status}", "response": {"output": list(output), "error": {"message": "sorry"}}}


def conversation(responses: Iterator[httpx2.Response], sent: list[Event]) -> Conversation:
    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.content))
        return next(responses)

    client = httpx2.Client(base_url="http://server/v1", transport=httpx2.MockTransport(handle))
    return Conversation(client, View(io.StringIO()), {"model": "m", "stream": True})


def user(text: str) -> Event:
    return {"type": "message", "role": "user", "content": text}


def test_the_history_holds_what_ended_well_and_nothing_else() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "one"}]}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    sent: list[Event] = []
    answers = [
        answer(ended("completed", said, call)),
        answer(ended("failed", said)),
        answer(delta("output_text", "x")),
        httpx2.Response(401, json={"error": {"message": "who are you"}}),
        answer(ended("completed")),
    ]
    chat = conversation(iter(answers), sent)
    assert chat.say("1") is True
    assert chat.say("2") is False
    with pytest.raises(TurnFailed, match="the stream ended early"):
        chat.say("3")
    with pytest.raises(TurnFailed, match="HTTP 401: who are you"):
        chat.say("4")
    chat.say("5")
    apology = {"type": "function_call_output", "call_id": "c", "output": "This client runs no functions."}
    assert sent[0] == {"model": "m", "stream": True, "input": [user("1")]}
    assert [body["input"][4:] for body in sent[1:]] == [[user(n)] for n in "2345"]
    assert sent[4]["input"][:4] == [user("1"), said, call, apology]


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The exports of a server that runs the project's own template."""
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "dev", "--port", "0", "--no-reload", "--keep-nothing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()) as process:
        assert process.stdout
        lines = [process.stdout.readline().removeprefix("export ").rstrip("\n") for _ in range(2)]
        yield dict(line.split("=", 1) for line in lines)
        process.send_signal(signal.SIGTERM)


def chat(env: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "chat", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env={**environment(), **env}, timeout=PATIENCE
    )


@pytest.mark.xdist_group("local-chat")
def test_a_prompt_is_answered_without_colour(server: dict[str, str]) -> None:
    done = chat(server, "--tool", "serverless:calculator", "calculate", "2+2")
    assert (done.returncode, done.stderr) == (0, "")
    call, result, text = done.stdout.splitlines()
    assert call.startswith("-> calculator(")
    assert result == "<- calculator: 4"
    assert "4" in text
    assert "\x1b" not in done.stdout


@pytest.mark.xdist_group("local-chat")
def test_lines_of_standard_input_are_a_conversation(server: dict[str, str]) -> None:
    done = chat(server, stdin="first\n\nsecond\n")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert ("first" in first, "second" in second) == (True, True)


@pytest.mark.xdist_group("local-chat")
def test_a_wrong_key_is_reported(server: dict[str, str]) -> None:
    done = chat({**server, "OPENAI_API_KEY": "wrong"}, "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("openresponses: HTTP 401: ")


_TERMINAL = """
import os, signal, sys
os.login_tty(0)
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so do its children
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """The client at a terminal of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        command = [sys.executable, "-c", _TERMINAL, "-m", "openresponses_dev.cli.cli", "chat"]
        self.process = subprocess.Popen(command, stdin=slave, env={**environment(), **env, "TERM": "dumb"})
        os.close(slave)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str, *, pressing: str = "") -> None:
        """Read on until this was shown. `pressing` is typed, and again in each second in which nothing is shown."""
        end = time.monotonic() + PATIENCE
        self.type(pressing)
        while text not in self.shown:
            if select.select([self.master], [], [], 1)[0]:
                self.shown += os.read(self.master, 4096).decode()
            else:
                assert time.monotonic() < end, self.shown
                self.type(pressing)
        self.shown = self.shown.partition(text)[2]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(server: dict[str, str]) -> Iterator[Terminal]:
    with closing(Terminal(server)) as opened:
        yield opened


@pytest.mark.xdist_group("local-chat")
def test_at_a_terminal_ctrl_c_cancels_the_turn_and_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.wait_for("> ")
    terminal.type("[[stall after 3]]\n")
    terminal.wait_for("This is the")
    terminal.type("\x03")
    terminal.wait_for("\x1b[2m(cancelled)\x1b[0m")
    terminal.wait_for("> ")
    terminal.type("unfinished")
    terminal.wait_for("unfinished")
    # CPython's readline sees a signal only while it waits for a key, not while it draws one.
    terminal.wait_for("> ", pressing="\x03")
    terminal.type("hello\n")
    terminal.wait_for('You said: "hello"')
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.process.wait(PATIENCE) == 0


def test_a_server_that_is_not_there_is_reported() -> None:
    done = chat({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "hello")
    assert done.returncode == 1
    assert "is `openresponses dev` running?" in done.stderr
    assert chat({}, "hello").returncode == 2

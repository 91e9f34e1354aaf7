"""The terminal client: what it shows, what it sends, and how it ends."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from openresponses_dev.cli.chat.client import Client, TurnFailed
from openresponses_dev.cli.chat.conversation import Conversation
from openresponses_dev.cli.chat.prompt import history_at
from openresponses_dev.cli.chat.saved import save
from openresponses_dev.cli.chat.server import Server, find_server, mended
from openresponses_dev.cli.chat.signals import Stopping
from openresponses_dev.cli.chat.slash import is_command
from openresponses_dev.local.answer.calls import Event
from openresponses_dev.local.answer.plain import PlainView
from openresponses_dev.manage.problems import Problem
from tests.local.chatting import at_a_terminal, chat, listed
from tests.local.local_project import PATIENCE, environment

CALL = {"type": "serverless:calculator", "name": "calculator", "arguments": '{"e":"1+1"}', "status": "in_progress"}


def delta(kind: str, text: str) -> Event:
    return {"type": f"response.{kind}.delta", "delta": text}


def item(stage: str, **fields: Any) -> Event:
    return {"type": f"response.output_item.{stage}", "item": fields}


def created(response_id: str) -> Event:
    return {"type": "response.created", "sequence_number": 0, "response": {"id": response_id, "store": True}}


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([delta("output_text", "Hel"), delta("output_text", "lo")], "Hello\n"),
        ([delta("refusal", "No."), {"type": "response.refusal.done", "refusal": "No."}], "No.\n(the model refused)\n"),
        (
            [
                delta("output_text", "So"),
                item("done", type="message", status="incomplete"),
                delta("output_text", "So it"),
            ],
            "So\n(cut off: the answer begins again)\nSo it\n",
        ),
        (
            [item("done", type="message", status="incomplete"), created("resp_2"), delta("output_text", "Hi")],
            "Hi\n",
        ),
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
            "-> f({})\n(this call is for the client, and not run here)\n",
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
    out, err = io.StringIO(), io.StringIO()
    together, apart = PlainView(out, out), PlainView(text := io.StringIO(), err)
    for event in events:
        together.show(event)
        apart.show(event)
    together.end()
    apart.end()
    assert out.getvalue() == shown
    said = "".join(event["delta"] for event in events if event["type"] in TEXT)
    assert text.getvalue().replace("\n", "") == said
    assert said not in err.getvalue() or not said


TEXT = ("response.output_text.delta", "response.refusal.delta")


def answer(*events: Event) -> httpx2.Response:
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def ended(status: str, *output: Event, response_id: str = "resp_1") -> Event:
    body = {"id": response_id, "status": status, "output": list(output), "error": {"message": "sorry"}}
    return {"type": f"response.{status}", "sequence_number": 9, "response": body}


def conversation(responses: Iterator[httpx2.Response], sent: list[Event], **settings: Any) -> Conversation:
    def handle(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {"asked": request.url.raw_path.decode()}
        sent.append(body)
        return next(responses)

    client = Client(Server("http://server/v1", "k", "--api-key"), httpx2.MockTransport(handle))
    return Conversation(client, PlainView(io.StringIO(), io.StringIO()), {"model": "m", "stream": True, **settings})


def user(text: str) -> Event:
    return {"type": "message", "role": "user", "content": text}


SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "one"}]}
FUNCTION = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
APOLOGY = {"type": "function_call_output", "call_id": "c", "output": "This client runs no functions."}


def test_the_history_holds_what_ended_well_and_nothing_else() -> None:
    sent: list[Event] = []
    answers = [
        answer(ended("completed", SAID, FUNCTION)),
        answer(ended("failed", SAID)),
        answer(delta("output_text", "x")),
        httpx2.Response(401, json={"error": {"message": "who are you"}}),
        answer(ended("completed")),
    ]
    chat, going = conversation(iter(answers), sent, store=False), Stopping()
    first = chat.ask("1", going)
    assert first is not None
    assert first["status"] == "completed"
    failed = chat.ask("2", going)
    assert failed is not None
    assert failed["status"] == "failed"
    with pytest.raises(TurnFailed, match="the stream ended early"):
        chat.ask("3", going)
    with pytest.raises(TurnFailed, match="HTTP 401: who are you") as refused:
        chat.ask("4", going)
    assert "the key comes from --api-key" in refused.value.mend
    chat.ask("5", going)
    assert sent[0] == {"model": "m", "stream": True, "store": False, "input": [user("1")]}
    assert [body["input"][4:] for body in sent[1:]] == [[user(n)] for n in "2345"]
    assert sent[4]["input"][:4] == [user("1"), SAID, FUNCTION, APOLOGY]


def test_a_stored_turn_goes_on_by_id_and_by_its_items_where_that_is_gone() -> None:
    sent: list[Event] = []
    gone = {"error": {"message": "gone", "code": "previous_response_not_found"}}
    answers = [
        answer(ended("completed", SAID, FUNCTION, response_id="resp_a")),
        answer(ended("failed", response_id="resp_b")),
        httpx2.Response(404, json=gone),
        answer(ended("completed", SAID, response_id="resp_c")),
        answer(ended("completed", response_id="resp_d")),
    ]
    chat, going = conversation(iter(answers), sent, store=True), Stopping()
    for question in "1234":
        chat.ask(question, going)
    assert "previous_response_id" not in sent[0]
    assert [body.get("previous_response_id") for body in sent[1:]] == ["resp_a", "resp_a", None, "resp_c"]
    assert sent[1]["input"] == [APOLOGY, user("2")]
    assert sent[3]["input"] == [user("1"), SAID, FUNCTION, APOLOGY, user("3")]
    assert sent[4]["input"] == [user("4")]


def test_a_stored_stream_that_breaks_is_resumed() -> None:
    sent: list[Event] = []
    rest = "responses/resp_1?stream=true&starting_after=7"
    detached = {"type": "serverless:detached", "sequence_number": 7, "resume": rest}
    answers = [
        answer(created("resp_1"), {**delta("output_text", "a"), "sequence_number": 3}),
        answer({**delta("output_text", "b"), "sequence_number": 4}, detached),
        answer(ended("completed", SAID)),
    ]
    chat = conversation(iter(answers), sent, store=True)
    final = chat.ask("1", Stopping())
    assert final is not None
    assert final["status"] == "completed"
    asked = [body["asked"] for body in sent[1:]]
    assert asked == ["/v1/responses/resp_1?stream=true&starting_after=3", f"/v1/{rest}"]


GONE = httpx2.Response(502, headers={"content-type": "text/html"}, text="<html><h1>Bad Gateway</h1></html>")
BUSY = httpx2.Response(429, headers={"retry-after": "7"}, json={"error": {"message": "slow down"}})
MOVED = httpx2.Response(301, headers={"location": "https://b/v1/responses"})


@pytest.mark.parametrize(
    ("responses", "said", "mend"),
    [
        ([GONE], r"^HTTP 502: Bad Gateway$", ""),
        ([BUSY], r"^HTTP 429: slow down$", "again in 7 s"),
        ([MOVED], r"^HTTP 301: Moved Permanently \(to https://b/v1/responses\)$", "--base-url with where the API is"),
        ([httpx2.Response(200, json={})], "answers with application/json, and not with events", ""),
        ([httpx2.Response(200, headers={"content-type": "text/event-stream"})], "^the stream ended early$", ""),
        ([answer({"type": "response.completed"})], "is not of the shape", ""),
        ([answer({"type": "response.completed", "response": {"output": [None]}})], "is not of the shape", ""),
        (
            [answer(created("resp_1")), GONE, answer(), answer()],
            "early, 4 times; resp_1 may still be made",
            "show resp_1",
        ),
    ],
)
def test_a_server_that_answers_badly_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, responses: list[httpx2.Response], said: str, mend: str
) -> None:
    monkeypatch.setattr("openresponses_dev.cli.chat.client.PAUSE_S", 0.0)
    with pytest.raises(TurnFailed, match=said) as failed:
        conversation(iter(responses), [], store=True).ask("1", Stopping())
    assert mend in failed.value.mend


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("there.md", "is there already"),
        ("none/a.md", "cannot be written: No such file"),
        ("n" * 300 + ".md", "cannot be written: File name too long"),
        ("a\0.md", "cannot be written: embedded null byte"),
        ("a.txt", "has no suffix"),
    ],
)
def test_a_file_that_cannot_be_saved_is_named(tmp_path: Path, name: str, why: str) -> None:
    (there := tmp_path / "there.md").write_text("mine")
    with pytest.raises(Problem, match=why):
        save(tmp_path / name, [], {"model": "m"}, again=False)
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/v1/responses", "http://127.0.0.1:8080/v1"),
        ("https://x.example.com/v1/responses/responses/", "https://x.example.com/v1"),
        ("https://x.example.com/prod", "https://x.example.com/prod"),
    ],
)
def test_a_base_url_is_mended_where_only_one_thing_can_be_meant(given: str, used: str) -> None:
    url, note = mended(given, "OPENAI_BASE_URL")
    assert url == used
    assert bool(note) == (given.rstrip("/") != used)


@pytest.mark.parametrize("given", ["127.0.0.1:8080/v1", "ftp://x/v1", "http:///v1", "http://x/v1?a=b"])
def test_what_is_no_base_url_is_refused(given: str) -> None:
    with pytest.raises(Problem, match="--base-url is"):
        find_server(given, None, None, {})


def test_two_chats_keep_what_is_typed_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "state/history"
    both = [history_at(path), history_at(path)]
    typed = [[f"{name} {number} {name * 20_000}\nand" for number in range(20)] for name in "ab"]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: list(map(each[0].store_string, each[1])), zip(both, typed, strict=True)))
    assert sorted(history_at(path).load_history_strings()) == sorted([*typed[0], *typed[1]])
    shutil.rmtree(path.parent)
    both[0].append_string("is asked all the same")
    assert both[0].get_strings()[-1] == "is asked all the same"


@pytest.mark.parametrize(
    ("line", "command"),
    [("/help", True), ("/model a/b", True), ("/etc/hosts is what?", False), ("/a\nb", False), ("a /help", False)],
)
def test_a_path_is_no_command(line: str, command: bool) -> None:
    assert is_command(line) is command


@pytest.mark.xdist_group("local-chat")
def test_standard_output_is_the_answer_alone(server: dict[str, str]) -> None:
    done = chat(server, "--tool", "serverless:calculator", "calculate", "2+2")
    assert done.returncode == 0
    call, result = done.stderr.splitlines()
    assert call.startswith("-> calculator(")
    assert result == "<- calculator: 4"
    assert len(done.stdout.splitlines()) == 1
    assert "4" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.xdist_group("local-chat")
def test_what_is_piped_in_is_part_of_the_question(server: dict[str, str], tmp_path: Path) -> None:
    both = chat({**server, "XDG_STATE_HOME": str(tmp_path)}, "what", "went wrong?", stdin="one\ntwo\n")
    alone = chat(server, stdin="one\ntwo\n")
    assert (both.returncode, both.stderr, alone.returncode, alone.stderr) == (0, "", 0, "")
    assert 'You said: "what went wrong? one two"' in both.stdout
    assert 'You said: "one two"' in alone.stdout
    assert not list(tmp_path.iterdir())
    endless = chat(server, stdin="a" * 10_000_001)
    assert endless.stderr.startswith("openresponses: what is piped in has more than the 10,000,000 bytes")
    letters = chat({**server, "PYTHONIOENCODING": "ascii"}, stdin="caf\u00e9")
    assert (letters.returncode, "caf\\xe9" in letters.stdout) == (0, True)
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "openresponses_dev.cli.cli", "chat", "hello"]
        no_place = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, env={**environment(), **server}
        )
    assert (no_place.returncode, len(no_place.stderr.splitlines())) == (1, 1)
    assert "No space left on device" in no_place.stderr
    nothing = chat(server)
    assert (nothing.returncode, nothing.stderr.splitlines()[0]) == (1, "openresponses: nothing is asked")


@pytest.mark.xdist_group("local-chat")
def test_json_is_the_final_response(server: dict[str, str]) -> None:
    done = chat(server, "--json", "hello")
    response = json.loads(done.stdout)
    assert (done.returncode, done.stderr, response["status"], response["object"]) == (0, "", "completed", "response")
    failed = chat(server, "--json", "[[fail after 3]]")
    assert (failed.returncode, json.loads(failed.stdout)["status"]) == (1, "failed")


@pytest.mark.xdist_group("local-chat")
def test_an_image_comes_with_the_question(server: dict[str, str], tmp_path: Path) -> None:
    (picture := tmp_path / "a.png").write_bytes(b"\x89PNG")
    done = chat(server, "--image", str(picture), "--json", "hello")
    response = json.loads(done.stdout)
    headers = {"authorization": f"Bearer {server['OPENAI_API_KEY']}"}
    url = f"{server['OPENAI_BASE_URL']}/responses/{response['id']}/input_items"
    (item,) = httpx2.get(url, headers=headers).json()["data"]
    assert [part["type"] for part in item["content"]] == ["input_text", "input_image"]
    assert chat(server, "--image", "a.txt", "hello").stderr.startswith("openresponses: a.txt is no image")


@pytest.mark.xdist_group("local-chat")
def test_the_dev_of_this_folder_is_found_with_its_key(server: dict[str, str], folder: Path) -> None:
    found = chat({}, "hello", cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")
    other = chat({"OPENAI_API_KEY": "sk-of-somebody-else"}, "hello", cwd=folder)
    assert (other.returncode, other.stderr) == (0, "")
    keyless = chat({"OPENAI_BASE_URL": server["OPENAI_BASE_URL"]}, "hello")
    assert (keyless.returncode, keyless.stderr) == (0, "")
    port = server["OPENAI_BASE_URL"].split(":")[2].split("/")[0]
    (file := folder / f".openresponses/{port}.json").chmod(0o644)
    try:
        readable = chat({"OPENAI_BASE_URL": server["OPENAI_BASE_URL"]}, "hello")
    finally:
        file.chmod(0o600)
    assert (readable.returncode, readable.stdout) == (1, "")
    assert "no key was sent" in readable.stderr


@pytest.mark.xdist_group("local-chat")
def test_what_is_wrong_with_the_server_or_the_key_is_named(server: dict[str, str]) -> None:
    wrong = chat({**server, "OPENAI_API_KEY": "wrong"}, "hello")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("openresponses: HTTP 401: ")
    assert "the key comes from OPENAI_API_KEY" in wrong.stderr
    origin = server["OPENAI_BASE_URL"].removesuffix("/v1")
    twice = chat({**server, "OPENAI_BASE_URL": f"{origin}/v1/responses"}, "hello")
    bare = chat({**server, "OPENAI_BASE_URL": origin}, "hello")
    local = chat(
        {**server, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "wrong"}, "hi", "--local", origin
    )
    assert (twice.returncode, bare.returncode, local.returncode) == (0, 0, 0)
    other = chat({**server, "OPENAI_BASE_URL": f"{origin}/api"}, "hello")
    assert f"try: did you mean --base-url {origin}/api/v1?" in other.stderr
    nobody = chat({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "hello")
    assert nobody.returncode == 1
    assert "is `openresponses dev` running?" in nobody.stderr


def test_without_a_server_it_is_said_how_to_start_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("openresponses_dev.cli.chat.server.DEV_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="there is no server to talk to") as raised:
        find_server(None, None, None, {})
    assert "openresponses dev in another terminal" in raised.value.mend
    with pytest.raises(Problem, match="no local cloud answers at http"):
        find_server(None, "http://127.0.0.1:9", None, {})
    with pytest.raises(Problem, match="--base-url and --local both name a server"):
        find_server("http://127.0.0.1:9/v1", "", None, {})


@pytest.mark.xdist_group("local-chat")
@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_ctrl_c_cancels_the_response_and_ctrl_d_leaves(server: dict[str, str], state: Path, kind: str) -> None:
    with closing(at_a_terminal(server, state, TERM=kind)) as terminal:
        terminal.wait_for("> ")
        terminal.type("My name is Ada.\r")
        terminal.wait_for(" s")
        terminal.wait_for("> ")
        terminal.type("[[stall after 3]]\r")
        terminal.wait_for("This is the")
        terminal.type("\x03")
        terminal.wait_for("stopped: ")
        terminal.wait_for(" is cancelled")
        newest = listed(server)[0]
        assert newest["status"] == "cancelled"
        assert newest["id"] in terminal.raw
        terminal.wait_for("> ")
        terminal.type("unfinished")
        terminal.wait_for("unfinished"[-1] if kind == "xterm-256color" else "unfinished")
        terminal.wait_for("> ", pressing="\x03")
        terminal.type("hello\r")
        terminal.wait_for('You said: "hello"')
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.wait() == 0
        assert ("\x1b[" in terminal.raw) == (kind != "dumb")
    went_on = listed(server)[0]
    assert went_on["status"] == "completed"
    assert went_on["previous_response_id"] not in (None, newest["id"])


@pytest.mark.xdist_group("local-chat")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_ended_cancels_its_response(server: dict[str, str], number: signal.Signals) -> None:
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "chat", "[[stall after 3]] please"]
    ready = {**environment(), **server}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=ready,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # who runs the tests may ignore it, as nohup does
    ) as process:
        assert process.stdout
        assert process.stdout.read(4) == b"This"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130
    assert listed(server)[0]["status"] == "cancelled"


@pytest.mark.xdist_group("local-chat")
def test_a_pipe_that_nobody_reads_any_more_cancels_it(server: dict[str, str]) -> None:
    command = f"{sys.executable} -m openresponses_dev.cli.cli chat '[[slow 20ms]] [[words 2000]]' | head -c 5"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env={**environment(), **server}, timeout=PATIENCE
    )
    assert (done.stdout, done.stderr) == ("This ", "")
    assert listed(server)[0]["status"] == "cancelled"


@pytest.mark.xdist_group("local-chat")
def test_commands_lines_and_the_history(server: dict[str, str], state: Path) -> None:
    with closing(at_a_terminal(server, state)) as terminal:
        terminal.wait_for("> ")
        terminal.type("/hlep\r")
        terminal.wait_for("there is no /hlep; try: /help")
        terminal.wait_for("> ")
        terminal.type("/help\r")
        terminal.wait_for("Ctrl-D leaves.")
        terminal.wait_for("> ")
        terminal.type("/model\r")
        terminal.wait_for("* offline/demo")
        terminal.wait_for("> ")
        terminal.type("/tools serverless:calculator\r")
        terminal.wait_for("tools: serverless:calculator")
        terminal.wait_for("> ")
        terminal.type("What is\x1b\r15 * 37?\r")  # Esc-Enter
        terminal.wait_for("555")
        terminal.wait_for("> ")
        terminal.type("\x1b[200~one\ntwo\nthree\x1b[201~\r")  # as a terminal says that text was pasted
        terminal.wait_for("three")
        terminal.wait_for(" s")
        terminal.wait_for("> ")
        terminal.type("/model offline/d\t")
        terminal.wait_for("emo")
        terminal.type("\r")
        terminal.wait_for("model: offline/demo")
        terminal.wait_for("> ")
        terminal.type("/save it\r")
        terminal.wait_for("it has no suffix that says what to write; try: it.md, or .json")
        terminal.wait_for("> ")
        terminal.type("/save ~nobody-of-this-name/it.md\r")
        terminal.wait_for("cannot be written: No such file or directory")
        terminal.wait_for("> ")
        terminal.type("/save it.md\r")
        terminal.wait_for("saved: it.md")
        terminal.wait_for("> ")
        terminal.type("/save it.json\r")
        terminal.wait_for("saved: it.json")
        terminal.wait_for("> ")
        terminal.type("/new\r")
        terminal.wait_for("a new conversation")
        terminal.wait_for("> ")
        terminal.type("/exit\r")
        assert terminal.wait() == 0
    saved = json.loads((state.parent / "it.json").read_text())
    asked = [item["content"] for item in saved["input"] if item.get("role") == "user"]
    assert asked == ["What is\n15 * 37?", "one\ntwo\nthree"]
    assert (saved["model"], saved["tools"]) == ("offline/demo", [{"type": "serverless:calculator"}])
    assert "## You\n\nWhat is\n15 * 37?\n\n**calculator**" in (state.parent / "it.md").read_text()
    history = state / "openresponses/chat-history"
    assert (stat.S_IMODE(history.stat().st_mode), stat.S_IMODE(history.parent.stat().st_mode)) == (0o600, 0o700)
    with closing(at_a_terminal(server, state)) as terminal:
        terminal.wait_for("> ")
        terminal.type("\x1b[A")
        terminal.wait_for("/exit")
        terminal.type("\x1b[A" * 7)
        terminal.wait_for("three")


@pytest.mark.xdist_group("local-chat")
@pytest.mark.parametrize(("columns", "colours"), [(40, {}), (100, {}), (40, {"NO_COLOR": "1"})])
def test_what_is_on_the_screen_fits_it(
    server: dict[str, str], state: Path, columns: int, colours: dict[str, str]
) -> None:
    words = ("--tool", "serverless:calculator", "What is 15 * 37? [[words 60]]")
    with closing(at_a_terminal(server, state, *words, columns=columns, **colours)) as terminal:
        assert terminal.wait() == 0
    lines = terminal.screen.shown()
    text = " ".join(lines)
    assert max(map(len, lines)) <= columns
    assert [line for line in lines if line.startswith("\u256d\u2500 calculator")]
    assert "This is the offline demo model: no real model ran." in re.sub(r"\s+", " ", text)
    assert "offline/demo \u00b7 " in text
    assert not [line for line in lines if line.endswith("\u280b") or "\u280b" in line]  # no spinner is left
    words_of_lines = {word for line in lines for word in line.split()}
    assert {"offline", "model:", "words", "answer"} <= words_of_lines  # none is cut in two
    painted = re.search(r"\x1b\[[\d;]*3[0-7]", terminal.raw)
    assert bool(painted) == (not colours)

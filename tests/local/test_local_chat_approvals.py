"""The terminal client asks before a tool of an MCP server is called, and goes on with the answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from openresponses_dev.cli.chat.approving import Approver
from openresponses_dev.cli.chat.offered import tool_of, word_of
from openresponses_dev.local.answer.calls import handed_call
from openresponses_dev.local.answer.view import View
from openresponses_dev.manage.problems import Problem
from tests.local.chatting import at_a_terminal, chat, listed
from tests.local.local_project import PATIENCE, environment

ADD = '[[call dice__add {"numbers": [15, 37]}]]'
ECHO = '[[call dice__echo {"text": "hi"}]]'
ASKS = "conversation: "


@pytest.fixture(scope="module")
def dice() -> Iterator[str]:
    """What offers the tools of an MCP server."""
    command = [sys.executable, "-m", "tests.fakes.mcp_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout
        yield f"mcp:dice={process.stdout.readline().strip()}"
        process.terminate()


def approvals(server: dict[str, str], response_id: str) -> list[bool]:
    """Those that were sent for it, newest first."""
    url = f"{server['OPENAI_BASE_URL']}/responses/{response_id}/input_items"
    headers = {"authorization": f"Bearer {server['OPENAI_API_KEY']}"}
    items: list[dict[str, Any]] = httpx2.get(url, headers=headers, timeout=PATIENCE).raise_for_status().json()["data"]
    return [item["approve"] for item in items if item["type"] == "mcp_approval_response"]


@pytest.mark.xdist_group("local-chat")
def test_calls_are_asked_for_one_after_another_and_answered_together(
    server: dict[str, str], state: Path, dice: str
) -> None:
    with closing(at_a_terminal(server, state, "--tool", dice)) as terminal:
        terminal.wait_for("> ")
        terminal.type(f"{ADD} {ECHO}\r")
        terminal.wait_for('Call dice/add({"numbers": [15, 37]})?')
        terminal.wait_for(ASKS)
        terminal.type("a\r")
        terminal.wait_for('Call dice/echo({"text": "hi"})?')
        terminal.wait_for(ASKS)
        terminal.type("\r")
        terminal.wait_for("dice__add answered: 52")
        terminal.wait_for("The call was not made.")
        terminal.wait_for("> ")
        decided = listed(server)[0]
        terminal.type(f"{ADD}\r")  # always
        terminal.wait_for("dice/add is approved, as you said")
        terminal.wait_for("dice__add answered: 52")
        terminal.wait_for("> ")
        terminal.type(f"/tools {dice}\r")  # it may be another server
        terminal.wait_for("tools: ")
        terminal.wait_for("> ")
        terminal.type(f"{ADD}\r")
        terminal.wait_for(ASKS)
        terminal.type("yse\r")
        terminal.wait_for(ASKS)
        terminal.type("\x03")
        terminal.wait_for("stopped: nothing is called")
        terminal.wait_for("> ")
        unanswered = listed(server)[0]
        terminal.type("Thanks.\r")  # the offline model calls the tool that takes a text
        terminal.wait_for(ASKS)
        refused = listed(server)[0]
        terminal.type("y\r")
        terminal.wait_for("dice__echo answered: Thanks.")
        terminal.wait_for("> ")
        for name in ("it.md", "it.json"):
            terminal.type(f"/save {name}\r")
            terminal.wait_for("saved: ")
            terminal.wait_for("> ")
        terminal.type(f"{ADD}\r")
        terminal.wait_for(ASKS)
        terminal.type("\x04")
        assert terminal.wait() == 0
    assert sorted(approvals(server, decided["id"])) == [False, True]
    assert (refused["previous_response_id"], approvals(server, refused["id"])[0]) == (unanswered["id"], False)
    saved = json.loads((state.parent / "it.json").read_text())
    kinds = [item["type"] for item in saved["input"] if item["type"] != "mcp_list_tools"]
    asked = ["mcp_approval_request", "mcp_approval_response"]
    question, answered = ["message"], ["mcp_call", "message"]
    assert kinds[:7] == [*question, asked[0], asked[0], asked[1], asked[1], *answered]
    assert kinds[7:] == [*question, *asked, *answered, *question, *asked, *question, *asked, *answered]
    assert "**dice/add**`" in (text := (state.parent / "it.md").read_text())
    assert "needs an approval.\n\nApproved.\n\n" in text
    assert "\n\nRefused.\n\n" in text


@pytest.mark.xdist_group("local-chat")
@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_one_question_at_a_terminal_asks_too(server: dict[str, str], state: Path, dice: str, kind: str) -> None:
    words = ("--no-store", "--tool", dice, ADD)
    with closing(at_a_terminal(server, state, *words, TERM=kind, columns=40)) as terminal:
        terminal.type("y\r")  # too early to answer what was not asked yet
        terminal.wait_for("Call dice/add(")
        terminal.wait_for("[N]o")
        terminal.type("y\r")
        assert terminal.wait() == 0
        assert "answered: 52" in " ".join(terminal.told().split())
    with closing(at_a_terminal(server, state, *words, TERM=kind)) as terminal:
        terminal.wait_for(ASKS)
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "answered" not in terminal.told()


@pytest.mark.xdist_group("local-chat")
def test_nobody_is_asked_in_a_pipe_and_what_approves_is_told(server: dict[str, str], dice: str) -> None:
    refused = chat(server, "--tool", dice, f"{ADD} {ECHO}", stdin="y\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    said, mend = refused.stderr.splitlines()[-2:]
    assert said.startswith("openresponses: dice/add, dice/echo were not called: they need your approval")
    assert "openresponses chat --approve dice/add --approve dice/echo" in mend
    read = chat(server, "--json", "--tool", dice, "--approve", "dice/add", f"{ADD} {ECHO}")
    assert (read.returncode, json.loads(read.stdout)["output"][-1]["type"]) == (1, "mcp_approval_request")
    approved = chat(server, "--tool", dice, "--approve", "dice/add", ADD)
    assert approved.returncode == 0
    assert "answered: 52" in approved.stdout
    assert "<- dice/add: 52" in approved.stderr


def test_a_tool_is_approved_by_its_whole_name_only() -> None:
    requests = [{"type": "mcp_approval_request", "id": "r", "server_label": "a", "name": "b", "arguments": "{}"}]
    given = [{"type": "mcp_approval_response", "approval_request_id": "r", "approve": True}]
    assert Approver(View(), ["a/b"], asks=False).answers(requests) == given
    assert Approver(View(), ["a/b/", "A/b"], asks=False).answers(requests) is None
    assert Approver(View(), [], asks=True).answers([]) == []
    with pytest.raises(Problem, match="--approve a: not the label"):
        Approver(View(), ["a"], asks=False)


def test_nothing_in_a_call_that_is_to_be_approved_is_invisible() -> None:
    arguments = '{"text": "h\u00e9\u200b\U000e0041\x1b\u202e\n"}'
    call = handed_call({"type": "mcp_approval_request", "server_label": "a", "name": "b\u2060", "arguments": arguments})
    assert call
    assert (call.name, call.arguments) == (
        "a/b\\u2060",
        '{"text": "h\u00e9\\u200b\\U000e0041\\x1b\\u202e\\n"}',
    )


@pytest.mark.parametrize("word", ["web_search", "serverless:clock", "mcp:docs", "mcp:docs=https://x.example.com/a=b"])
def test_a_word_offers_a_tool(word: str) -> None:
    assert word_of(tool_of(word)) == word


def test_what_a_word_cannot_offer_is_said() -> None:
    assert tool_of("mcp:a=https://b") == {"type": "mcp", "server_label": "a", "server_url": "https://b"}
    with pytest.raises(Problem, match="mcp needs the label"):
        tool_of("mcp")
    with pytest.raises(Problem, match="chat runs none"):
        tool_of("local_shell")

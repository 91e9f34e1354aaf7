"""Codex CLI, as npm has it, headless and with its defaults, in front of a model of each dialect.

Codex chooses its tools by the model's name, of which it looks at the part after the slash, and there at the longest
beginning that it knows. An unknown model is offered functions and namespaces of them; `gpt-5.5` custom tools too, and
`tool_search`, which finds the tools of MCP servers and for other agents; `gpt-6.2-sol`, its default, a custom tool in a
namespace that runs JavaScript, which calls the others, and agents that tell each other `agent_message` items.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.clients.conftest import CODEX, DIALECTS, Cloud

NOTES = Path(__file__).parent / "notes_server.py"
PAGE = Path(__file__).parents[2] / "docs/clients.md"
MODELS = ("unknown", "gpt-5.5", "gpt-6.2-sol")

Call: TypeAlias = tuple[str, dict[str, Any]]

pytestmark = [pytest.mark.clients, pytest.mark.timeout(500), pytest.mark.xdist_group("codex")]


@dataclass
class Codex:
    """Its home, and its working folder."""

    program: Path
    cloud: Cloud
    home: Path
    work: Path

    def run(self, model: str, prompt: str, *more: str, **settings: bool | str | int | Sequence[str]) -> str:
        """Its last message. Raises AssertionError for an exit code, or a turn that failed. `more` are arguments."""
        last = self.home / "last.txt"
        provider = {"name": "ours", "base_url": self.cloud.base_url, "env_key": "OURS", "wire_api": "responses"}
        settings = {f"model_providers.ours.{name}": value for name, value in provider.items()} | settings
        settings |= {"model_provider": "ours"} | ({"model": model} if model else {})
        command = [str(self.program), "exec", "--json", "--skip-git-repo-check", "-o", str(last)]
        command += ["--dangerously-bypass-approvals-and-sandbox"]
        for name, value in settings.items():
            command += ["-c", f"{name}={json.dumps(value)}"]
        home = {"HOME": str(self.home), "CODEX_HOME": str(self.home)}
        ran = subprocess.run(
            [*command, *more, prompt], cwd=self.work,
            env={"PATH": os.environ["PATH"], "OURS": self.cloud.api_key, **home},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return last.read_text()

    def sent(self, dialect: str, *texts: str, without: Sequence[str] = ()) -> dict[str, Any]:
        """The newest request that reached the upstream with all of these texts in it."""
        for each in reversed(self.cloud.upstreams[dialect].requests):
            text = json.dumps(each.body)
            if all(wanted in text for wanted in texts) and not any(unwanted in text for unwanted in without):
                return each.body
        raise AssertionError(f"no request has {texts}")


@pytest.fixture
def codex(program: Path, cloud: Cloud, tmp_path: Path) -> Codex:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    return Codex(program, cloud, home, work)


def calls(*each: Call) -> str:
    """The prompt that makes the model call these tools, one a turn."""
    texts = [f"{name}={json.dumps(arguments)}" for name, arguments in each]
    return ";".join(["/fake calls", *(text.replace(";", r"\u003b") for text in texts)])


def javascript(code: str) -> Call:
    return "exec", {"input": code}


def command(model: str, line: str) -> Call:
    arguments = {"cmd": line}
    if model == "gpt-6.2-sol":
        return javascript(f"text(await tools.exec_command({json.dumps(arguments)}))")
    return "exec_command", arguments


everywhere = pytest.mark.parametrize(("dialect", "model"), list(product(DIALECTS, MODELS)))


def test_its_row_has_the_version_that_runs_here() -> None:
    """Each yes is a test below; Codex asks for streams only."""
    row = next(line for line in PAGE.read_text().splitlines() if "tests/clients/test_codex.py" in line)
    assert f"`@openai/codex@{CODEX}`" in row
    assert row.count("| yes ") == 5


@everywhere
def test_a_plain_task(codex: Codex, dialect: str, model: str) -> None:
    assert codex.run(f"{dialect}/{model}!echo", "Say hello.").split()[-2:] == ["Say", "hello."]


@everywhere
def test_a_tool_task_changes_a_file(codex: Codex, dialect: str, model: str) -> None:
    (codex.work / "made.txt").write_text("one\ntwo\n")
    patch = "*** Begin Patch\n*** Update File: made.txt\n@@\n one\n-two\n+three\n*** End Patch\n"
    edit = command(model, "sed -i s/two/three/ made.txt && echo Success")
    if model == "gpt-5.5":
        edit = ("apply_patch", {"input": patch})
    said = codex.run(f"{dialect}/{model}!echo", calls(edit))
    assert (codex.work / "made.txt").read_text() == "one\nthree\n"
    assert said.startswith("The tools said:")
    assert "Success" in said


@everywhere
def test_multi_agent_gives_a_task_to_another_agent_and_hears_its_answer(codex: Codex, dialect: str, model: str) -> None:
    task = f"Think of {secrets.token_hex(4)}."
    by_id = [("spawn_agent", {"message": task}), ("wait_agent", {"targets": ["$agent_id"]})]
    steps = {
        "unknown": by_id,
        "gpt-5.5": [("tool_search", {"query": "spawn agent, wait agent"}), *by_id],
        "gpt-6.2-sol": [
            ("spawn_agent", {"task_name": "helper", "message": task, "fork_turns": "none"}),
            ("wait_agent", {}),
        ],
    }[model]
    said = codex.run(f"{dialect}/{model}!echo", calls(*steps))
    codex.sent(dialect, task, without=["/fake calls"])
    assert task in said, said


@everywhere
def test_an_mcp_server_of_its_configuration_is_called(codex: Codex, tmp_path: Path, dialect: str, model: str) -> None:
    written = tmp_path / "notes.txt"
    note = ("write_note", {"text": "milk"})
    steps = {
        "unknown": [note],
        "gpt-5.5": [("tool_search", {"query": "write a note"}), note],
        "gpt-6.2-sol": [javascript("text(await tools.mcp__notes__write_note({text: 'milk'}))")],
    }[model]
    said = codex.run(
        f"{dialect}/{model}!echo",
        calls(*steps),
        **{"mcp_servers.notes.command": sys.executable, "mcp_servers.notes.args": [str(NOTES), str(written)]},
    )
    assert written.read_text() == "milk\n"
    assert "noted milk" in said


@everywhere
def test_its_highest_effort_is_asked_of_the_model(codex: Codex, dialect: str, model: str) -> None:
    word = secrets.token_hex(4)
    codex.run(f"{dialect}/{model}!echo", f"Think of {word}.", model_reasoning_effort="max")
    match codex.sent(dialect, word):
        case {"reasoning_effort": effort} | {"reasoning": {"effort": effort}}:
            assert effort == "max"
        case asked:
            assert asked["thinking"]["budget_tokens"] > 0.9 * asked["max_tokens"]


@everywhere
def test_its_output_schema_binds_the_answer(codex: Codex, dialect: str, model: str) -> None:
    schema = codex.home / "schema.json"
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    schema.write_text(json.dumps({**city, "additionalProperties": False}))
    said = codex.run(f"{dialect}/{model}!echo", "/fake json", "--output-schema", str(schema))
    assert json.loads(said) == {"city": "x"}


@everywhere
def test_a_session_goes_on(codex: Codex, dialect: str, model: str) -> None:
    word = secrets.token_hex(4)
    codex.run(f"{dialect}/{model}!echo", calls(command(model, f"echo {word}")))
    codex.run(f"{dialect}/{model}!echo", "And then?", "resume", "--last")
    codex.sent(dialect, word, "The tools said:", "And then?")


@everywhere
def test_a_conversation_that_outgrows_the_model_is_compacted(codex: Codex, dialect: str, model: str) -> None:
    """Codex asks for a summary in words, and goes on from that."""
    word, asks = secrets.token_hex(4), "CONTEXT CHECKPOINT COMPACTION"
    codex.run(f"{dialect}/{model}!echo", f"Think of {word}.")
    codex.run(f"{dialect}/{model}!echo", f"And {word}?", "resume", "--last", model_context_window=5000)
    codex.sent(dialect, f"Think of {word}.", asks, without=[f"And {word}?"])
    codex.sent(dialect, f"And {word}?", asks)  # the summary of a model that says back what it is told


def test_no_model_needs_to_be_named(codex: Codex) -> None:
    """An alias may have the name of its default."""
    assert codex.run("", "Say hello.").split()[-2:] == ["Say", "hello."]


OWN_COMPACTION = {"model_providers.ours.name": "OpenAI"}
"""Codex asks a provider of this name to compact, and gives others a prompt of its own."""
RECALL = "What do you recall? /fake recalls"
CODEX_SAYS = "Process exited with code 0"
"""Of each command, in its output."""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_its_own_compaction_keeps_what_a_tool_said(codex: Codex, dialect: str) -> None:
    fact, model = f"fact-{secrets.token_hex(4)}", f"{dialect}/gpt-5.5!recalls"
    half = len(fact) // 2
    line = f"echo {fact[:half]}''{fact[half:]}"
    codex.run(model, calls(command("gpt-5.5", line)), **OWN_COMPACTION)
    resumed = {"model_auto_compact_token_limit": 1000, **OWN_COMPACTION}
    said = codex.run(model, RECALL, "resume", "--last", **resumed)
    assert fact in said
    codex.sent(dialect, fact, RECALL, without=[CODEX_SAYS])


SOCKETS = {"model_providers.ours.supports_websockets": True}
ON_HTTP, ON_A_SOCKET = "ApiFunction POST /v1/responses", "SocketWorkerFunction asynchronously"
CONNECTED, REFUSED = "SocketFunction $connect", "GET /v1/responses  426"


@contextmanager
def served(cloud: Cloud) -> Iterator[Counter[str]]:
    """How many lines that the server logs meanwhile have each of these."""
    counts, begin = Counter[str](), len(cloud.log_file.read_text())
    yield counts
    told = cloud.log_file.read_text()[begin:]
    counts.update({each: told.count(each) for each in (ON_HTTP, ON_A_SOCKET, CONNECTED, REFUSED)})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("options", [(), ("--websocket-origin", "separate")], ids=["small", "separate"])
def test_it_falls_back_to_http_where_a_socket_is_elsewhere_or_too_small(
    codex: Codex, cloud_with: Callable[..., Cloud], options: Sequence[str], model: str
) -> None:
    """API Gateway takes 32 KB in a frame; a message of Codex has that soon, and with some of its tools at once."""
    codex = replace(codex, cloud=cloud_with(*options))
    word = secrets.token_hex(4)
    asked = calls(command(model, f"echo {word}"))
    with served(codex.cloud) as lines:
        said = codex.run(f"chat_completions/{model}!echo", f"{'Well. ' * 4000}{asked}", **SOCKETS)
    assert word in said
    assert (lines[ON_HTTP], bool(lines[CONNECTED]), bool(lines[REFUSED])) == (2, not options, bool(options))


def test_it_stays_on_a_socket_that_is_large_enough(codex: Codex, cloud_with: Callable[..., Cloud]) -> None:
    codex = replace(codex, cloud=cloud_with("--websocket-limits", "off"))
    fact, model = f"fact-{secrets.token_hex(4)}", "chat_completions/gpt-5.5!recalls"
    asked = calls(command("gpt-5.5", f"echo {fact[:8]}''{fact[8:]}"))
    resumed = {"model_auto_compact_token_limit": 1000, **SOCKETS, **OWN_COMPACTION}
    with served(codex.cloud) as lines:
        assert fact in codex.run(model, asked, **SOCKETS, **OWN_COMPACTION)
        assert fact in codex.run(model, RECALL, "resume", "--last", **resumed)
    assert lines[ON_HTTP] == 0
    assert lines[ON_A_SOCKET] >= 4

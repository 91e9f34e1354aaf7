"""The log of `dev`: one line for each record, that a person can read."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from openresponses_dev.local.logs import Log

RESPONSE = {
    "level": "INFO", "message": "response", "tenant": "default", "response_id": "resp_1", "asked": "fast",
    "provider": "openai", "model": "gpt-5-mini", "status": "completed", "turns": 2, "tool_calls": 1,
    "duration_ms": 1365.2, "input_tokens": 120, "output_tokens": 45, "usd": "0.01", "reason": None, "error": None,
}  # fmt: skip
RAISED = {
    "level": "ERROR", "message": "tool raised", "tool": "dictionary", "error": "KeyError", "why": "'x'", "line": 12,
    "file": "/elsewhere/tools/dictionary.py",
    "exception": 'Traceback (most recent call last):\n  File "/elsewhere/tools/dictionary.py", line 12\nKeyError: 1\n',
}  # fmt: skip
FAILED = {"level": "WARNING", "message": "provider failed", "target": "groq/l", "error": "ProviderUnavailable"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (RESPONSE, "resp_1 completed: fast by openai/gpt-5-mini, 2 turns, 1 tool call, 120 + 45 tokens, $0.01, 1.4 s"),
        (
            {**RESPONSE, "status": "failed", "error": "timeout", "asked": "openai/gpt-5-mini", "usd": None},
            "resp_1 failed: timeout: openai/gpt-5-mini, 2 turns, 1 tool call, 120 + 45 tokens, "
            "cost unknown, 1.4 s",
        ),
        ({**RESPONSE, "status": "failed", "error": "x", "provider": "none", "model": ""},
         "resp_1 failed: x: fast, 2 turns, 1 tool call, 120 + 45 tokens, $0.01, 1.4 s"),
        ({**FAILED, "code": "c", "duration_ms": 20.1}, "groq/l failed: ProviderUnavailable: c, after 20 ms"),
        ({**FAILED, "code": "c", "cause": "tls", "reason": "its certificate is not valid"},
         "groq/l failed: ProviderUnavailable: tls: its certificate is not valid"),
        ({**FAILED, "code": "c", "cause": "answer", "reason": None}, "groq/l failed: ProviderUnavailable: answer"),
        ({"level": "WARNING", "message": "target skipped", "target": "a/b", "why": "circuit"},
         "a/b is passed over: circuit"),
        ({"level": "WARNING", "message": "circuit", "target": "a/b", "state": "closed"}, "a/b answers again"),
        ({"level": "WARNING", "message": "refused", "code": "not_found", "param": "model"},
         "refused: not_found, because of model"),
        ({"level": "INFO", "message": "something else", "count": 3}, "INFO something else count=3"),
        ({"level": "INFO", "message": "request", "response_id": "resp_1"}, ""),
        ({"message": "Turns", "_aws": {}}, ""),
    ],
)  # fmt: skip
def test_a_record_is_a_short_line(record: dict[str, object], said: str) -> None:
    stream = io.StringIO()
    log = Log(stream)
    log.output("Api", json.dumps(record))
    assert re.sub(r"\d\d:\d\d:\d\d", "", stream.getvalue(), count=1) == (f" Api | {said}\n" if said else "")
    lines, _ = log.history.lines_from(0)
    assert [line.text for line in lines] == ([said] if said else [])


def test_a_tools_traceback_is_a_problem_until_the_tool_is_changed() -> None:
    stream = io.StringIO()
    log = Log(stream)
    for _ in range(2):
        log.output("Api", json.dumps(RAISED))
    shown = stream.getvalue()
    assert "Api | tool dictionary raised KeyError at /elsewhere/tools/dictionary.py:12: 'x'\n" in shown
    assert "\n           File" in shown
    (problem,) = log.history.problems
    assert (problem.kind, problem.text) == ("tool", RAISED["exception"])
    assert problem.title.startswith("tool dictionary raised KeyError at ")
    log.history.forget("template")
    assert log.history.problems == [problem]
    log.history.forget("tool")
    assert log.history.problems == []


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("columns", [120, 40])
def test_a_terminal_gets_colours_unless_they_are_not_wanted_and_lines_that_fit(
    monkeypatch: pytest.MonkeyPatch, colours: bool, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    log = Log(stream)
    log.say("GET /v1/models  401  a wrong key: or_abcdefghijkl_... (unknown)", failed=True)
    for record in (RESPONSE, RAISED, FAILED):
        log.output("ApiFunction", json.dumps(record))
    shown = stream.getvalue()
    assert ("\x1b[31m" in shown) is colours
    assert ("\x1b[33m" in shown) is colours
    plain = re.sub("\x1b\\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= columns
    assert "tool dictionary raised KeyError" in " ".join(plain.split())
    begins = re.compile(r"\d\d:\d\d:\d\d " if columns > 60 else "- ")
    assert len([line for line in plain.splitlines() if begins.match(line)]) == 4
    assert all(line.startswith("  ") for line in plain.splitlines() if not begins.match(line))


def test_the_file_has_what_was_printed(tmp_path: Path) -> None:
    log = Log(None, file=tmp_path / "log")
    log.output("Api", json.dumps(RESPONSE))
    log.say("changed")
    log.close()
    assert (tmp_path / "log").read_text() == f"Api | {json.dumps(RESPONSE)}\nchanged\n"

"""The calls of MCP servers that are made only if the user says so, and the question whether they are.

The items: https://platform.openai.com/docs/guides/tools-connectors-mcp#approvals
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from shlex import quote

from openresponses_dev.cli.chat.conversation import approval
from openresponses_dev.cli.chat.line import typed_line
from openresponses_dev.local.answer.calls import Event, handed_call, shortened, tool_name
from openresponses_dev.local.answer.view import View
from openresponses_dev.local.command_line import command
from openresponses_dev.manage.problems import Problem

_CHOICES = "[y]es, [N]o, [a]lways in this conversation: "
_ANSWERS = {"y": "yes", "yes": "yes", "a": "always", "always": "always", "": "no", "n": "no", "no": "no"}
_LONGEST = 300
"""Characters of the arguments that the question repeats. The view has shown all of them."""


class Approver:
    """`granted` are tools (`LABEL/TOOL`) that may be called without a question. `asks`: there is somebody to ask."""

    def __init__(self, view: View, granted: Collection[str], *, asks: bool) -> None:
        """Raises Problem."""
        for name in granted:
            if not all(name.partition("/")):
                raise Problem(f"--approve {name}: not the label of a server, a slash, a tool", "--approve LABEL/TOOL")
        self._view, self._granted, self._asks = view, frozenset(granted), asks
        self._always = set[str]()

    def forget(self) -> None:
        """Ask again for what was always to be called."""
        self._always.clear()

    def answers(self, requests: Sequence[Event]) -> list[Event] | None:
        """One for each request; None if one of them needs a question, and there is nobody to ask.

        Raises KeyboardInterrupt at Ctrl-C, EOFError at Ctrl-D.
        """
        if not self._asks and not all(tool_name(each) in self._granted for each in requests):
            return None
        return [approval(each, approve=self._approves(each)) for each in requests]

    def _approves(self, request: Event) -> bool:
        name = tool_name(request)
        if name in self._granted or name in self._always:
            self._view.note(f"{name} is approved, as you said")
            return True
        call = handed_call(request)
        answer = _asked(f"Call {call.name}({shortened(call.arguments, _LONGEST)})? {_CHOICES}") if call else "no"
        if answer == "always":
            self._always.add(name)
        return answer != "no"


def can_ask() -> bool:
    """Whether the user is at a terminal, and sees the question there."""
    return bool(sys.stdin and sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty()))


def not_approved(requests: Sequence[Event]) -> Problem:
    """Of requests for which there was nobody to ask."""
    names = dict.fromkeys(map(tool_name, requests))
    options = " ".join(f"--approve {quote(name)}" for name in names)
    words = ("was", "it needs") if len(names) == 1 else ("were", "they need")
    message = f"{', '.join(names)} {words[0]} not called: {words[1]} your approval, and there is no terminal to ask at"
    return Problem(message, f"{command('chat')} {options} ..., or the same at a terminal")


def _asked(question: str) -> str:
    """`yes`, `no` or `always`."""
    import termios

    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before the question does not answer it
    while True:
        if answer := _ANSWERS.get(typed_line(question).lower()):
            return answer

"""What a line that begins with `/` does, at the prompt."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill

from openresponses_dev.cli.chat.approving import Approver
from openresponses_dev.cli.chat.client import TurnFailed
from openresponses_dev.cli.chat.conversation import Conversation
from openresponses_dev.cli.chat.offered import tool_of, word_of
from openresponses_dev.cli.chat.saved import save
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.problems import Problem

HELP = {
    "/help": "this list",
    "/model [NAME]": "answer with this model; without a name, list those that there are",
    "/tools [TYPE...]": "offer these tools, such as serverless:calculator or mcp:LABEL; `/tools none` offers none",
    "/save FILE": "write the conversation as Markdown (.md) or as JSON (.json)",
    "/new": "begin a new conversation",
    "/exit": "leave, as Ctrl-D does",
}
_KEYS = (
    "Enter sends. Esc-Enter, or Alt-Enter, begins a new line. Tab completes, and Up finds what was asked before.",
    "Ctrl-C stops an answer and cancels its response. At the prompt it clears the line. Ctrl-D leaves.",
)
_WORD = re.compile(r"/[A-Za-z]+")
COMMANDS = [each.split()[0] for each in HELP]
_OTHERS = {"/quit": "/exit", "/?": "/help", "/bye": "/exit"}


def is_command(line: str) -> bool:
    """A question may begin with a path, such as `/etc/hosts`: that is none."""
    words = line.split(maxsplit=1)
    return bool(words) and "\n" not in line and (words[0] in _OTHERS or bool(_WORD.fullmatch(words[0])))


def wrapped(text: str, indent: str = "") -> str:
    """As wide as the terminal. No word is cut in two, such as a URL."""
    columns = get_terminal_size().columns
    return fill(text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


class Commands:
    def __init__(self, conversation: Conversation, approver: Approver) -> None:
        self._conversation, self._settings, self._approver = conversation, conversation.settings, approver
        self._saved: set[Path] = set()
        self._do: dict[str, Callable[[Sequence[str]], None]] = {
            "/help": self._help,
            "/model": self._model,
            "/tools": self._tools,
            "/save": self._save,
            "/new": self._new,
        }

    def run(self, line: str) -> bool:
        """Whether the conversation goes on. Raises Problem."""
        name, *words = line.split()
        name = _OTHERS.get(name, name)
        if name == "/exit":
            return False
        if name not in self._do:
            near = get_close_matches(name, COMMANDS, n=1)
            raise Problem(f"there is no {name}", near[0] if near else "/help lists what there is")
        self._do[name](words)
        return True

    def models(self) -> list[str]:
        """Those that there are; none where they cannot be listed."""
        try:
            return self._conversation.client.models()
        except TurnFailed:
            return []

    def _help(self, words: Sequence[str]) -> None:
        indent = max(map(len, HELP)) + 2
        narrow = " " * indent if get_terminal_size().columns > 2 * indent else "  "
        lines = [wrapped(f"{name.ljust(indent)}{about}", narrow) for name, about in HELP.items()]
        say("\n".join([*lines, "", *map(wrapped, _KEYS)]))

    def _model(self, words: Sequence[str]) -> None:
        if words:
            self._settings["model"] = words[0]
            say(f"model: {words[0]}")
            return
        try:
            found = self._conversation.client.models()
        except TurnFailed as failed:
            raise Problem(str(failed), failed.mend) from None
        now = self._settings["model"]
        say("\n".join(f"{'*' if each == now else ' '} {each}" for each in dict.fromkeys([now, *found])))

    def _tools(self, words: Sequence[str]) -> None:
        if words:
            tools = [] if list(words) == ["none"] else [tool_of(each) for each in words]
            self._approver.forget()  # a label may name another server now
            self._settings.pop("tools", None)
            if tools:
                self._settings["tools"] = tools
        offered = [word_of(each) for each in self._settings.get("tools", [])]
        say(f"tools: {', '.join(offered) or 'none'}")

    def _save(self, words: Sequence[str]) -> None:
        if not words:
            raise Problem("/save needs a file", "/save chat.md")
        path = Path(os.path.expanduser(" ".join(words)))
        save(path, self._conversation.items, self._settings, again=path in self._saved)
        self._saved.add(path)
        say(f"saved: {path}")

    def _new(self, words: Sequence[str]) -> None:
        self._conversation.forget()
        self._approver.forget()
        say("a new conversation")

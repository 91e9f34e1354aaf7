"""The line at which questions are typed, and what was typed at it before."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output

from openresponses_dev.cli.chat.slash import COMMANDS, is_command

TOOLS = ("serverless:calculator", "serverless:clock", "web_search", "none")
"""What `/tools` completes: those that come with the server."""
_KEPT = 2**20
"""Bytes of the history that are kept when it is opened."""


class Prompt:
    """`models` lists names to complete."""

    def __init__(self, models: Callable[[], list[str]], history: History) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=history,
            multiline=True,
            key_bindings=_keys(),
            completer=_Words(cache(lambda: tuple(models()))),
            complete_while_typing=False,
            complete_in_thread=True,
            prompt_continuation="  ",
            output=None if sys.stdout.isatty() else create_output(stdout=sys.stderr),
        )

    def ask(self) -> str:
        """Raises KeyboardInterrupt at Ctrl-C, EOFError at Ctrl-D."""
        typed = self._session.prompt(FormattedText([("bold ansicyan", "> ")])).strip()
        return typed.encode(errors="replace").decode()  # bytes that are no text come as halves of pairs


def history_file(environment: Mapping[str, str] = os.environ) -> Path:
    """https://specifications.freedesktop.org/basedir-spec/latest/#variables"""
    state = Path(environment.get("XDG_STATE_HOME") or "")
    return (state if state.is_absolute() else Path.home() / ".local/state") / "openresponses" / "chat-history"


def history_at(path: Path) -> History:
    """What only its user may read. Where there is no place for it, what is typed is known until the program ends."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with open(file, "rb+") as opened:
            os.fchmod(file, 0o600)
            _shorten(opened.fileno())
    except OSError:
        return InMemoryHistory()
    return _Kept(str(path))


class _Kept(FileHistory):
    """Two programs that add to it at once do not write into each other's entries, since each is written at once."""

    def store_string(self, string: str) -> None:
        lines = "".join(f"+{line}\n" for line in string.split("\n"))
        entry = f"\n# {datetime.now()}\n{lines}".encode(errors="replace")  # as FileHistory reads it
        with suppress(OSError):  # a full disk, say: the question is asked all the same
            file = os.open(self.filename, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
            try:
                os.write(file, entry)
            finally:
                os.close(file)


def _shorten(file: int) -> None:
    """Forget the oldest, where it has grown too long. An entry begins with an empty line and a comment."""
    size = os.fstat(file).st_size
    if size <= _KEPT:
        return
    text = os.pread(file, size, 0)[-_KEPT // 2 :]
    os.ftruncate(file, 0)
    os.pwrite(file, text[max(0, text.find(b"\n# ")) :], 0)


class _Words(Completer):
    def __init__(self, models: Callable[[], tuple[str, ...]]) -> None:
        self._models, self._paths = models, PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        if not is_command(line) and line != "/":
            return
        name, space, rest = line.partition(" ")
        if not space:
            yield from _beginning(name, COMMANDS)
        elif name == "/model":
            yield from _beginning(rest, self._models())
        elif name == "/tools":
            yield from _beginning(rest.rpartition(" ")[2], TOOLS)
        elif name == "/save":
            yield from self._paths.get_completions(Document(rest), complete_event)


def _beginning(typed: str, words: Iterable[str]) -> Iterable[Completion]:
    return (Completion(word, start_position=-len(typed)) for word in words if word.startswith(typed))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        # More text in the same moment: a terminal without bracketed paste is being pasted into.
        if any(press.data.isprintable() and press.data for press in event.app.key_processor.input_queue):
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys

"""The command: what is asked, by whom, and how it ends."""

from __future__ import annotations

import base64
import json
import mimetypes
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from openresponses_dev.cli.chat.approving import Approver, can_ask, not_approved
from openresponses_dev.cli.chat.client import Client, TurnFailed
from openresponses_dev.cli.chat.conversation import Conversation, requests_in
from openresponses_dev.cli.chat.line import typed_line
from openresponses_dev.cli.chat.offered import tool_of
from openresponses_dev.cli.chat.server import find_server
from openresponses_dev.cli.chat.turn import Left, take_turn
from openresponses_dev.local.answer.calls import Event
from openresponses_dev.local.answer.plain import PlainView
from openresponses_dev.local.answer.view import View
from openresponses_dev.local.command_line import command
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.deployment import Local
from openresponses_dev.manage.problems import Problem, tell

if TYPE_CHECKING:
    from openresponses_dev.cli.chat.slash import Commands

_DUMB = ("dumb", "unknown")
_MOST = 10_000_000
"""Bytes that API Gateway takes: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""
_STOPPED = 130
"""The exit status of a program that Ctrl-C ended, as shells have it."""


def chat(
    *prompt: Annotated[str, Parameter(help="ask this and leave; without it, a conversation")],
    model: str = "offline/demo",
    tool: Annotated[
        tuple[str, ...], Parameter(metavar="TYPE", help="such as serverless:calculator, mcp:LABEL or mcp:LABEL=URL")
    ] = (),
    approve: Annotated[
        tuple[str, ...], Parameter(metavar="LABEL/TOOL", help="call this tool of an MCP server without asking")
    ] = (),
    instructions: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    image: Annotated[tuple[Path, ...], Parameter(metavar="FILE", help="what the question is about")] = (),
    local: Local = None,
    base_url: Annotated[
        str | None, Parameter(metavar="URL", help="default: OPENAI_BASE_URL, or the dev that runs")
    ] = None,
    api_key: Annotated[
        str | None, Parameter(metavar="KEY", help="default: OPENAI_API_KEY, or the one of the dev that runs")
    ] = None,
    no_store: Annotated[
        bool, Parameter(help="let the server keep nothing; an answer that is stopped then goes on there to its end")
    ] = False,
    as_json: Annotated[bool, Parameter("--json", help="print the final response, for programs")] = False,
) -> int:
    """The exit status."""
    question = _question(" ".join(prompt), interactive=not as_json)
    settings: Event = {"model": model, "stream": True, "store": not no_store}
    if tool:
        settings["tools"] = [tool_of(each) for each in tool]
    if instructions:
        settings["instructions"] = instructions
    images = [_image(file) for file in image]
    server = find_server(base_url, local, api_key, os.environ)
    if server.note and sys.stderr.isatty():
        say(server.note, sys.stderr)
    try:
        client = Client(server)
    except TurnFailed as failed:
        return tell(Problem(str(failed), failed.mend))
    view = View() if as_json else _view()
    conversation = Conversation(client, view, settings)
    approver = Approver(view, approve, asks=can_ask() and not as_json)
    if question:
        content: str | list[Event] = [{"type": "input_text", "text": question}, *images] if images else question
        return _once(conversation, view, approver, content, as_json=as_json)
    if images:
        raise Problem("--image needs a question", command('chat --image FILE "What is this?"'))
    return _converse(conversation, view, approver)


def _question(words: str, *, interactive: bool) -> str:
    """The words, and what is piped in. Empty for a conversation. Raises Problem."""
    if any("\ud800" <= each <= "\udfff" for each in words):
        raise Problem("the question has bytes that are no text in UTF-8")
    piped = _piped()
    question = "\n\n".join(filter(str.strip, (words, piped or "")))
    if not question and (piped is not None or not interactive):
        raise Problem("nothing is asked", command('chat "Hello"'))
    return question


def _piped() -> str | None:
    """None where standard input is a terminal, or another device. Raises Problem."""
    if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        return None
    try:
        if stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode):
            return ""
    except (OSError, ValueError):  # it is no file, but may be read
        pass
    piped = sys.stdin.buffer.read(_MOST + 1)
    if len(piped) > _MOST:
        raise Problem(f"what is piped in has more than the {_MOST:,} bytes that a request may have")
    try:
        return piped.decode()
    except UnicodeDecodeError as error:
        raise Problem(f"what is piped in is no text: {error}") from None


def _image(file: Path) -> Event:
    """Raises Problem."""
    kind = mimetypes.guess_type(file.name)[0] or ""
    if not kind.startswith("image/"):
        raise Problem(f"{file} is no image, by its name", "--image picture.png")
    try:
        data = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}") from None
    return {"type": "input_image", "image_url": f"data:{kind};base64,{data}"}


def _view() -> View:
    if not sys.stdout.isatty():
        return PlainView(sys.stdout, sys.stderr)
    from rich.console import Console

    from openresponses_dev.cli.chat.screen import ScreenView

    console = Console(highlight=False)
    if console.is_dumb_terminal:
        return PlainView(sys.stdout, sys.stdout, usage=True)
    return ScreenView(console)


def _once(
    conversation: Conversation, view: View, approver: Approver, content: str | list[Event], *, as_json: bool
) -> int:
    try:
        final = take_turn(conversation, view, approver, content)
    except TurnFailed as failed:
        return tell(Problem(str(failed), failed.mend))
    except (Left, EOFError):
        return _STOPPED
    if final is None:
        return _STOPPED
    if as_json:
        print(json.dumps(final))
    if requests := requests_in(final):
        return tell(not_approved(requests))
    return 0 if final.get("status") == "completed" else 1


def _converse(conversation: Conversation, view: View, approver: Approver) -> int:
    from openresponses_dev.cli.chat.slash import Commands, is_command, wrapped

    commands = Commands(conversation, approver)
    prompt = _prompt(commands)
    server = conversation.client.server
    greeting = f"{conversation.settings['model']} at {server.base_url}. /help tells more, Ctrl-D leaves."
    say(wrapped(greeting), sys.stderr)
    while True:
        try:
            line = prompt()
            if is_command(line):
                if not commands.run(line):
                    return 0
            elif line:
                _turn(conversation, view, approver, line)
        except EOFError:
            return 0
        except Left:
            return _STOPPED
        except KeyboardInterrupt:
            continue
        except Problem as problem:
            view.note(_with_mend(str(problem), problem.mend), bad=True)


def _prompt(commands: Commands) -> Callable[[], str]:
    if os.environ.get("TERM") in _DUMB:
        return lambda: typed_line("> ")
    from openresponses_dev.cli.chat.prompt import Prompt, history_at, history_file

    return Prompt(commands.models, history_at(history_file())).ask


def _turn(conversation: Conversation, view: View, approver: Approver, line: str) -> None:
    """Raises Problem, Left, and EOFError at Ctrl-D."""
    try:
        final = take_turn(conversation, view, approver, line)
    except TurnFailed as failed:
        raise Problem(str(failed), failed.mend) from None
    if requests := requests_in(final or {}):
        raise not_approved(requests)


def _with_mend(message: str, mend: str) -> str:
    return f"{message}; try: {mend}" if mend else message

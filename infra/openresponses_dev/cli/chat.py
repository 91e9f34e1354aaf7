"""`openresponses chat`: a conversation in the terminal, over plain HTTP and SSE. It keeps the history itself."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, TextIO

import httpx2
from cyclopts import Parameter

from openresponses_dev.local.terminal import say, visible
from openresponses_dev.manage.problems import fail

Event = dict[str, Any]

_DIM, _CYAN, _RED, _PLAIN = "\x1b[2m", "\x1b[36m", "\x1b[31m", "\x1b[0m"
_TEXT = ("response.output_text.delta", "response.refusal.delta")
_REASONING = (
    "response.reasoning.delta",  # Open Responses; OpenAI has the other name
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
)
_LONGEST = 2000


class View:
    """Keeps text and reasoning in paragraphs of their own, whatever comes between them."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._colour = out, out.isatty()
        self._open: str | None = None  # what the line that is not ended belongs to

    def show(self, event: Event) -> None:
        match event.get("type"):
            case kind if kind in _TEXT:
                self._append("text", event["delta"], None)
            case kind if kind in _REASONING:
                self._append("reasoning", event["delta"], _DIM)
            case "response.output_item.added" if _hosted(event["item"]):
                self._call(event["item"])
            case "response.output_item.done" if _hosted(event["item"]):
                self._result(event["item"])
            case "response.output_item.done" if event["item"].get("type") == "function_call":
                self._call(event["item"])
                self.note("a function of the client: not run here")
            case "response.failed":
                self.note(f"failed: {_message(event['response'].get('error'))}", bad=True)
            case "response.incomplete":
                details: Event = event["response"].get("incomplete_details") or {}
                self.note(f"incomplete: {details.get('reason')}", bad=True)
            case "error":
                self.note(f"error: {_message(event.get('error') or event)}", bad=True)
            case _:
                pass

    def note(self, text: str, *, bad: bool = False) -> None:
        """Something that the model did not say."""
        self._line(f"({text})", _RED if bad else _DIM)

    def end(self) -> None:
        if self._open:
            self._out.write("\n")
            self._open = None
        self._out.flush()

    def _append(self, kind: str, text: str, colour: str | None) -> None:
        if self._open not in (None, kind):
            self.end()
        if self._open is None and kind == "reasoning":
            text = f"thinking: {text}"
        self._open = kind
        self._out.write(self._painted(visible(text), colour))
        self._out.flush()

    def _call(self, item: Event) -> None:
        self._line(f"-> {item['name']}({item.get('arguments') or ''})", _CYAN)

    def _result(self, item: Event) -> None:
        failed = item.get("status") not in ("completed", None)
        output = str(item.get("output") if item.get("output") is not None else "")
        shown = output if len(output) <= _LONGEST else f"{output[:_LONGEST]}... ({len(output)} characters)"
        status = f" [{item['status']}]" if failed else ""
        self._line(f"<- {item['name']}{status}: {shown}", _RED if failed else _CYAN)

    def _line(self, text: str, colour: str) -> None:
        self.end()
        self._out.write(self._painted(visible(text), colour) + "\n")
        self._out.flush()

    def _painted(self, text: str, colour: str | None) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour and colour else text


def _hosted(item: Event) -> bool:
    return str(item.get("type", "")).startswith("serverless:")


def _message(error: Event | None) -> str:
    return str((error or {}).get("message") or error or "no reason was given")


_ENDINGS = ("response.completed", "response.incomplete", "response.failed")
_TIMEOUT = httpx2.Timeout(10, read=120)  # the server's heartbeat comes far more often
_CANNOT = "This client runs no functions."


class TurnFailed(Exception):
    """No answer came; the message is for the user."""


def chat(
    *prompt: Annotated[str, Parameter(help="ask this and leave; without it, a conversation")],
    model: str = "offline/demo",
    tool: Annotated[tuple[str, ...], Parameter(metavar="TYPE", help="such as serverless:calculator")] = (),
    instructions: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    base_url: Annotated[str | None, Parameter(metavar="URL", env_var="OPENAI_BASE_URL")] = None,
    api_key: Annotated[str | None, Parameter(metavar="KEY", env_var="OPENAI_API_KEY")] = None,
) -> int:
    """The exit status."""
    if not base_url:
        return fail("where is the server? Set OPENAI_BASE_URL (openresponses dev prints it) or pass --base-url")
    view = View(sys.stdout)
    settings: Event = {"model": model, "stream": True, "store": False}
    if tool:
        settings["tools"] = [{"type": kind} for kind in tool]
    if instructions:
        settings["instructions"] = instructions
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx2.Client(base_url=base_url, headers=headers, timeout=_TIMEOUT) as client:
        conversation = Conversation(client, view, settings)
        return _once(conversation, " ".join(prompt)) if prompt else _converse(conversation, view)


def _once(conversation: Conversation, prompt: str) -> int:
    try:
        return 0 if conversation.say(prompt) else 1
    except TurnFailed as error:
        say(f"openresponses: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _converse(conversation: Conversation, view: View) -> int:
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")  # input() edits lines with it
    while True:
        try:
            prompt = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return 0
        except KeyboardInterrupt:
            print()
            continue
        try:
            if prompt:
                conversation.say(prompt)
        except KeyboardInterrupt:
            view.note("cancelled")
        except TurnFailed as error:
            view.note(str(error), bad=True)


class Conversation:
    """Client-side history: a turn that does not end well leaves no trace in it."""

    def __init__(self, client: httpx2.Client, view: View, settings: Event) -> None:
        self._client, self._view, self._settings = client, view, settings
        self._history: list[Event] = []

    def say(self, prompt: str) -> bool:
        """One turn, shown as it streams. Whether it ended well. Raises TurnFailed."""
        turn: list[Event] = [*self._history, {"type": "message", "role": "user", "content": prompt}]
        final: Event | None = None
        for event in self._stream({**self._settings, "input": turn}):
            self._view.show(event)
            if event.get("type") in _ENDINGS:
                final = event
        self._view.end()
        if final is None:
            raise TurnFailed("the stream ended early")
        if final["type"] != "response.failed":
            output: list[Event] = final["response"]["output"]
            self._history = [*turn, *output, *map(_apology, filter(_wants_function, output))]
        return final["type"] == "response.completed"

    def _stream(self, body: Event) -> Iterator[Event]:
        try:
            with self._client.stream("POST", "responses", json=body) as response:
                if response.status_code != 200:
                    raise TurnFailed(_refusal(response))
                for sse in httpx2.EventSource(response):
                    if sse.data != "[DONE]":
                        yield json.loads(sse.data)
        except httpx2.ConnectError as error:
            raise TurnFailed(f"cannot reach {self._client.base_url}: is `openresponses dev` running?") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise TurnFailed(f"the stream broke: {error}") from error


def _refusal(response: httpx2.Response) -> str:
    text = response.read().decode("utf-8", "replace")
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = text[:200]
    return f"HTTP {response.status_code}: {message}"


def _wants_function(item: Event) -> bool:
    return item.get("type") == "function_call"


def _apology(call: Event) -> Event:
    # A call without an output would make every further turn invalid.
    return {"type": "function_call_output", "call_id": call["call_id"], "output": _CANNOT}

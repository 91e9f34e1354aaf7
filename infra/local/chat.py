"""`openresponses chat`: a conversation in the terminal, over plain HTTP and SSE. It keeps the history itself."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
from collections.abc import Iterator

import httpx2

from infra.local.chat_view import Event, View
from infra.local.options import fail

_ENDINGS = ("response.completed", "response.incomplete", "response.failed")
_TIMEOUT = httpx2.Timeout(10, read=120)  # the server's heartbeat comes far more often
_CANNOT = "This client runs no functions."


class TurnFailed(Exception):
    """No answer came; the message is for the user."""


def chat(arguments: argparse.Namespace) -> int:
    """The exit status."""
    if not arguments.base_url:
        return fail("where is the server? Set OPENAI_BASE_URL (openresponses dev prints it) or pass --base-url")
    view = View(sys.stdout)
    headers = {"authorization": f"Bearer {arguments.api_key}"} if arguments.api_key else {}
    with httpx2.Client(base_url=arguments.base_url, headers=headers, timeout=_TIMEOUT) as client:
        conversation = Conversation(client, view, _settings(arguments))
        if arguments.prompt:
            return _once(conversation, " ".join(arguments.prompt))
        return _converse(conversation, view)


def _settings(arguments: argparse.Namespace) -> Event:
    settings: Event = {"model": arguments.model, "stream": True, "store": False}
    if arguments.tool:
        settings["tools"] = [{"type": kind} for kind in arguments.tool]
    if arguments.instructions:
        settings["instructions"] = arguments.instructions
    return settings


def _once(conversation: Conversation, prompt: str) -> int:
    try:
        return 0 if conversation.say(prompt) else 1
    except TurnFailed as error:
        print(f"openresponses: {error}", file=sys.stderr)
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

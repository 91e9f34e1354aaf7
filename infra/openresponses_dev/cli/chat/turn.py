"""One question and what answers it: more than one response, where calls are approved in between."""

from __future__ import annotations

import time

from openresponses_dev.cli.chat.approving import Approver
from openresponses_dev.cli.chat.conversation import Conversation, requests_in
from openresponses_dev.cli.chat.signals import Stopping
from openresponses_dev.local.answer.calls import Event
from openresponses_dev.local.answer.view import View


class Left(Exception):
    """The terminal was closed, or the program is to end."""


def take_turn(conversation: Conversation, view: View, approver: Approver, content: str | list[Event]) -> Event | None:
    """The last response, or None if the user stopped. It ends with requests for approval if nobody can be asked.

    Raises TurnFailed, Left, and EOFError at Ctrl-D.
    """
    answers: list[Event] | None = None
    while True:
        began = time.monotonic()
        with Stopping() as stopping:
            final = conversation.ask(content, stopping) if answers is None else conversation.say(answers, stopping)
            if final is not None:
                if final.get("status") == "completed" and not final.get("output"):
                    view.note("the answer is empty")
                view.told(final, time.monotonic() - began)
        if stopping.leave:
            raise Left
        if final is None:
            return None
        requests = requests_in(final)
        try:
            answers = approver.answers(requests)
        except KeyboardInterrupt:
            view.note("stopped: nothing is called")
            return None
        if not answers:
            return final

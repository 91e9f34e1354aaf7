"""What was said so far. A turn that does not end well leaves no trace in it, so that the next one can be asked."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from openresponses_dev.cli.chat.client import ENDINGS, Client, Reading, ReadingOver, TurnFailed
from openresponses_dev.cli.chat.signals import Stopping
from openresponses_dev.local.answer.calls import Event

_CANNOT = "This client runs no functions."
_GONE = "previous_response_not_found"
_LOOK_S = 0.08
"""How long to wait for an event, before the view moves and it is asked whether the user wants to stop."""


class View(Protocol):
    """Where an answer is shown."""

    def begin(self, waiting_for: str) -> None: ...

    def show(self, event: Event) -> None: ...

    def tick(self) -> None:
        """Some time has passed."""
        ...

    def end(self) -> None: ...

    def note(self, text: str, *, bad: bool = False) -> None:
        """Something that the model did not say."""
        ...

    def told(self, response: Event, seconds: float) -> None:
        """What an answer took."""
        ...


class Conversation:
    """`settings` are fields of each request. Where the server stores responses, a turn goes on from the last good one
    by its id; what was said is known here too, for a server that does not know that one any more.
    """

    def __init__(self, client: Client, view: View, settings: Event) -> None:
        self.client, self.settings, self._view = client, settings, view
        self.items: list[Event] = []
        """All of it, as input items: what was asked and answered."""
        self._known, self._previous = 0, ""

    def forget(self) -> None:
        """Begin a new one."""
        self.items, self._known, self._previous = [], 0, ""

    def ask(self, content: str | list[Event], stopping: Stopping) -> Event | None:
        """One turn, shown as it streams. The final response, or None if it was stopped. Raises TurnFailed."""
        question: Event = {"type": "message", "role": "user", "content": content}
        try:
            return self._turn(question, stopping)
        except TurnFailed as failed:
            if failed.code != _GONE or not self._previous:
                raise
        self._previous = ""
        return self._turn(question, stopping)

    def _turn(self, question: Event, stopping: Stopping) -> Event | None:
        final: Event | None = None
        reading = Reading(self.client, self._body(question))
        self._view.begin(str(self.settings["model"]))
        try:
            with suppress(ReadingOver):
                while not stopping.asked:
                    event = reading.next(_LOOK_S)
                    if event is None:
                        self._view.tick()
                        continue
                    self._view.show(event)
                    if event.get("type") in ENDINGS:
                        final = event["response"]
        except TurnFailed:
            self._view.end()
            raise
        except BaseException:  # such as a pipe that nobody reads any more: nothing may go on being made, and billed
            with suppress(TurnFailed):
                reading.stop(lambda: False)
            raise
        if final is None and stopping.asked:
            self._stop(reading, stopping)
            return None
        self._view.end()
        if final is None:
            raise TurnFailed("the stream ended early")
        if final.get("status") != "failed":
            self._keep(question, final)
        return final

    def _body(self, question: Event) -> Event:
        if self.settings.get("store") and self._previous:
            new = self.items[self._known :]
            return {**self.settings, "previous_response_id": self._previous, "input": [*new, question]}
        return {**self.settings, "input": [*self.items, question]}

    def _keep(self, question: Event, final: Event) -> None:
        output: list[Event] = final.get("output") or []
        self.items += [question, *output]
        self._known, self._previous = len(self.items), str(final.get("id") or "")
        self.items += [_apology(item) for item in output if item.get("type") == "function_call"]

    def _stop(self, reading: Reading, stopping: Stopping) -> None:
        self._view.end()
        try:
            cancelled = reading.stop(lambda: stopping.asked > 1)
        except TurnFailed as failed:
            self._view.note(f"stopped here, but the response could not be cancelled: {failed}", bad=True)
            return
        if cancelled is None:
            self._view.note(
                "stopped here; nothing is stored that could be cancelled, so the server may go on to its end"
            )
        elif cancelled.get("status") == "cancelled":
            self._view.note(f"stopped: {cancelled['id']} is cancelled")
        else:
            self._view.note(f"stopped; {cancelled.get('id')} was {cancelled.get('status')} already")


def _apology(call: Event) -> Event:
    # A call without an output would make every further turn invalid.
    return {"type": "function_call_output", "call_id": call["call_id"], "output": _CANNOT}

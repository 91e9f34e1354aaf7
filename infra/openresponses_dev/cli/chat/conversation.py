"""What was said so far. A turn that does not end well leaves no trace in it, so that the next one can be asked."""

from __future__ import annotations

from contextlib import suppress

from openresponses_dev.cli.chat.client import ENDINGS, Client, Reading, ReadingOver, TurnFailed
from openresponses_dev.cli.chat.signals import Stopping
from openresponses_dev.local.answer.calls import REQUEST, Event
from openresponses_dev.local.answer.view import View

_CANNOT = "This client runs no functions."
_OUTPUTS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
"""The types of calls that the client is to run, and of their outputs."""
_GONE = "previous_response_not_found"
_LOOK_S = 0.08
"""How long to wait for an event, before the view moves and it is asked whether the user wants to stop."""


class Conversation:
    """`settings` are fields of each request. Where the server stores responses, a turn goes on from the last good one
    by its id; what was said is known here too, for a server that does not know that one any more.
    """

    def __init__(self, client: Client, view: View, settings: Event) -> None:
        self.client, self.settings, self._view = client, settings, view
        self.items: list[Event] = []
        """All of it, as input items: what was asked and answered."""
        self._waiting: list[Event] = []
        self._known, self._previous = 0, ""

    def forget(self) -> None:
        """Begin a new one."""
        self.items, self._waiting, self._known, self._previous = [], [], 0, ""

    def ask(self, content: str | list[Event], stopping: Stopping) -> Event | None:
        """A question. What waits for an approval is refused with it. The rest is as `say` has it."""
        refused = [approval(each, approve=False) for each in self._waiting]
        return self.say([*refused, {"type": "message", "role": "user", "content": content}], stopping)

    def say(self, new: list[Event], stopping: Stopping) -> Event | None:
        """What answers these items, shown as it streams: the final response, or None if it was stopped.

        Raises TurnFailed.
        """
        try:
            return self._say(new, stopping)
        except TurnFailed as failed:
            if failed.code != _GONE or not self._previous:
                raise
        self._previous = ""
        return self._say(new, stopping)

    def _say(self, new: list[Event], stopping: Stopping) -> Event | None:
        final: Event | None = None
        reading = Reading(self.client, self._body(new))
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
            self._keep(new, final)
        return final

    def _body(self, new: list[Event]) -> Event:
        if self.settings.get("store") and self._previous:
            own = self.items[self._known :]
            return {**self.settings, "previous_response_id": self._previous, "input": [*own, *new]}
        return {**self.settings, "input": [*self.items, *new]}

    def _keep(self, new: list[Event], final: Event) -> None:
        output: list[Event] = final.get("output") or []
        self.items += [*new, *output]
        self._known, self._previous = len(self.items), str(final.get("id") or "")
        self.items += [_apology(item) for item in output if item.get("type") in _OUTPUTS]
        self._waiting = requests_in(final)

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


def requests_in(final: Event) -> list[Event]:
    """The requests for approval that a response ended with. One that failed is not kept, and so has none.

    https://platform.openai.com/docs/guides/tools-connectors-mcp#approvals
    """
    output: list[Event] = final.get("output") or []
    return [] if final.get("status") == "failed" else [item for item in output if item.get("type") == REQUEST]


def approval(request: Event, *, approve: bool) -> Event:
    """The answer to a request for approval."""
    return {"type": "mcp_approval_response", "approval_request_id": request.get("id"), "approve": approve}


def _apology(call: Event) -> Event:
    # A call without an output would make every further turn invalid.
    return {"type": _OUTPUTS[call["type"]], "call_id": call.get("call_id"), "output": _CANNOT}

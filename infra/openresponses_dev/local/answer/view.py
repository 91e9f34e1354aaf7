"""What the events of an answer show, wherever they are shown."""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from openresponses_dev.local.answer.calls import Event, ShownCall, handed_call, message_of, shown_call

Words: TypeAlias = Literal["text", "reasoning"]
_TEXT = ("response.output_text.delta", "response.refusal.delta")
_REASONING = (
    "response.reasoning.delta",  # Open Responses; OpenAI has the other names
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
)


class View:
    """Shows nothing: a program that asks for JSON reads the final response, and what went wrong is in it, too."""

    _cut = False

    def begin(self, waiting_for: str) -> None:
        """An answer is asked for."""

    def tick(self) -> None:
        """Some time has passed."""

    def end(self) -> None:
        """No more of it comes."""

    def note(self, text: str, *, bad: bool = False) -> None:
        """Something that the model did not say."""

    def told(self, response: Event, seconds: float) -> None:
        """What an answer took."""

    def append(self, kind: Words, text: str) -> None:
        """More of what the model writes."""

    def calling(self, call: ShownCall) -> None:
        """A call begins."""

    def called(self, call: ShownCall) -> None:
        """A call is over."""

    def handed(self, call: ShownCall) -> None:
        """The server does not make this call."""

    def show(self, event: Event) -> None:
        match event.get("type"):
            case "response.created":
                self._cut = False
            case kind if kind in _TEXT and event.get("delta"):
                if self._cut:  # a worker died, and another one makes the turn again
                    self.note("cut off: the answer begins again")
                self._cut = False
                self.append("text", str(event["delta"]))
            case kind if kind in _REASONING and event.get("delta"):
                self.append("reasoning", str(event["delta"]))
            case "response.output_item.added":
                if call := shown_call(_object(event, "item")):
                    self.calling(call)
            case "response.output_item.done":
                item = _object(event, "item")
                self._cut = item.get("type") == "message" and item.get("status") == "incomplete"
                if call := shown_call(item):
                    self.called(call)
                elif call := handed_call(item):
                    self.handed(call)
            case "response.refusal.done":
                self.note("the model refused")
            case _ if told := _ending(event):
                self.note(told, bad=True)
            case _:
                pass


def _ending(event: Event) -> str:
    """What an event says that ends an answer badly; empty for all others."""
    response = _object(event, "response")
    match event.get("type"):
        case "response.failed":
            return f"failed: {message_of(response.get('error'))}"
        case "response.incomplete" if response.get("status") != "cancelled":
            details = _object(response, "incomplete_details")
            return f"incomplete: {details.get('message') or details.get('reason') or 'no reason was given'}"
        case "response.incomplete":
            return "cancelled"
        case "error":
            return f"error: {message_of(event.get('error') or event)}"
        case _:
            return ""


def _object(of: Event, name: str) -> Event:
    """Empty where a server sends something else."""
    found: object = of.get(name)
    return cast("Event", found) if isinstance(found, dict) else {}


def usage_line(response: Event, seconds: float) -> str:
    """What an answer took, and who gave it."""
    usage = _object(response, "usage")
    read, written = _object(usage, "input_tokens_details"), _object(usage, "output_tokens_details")
    cached, thought = read.get("cached_tokens"), written.get("reasoning_tokens")
    cost = _object(response, "serverless:cost").get("usd")
    words = [str(response.get("model") or "")]
    if usage:
        words += [
            f"{usage.get('input_tokens', 0)} in" + (f" ({cached} cached)" if cached else ""),
            f"{usage.get('output_tokens', 0)} out" + (f" ({thought} reasoning)" if thought else ""),
        ]
    if cost not in (None, "unknown"):
        words.append(f"${cost}")
    return " \u00b7 ".join([*words, f"{seconds:.1f} s"])

"""The view without a terminal's arts: standard output has the answer's text alone, whatever else there is goes to
standard error. On a terminal that can't move its cursor both are the terminal.
"""

from __future__ import annotations

from typing import TextIO

from openresponses_dev.local.answer.calls import Event, message_of, shortened, shown_call
from openresponses_dev.local.terminal import visible

TEXT = ("response.output_text.delta", "response.refusal.delta")
REASONING = (
    "response.reasoning.delta",  # Open Responses; OpenAI has the other names
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
)


class PlainView:
    """Keeps text and reasoning in paragraphs of their own, whatever comes between them. `usage`: tells it."""

    def __init__(self, out: TextIO, err: TextIO, *, usage: bool = False) -> None:
        self._out, self._err, self._usage = out, err, usage
        self._open = ""  # what the line that is not ended belongs to

    def begin(self, waiting_for: str) -> None:
        pass

    def tick(self) -> None:
        pass

    def show(self, event: Event) -> None:
        match event.get("type"):
            case kind if kind in TEXT:
                self._append("text", event["delta"])
            case kind if kind in REASONING:
                self._append("reasoning", event["delta"])
            case "response.output_item.added":
                if call := shown_call(event["item"]):
                    self._line(f"-> {call.name}({call.arguments})")
            case "response.output_item.done":
                self._done(event["item"])
            case _ if told := ending(event):
                self.note(told, bad=True)
            case _:
                pass

    def end(self) -> None:
        if self._open:
            self._of(self._open).write("\n")
            self._open = ""
        self._out.flush()
        self._err.flush()

    def note(self, text: str, *, bad: bool = False) -> None:
        self._line(f"({text})")

    def told(self, response: Event, seconds: float) -> None:
        if self._usage:
            self._line(f"({usage_line(response, seconds)})")

    def _done(self, item: Event) -> None:
        if call := shown_call(item):
            status = f" [{call.status}]" if call.failed else ""
            self._line(f"<- {call.name}{status}: {shortened(call.output or '')}")
        elif item.get("type") == "function_call":
            self._line(f"-> {item['name']}({item.get('arguments') or ''})")
            self.note("a function of the client: not run here")

    def _append(self, kind: str, text: str) -> None:
        if self._open not in ("", kind):
            self.end()
        if not self._open and kind == "reasoning":
            text = f"thinking: {text}"
        self._open = kind
        self._of(kind).write(visible(text))
        self._of(kind).flush()

    def _line(self, text: str) -> None:
        self.end()
        self._err.write(visible(text) + "\n")
        self._err.flush()

    def _of(self, kind: str) -> TextIO:
        return self._out if kind == "text" else self._err


class JsonView:
    """Shows nothing: who asks for JSON reads the final response. What went wrong is in it, too."""

    def begin(self, waiting_for: str) -> None:
        pass

    def show(self, event: Event) -> None:
        pass

    def tick(self) -> None:
        pass

    def end(self) -> None:
        pass

    def note(self, text: str, *, bad: bool = False) -> None:
        pass

    def told(self, response: Event, seconds: float) -> None:
        pass


def ending(event: Event) -> str:
    """What an event says that ends an answer badly; empty for all others."""
    match event.get("type"):
        case "response.failed":
            return f"failed: {message_of(event['response'].get('error'))}"
        case "response.incomplete" if event["response"].get("status") != "cancelled":
            details: Event = event["response"].get("incomplete_details") or {}
            return f"incomplete: {details.get('message') or details.get('reason')}"
        case "response.incomplete":
            return "cancelled"
        case "error":
            return f"error: {message_of(event.get('error') or event)}"
        case _:
            return ""


def usage_line(response: Event, seconds: float) -> str:
    """What an answer took, and who gave it."""
    usage: Event = response.get("usage") or {}
    read: Event = usage.get("input_tokens_details") or {}
    written: Event = usage.get("output_tokens_details") or {}
    priced: Event = response.get("serverless:cost") or {}
    cached, thought, cost = read.get("cached_tokens"), written.get("reasoning_tokens"), priced.get("usd")
    words = [str(response.get("model") or "")]
    if usage:
        words += [
            f"{usage.get('input_tokens', 0)} in" + (f" ({cached} cached)" if cached else ""),
            f"{usage.get('output_tokens', 0)} out" + (f" ({thought} reasoning)" if thought else ""),
        ]
    if cost not in (None, "unknown"):
        words.append(f"${cost}")
    return " \u00b7 ".join([*words, f"{seconds:.1f} s"])

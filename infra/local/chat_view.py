"""The events of a response, as lines in a terminal; without colour where the output is none."""

from __future__ import annotations

from typing import Any, TextIO

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
        self._out.write(self._painted(text, colour))
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
        self._out.write(self._painted(text, colour) + "\n")
        self._out.flush()

    def _painted(self, text: str, colour: str | None) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour and colour else text


def _hosted(item: Event) -> bool:
    return str(item.get("type", "")).startswith("serverless:")


def _message(error: Event | None) -> str:
    return str((error or {}).get("message") or error or "no reason was given")

"""Reasoning written into the text: `<think>...</think>` before the answer, as R1, QwQ and Qwen 3 write it."""

from collections.abc import Iterator

_OPEN, _CLOSE = "<think>", "</think>"
_MOST_SPACE = 1024
"""Characters that may come before the tag."""


class ThinkSplitter:
    """Tells reasoning from answer, however the stream cuts the tags. Yields (is reasoning, text).

    Only a tag at the very start counts: an answer may speak of tags. `opened`: the chat template has already
    written the opening tag, so the stream begins with reasoning.
    """

    def __init__(self, *, opened: bool) -> None:
        self._state = "inside" if opened else "start"
        self._held: str = ""

    def feed(self, text: str) -> Iterator[tuple[bool, str]]:
        if self._state == "answer":
            yield False, text
            return
        text, self._held = self._held + text, ""
        if self._state == "start":
            stripped = text.lstrip()
            if stripped.startswith(_OPEN):
                self._state, text = "inside", stripped.removeprefix(_OPEN)
            elif _OPEN.startswith(stripped) and len(text) < _MOST_SPACE:
                self._held = text
                return
            else:
                self._state = "answer"
        if self._state == "inside":
            reasoning, closed, text = text.partition(_CLOSE)
            if closed:
                self._state = "gap"
            else:
                reasoning, self._held = _without_start_of(_CLOSE, reasoning)
            if reasoning:
                yield True, reasoning
        if self._state == "gap" and (text := text.lstrip()):
            self._state = "answer"
        if self._state == "answer" and text:
            yield False, text

    def end(self) -> Iterator[tuple[bool, str]]:
        if self._held:
            yield self._state == "inside", self._held
            self._held = ""


def _without_start_of(tag: str, text: str) -> tuple[str, str]:
    """`text` cut before the longest end of it that may be the start of `tag`."""
    for size in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:size]):
            return text[:-size], text[-size:]
    return text, ""

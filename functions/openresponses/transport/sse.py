"""Server-sent events, parsed from bytes as they come. Knows no vendor and no HTTP.

Source: the WHATWG HTML standard, section 9.2.6, "Interpreting an event stream".
"""

from typing import NamedTuple

from .errors import EventTooLong

MAX_EVENT_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """`event` is empty where the stream doesn't name it."""

    event: str
    data: str


class SseParser:
    """`feed` it the stream's bytes, cut anywhere; it gives the events that they complete.

    An event that the stream leaves unfinished is dropped, as the standard says. A field `error`, which the standard
    doesn't know, is the data of an event `error`: llama.cpp wrote its errors so (ggml-org/llama.cpp#16109). A line
    that is an object is an event, though it has no field's name: GPUStack sends the last ones so (gpustack#6155).
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._event = b""
        self._size = 0  # of the line, and of the data
        self._held = 0  # of the data, with what it takes to keep a line of it
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Raises EventTooLong where one event, or one line, is longer than `max_event_bytes`, its fields' names and
        its empty lines of data included.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        self._size += len(chunk)
        self._line.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            self._check_size()
            return []
        text = b"".join(self._line)
        lines = text.splitlines()
        self._after_cr = text.endswith(b"\r")
        self._line = [] if text.endswith((b"\n", b"\r")) else [lines.pop()]
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        events: list[SseEvent] = []
        for line in lines:
            if line.startswith(b"data: "):  # nearly all lines are such a one, or empty
                self._data.append(line[6:])
                self._held += len(line)
            elif line.startswith(b'{"'):
                events.append(SseEvent("", line.decode(errors="replace")))
            elif line:
                self._field(line)
            elif self._data:
                events.append(self._take())
            else:
                self._event = b""
        self._size = self._held + sum(map(len, self._line))
        if not events:  # what came before counts: the next bytes are too much
            self._check_size()
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name in (b"data", b"error"):
            self._data.append(value.removeprefix(b" "))
            self._held += len(line)
        if name == b"error":
            self._event = name
        elif name == b"event":
            self._event = value.removeprefix(b" ")

    def _take(self) -> SseEvent:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = SseEvent(self._event.decode(errors="replace") if self._event else "", data.decode(errors="replace"))
        self._data.clear()
        self._event, self._held = b"", 0
        return event

    def _check_size(self) -> None:
        if self._size > self._max:
            raise EventTooLong(self._max)

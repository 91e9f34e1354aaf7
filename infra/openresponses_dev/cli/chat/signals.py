"""How a user stops an answer: by Ctrl-C, or by closing the terminal."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

_LEAVING = (signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """While entered, signals count in `asked` and interrupt nothing. `leave`: the program is to end, too."""

    def __init__(self) -> None:
        self.asked, self.leave = 0, False
        self._before: dict[signal.Signals, Any] = {}
        self._quiet = QuietTerminal()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, *_LEAVING):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and a shell's background jobs have it
                self._before[number] = signal.signal(number, self._ask)
        self._quiet.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quiet.end()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        self.leave = self.leave or number in _LEAVING


class QuietTerminal:
    """What is typed while an answer is shown is not drawn into it. It is there for the next prompt."""

    def __init__(self) -> None:
        self._settings: Any = None

    def begin(self) -> None:
        if not (sys.stdin and sys.stdin.isatty()):
            return
        import termios

        self._settings = termios.tcgetattr(sys.stdin)
        quiet = termios.tcgetattr(sys.stdin)
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)

    def end(self) -> None:
        if self._settings is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._settings)

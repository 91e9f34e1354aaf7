"""What is wrong with a tool that is a file: told in the log, and to the client of a tool that can't be used.

On AWS nobody is told more than the class of an exception, since its message may quote what a client sent. `traced`, as
only the local cloud wants it, there is the traceback too, from the tool's own code on, in a structured record.
"""

import json
import logging
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .source import ToolMisconfigured

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        """With the folder's name, but not all the path."""
        path = Path(self.file)
        return f"{path.parent.name}/{path.name}:{self.line}"


class Mistakes:
    """`folders` are those of the tools. The methods tell the log."""

    def __init__(self, folders: Collection[str] = (), *, traced: bool = False) -> None:
        self._folders, self._traced = {Path(each).absolute() for each in folders}, traced

    def unusable(self, name: str, error: BaseException, declared: Place) -> ToolMisconfigured:
        """What a client is answered. An error without a line of its own is told at the line of the tool itself."""
        if not self._traced:
            _log.error("tool %s can't be used: %s", name, type(error).__name__)
            return ToolMisconfigured(f"The tool {name!r} is not set up correctly on this server: {_class(error)}")
        place = self._place(error) or declared
        self._record("ERROR", "tool unusable", name, error, place, with_trace=True)
        return ToolMisconfigured(f"The tool {name!r} can't be used: {_class(error)} at {place}: {_why(error)}")

    def raised(self, name: str, error: BaseException) -> None:
        if self._traced:
            self._record("ERROR", "tool raised", name, error, self._place(error), with_trace=True)
        else:
            _log.warning("tool %s raised %s", name, type(error).__name__)

    def refused(self, name: str, error: ValueError) -> None:
        """What the tool told the model, which may be what its author meant, and may be a mistake."""
        if self._traced:
            self._record("WARNING", "tool refused", name, error, self._place(error), with_trace=False)

    def overran(self, name: str, seconds: float) -> None:
        if self._traced:
            _log.warning(json.dumps({"level": "WARNING", "message": "tool overran", "tool": name, "seconds": seconds}))

    def _record(
        self, level: str, message: str, name: str, error: BaseException, place: Place | None, *, with_trace: bool
    ) -> None:
        about = {"level": level, "message": message, "tool": name, "error": _class(error), "why": _why(error)}
        where = {"file": place.file, "line": place.line} if place else {}
        trace = {"exception": self._traceback(error)} if with_trace else {}
        _log.error(json.dumps({**about, **where, **trace}))

    def _place(self, error: BaseException) -> Place | None:
        """The last line of the tools' own code that the error came through."""
        if isinstance(error, SyntaxError) and error.filename:
            return Place(error.filename, error.lineno or 1)
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if self._own(frame.filename)]
        return Place(own[-1].filename, own[-1].lineno or 1) if own else None

    def _traceback(self, error: BaseException) -> str:
        """Without the frames that led to the tools' own code. All of the error where it comes from none."""
        begin: TracebackType | None = error.__traceback__
        while begin is not None and not self._own(begin.tb_frame.f_code.co_filename):
            begin = begin.tb_next
        return "".join(traceback.format_exception(type(error), error, begin))

    def _own(self, file: str) -> bool:
        return not self._folders.isdisjoint(Path(file).parents)


def _class(error: BaseException) -> str:
    return type(error).__name__


def _why(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)

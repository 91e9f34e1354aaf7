"""Files that are looked at again and again: a handful, which editors replace as often as they write them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeAlias

_LOOK_S = 0.3
_Look: TypeAlias = "tuple[int, int, int] | None"


class Watched:
    """`files` says which ones they are now. What changed before `changed` is asked for is not missed."""

    def __init__(self, files: Callable[[], Collection[Path]]) -> None:
        self._files = files
        self._seen = self._look()

    async def changed(self) -> set[Path]:
        """Those that changed, came or went, once they stay as they are for a moment. A file that is no longer one of
        them, or is one from now on, has not changed by that.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            before, now = self._seen, self._look()
            changed = _differing(before, now)
            if not changed:
                self._seen = now
                continue
            while (later := await self._later()) != now:
                changed |= _differing(now, later)
                now = later
            self._seen = now
            return changed

    async def _later(self) -> dict[Path, _Look]:
        await asyncio.sleep(_LOOK_S)
        return self._look()

    def _look(self) -> dict[Path, _Look]:
        return {path: _of(path) for path in self._files()}


def _differing(before: dict[Path, _Look], now: dict[Path, _Look]) -> set[Path]:
    return {path for path in before.keys() & now.keys() if before[path] != now[path]}


def _of(path: Path) -> _Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

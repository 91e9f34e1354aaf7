"""Files that are looked at again and again: a handful, which editors replace as often as they write them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeAlias

_LOOK_S = 0.3
_Look: TypeAlias = "tuple[int, int, int] | None"


class Watched:
    """`files` says which ones they are. It is asked again when one of them changed, and not at every look, since it may
    read them. One that is gone is waited for. What changed before `changed` is asked for is not missed.
    """

    def __init__(self, files: Callable[[], Collection[Path]]) -> None:
        self._files = files
        self._seen = _look(files())

    async def changed(self) -> set[Path]:
        """Those that changed, came or went, once they stay as they are for a moment."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now = _look(self._seen)
            if changed := _differing(self._seen, now):
                break
        while True:
            await asyncio.sleep(_LOOK_S)
            later = _look(self._seen)
            if later == now:
                break
            changed |= _differing(now, later)
            now = later
        gone = {path: None for path, look in now.items() if look is None}
        self._seen = {path: now.get(path) or _of(path) for path in (*self._files(), *gone)}
        return changed


def _look(paths: Iterable[Path]) -> dict[Path, _Look]:
    return {path: _of(path) for path in paths}


def _differing(before: dict[Path, _Look], now: dict[Path, _Look]) -> set[Path]:
    return {path for path, look in now.items() if look != before[path]}


def _of(path: Path) -> _Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

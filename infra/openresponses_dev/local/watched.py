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
        """Those that changed, came or went, once they stay as they are for a moment."""
        while True:
            await asyncio.sleep(_LOOK_S)
            before, now = self._seen, self._look()
            changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
            if not changed:
                continue
            while (later := await self._later()) != now:
                changed |= {path for path in later.keys() | now.keys() if later.get(path) != now.get(path)}
                now = later
            self._seen = now
            return changed

    async def _later(self) -> dict[Path, _Look]:
        await asyncio.sleep(_LOOK_S)
        return self._look()

    def _look(self) -> dict[Path, _Look]:
        return {path: _of(path) for path in self._files()}


def _of(path: Path) -> _Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

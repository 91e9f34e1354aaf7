"""Files that `dev` looks at while it runs: what counts as a change, and how little is done where nothing changes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from openresponses_dev.local.watched import Watched

PATIENCE_S = 10.0
SEVERAL_LOOKS_S = 1.5


class Names:
    """A file that names others, a line each."""

    def __init__(self, file: Path) -> None:
        self.file, self.asked = file, 0

    def __call__(self) -> list[Path]:
        self.asked += 1
        named = [self.file.parent / line for line in self.file.read_text().splitlines()]
        return [self.file, *(each for each in named if each.is_file())]


async def changed(watched: Watched) -> set[str]:
    return {path.name for path in await asyncio.wait_for(watched.changed(), PATIENCE_S)}


async def test_nothing_is_read_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("")
    names = Names(tmp_path / "names")
    looking = asyncio.create_task(Watched(names).changed())
    await asyncio.sleep(SEVERAL_LOOKS_S)
    assert not looking.done()
    assert names.asked == 1
    looking.cancel()


async def test_a_file_that_is_named_later_is_watched_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("")
    (tmp_path / "named").write_text("1")
    watched = Watched(Names(tmp_path / "names"))
    (tmp_path / "names").write_text("named")
    assert await changed(watched) == {"names"}
    (tmp_path / "named").write_text("1, 2")
    assert await changed(watched) == {"named"}
    (tmp_path / "names").write_text("")
    assert await changed(watched) == {"names"}


async def test_a_file_that_goes_is_seen_when_it_comes_again(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("named")
    (tmp_path / "named").write_text("1")
    watched = Watched(Names(tmp_path / "names"))
    (tmp_path / "named").unlink()
    assert await changed(watched) == {"named"}
    (tmp_path / "named").write_text("1")
    assert await changed(watched) == {"named"}


async def test_a_change_between_two_questions_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("named")
    (tmp_path / "named").write_text("1")
    watched = Watched(Names(tmp_path / "names"))
    for text in ("1, 2", "1, 2, 3"):
        (tmp_path / "named").write_text(text)
        assert await changed(watched) == {"named"}


async def test_an_editor_that_replaces_a_file_changes_it_once(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("")
    names = Names(tmp_path / "names")
    watched = Watched(names)
    (tmp_path / "fresh").write_text("named")
    os.replace(tmp_path / "fresh", tmp_path / "names")
    assert await changed(watched) == {"names"}
    assert names.asked == 2

"""Which local cloud runs here: what `--local` finds where it names none, and `chat`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from openresponses_dev.local.address import at_port, is_port
from openresponses_dev.local.dev_key import VARIABLE, key_of
from openresponses_dev.local.private_folder import NAME, NotPrivate, read_private
from openresponses_dev.local.status_page import JSON_PATH

_SECONDS = 5


@dataclass(frozen=True, slots=True)
class RunningDev:
    """`api_key` is the one that it printed; empty where its file has none."""

    origin: str
    api_key: str = field(default="", repr=False)

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes."""
        return f"{self.origin}/v1"


def running_dev(start: Path | None = None) -> RunningDev | None:
    """The newest that runs in this folder, or else in the nearest folder above it. None where none answers."""
    begin = (start or Path.cwd()).absolute()
    files = (file for folder in (begin, *begin.parents) for file in _newest_first(folder / NAME))
    return next((found for file in files if (found := _answering(file))), None)


def running_at(origin: str) -> RunningDev | None:
    """The one at this address, whose key is known if it is this user's. None if no local cloud answers there."""
    try:
        status: Any = httpx2.get(origin + JSON_PATH, timeout=_SECONDS, trust_env=False).raise_for_status().json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return None
    is_one = isinstance(status, dict) and "base_url" in status
    return RunningDev(origin, key_of(origin, status)) if is_one else None  # pyright: ignore[reportUnknownArgumentType]


def _newest_first(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        found = [each for each in folder.glob("*.json") if is_port(each.stem)]
        yield from sorted(found, key=lambda each: each.stat().st_mtime, reverse=True)


def _answering(file: Path) -> RunningDev | None:
    """The one that wrote the file, if it still runs. Another user's can't say that this file is its own."""
    origin = at_port(file.stem)
    try:
        document = read_private(file)
        status: Any = httpx2.get(origin + JSON_PATH, timeout=_SECONDS, trust_env=False).raise_for_status().json()
        if not Path(str(status["access"])).samefile(file):
            return None
    except (NotPrivate, OSError, httpx2.HTTPError, ValueError, LookupError, TypeError):
        return None
    return RunningDev(origin, str(document.get(VARIABLE, "")))

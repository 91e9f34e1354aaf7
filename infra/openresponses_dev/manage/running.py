"""Which local cloud runs here: what `--local` finds where it names none, and `chat`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from openresponses_dev.local.address import at_port, is_port
from openresponses_dev.local.private_folder import NAME, NotPrivate, read_private
from openresponses_dev.local.status_page import JSON_PATH

_SECONDS = 5
_KEY = "OPENAI_API_KEY"


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
    return RunningDev(origin, str(document.get(_KEY, "")))

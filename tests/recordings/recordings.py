"""What vendors really sent: recorded streams of other projects, which are not part of this one.

They are read from OPENRESPONSES_RECORDINGS, or from `shared/recordings` in a folder that the checkout is in: a gzipped
file for each dialect, and a README that tells what the fields of its lines are.
"""

from __future__ import annotations

import gzip
import json
import os
from base64 import b64decode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
NAMED = os.environ.get("OPENRESPONSES_RECORDINGS")
NEAR = [folder / "shared" / "recordings" for folder in Path(__file__).parents[3:]]
FOLDER = Path(NAMED) if NAMED else next(filter(Path.is_dir, NEAR), NEAR[0])
DIALECTS = ["anthropic", "bedrock", "chat_completions", "gemini", "openai_responses"]
TURNS = {
    "anthropic": "messages",
    "bedrock": "messages",
    "chat_completions": "messages",
    "gemini": "contents",
    "openai_responses": "input",
}
"""The field of a request that has the conversation."""


@dataclass(frozen=True)
class Recording:
    """`name` is its file and its place there, with the host's name. `means` is a reading of the stream."""

    dialect: str
    name: str
    host: str
    request: Json
    body: bytes
    follow_up: Json | None
    means: Json

    @property
    def sent_back(self) -> list[Json]:
        """What the recorded client sent of the turn, and its tools' outputs. Nothing, where it asked again instead."""
        turns = TURNS[self.dialect]
        return self.follow_up[turns][len(self.request[turns]) :] if self.follow_up else []


def found() -> bool:
    return all((FOLDER / f"{dialect}.jsonl.gz").is_file() for dialect in DIALECTS)


@cache
def recordings(dialect: str) -> list[Recording]:
    with gzip.open(FOLDER / f"{dialect}.jsonl.gz", "rt") as lines:
        return [_recording(dialect, json.loads(line)) for line in lines]


def _recording(dialect: str, row: Json) -> Recording:
    stream = row["stream"]
    return Recording(
        dialect,
        f"{Path(row['file']).name.partition('.')[0]}[{row['interaction']}] of {row['host']}",
        row["host"],
        row["request"],
        b64decode(stream) if dialect == "bedrock" else stream.encode(),
        row["follow_up"],
        row["means"],
    )

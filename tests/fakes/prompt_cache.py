"""What a vendor's cache of prompts has, and what a request reads of it and writes to it.

The rules are those of "Prompt caching" at platform.claude.com/docs (read in November 2026): an entry is written at a
mark only, of all that is before it; a mark reads the longest entry at it or up to 19 positions before it, where
neighbouring tool calls are one position, and so are neighbouring results; what is shorter than the model's least is
not cached; another tool choice or other thinking makes all messages new. Entries don't age here.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

LOOKBACK = 20
LEAST = (
    (r"fable|mythos|opus-5|sonnet-5-5", 512),
    (r"opus-4-7", 2048),
    (r"opus-4-[56]|haiku-4-5", 4096),
    ("", 1024),
)
"""Tokens, by the model's name; the first that fits."""


class Part(NamedTuple):
    """A tool, or a block. `kind` tells calls and results from others."""

    value: Any
    marked: bool = False
    kind: str = ""


class Used(NamedTuple):
    """Tokens: of the cache, to the cache, and neither. Marks are none."""

    read: int
    written: int
    new: int


@dataclass
class PromptCache:
    """`readable` counts the tokens that could have been read if all that was ever sent had been marked."""

    readable: int = 0
    _known: set[str] = field(default_factory=set[str])
    _sent: set[int] = field(default_factory=set[int])

    def use(self, model: str, parts: Sequence[Part]) -> Used:
        least = next(tokens for name, tokens in LEAST if re.search(name, model))
        prefixes: list[str] = []
        for part in parts:
            prefixes.append((prefixes[-1] if prefixes else "") + json.dumps(part.value, sort_keys=True))
        marks = [at for at, part in enumerate(parts) if part.marked and _tokens(prefixes[at]) >= least]
        found = [at for mark in marks for at in self._looked_at(parts, mark) if prefixes[at] in self._known]
        read = max((_tokens(prefixes[at]) for at in found), default=0)
        self.readable += max((_tokens(prefix) for prefix in prefixes if hash(prefix) in self._sent), default=0)
        self._sent |= set(map(hash, prefixes))
        self._known |= {prefixes[mark] for mark in marks}
        written = max((_tokens(prefixes[mark]) for mark in marks), default=0)
        written = max(0, written - read)
        return Used(read, written, (_tokens(prefixes[-1]) if prefixes else 0) - read - written)

    def _looked_at(self, parts: Sequence[Part], mark: int) -> list[int]:
        positions, at = 0, mark
        looked: list[int] = []
        while at >= 0:
            same = at < mark and parts[at].kind and parts[at].kind == parts[at + 1].kind
            positions += not same
            if positions > LOOKBACK:
                break
            looked.append(at)
            at -= 1
        return looked


def _tokens(text: str) -> int:
    return len(text) // 4

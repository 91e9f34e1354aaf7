"""How much a model is to reason: a word. The words grow; those that are known here have an order."""

from collections.abc import Collection

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""From the least to the most."""


def nearest(effort: str, allowed: Collection[str]) -> str | None:
    """The one of `allowed` that comes nearest to `effort`, the greater of two. A word that is allowed stays.

    None where that can't be told: of a word that is not one of `EFFORTS`, or where nothing is allowed.
    """
    if effort in allowed or effort not in EFFORTS:
        return effort if effort in allowed else None
    rank = EFFORTS.index
    known = (word for word in allowed if word in EFFORTS)
    return min(known, key=lambda word: (abs(rank(word) - rank(effort)), -rank(word)), default=None)

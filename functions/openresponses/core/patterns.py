"""Patterns that limit a client key: names with `*`, `?` and `[...]`, as `fnmatch` has them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def allows(patterns: Sequence[str], name: str) -> bool:
    """Whether a key that is limited to `patterns` may use `name`. No patterns are no limit."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)

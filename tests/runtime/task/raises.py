"""A module whose import fails on its own account."""

raise RuntimeError("no configuration")

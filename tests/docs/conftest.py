"""What the tests of the documentation share: the mark of those that run its blocks."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "docs: runs the blocks of README and docs (pip and uv may fetch wheels); runs only if -m names it"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the blocks out unless asked for: a plain `uv run pytest` needs nothing but loopback."""
    if "docs" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("docs")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]

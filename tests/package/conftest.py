"""The wheel is built and installed only when it is asked for: that needs a package index, and minutes."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the wheel out unless asked for: a plain `uv run pytest` needs nothing but loopback."""
    if "package" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("package")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]

"""What tests of several modules ask for."""

from __future__ import annotations

import os

import pytest

from openresponses.durable import tail

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")  # as `entry` does, where the API's metrics go


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows a response looks after its worker when it has been silent for a tenth of a second, not for a second:
    for tests in which it is dead.
    """
    monkeypatch.setattr(tail, "LOOK_AFTER", 0.1)

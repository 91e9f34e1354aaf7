"""A plugin: how many recordings of each dialect passed, in the summary of the test run; or that they were left out."""

from __future__ import annotations

from collections import Counter
from typing import Any

COUNTED = "recordings"
"""The property of a test's report that says what was tried, how many passed, and of how many."""
LEFT_OUT = "recordings left out: their folder is not there (OPENRESPONSES_RECORDINGS may name it)"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    passed, tried = Counter[str](), Counter[str]()
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    for name, value in (each for report in reports for each in report.user_properties):
        if name == COUNTED:
            what, good, all_ = value
            passed[what] += good
            tried[what] += all_
    for what in sorted(tried):
        terminalreporter.line(f"recordings of {what}: {passed[what]} passed of {tried[what]}")
    if any(LEFT_OUT in str(each.longrepr) for each in terminalreporter.stats.get("skipped", [])):
        terminalreporter.line(LEFT_OUT)

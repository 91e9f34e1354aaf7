"""Sweeps: tests that try every point of something, such as a kill at every event, or a cut at every byte.

A plain run tries a sample of the points, drawn by the run's seed. `pytest -m sweep` runs the sweeps alone, at every
point. A test that asks for the fixture `sweep` is a sweep.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


@dataclass(frozen=True)
class Sweep:
    """`full` if every point is to be tried."""

    full: bool
    _random: random.Random

    def sample(self, points: Sequence[T], size: int) -> list[T]:
        """All points, or so many of them, in their order: one of each of `size` equal stretches, so no draw lies
        wholly at one end.
        """
        if self.full or size >= len(points):
            return [*points]
        bounds = [len(points) * n // size for n in range(size + 1)]
        return [points[self._random.randrange(*stretch)] for stretch in pairwise(bounds)]


def _full(config: pytest.Config) -> bool:
    return config.option.markexpr == "sweep"


@pytest.fixture
def sweep(request: pytest.FixtureRequest) -> Sweep:
    """Draws for each test alone, so that a test can be repeated alone."""
    return Sweep(_full(request.config), random.Random(f"{request.config.option.sweep_seed} {request.node.nodeid}"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sweep-seed", type=int, metavar="N", help="draws the sample of each sweep; random if not given")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sweep: tries every point if `-m sweep` selects it, a sample otherwise")
    if config.option.sweep_seed is None:  # xdist's workers get the options of the process that starts them
        config.option.sweep_seed = random.randrange(1_000_000)


def pytest_sessionstart(session: pytest.Session) -> None:
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal:  # not in a worker
        seed = session.config.option.sweep_seed
        terminal.write_line("sweeps: in full" if _full(session.config) else f"sweeps: a sample, --sweep-seed {seed}")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "sweep" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.sweep)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("sweep") and not _full(item.config):
        report.sections.append(("sweep", f"the same sample again: --sweep-seed {item.config.option.sweep_seed}"))
    return report

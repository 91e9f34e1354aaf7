"""What a measurement gives, and how it is shown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Samples:
    """The median is what counts; p10 and p90 show the spread."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def at(self, share: float) -> float:
        return sorted(self.values)[min(len(self.values) - 1, int(len(self.values) * share))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: ours, perhaps against a baseline, perhaps with a goal. `value` is what the goal is about."""

    name: str
    unit: str
    ours: Samples
    baseline: Samples | None = None
    against: str = ""
    goal: float | None = None
    compare: Callable[[float, float], float] | None = None

    @property
    def value(self) -> float:
        if self.baseline is None or self.compare is None:
            return self.ours.median
        return self.compare(self.ours.median, self.baseline.median)

    @property
    def passed(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": _spread(self.ours),
            "baseline": self.baseline and {"what": self.against, **_spread(self.baseline)},
            "value": round(self.value, 3),
            "kind": self._kind,
            "goal": self.goal,
            "passed": self.passed,
        }

    @property
    def _kind(self) -> str:
        return {None: "absolute", ratio: "ratio", difference: "difference"}[self.compare]

    def cells(self) -> tuple[str, ...]:
        sign = {"absolute": f" {self.unit}", "ratio": "x", "difference": f" {self.unit}"}[self._kind]
        plus = "+" if self._kind == "difference" else ""
        verdict = {None: "", True: "pass", False: "FAIL"}[self.passed]
        against = "" if self.baseline is None else f"{_cell(self.baseline)} {self.against}"
        goal = "" if self.goal is None else f"<= {self.goal:g}{sign}"
        return (self.name, self.unit, _cell(self.ours), against, f"{plus}{self.value:.2f}{sign}", goal, verdict)


def ratio(ours: float, baseline: float) -> float:
    return ours / baseline


def difference(ours: float, baseline: float) -> float:
    return ours - baseline


def _cell(samples: Samples) -> str:
    return f"{samples.median:.2f} ({samples.at(0.1):.2f}-{samples.at(0.9):.2f})"


def _spread(samples: Samples) -> dict[str, object]:
    low, high = samples.at(0.1), samples.at(0.9)
    return {"median": round(samples.median, 4), "p10": round(low, 4), "p90": round(high, 4), "n": len(samples.values)}


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int
    python: str
    system: str
    load: float = field(default_factory=lambda: round(os.getloadavg()[0], 1))

    @classmethod
    def here(cls) -> Machine:
        models = (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines())
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else platform.processor() or next(models, "unknown")
        return cls(cpu, len(os.sched_getaffinity(0)), platform.python_version(), platform.platform())

    def document(self) -> dict[str, object]:
        return asdict(self)


HEADER = ("measured", "unit", "ours: median (p10-p90)", "against", "result", "goal", "")


def table(machine: Machine, figures: list[Figure]) -> str:
    rows = [HEADER, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    about = f"Python {machine.python}, {machine.cpu}, {machine.cores} cores, {machine.system}, load {machine.load}"
    return "\n".join([about, "", *lines])

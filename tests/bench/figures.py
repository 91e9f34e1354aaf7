"""What a measurement gives, and how it is shown."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Samples:
    """The median is what counts; p10 and p90 show the spread."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def at(self, share: float) -> float:
        return sorted(self.values)[min(len(self.values) - 1, int(len(self.values) * share))]

    def document(self) -> dict[str, object]:
        low, high = self.at(0.1), self.at(0.9)
        return {"median": round(self.median, 4), "p10": round(low, 4), "p90": round(high, 4), "n": len(self.values)}


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: ours, perhaps against a baseline, perhaps with a goal. `value` is what the goal is about.

    Samples of ours and of the baseline that were taken after one another are compared, and the median of that
    counts: what slows the machine for a while slows both.
    """

    name: str
    unit: str
    ours: Samples
    baseline: Samples | None = None
    against: str = ""
    goal: float | None = None
    kind: Literal["ratio", "difference"] = "ratio"

    @property
    def value(self) -> float:
        if self.baseline is None:
            return self.ours.median
        pairs = zip(self.ours.values, self.baseline.values, strict=True)
        ratio = self.kind == "ratio"
        return statistics.median([ours / least if ratio else ours - least for ours, least in pairs])

    @property
    def passed(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours.document(),
            "baseline": self.baseline and {"what": self.against, **self.baseline.document()},
            "value": round(self.value, 3),
            "kind": self.kind if self.baseline else "absolute",
            "goal": self.goal,
            "passed": self.passed,
        }

    def cells(self) -> tuple[str, ...]:
        sign = "x" if self.baseline and self.kind == "ratio" else f" {self.unit}"
        plus = "+" if self.baseline and self.kind == "difference" else ""
        verdict = {None: "", True: "pass", False: "FAIL"}[self.passed]
        against = "" if self.baseline is None else f"{_cell(self.baseline)} {self.against}"
        goal = "" if self.goal is None else f"<= {self.goal:g}{sign}"
        return (self.name, self.unit, _cell(self.ours), against, f"{plus}{self.value:.2f}{sign}", goal, verdict)


def _cell(samples: Samples) -> str:
    return f"{samples.median:.2f} ({samples.at(0.1):.2f}-{samples.at(0.9):.2f})"


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int
    python: str
    system: str
    load: float = field(default_factory=lambda: round(os.getloadavg()[0], 1))

    @classmethod
    def here(cls) -> Machine:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        cpu = named[0] if named else platform.machine()  # arm64 kernels don't name theirs
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

"""What the doctor finds, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from openresponses_dev.local.terminal import one_line

_WIDTHS = "{:<8} {:<23} {}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A `note` is worth knowing and nothing to mend."""

    about: str
    state: Literal["ok", "note", "problem"]
    detail: str
    mend: str = ""


def ok(about: str, detail: str) -> Finding:
    return Finding(about, "ok", detail)


def note(about: str, detail: str, mend: str = "") -> Finding:
    return Finding(about, "note", detail, mend)


def problem(about: str, detail: str, mend: str = "") -> Finding:
    return Finding(about, "problem", detail, mend)


def document_of(finding: Finding) -> dict[str, str | None]:
    return {**asdict(finding), "mend": finding.mend or None}


def shown(finding: Finding) -> str:
    lines = [_WIDTHS.format(finding.state, one_line(finding.about), one_line(finding.detail))]
    if finding.mend:
        lines.append(_WIDTHS.format("", "  try:", one_line(finding.mend)))
    return "\n".join(lines)


def verdict(findings: Iterable[Finding]) -> str:
    problems = sum(finding.state == "problem" for finding in findings)
    return "all is well" if not problems else f"{problems} problem{'s' if problems > 1 else ''}"

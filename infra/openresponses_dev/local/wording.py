"""What a structured log record says, in a line for a person."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from openresponses_dev.local.project import find_project
from openresponses_dev.local.records import Record

_PACKAGES = "tools/requirements.txt"


def worded(record: Record) -> str:
    """Empty for what another line says already."""
    words = _WORDS.get(record.message)
    return words(record) if words else record.shortened


def problem_of(record: Record) -> tuple[str, str] | None:
    """Title and text, where it tells what is wrong with a tool of the user's own."""
    title = worded(record) if record.message in ("tool unusable", "tool raised") else ""
    return (title, record.trace or title) if title else None


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def _response(record: Record) -> str:
    provider, asked = record.word("provider"), record.word("asked")
    target = asked if provider == "none" else f"{provider}/{record.word('model')}"  # nobody answered
    ended = ": ".join(filter(None, (record.word("status"), record.word("error") or record.word("reason"))))
    usd = record.word("usd")
    parts = (
        target if asked in ("", target) else f"{asked} by {target}",
        _counted(record, "turns", "turn"),
        _counted(record, "tool_calls", "tool call"),
        f"{record.word('input_tokens')} + {record.word('output_tokens')} tokens",
        "cost unknown" if usd in ("", "null") else f"${usd}",
        duration(record.number("duration_ms")),
        _counted(record, "retries", "retry", "retries"),
        _counted(record, "fallbacks", "fallback"),
    )
    return f"{record.word('response_id')} {ended}: {', '.join(filter(None, parts))}"


def _counted(record: Record, name: str, one: str, many: str = "") -> str:
    count = int(record.number(name) or 0)
    return f"{count} {one if count == 1 else many or f'{one}s'}" if count else ""


def _tool_call(record: Record) -> str:
    tool = "/".join(filter(None, (record.word("server"), record.word("tool"))))
    took = duration(record.number("duration_ms"))
    return f"{record.word('response_id')} called {tool}: {', '.join(filter(None, (record.word('outcome'), took)))}"


def _provider_failed(record: Record) -> str:
    why = ": ".join(word for name in ("cause", "reason") if (word := record.word(name)) not in ("", "null"))
    took = duration(record.number("duration_ms"))
    failed = f"{record.word('target')} failed: {record.word('error')}: {why or record.word('code')}"
    return failed + (f", after {took}" if took else "")


def _skipped(record: Record) -> str:
    return f"{record.word('target')} is passed over: {record.word('why')}"


def _circuit(record: Record) -> str:
    target = record.word("target")
    opened = record.word("state") == "open"
    return f"{target} kept failing: it is asked last for a while" if opened else f"{target} answers again"


def _refused(record: Record) -> str:
    """An authorizer's refusal is in the line of the request."""
    if "reason" in record.fields:
        return ""
    param = record.word("param")
    return f"refused: {record.word('code')}" + (f", because of {param}" if param not in ("", "null") else "")


def _tool(does: str) -> Callable[[Record], str]:
    def words(record: Record) -> str:
        file, why = record.word("file"), record.word("why")
        at = f" at {shown_path(file)}:{record.word('line')}" if file else ""
        told = f"tool {record.word('tool')} {does} {record.word('error')}{at}" + (f": {why}" if why else "")
        return told + _missing(record)

    return words


def _missing(record: Record) -> str:
    """How a project gets the package that a tool of its own imports."""
    if record.word("error") != "ModuleNotFoundError" or find_project() is None:
        return ""
    own = "named 'tools" in record.word("why")
    return "" if own else f": name its package in {_PACKAGES}, and run: uv add --dev -r {_PACKAGES}"


def _overran(record: Record) -> str:
    return f"tool {record.word('tool')} took longer than {record.word('seconds')} s (TIMEOUT) and was given up"


def shown_path(path: str) -> str:
    """From the current folder on, where it is below that."""
    here = Path.cwd()
    return os.path.relpath(path, here) if Path(path).is_relative_to(here) else path


_WORDS: Mapping[str, Callable[[Record], str]] = {
    "circuit": _circuit,
    "provider failed": _provider_failed,
    "refused": _refused,
    "request": lambda _: "",  # the gateway's line says it
    "response": _response,
    "target skipped": _skipped,
    "tool call": _tool_call,
    "tool overran": _overran,
    "tool raised": _tool("raised"),
    "tool refused": _tool("told the model"),
    "tool unusable": _tool("can't be used:"),
}

"""What runs in the local cloud, as one page that refreshes itself. Names and states only, never what is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from infra.local.aws import Execution
from infra.local.functions import Function

PATH = "/_local"
NEWEST = 50
_PAGE = """<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>openresponses, locally</title>
<style>body{{font:14px/1.5 system-ui;margin:2em}}table{{border-collapse:collapse;margin-bottom:2em}}
td,th{{text-align:left;padding:.2em 1.2em .2em 0;border-bottom:1px solid #ccc}}td{{font-family:ui-monospace,monospace}}
</style>
<h2>Functions</h2>{functions}<h2>Executions</h2>{executions}
"""


def status_page(functions: Mapping[str, Function], executions: Iterable[Execution]) -> str:
    """HTML. The executions are expected newest first."""
    running = [
        (name, len(each.sandboxes), each.limit, f"{each.spec.timeout_s:g} s") for name, each in functions.items()
    ]
    rows = [
        (
            each.name,
            each.status,
            each.state or "",
            each.events,
            f"{each.started:%H:%M:%S}",
            f"{each.stopped:%H:%M:%S}" if each.stopped else "",
        )
        for each in list(executions)[:NEWEST]
    ]
    return _PAGE.format(
        functions=_table(("function", "sandboxes", "at most", "timeout"), running),
        executions=_table(("execution", "status", "state", "history", "started", "stopped"), rows)
        if rows
        else "<p>None yet: a background response, or a loop that was handed off, starts one.</p>",
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"

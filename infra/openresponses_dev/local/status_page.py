"""What runs in the local cloud: a page that refreshes itself, and a document for programs. Names and states only, never
what is said, and no secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.services.executions import Execution
from openresponses_dev.local.template.intrinsics import REGION

PATH = "/_local"
JSON_PATH = f"{PATH}.json"
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


_VARIABLES = {
    "table": "OPENRESPONSES_TABLE",
    "bucket": "OPENRESPONSES_BUCKET",
    "state_machine": "OPENRESPONSES_STATE_MACHINE_ARN",
    "prefix": "OPENRESPONSES_SSM_PREFIX",
    "default_provider": "OPENRESPONSES_DEFAULT_PROVIDER",
    "config_seconds": "OPENRESPONSES_CONFIG_SECONDS",
}


def status_document(
    functions: Iterable[str], variables: Mapping[str, str], *, base_url: str, websocket_url: str, access: Path | None
) -> str:
    """JSON: where the deployment's things are, by the variables of its functions. `access` is the file that leads its
    user to the services, which nobody reads here.
    """
    where = {name: variables.get(variable, "") for name, variable in _VARIABLES.items()}
    urls = {"base_url": base_url, "websocket_base_url": websocket_url}
    here = {**urls, "access": str(access or ""), "region": REGION, "functions": list(functions)}
    return json.dumps({**where, **here})


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"

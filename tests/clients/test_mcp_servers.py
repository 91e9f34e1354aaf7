"""Real MCP servers from PyPI and npm, unmodified and pinned, asked through `openresponses dev`: of both eras."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.clients.conftest import BUILD, Cloud
from tests.clients.test_clients import BEFORE
from tests.npm import npm_install

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

EVERYTHING = "2026.8.31"
START_SECONDS = 120.0


@dataclass(frozen=True)
class Real:
    """`stateless`: it speaks 2026-07-28. `calls` are a tool, its arguments, and words of its output."""

    label: str
    stateless: bool
    command: Callable[[int, Path], list[str]]
    tools: set[str]
    calls: tuple[tuple[str, dict[str, Any], str], ...]


def _from_pypi(package: str, version: str, *arguments: str) -> list[str]:
    return ["uvx", "--quiet", "--exclude-newer", BEFORE, "--from", f"{package}=={version}", package, *arguments]


def _everything(port: int, folder: Path) -> list[str]:
    node = BUILD / "mcp"
    npm_install(node, f"@modelcontextprotocol/server-everything@{EVERYTHING}")
    script = node / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    return ["env", f"PORT={port}", "node", str(script), "streamableHttp"]


SERVERS = [
    Real(
        "duckdb",
        True,
        lambda port, _: _from_pypi(
            "mcp-server-motherduck", "1.1.0", "--transport", "http", "--port", str(port), "--read-write"
        ),
        {"execute_query", "list_tables"},
        (
            ("execute_query", {"sql": "SELECT 6 * 7 AS answer"}, "42"),
            ("execute_query", {"sql": "SELEC 1"}, "syntax error"),
        ),
    ),
    Real(
        "excel",
        True,
        lambda port, folder: _from_pypi(
            "excel-mcp-server", "2.2.2", "streamable-http", "--allow-dir", str(folder), "--port", str(port)
        ),
        {"create_workbook", "list_workbooks", "write_range"},
        (
            ("create_workbook", {"path": "sales.xlsx"}, "sales.xlsx"),
            ("write_range", {"path": "sales.xlsx", "sheet": "Sheet1", "at": "A1", "rows": [["a", 1.5, None]]}, "A1"),
            ("read_range", {"path": "sales.xlsx", "sheet": "Sheet1"}, "1.5"),
            ("read_range", {"path": "sales.xlsx", "sheet": "Nowhere"}, "Nowhere"),
        ),
    ),
    Real(
        "everything",
        False,
        _everything,
        {"echo", "get-sum", "get-tiny-image"},
        (
            ("echo", {"message": "grüße"}, "Echo: grüße"),
            ("get-sum", {"a": 1, "b": 2}, "3"),
            ("get-tiny-image", {}, "[image/png]"),
            ("get-structured-content", {"location": "New York"}, "temperature"),
            ("get-resource-links", {"count": 2}, "demo://resource/"),
            ("trigger-long-running-operation", {"duration": 1, "steps": 2}, "completed"),
            ("get-sum", {"a": "one"}, "Invalid"),
        ),
    ),
]


@contextmanager
def _running(real: Real, folder: Path) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    variables = {name: os.environ[name] for name in os.environ if not name.startswith("VIRTUAL_ENV")}
    process = subprocess.Popen(
        real.command(port, folder), env=variables | {"HOME": str(folder)} | _caches(), stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < until:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _caches() -> dict[str, str]:
    """A server's home is a folder of the test; what was downloaded is not."""
    folder = subprocess.run(["uv", "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
    return {"UV_CACHE_DIR": folder}


def _stands_alone(url: str) -> bool:
    """Whether the server answers to a request of 2026-07-28."""
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": "server/discover",
    }
    asked = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
    return httpx2.post(url, headers=headers, json=asked).status_code == 200


def _asked(client: OpenAI, real: Real, url: str, call: str, previous: str | None, **more: Any) -> Response:
    tool: Any = {"type": "mcp", "server_label": real.label, "server_url": url, "require_approval": "never"}
    response = client.responses.create(
        model="offline/demo", input=call, tools=[tool], previous_response_id=previous, **more
    )
    until = time.monotonic() + START_SECONDS
    while response.status in ("queued", "in_progress") and time.monotonic() < until:
        time.sleep(0.2)
        response = client.responses.retrieve(response.id)
    return response


@pytest.mark.parametrize("real", SERVERS, ids=lambda real: real.label)
def test_a_real_server_is_listed_once_and_called_inline_and_by_the_state_machine(
    cloud: Cloud, real: Real, tmp_path: Path
) -> None:
    client = OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0)
    listed: list[list[str]] = []
    previous = None
    with _running(real, tmp_path) as url:
        assert _stands_alone(url) is real.stateless
        for number, (name, arguments, words) in enumerate(real.calls):
            directive = f"[[call {real.label}__{name} {json.dumps(arguments)}]] Go on."
            response = _asked(client, real, url, directive, previous, background=number == 1)
            previous = response.id
            listed += [[tool.name for tool in item.tools] for item in response.output if item.type == "mcp_list_tools"]
            (call,) = [item for item in response.output if item.type == "mcp_call"]
            assert (call.name, call.server_label) == (name, real.label)
            told = call.output or (call.error.model_dump_json() if call.error else "")
            assert words in told, call
            assert response.status == "completed"
            assert response.output[-1].type == "message"
    assert len(listed) == 1
    assert real.tools <= set(listed[0])

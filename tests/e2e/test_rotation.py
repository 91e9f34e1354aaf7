"""What is changed in a running deployment is in force within the time that it may be remembered, without a restart."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.e2e.conftest import Endpoint, exported
from tests.e2e.tenants import Cloud

REMEMBERED = 1
OVER = ("completed", "failed", "incomplete")


class Upstream(BaseHTTPRequestHandler):
    """Says with which key it was asked, and for which model."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = f"{asked['model']} for {self.headers['authorization']}"
        chunk = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
        body = f"data: {json.dumps({'id': 'c', 'choices': [chunk]})}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rotation") / "dev.log"


@pytest.fixture(scope="module")
def process(upstream: str, log_file: Path) -> Iterator[subprocess.Popen[str]]:
    """A local cloud that forgets soon."""
    providers = log_file.with_name("providers.json")
    providers.write_text(json.dumps({"echo": settings(upstream, "first-key")}))
    command = [
        str(Path(sys.executable).parent / "openresponses"), "dev", "--port", "0", "--no-reload", "--keep-nothing",
        "--parameter", f"AuthorizerSeconds={REMEMBERED}", "--parameter", f"ConfigSeconds={REMEMBERED}",
        "--providers", str(providers), "--alias", "fast=echo/small", "--log-file", str(log_file),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


@pytest.fixture(scope="module")
def it(process: subprocess.Popen[str], log_file: Path) -> Cloud:
    return Cloud(Endpoint(exported(process, "OPENAI_BASE_URL"), exported(process, "OPENAI_API_KEY"), log_file))


@pytest.fixture
def sandboxes(process: subprocess.Popen[str]) -> Callable[[], set[int]]:
    return lambda: {child.pid for child in psutil.Process(process.pid).children()}


def settings(upstream: str, key: str) -> dict[str, Any]:
    return {"dialect": "chat_completions", "base_url": upstream, "api_key": key}


def said(http: httpx2.Client, model: str, **more: object) -> str:
    response = http.post("responses", json={"model": model, "input": "x", **more}).raise_for_status().json()
    while response["status"] not in OVER:
        time.sleep(0.05)
        response = http.get(f"responses/{response['id']}").raise_for_status().json()
    return response["output"][0]["content"][0]["text"]


def put(it: Cloud, name: str, document: object, kind: str) -> None:
    name = f"{it.told['prefix']}/{name}"
    it.client("ssm").put_parameter(Name=name, Value=json.dumps(document), Type=kind, Overwrite=True)


def forgotten() -> None:
    time.sleep(REMEMBERED + 0.1)


def test_a_revoked_key_is_refused(it: Cloud, sandboxes: Callable[[], set[int]]) -> None:
    token = it.key("acme")
    with it.http(token) as http:
        assert http.get("models").status_code == 200
        before = sandboxes()
        it.revoke(token)
        forgotten()
        assert http.get("models").status_code == 401
        assert sandboxes() == before


def test_a_key_is_refused_when_its_time_is_over(it: Cloud) -> None:
    with it.http(it.key("acme", ends_in=2)) as http:
        assert http.get("models").status_code == 200
        time.sleep(2)
        forgotten()
        assert http.get("models").status_code == 401


@pytest.mark.parametrize("more", [{}, {"background": True}], ids=["inline", "in the state machine"])
def test_a_providers_new_key_is_used(
    it: Cloud, upstream: str, sandboxes: Callable[[], set[int]], more: dict[str, Any]
) -> None:
    with it.http(it.endpoint.api_key) as http:
        put(it, "providers/echo", settings(upstream, "first-key"), "SecureString")
        forgotten()
        assert said(http, "echo/large", **more) == "large for Bearer first-key"
        before = sandboxes()
        put(it, "providers/echo", settings(upstream, "second-key"), "SecureString")
        forgotten()
        assert said(http, "echo/large", **more) == "large for Bearer second-key"
        assert sandboxes() == before


def test_an_alias_leads_elsewhere(it: Cloud, sandboxes: Callable[[], set[int]]) -> None:
    with it.http(it.endpoint.api_key) as http:
        assert said(http, "fast").startswith("small ")
        before = sandboxes()
        put(it, "models/fast", {"targets": ["echo/medium"]}, "String")
        forgotten()
        assert said(http, "fast").startswith("medium ")
        assert sandboxes() == before


def test_a_provider_is_added(it: Cloud, upstream: str) -> None:
    with it.http(it.endpoint.api_key) as http:
        assert http.post("responses", json={"model": "new/one", "input": "x"}).status_code == 404
        put(it, "providers/new", settings(upstream, "its-key"), "SecureString")
        forgotten()
        assert said(http, "new/one") == "one for Bearer its-key"

"""The local cloud's own pages: what runs, for a person and for programs; and the console, with what it reads."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Protocol
from urllib.parse import parse_qs

from openresponses_dev.local import status_page
from openresponses_dev.local.console.at_rest import AtRest
from openresponses_dev.local.console.files import PREFIX, file_at
from openresponses_dev.local.gateway.answers import Head
from openresponses_dev.local.gateway.rest_event import Request
from openresponses_dev.local.history import History
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.services.executions import Execution
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.template import Template

CONSOLE, LOG = f"{status_page.PATH}/console.json", f"{status_page.PATH}/log.json"
_WAIT_S, _LOOK_S = 20.0, 0.1
_PAGES = (status_page.PATH, status_page.JSON_PATH, CONSOLE, LOG)
_JSON = "application/json"


class Cloud(Protocol):
    """What is shown of a local cloud."""

    api_key: str
    template: Template
    aws: LocalAws

    @property
    def base_url(self) -> str: ...

    @property
    def functions(self) -> Mapping[str, Function]: ...


class Pages:
    """`document` is what `/_local.json` says."""

    def __init__(self, cloud: Cloud, at_rest: AtRest, history: History, document: Callable[[], str]) -> None:
        self._cloud, self._at_rest, self._history, self._document = cloud, at_rest, history, document
        self._since = time.time()
        self._ended = False

    def private(self, path: str) -> bool:
        return path in _PAGES

    async def answer(self, request: Request, *, routed: bool) -> tuple[Head, bytes] | None:
        path = request.path
        if path == status_page.PATH:
            page = status_page.status_page(self._cloud.functions, self._cloud.aws.executions())
            return _head("text/html; charset=utf-8"), page.encode()
        if path == status_page.JSON_PATH:
            return _head(_JSON), self._document().encode()
        if path in (CONSOLE, LOG):
            return await self._told(request)
        if request.method not in ("GET", "HEAD") or (routed and not path.startswith(f"{PREFIX}/")):
            return None
        return file_at(path)

    def end(self) -> None:
        """Nobody is kept waiting."""
        self._ended = True

    async def _told(self, request: Request) -> tuple[Head, bytes]:
        given = (request.header("authorization") or "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._cloud.api_key}".encode()):
            error = {"type": "invalid_request", "code": "invalid_api_key", "param": None}
            message = "The console needs the key that dev printed"
            return _head(_JSON, 401), json.dumps({"error": {"message": message, **error}}).encode()
        document = await (self._console() if request.path == CONSOLE else self._lines(request))
        return _head(_JSON), json.dumps(document).encode()

    async def _console(self) -> dict[str, object]:
        keys, providers = await self._at_rest.read()
        return {
            "template": str(self._cloud.template.path),
            "base_url": self._cloud.base_url,
            "reloaded_at": self._since,
            "functions": [_function(each) for each in self._cloud.functions.values()],
            "executions": [*map(_execution, self._cloud.aws.executions()[: status_page.NEWEST])],
            "keys": keys,
            "providers": providers,
            "problems": [asdict(each) for each in self._history.problems],
        }

    async def _lines(self, request: Request) -> dict[str, object]:
        """At once where there is something new, and after a while at most."""
        (after,) = parse_qs(request.query).get("after", ["0"])[-1:]
        number = int(after) if after.isascii() and after.isdecimal() else 0
        until = time.monotonic() + _WAIT_S
        while True:
            lines, following = self._history.lines_from(number)
            if lines or self._ended or time.monotonic() > until:
                return {"lines": [asdict(each) for each in lines], "next": following}
            await asyncio.sleep(_LOOK_S)


def _head(kind: str, status: int = 200) -> Head:
    own = ("cache-control", "no-store"), ("cross-origin-resource-policy", "same-origin")
    return Head(status, [("content-type", kind), *own])


def _function(function: Function) -> dict[str, object]:
    return {
        "name": function.spec.name,
        "sandboxes": len(function.sandboxes),
        "busy": function.running,
        "limit": function.limit,
        "timeout_s": function.spec.timeout_s,
        "memory_mb": function.spec.memory_mb,
        **asdict(function.counts),
    }


def _execution(execution: Execution) -> dict[str, object]:
    return {
        "name": execution.name,
        "response_id": execution.name.partition("-")[0],
        "status": execution.status,
        "state": execution.state,
        "events": execution.events,
        "started_at": execution.started.timestamp(),
        "stopped_at": execution.stopped and execution.stopped.timestamp(),
    }

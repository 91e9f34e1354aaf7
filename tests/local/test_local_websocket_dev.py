"""`openresponses dev` with a WebSocket API, as a user starts it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.local.local_project import PATIENCE, running
from tests.local.sockets import KEY, socket_project
from tests.local.test_local_dev import dev, until


def opened(base: str, **options: Any) -> ClientConnection:
    given = {"additional_headers": KEY, "proxy": None, "open_timeout": PATIENCE, "close_timeout": PATIENCE}
    return connect(f"{base}/responses", **{**given, **options})


def ask(socket: ClientConnection, **asked: Any) -> Any:
    socket.send(json.dumps(asked))
    return socket.recv(PATIENCE)


def test_it_tells_the_address_lifts_the_sizes_reloads_under_open_sockets_and_ends_them(tmp_path: Path) -> None:
    options = ("--websocket-origin", "separate", "--websocket-limits", "off")
    with dev(socket_project(tmp_path), *options) as (process, exports):
        assert process.stdout
        told = next(line for line in process.stdout if line.startswith("# WebSocketBaseUrl:")).split()[-1]
        assert told.startswith("ws://127.0.0.1:")
        assert told not in exports["OPENAI_BASE_URL"]
        with pytest.raises(InvalidStatus), opened(exports["OPENAI_BASE_URL"].replace("http", "ws")):
            pass
        with opened(told) as socket:
            assert ask(socket, count=1, pad="x" * 40_000) == "0"
            before = json.loads(ask(socket, tell=True))
            assert before["where"]["OPENRESPONSES_WEBSOCKET_URL"] == f"{told}/responses"
            code = tmp_path / "functions" / "talk.py"
            code.write_text(code.read_text().replace('json.dumps({"event"', 'json.dumps({"new": True, "event"'))
            until(lambda: "new" in json.loads(ask(socket, tell=True)))
            after = json.loads(ask(socket, tell=True))
            assert len({each["event"]["requestContext"]["connectionId"] for each in (before, after)}) == 1
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                socket.recv(PATIENCE)
            assert socket.close_code == 1001
        assert process.wait(PATIENCE) == 0
        assert not running(process.pid)

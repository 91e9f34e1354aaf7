"""The functions of the WebSocket API, as Lambda runs them: see `socket_functions`."""

from __future__ import annotations

import json
import subprocess
import sys

PATH = "/@connections/L0SM9cOFvHcCIhw="
LIGHT = "pydantic", "aws_lambda_powertools", "starlette", "nacl"


def test_they_serve_a_connection_from_its_beginning_to_its_end() -> None:
    command = [sys.executable, "-m", "tests.contract.socket_functions"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("first")[::8] == ["response.created", "response.completed"]
    (binary,) = told.pop("binary")
    assert (binary["status"], binary["error"]["code"]) == (400, "invalid_json")
    refused = [(frame["status"], frame["error"]["param"]) for (frame,) in told.pop("limited")]
    assert refused == [(400, "tools[0].server_url"), (400, "tools[0].server_label")]  # its key is for the server docs
    assert told == {
        "connect": {"statusCode": 200},
        "second": "response.completed",
        "routed": 1,
        "payload": ["connection_id", "holder", "lane", "tenant"],
        "replaced": 1,
        "late": [],
        "heir": "response.completed",
        "given_up": [[{"type": "DELETE"}], 0],
        "slow": "response.completed",
        "gone": [{"type": "DELETE"}],
        "revoked": [["POST", PATH], ["DELETE", PATH]],
        "disconnect": {"statusCode": 200},
        "kept": [],
    }


def test_the_door_parses_no_request() -> None:
    """Each message waits for its cold start."""
    code = "import json, sys, openresponses.entry.socket; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*json.loads(done.stdout)} & {*LIGHT}

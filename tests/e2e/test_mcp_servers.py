"""MCP servers of a deployment, over HTTP: a label and nothing else, for the keys that may; and a line for each call."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Endpoint
from tests.e2e.tenants import Cloud

Json = dict[str, Any]
TOKEN = "token-of-the-operator"
DOCS: Json = {"type": "mcp", "server_label": "handbook"}
CALL = '[[call handbook__echo {"text": "planted-prompt"}]]'
ADD = '[[call handbook__add {"numbers": [1, 2]}]]'
ASKED: Json = {"model": "offline/demo", "input": CALL, "tools": [DOCS]}


@pytest.fixture(scope="module")
def it(cloud: Endpoint) -> Iterator[Cloud]:
    """With the servers `handbook`, which has two tools for everybody, and `team`, each call of which is approved."""
    it = Cloud(cloud)
    command = [sys.executable, "-m", "tests.fakes.mcp_server", "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = {"url": process.stdout.readline().strip(), "headers": {"Authorization": f"Bearer {TOKEN}"}}
        servers = {"handbook": {**told, "approval": "never", "allow": ["echo", "add"]}, "team": told}
        for label, server in servers.items():
            name = f"{it.told['prefix']}/mcp/{label}"
            it.client("ssm").put_parameter(Name=name, Value=json.dumps(server), Type="SecureString")
        time.sleep(1.3)  # ConfigSeconds
        yield it
        for label in servers:  # other tests name servers of their own
            it.client("ssm").delete_parameter(Name=f"{it.told['prefix']}/mcp/{label}")
        process.terminate()


def made(it: Cloud, key: str, request: Json) -> Json:
    with it.http(key) as http:
        response = http.post("responses", json=request).raise_for_status().json()
        until = time.monotonic() + 30
        while response["status"] in ("queued", "in_progress") and time.monotonic() < until:
            time.sleep(0.1)
            response = http.get(f"responses/{response['id']}").raise_for_status().json()
    return response


def lines(it: Cloud, wanted: Callable[[Json], bool], count: int) -> list[Json]:
    """The log lines of calls, once there are so many."""
    until = time.monotonic() + 10
    while True:
        logged = [line[line.index("{") :] for line in it.endpoint.log_lines() if '"tool call"' in line]
        found = [line for line in map(json.loads, logged) if line["message"] == "tool call" and wanted(line)]
        if len(found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.1)


@pytest.mark.parametrize("background", [False, True])
def test_a_call_of_a_server_of_the_deployment_and_its_line(it: Cloud, background: bool) -> None:
    key = it.key("acme", mcp=["handbook"])
    response = made(it, key, {**ASKED, "background": background})
    assert [item["type"] for item in response["output"]] == ["mcp_list_tools", "mcp_call", "message"]
    assert [tool["name"] for tool in response["output"][0]["tools"]] == ["echo", "add"]
    assert response["output"][1]["output"] == "planted-prompt"
    assert TOKEN not in json.dumps(response)
    (line,) = lines(it, lambda line: line["response_id"] == response["id"], 1)
    expected = {
        "tenant": "acme",
        "key_id": key.split("_")[1],
        "call_id": response["output"][1]["id"],
        "kind": "mcp",
        "server": "handbook",
        "tool": "echo",
        "outcome": "completed",
        "approved_by": "policy",
        "bytes_in": len('{"text": "planted-prompt"}'),
        "bytes_out": len("planted-prompt"),
    }
    assert expected.items() <= line.items()
    assert line["duration_ms"] > 0


def test_what_is_approved_and_what_is_refused_leaves_a_line_each(it: Cloud) -> None:
    asking, approving = it.key("acme", mcp=["team"]), it.key("acme", mcp=["t*"])
    twice = " ".join(each.replace("handbook__", "team__") for each in (CALL, ADD))
    tools = [{"type": "mcp", "server_label": "team", "require_approval": "never"}]
    first = made(it, asking, {**ASKED, "input": twice, "tools": tools})
    echo, add = (item for item in first["output"] if item["type"] == "mcp_approval_request")
    answers = [
        {"type": "mcp_approval_response", "approval_request_id": each["id"], "approve": each is echo}
        for each in (echo, add)
    ]
    second = made(it, approving, {**ASKED, "input": answers, "tools": tools, "previous_response_id": first["id"]})
    found = lines(it, lambda line: line["response_id"] in (first["id"], second["id"]), 2)
    assert {(line["tool"], line["outcome"], line["approved_by"], line["response_id"]) for line in found} == {
        ("add", "refused", approving.split("_")[1], second["id"]),
        ("echo", "completed", approving.split("_")[1], second["id"]),
    }
    assert len(found) == 2


@pytest.mark.parametrize(
    ("limit", "tool", "param"),
    [
        (["handbook"], {"server_label": "team"}, "server_label"),
        (["handbook"], {"server_label": "nobody"}, "server_label"),
        ([], {"server_label": "nobody"}, "server_label"),
        (["handbook"], {"server_url": "https://mcp.example.com"}, "server_url"),
        (["handbook"], {"server_label": "mine", "server_url": "https://mcp.example.com"}, "server_url"),
        ([], {"server_url": "https://mcp.example.com"}, "server_url"),
        ([], {"headers": {"x-key": "key-of-a-client"}}, "headers"),
        ([], {"authorization": "key-of-a-client"}, "authorization"),
    ],
    ids=str,
)
def test_what_a_request_may_not_say_is_a_400_that_names_the_field(
    it: Cloud, limit: list[str], tool: Json, param: str
) -> None:
    with it.http(it.key("acme", mcp=limit)) as http:
        answer = http.post("responses", json={**ASKED, "tools": [{**DOCS, **tool}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, f"tools[0].{param}")
    assert "key-of-a-client" not in answer.text


def test_a_server_that_a_key_may_not_use_is_told_apart_from_none_by_nothing(it: Cloud) -> None:
    texts = set[str]()
    with it.http(it.key("acme", mcp=["handbook"])) as http:
        for label in ("team", "nobody"):
            tools = [{"type": "mcp", "server_label": label}]
            texts.add(http.post("responses", json={**ASKED, "tools": tools}).text.replace(label, "?"))
    assert len(texts) == 1


def test_the_operators_secret_is_in_no_line(it: Cloud) -> None:
    assert not any(TOKEN in line or "key-of-a-client" in line for line in it.endpoint.log_lines())

"""Nothing that a client or a model said is ever logged, and no secret is ever logged, told or stored.

The log of the whole run is searched once more at its end.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import httpx2
import pytest

from tests.e2e.conftest import PLANTED, SECRETS, Endpoint
from tests.e2e.tenants import Cloud

Json = dict[str, Any]
CALCULATOR = [{"type": "serverless:calculator"}]
MCP: Json = {
    "type": "mcp",
    "server_label": "docs",
    "server_url": "https://mcp.test/planted-mcp-path",
    "headers": {"x-key": "planted-mcp-key"},
    "authorization": "planted-mcp-token",
}
OF_A_PROVIDER = {"model": "openai_responses/text", "tools": [MCP, *CALCULATOR]}
REQUESTS: dict[str, Json] = {
    "an answer": {"model": "fake/text", "input": "/fake text;say=planted-answer planted-answer"},
    "a stream": {"model": "offline/demo", "input": "Say planted-prompt.", "stream": True},
    "a tool's arguments": {
        "model": "offline/demo",
        "input": '[[call calculator {"expression": "planted-prompt"}]]',
        "tools": CALCULATOR,
    },
    "a tool that isn't there": {
        "model": "offline/demo",
        "input": "x",
        "tools": [{"type": "serverless:planted-prompt"}],
    },
    "a wrong field": {"model": "offline/demo", "input": "x", "temperature": "planted-prompt"},
    "a model that isn't there": {"model": "planted-prompt", "input": "planted-prompt"},
    "a refusal upstream": {"model": "fake/text", "input": "/fake status;code=400"},
    "a failure mid-stream": {"model": "fake/text", "input": "/fake error;say=planted-answer", "stream": True},
    "garbage mid-stream": {"model": "fake/text", "input": "/fake garbage;say=planted-answer", "stream": True},
    "an MCP server that a provider asks": {**OF_A_PROVIDER, "input": "/fake text;say=planted-answer"},
    "an MCP server, and more turns": {**OF_A_PROVIDER, "input": "/fake tools;say=planted-answer"},
    "an MCP server, and a failure mid-stream": {**OF_A_PROVIDER, "input": "/fake error;say=planted-answer"},
    "an MCP server that the provider doesn't ask": {"model": "fake/text", "tools": [MCP], "input": "planted-prompt"},
    "an MCP server whose URL is none": {
        "model": "offline/demo",
        "input": "planted-prompt",
        "tools": [{**MCP, "server_url": "planted-mcp-path:planted-mcp-key"}],
    },
    "credentials where they would be stored": {
        "model": "offline/demo",
        "tools": [],
        "input": [
            {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}},
            {"type": "tool_search_output", "call_id": "c", "tools": [MCP]},
        ],
    },
    "wrong credentials": {
        **OF_A_PROVIDER,
        "tools": [{**MCP, "headers": {"x-key": ["planted-mcp-key"]}}],
    },
    # (The name of a model that somebody was asked for is logged, and counted.)
    "an upstream that is gone": {"model": "gone/model", "input": "planted-prompt"},
}
LEAKY = ("400", "401", "403", "429", "500", "stream", "no JSON")
"""What goes wrong at an upstream that quotes all the headers it got, secrets too."""


LEAKY_MCP = ("call", "fails", "refuses", "lists nothing", "401", "500", "redirects", "no JSON")
"""The same of an MCP server that this server asks."""


def of_leaky_mcp(kind: str, quoted: str, asked: Json) -> tuple[int, object]:
    """Status and body. In all that it says it quotes what it got: in names, descriptions, results and errors."""
    error = {"code": -32000, "message": quoted, "data": quoted}
    tool = {"name": "leak", "description": quoted, "inputSchema": {"type": "object", "description": quoted}}
    answers: dict[str, Json] = {
        "initialize": {
            "result": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": quoted, "version": quoted},
                "instructions": quoted,
            }
        },
        "tools/list": {"error": error} if kind == "lists nothing" else {"result": {"tools": [tool]}},
        "tools/call": {
            "refuses": {"error": error},
            "fails": {"result": {"isError": True, "content": [{"type": "text", "text": quoted}]}},
        }.get(kind, {"result": {"content": [{"type": "text", "text": quoted}], "structuredContent": {quoted: quoted}}}),
    }
    if kind.isdecimal() or kind == "redirects":
        return int(kind) if kind.isdecimal() else 307, {"error": error}
    if kind == "no JSON":
        return 200, quoted
    unknown = {"error": {"code": -32601, "message": quoted}}
    return 200, {"jsonrpc": "2.0", "id": asked.get("id"), **answers.get(str(asked.get("method")), unknown)}


class Leaky(BaseHTTPRequestHandler):
    asked = Counter[str]()
    """How often each method of MCP was, with the credentials."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.startswith("/mcp/"):
            self.answer_as_mcp(asked)
            return
        kind, quoted = asked["model"], dict(self.headers)
        error = {"error": {"message": f"Incorrect: {quoted}", "code": str(quoted), "param": str(quoted)}}
        chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "planted-answer"}}]}
        bodies = {
            "stream": f"data: {json.dumps(chunk)}\n\ndata: {json.dumps(error)}\n\n",
            "no JSON": f"data: {json.dumps(chunk)}\n\ndata: {quoted}\n\n",
        }
        body = bodies.get(kind, json.dumps(error)).encode()
        self.send_response(int(kind) if kind.isdecimal() else 200, f"{quoted['authorization']}")
        self.send_header("content-type", "text/event-stream" if kind in bodies else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_as_mcp(self, asked: Json) -> None:
        quoted = f"{self.path} {dict(self.headers)}"
        if self.headers["x-key"] == "planted-mcp-key" and self.headers["authorization"] == "Bearer planted-mcp-token":
            self.asked[str(asked.get("method"))] += 1
        status, said = of_leaky_mcp(unquote(self.path.split("/")[2]), quoted, asked)
        body = (said if isinstance(said, str) else json.dumps(said)).encode()
        self.send_response(status, f"{self.headers['authorization']}")
        self.send_header("location", f"http://localhost:1{self.path}")
        self.send_header("www-authenticate", quoted)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def it(cloud: Endpoint) -> Iterator[Cloud]:
    """With a provider more, `leaky`."""
    it = Cloud(cloud)
    with ThreadingHTTPServer(("127.0.0.1", 0), Leaky) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {
            "dialect": "chat_completions",
            "base_url": f"http://127.0.0.1:{server.server_port}",
            "api_key": "planted-provider-key",
            "headers": {"x-planted": "planted-header"},
            "retries": 0,
        }
        name = f"{it.told['prefix']}/providers/leaky"
        it.client("ssm").put_parameter(Name=name, Value=json.dumps(settings), Type="SecureString", Overwrite=True)
        it.told["mcp"] = f"http://127.0.0.1:{server.server_port}/mcp"
        yield it
        server.shutdown()


@pytest.mark.parametrize("name", REQUESTS)
async def test_nothing_that_was_said_is_logged(cloud: Endpoint, name: str) -> None:
    before = len(cloud.log_lines())
    async with httpx2.AsyncClient(base_url=cloud.base_url, timeout=30) as client:
        good = {"authorization": f"Bearer {cloud.api_key}"}
        await client.post("/responses", json=REQUESTS[name], headers=good)
        await client.post("/responses", json=REQUESTS[name], headers={"authorization": "Bearer planted-prompt"})
        await client.post("/responses", content=b'{"planted-prompt', headers=good)
    lines = cloud.log_lines()[before:]
    assert any('"message":"re' in line for line in lines), "the functions' own lines are there to be searched"
    assert not [line for line in lines for secret in PLANTED if secret in line]


def test_no_secret_is_told_logged_or_stored(it: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    searched = {
        "answers": [*answers(it)],
        "items": [*items(it)],
        "objects": [*objects(it)],
        "history events": [*history(it)],
        "log lines": [line.encode() for line in it.endpoint.log_lines()],
    }
    found = {
        (secret, place): text
        for place, texts in searched.items()
        for text in texts
        for secret in (*SECRETS, *(PLANTED if place in ("history events", "log lines") else ()))
        if secret.encode() in text
    }
    with capsys.disabled():
        counts = ", ".join(f"{len(texts)} {place}" for place, texts in searched.items())
        print(f"\nsecrets, searched for in {counts}: {len(found)} found")
    assert found == {}
    assert all(searched.values())
    assert Leaky.asked["tools/list"] >= len(LEAKY_MCP) - 4
    assert Leaky.asked["tools/call"] >= 3 * 3  # three kinds of answers to a call, asked for in three ways
    for said in (b"planted-prompt", b"planted-answer"):  # or else the search would prove nothing
        assert any(said in text for text in searched["items"] + searched["objects"])


def answers(it: Cloud) -> Iterator[bytes]:
    """What clients are told of everything that can go wrong, however they ask, headers included."""
    large = {"model": "offline/demo", "input": f"planted-prompt {secrets.token_hex(200_000)}"}  # it goes to the bucket
    bodies = [*REQUESTS.values(), large, *({"model": f"leaky/{kind}", "input": "planted-prompt"} for kind in LEAKY)]
    bodies += [asking_mcp(f"{it.told['mcp']}/{quote(kind)}/{MCP_PATH}") for kind in LEAKY_MCP]
    waiting: list[str] = []
    with it.http(it.endpoint.api_key) as http:
        for body in bodies:
            for more in ({"stream": False}, {"stream": True}, {"stream": False, "background": True}):
                answer = http.post("responses", json={**body, **more})
                yield f"{answer.headers}".encode() + answer.content
                if more.get("background") and answer.status_code == 200:
                    waiting.append(answer.json()["id"])
        for path in ("models", "responses/resp_nowhere", "nowhere"):
            yield http.get(path).content
        until = time.monotonic() + 4
        for response_id in waiting:
            while (answer := http.get(f"responses/{response_id}")).json()["status"] in ("queued", "in_progress"):
                if time.monotonic() > until:  # the state machine tries again for minutes, with the same result
                    http.post(f"responses/{response_id}/cancel").raise_for_status()
                time.sleep(0.1)
            yield answer.content
            yield http.get(f"responses/{response_id}", params={"stream": "true"}).content
    secret = it.endpoint.api_key
    for wrong in (secret[:-1] + "f", f"or_000000000000_{secret.rpartition('_')[2]}", f"{secret}x"):
        with it.http(wrong) as http:
            yield http.get("models").content


MCP_PATH = "planted-mcp-path-0123456789"


def asking_mcp(url: str) -> Json:
    """Of the model that does as it is told: it calls the server's tool twice."""
    tool = {**MCP, "server_url": url, "require_approval": "never"}
    return {
        "model": "offline/demo",
        "input": "planted-prompt [[call docs__leak {}]] [[call docs__leak]]",
        "tools": [tool],
    }


def items(it: Cloud) -> Iterator[bytes]:
    for page in it.dynamodb.get_paginator("scan").paginate(TableName=it.told["table"]):
        for item in page["Items"]:
            yield str(item).encode() + b"".join(unpacked(value["B"]) for value in item.values() if "B" in value)


def objects(it: Cloud) -> Iterator[bytes]:
    s3 = it.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=it.told["bucket"]):
        for each in page.get("Contents", []):
            yield each["Key"].encode() + unpacked(
                s3.get_object(Bucket=it.told["bucket"], Key=each["Key"])["Body"].read()
            )


def history(it: Cloud) -> Iterator[bytes]:
    """What the state machine was given, and all that it knows of what happened."""
    states = it.client("stepfunctions")
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=it.told["state_machine"]):
        for execution in page["executions"]:
            for events in states.get_paginator("get_execution_history").paginate(
                executionArn=execution["executionArn"], includeExecutionData=True
            ):
                yield from (str(event).encode() for event in events["events"])


def unpacked(packed: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompress(packed)
    return packed

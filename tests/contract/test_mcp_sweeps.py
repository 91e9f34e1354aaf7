"""An MCP server's answer, cut at every byte, and with every byte wrong: a result, or one clear failure."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openresponses.core.server_calls import answered
from openresponses.schema.server_items import McpCall
from openresponses.toolbox.mcp.client import McpClient
from openresponses.toolbox.mcp.credentials import McpCredentials
from openresponses.toolbox.mcp.failures import McpFailure
from openresponses.toolbox.mcp.listing import tools_of
from openresponses.toolbox.mcp.results import failed, output_of
from openresponses.transport.http import Http
from tests.fakes.network import Answered
from tests.sweeps import Sweep

SAMPLE = 60
RESULT = {
    "resultType": "complete",
    "content": [
        {"type": "text", "text": "grüße \U0001f600"},
        {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"},
        {"type": "resource_link", "uri": "file:///a", "name": "a"},
    ],
    "structuredContent": {"a": [1, 2.5, None, True]},
    "isError": False,
}
MESSAGE = json.dumps({"jsonrpc": "2.0", "id": 2, "result": RESULT}, ensure_ascii=False).encode()
BODIES = {
    "application/json": MESSAGE,
    "text/event-stream": b": hello\r\n\r\n"
    b'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n'
    b"id: 7\r\nevent: message\r\ndata: " + MESSAGE + b"\r\n\r\n",
}
DISCOVERED = {"resultType": "complete", "supportedVersions": ["2026-07-28"]}


async def outcome(kind: str, body: bytes) -> Any:
    """What the model would be given: the item of its call."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(request.content)
        if asked["method"] == "server/discover":
            return httpx2.Response(200, json={"jsonrpc": "2.0", "id": asked["id"], "result": DISCOVERED})
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    seconds = {"connect_timeout": 5.0, "first_byte_timeout": 5.0, "idle_timeout": 5.0}
    client = McpClient(Http("http://mcp.test/", {}, network=Answered(answer), **seconds))
    try:
        output = output_of(await client.call(McpCredentials("http://mcp.test/", {}), "resp_1", "look", {}, {}))
    except McpFailure as failure:
        output = failed(failure)
    return item_of(output)


def item_of(output: Any) -> Any:
    call = McpCall(id="mcp_1", server_label="a", name="look", arguments="{}", status="in_progress")
    *_, done = answered(call, output, 0)
    return json.loads(done.model_dump_json().encode())["item"]


@pytest.mark.parametrize("kind", BODIES)
async def test_an_answer_that_is_cut_is_never_taken_for_whole(kind: str, sweep: Sweep) -> None:
    body = BODIES[kind]
    whole = await outcome(kind, body)
    assert whole["status"] == "completed"
    for cut in sweep.sample(range(len(body)), SAMPLE):
        item = await outcome(kind, body[:cut])
        assert item == whole or (item["status"] == "failed" and item["error"]["message"]), cut


@pytest.mark.parametrize("kind", BODIES)
async def test_an_answer_with_a_wrong_byte_is_a_result_or_a_failure(kind: str, sweep: Sweep) -> None:
    body = BODIES[kind]
    points = [(at, byte) for at in range(len(body)) for byte in b'\x00\n"{}[]0\\\xff']
    for at, byte in sweep.sample(points, SAMPLE):
        item = await outcome(kind, body[:at] + bytes([byte]) + body[at + 1 :])
        assert item["status"] in ("completed", "failed"), (at, byte)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_block = st.dictionaries(
    st.sampled_from(["type", "text", "data", "mimeType", "resource", "uri", "name", "blob"]),
    values | st.sampled_from(["text", "image", "audio", "resource", "resource_link", "image/png", "AAAA"]),
)
_results = st.dictionaries(
    st.sampled_from(["content", "structuredContent", "isError"]), values | st.lists(_block | values, max_size=4)
)
_tools = st.lists(
    st.dictionaries(
        st.sampled_from(["name", "description", "inputSchema", "annotations"]),
        values | st.dictionaries(st.sampled_from(["properties", "x-mcp-header", "type", "items"]), values),
    ),
    max_size=4,
)


@settings(max_examples=100)
@given(result=_results)
def test_any_result_is_one_that_a_model_reads(result: Any) -> None:
    assert item_of(output_of(result))["status"] in ("completed", "failed")


@settings(max_examples=100)
@given(raw=_tools)
def test_of_any_listing_there_are_tools_or_none(raw: Any) -> None:
    found = tools_of(raw)
    assert all(each.input_schema["type"] == "object" for each in found)
    assert len({each.name for each in found}) == len(found)

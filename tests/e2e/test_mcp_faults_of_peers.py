"""What other servers were reported to get wrong with remote MCP servers, tried here: a fault, a test. docs/mcp.md has
the table. A server is the package `mcp` on loopback.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.e2e.conftest import Endpoint
from tests.e2e.test_mcp_approvals import model_of
from tests.fakes.mcp_server import FakeMcp, mcp_server, tool
from tests.fakes.server import dialects

OFFLINE = "offline/demo"
Json = dict[str, Any]


@pytest.fixture
async def server() -> AsyncIterator[FakeMcp]:
    async with mcp_server() as server:
        yield server


@pytest.fixture
async def client(cloud: Endpoint) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0, timeout=60) as client:
        yield client


def named(server: FakeMcp, **more: Any) -> Any:
    return {"type": "mcp", "server_label": "peer", "server_url": server.url, **more}


def calling(*calls: tuple[str, Json]) -> str:
    """What has the offline model make these calls."""
    return " ".join(f"[[call peer__{name} {json.dumps(arguments)}]]" for name, arguments in calls)


ECHO = ("echo", {"text": "hi"})
ADD = ("add", {"numbers": [1, 2, 3]})


def listings(server: FakeMcp) -> int:
    return sum(headers.get("mcp-method") == "tools/list" for _, headers in server.requests)


@pytest.mark.parametrize(
    "asked", [{}, {"require_approval": "always"}, {"require_approval": {"always": {"tool_names": ["echo"]}}}]
)
async def test_ogx_3443_require_approval_is_honoured(client: AsyncOpenAI, server: FakeMcp, asked: Json) -> None:
    """llamastack/llama-stack #3443: `require_approval` was not looked at."""
    response = await client.responses.create(model=OFFLINE, input=calling(ECHO), tools=[named(server, **asked)])
    assert [item.type for item in response.output] == ["mcp_list_tools", "mcp_approval_request"]
    assert server.calls == []


@pytest.mark.parametrize(
    ("never", "free"),
    [({"tool_names": ["echo"]}, True), ({"read_only": True}, True), ({"tool_names": ["add"]}, False)],
    ids=str,
)
async def test_ogx_5287_the_never_filter_works(client: AsyncOpenAI, server: FakeMcp, never: Json, free: bool) -> None:
    """llamastack/llama-stack #5287: the `never` filter was dead code."""
    tools = [named(server, require_approval={"never": never})]
    response = await client.responses.create(model=OFFLINE, input=calling(ECHO, ADD), tools=tools)
    called = [item.name for item in response.output if item.type == "mcp_call"]
    asked = [item.name for item in response.output if item.type == "mcp_approval_request"]
    assert (called, asked) == ((["echo"], ["add"]) if free else (["add"], ["echo"]))
    assert [name for name, _ in server.calls] == called


@pytest.mark.parametrize("kept", ["stored", "stateless"])
async def test_ogx_4452_3106_a_recorded_list_is_not_fetched_again(
    client: AsyncOpenAI, server: FakeMcp, kept: str
) -> None:
    """llamastack/llama-stack #4452, #3106: the tools were listed again each turn."""
    tools, talk = [named(server, require_approval="never")], list[Any]()
    previous: Any = None
    for turn in range(3):
        said = {"role": "user", "content": f"[[turns 2]] {calling(ECHO)} {turn}"}
        talk.append(said)
        given: Any = [said] if kept == "stored" else talk
        response = await client.responses.create(
            model=OFFLINE, input=given, tools=tools, previous_response_id=previous, store=kept == "stored"
        )
        previous = response.id if kept == "stored" else None
        talk += [item.to_dict() for item in response.output]
        listed = [item for item in response.output if item.type == "mcp_list_tools"]
        assert len(listed) == (turn == 0)
    assert listings(server) == 1
    assert len(server.calls) >= 3


async def test_ogx_3269_previous_response_id_goes_with_mcp(client: AsyncOpenAI, server: FakeMcp) -> None:
    """llamastack/llama-stack #3269: 500."""
    tools = [named(server, require_approval="never")]
    first = await client.responses.create(model=OFFLINE, input=calling(ECHO), tools=tools)
    second = await client.responses.create(
        model=OFFLINE, input=calling(ADD), tools=tools, previous_response_id=first.id
    )
    third = await client.responses.create(model=OFFLINE, input="Thanks.", previous_response_id=second.id)
    assert [each.status for each in (first, second, third)] == ["completed"] * 3
    assert [name for name, _ in server.calls] == ["echo", "add"]


SCHEMAS: dict[str, tuple[Json, Json]] = {
    "refs": (
        {
            "type": "object",
            "properties": {"who": {"$ref": "#/$defs/Person"}},
            "required": ["who"],
            "$defs": {
                "Person": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "friend": {"$ref": "#/$defs/Name"}},
                    "required": ["name"],
                },
                "Name": {"type": "string"},
            },
        },
        {"who": {"name": "Ada"}},
    ),
    "arrays": (
        {
            "type": "object",
            "properties": {"rows": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}},
        },
        {"rows": [[1, 2], [3]]},
    ),
    "nothing": ({"type": "object", "properties": {}}, {}),
    "empty": ({}, {}),
}


@pytest.mark.parametrize("provider", ["offline", *dialects()])
async def test_ogx_3365_3575_any_schema_is_offered_and_any_arguments_arrive(client: AsyncOpenAI, provider: str) -> None:
    """llamastack/llama-stack #3365, #3575: `$ref` and `$defs`, arrays as arguments, tools without any."""
    listed = [tool(name, schema) for name, (schema, _) in SCHEMAS.items() if schema]
    async with mcp_server(tools=[*listed, tool("empty", {"type": "object"})]) as server:
        for name, (_, arguments) in SCHEMAS.items():
            tools = [named(server, require_approval="never")]
            asked = calling((name, arguments))
            if provider != "offline":
                asked, tools = (
                    f"/fake tools;args={json.dumps(arguments)}",
                    [named(server, allowed_tools=[name], require_approval="never")],
                )
            response = await client.responses.create(model=model_of(provider), input=asked, tools=tools)
            assert response.status == "completed", response
        assert server.calls == [(name, arguments) for name, (_, arguments) in SCHEMAS.items()]


async def test_litellm_13597_15371_a_server_needs_no_registration_on_any_route(
    client: AsyncOpenAI, server: FakeMcp
) -> None:
    """BerriAI/litellm #13597, #15371: only servers registered at the gateway; 400 for any tools on some routes."""
    tools = [named(server, require_approval="never")]
    first = await client.responses.create(model=OFFLINE, input=calling(ECHO), tools=tools)
    assert server.calls == [("echo", {"text": "hi"})]
    counted = await client.responses.input_tokens.count(model="chat_completions/text", input="hello", tools=tools)
    assert counted.input_tokens > 0
    compacted = await client.responses.compact(model=OFFLINE, previous_response_id=first.id)
    assert compacted.output


@pytest.mark.parametrize("provider", ["offline", *dialects()])
async def test_vllm_23221_27356_a_stream_has_the_events_of_the_servers_that_the_request_names(
    client: AsyncOpenAI, provider: str
) -> None:
    """vllm-project/vllm #23221, #27356: no MCP events in a stream; the request's `server_url` is ignored."""
    for _ in range(2):
        async with mcp_server() as server:
            asked = calling(ECHO) if provider == "offline" else '/fake tools;args={"text": "hi"}'
            stream = await client.responses.create(
                model=model_of(provider),
                input=asked,
                tools=[named(server, allowed_tools=["echo"], require_approval="never")],
                stream=True,
            )
            told = [event.type async for event in stream]
            assert server.calls == [("echo", {"text": "hi"})]
        mcp = [kind for kind in told if ".mcp_" in kind]
        assert mcp == [
            "response.mcp_list_tools.in_progress",
            "response.mcp_list_tools.completed",
            "response.mcp_call.in_progress",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.completed",
        ]


@pytest.mark.parametrize("way", [{}, {"stream": True}, {"background": True}], ids=str)
async def test_praxis_637_the_request_for_approval_is_in_the_body(
    client: AsyncOpenAI, server: FakeMcp, way: Json
) -> None:
    """praxis #637: it was missing."""
    created: Any = await client.responses.create(model=OFFLINE, input=calling(ECHO), tools=[named(server)], **way)
    if way.get("stream"):
        events = [event async for event in created]
        created = events[-1].response
        assert [event.item.type for event in events if event.type == "response.output_item.done"][-1] == (
            "mcp_approval_request"
        )
    response = created
    while response.status in ("queued", "in_progress"):
        response = await client.responses.retrieve(response.id)
    stored = await client.responses.retrieve(response.id)
    for each in (response, stored):
        assert (each.status, each.output[-1].type) == ("completed", "mcp_approval_request")
        assert each.output[-1].arguments == '{"text": "hi"}'


async def test_lm_studio_1073_nothing_must_be_switched_on(client: AsyncOpenAI, server: FakeMcp) -> None:
    """lmstudio-bug-tracker #1073: remote MCP is opt-in. Here a deployment may limit it, and need not allow it."""
    response = await client.responses.create(
        model=OFFLINE, input=calling(ECHO), tools=[named(server, require_approval="never")]
    )
    assert "hi" in response.output_text


@pytest.mark.parametrize("provider", ["offline", *dialects()])
async def test_bedrock_codex_25034_mcp_goes_with_every_other_kind_of_tool(
    client: AsyncOpenAI, server: FakeMcp, provider: str
) -> None:
    """openai/codex #25034: tools other than `function` and `mcp` were a 400."""
    function: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    others: list[Any] = [
        function,
        {"type": "custom", "name": "write"},
        {"type": "namespace", "name": "group", "description": "A group.", "tools": [function]},
        {"type": "web_search"},
        {"type": "serverless:clock"},
    ]
    asked = "Hello." if provider == "offline" else "/fake text"
    response = await client.responses.create(
        model=model_of(provider), input=asked, tools=[*others, named(server)], tool_choice="none"
    )
    assert response.status == "completed"

"""What the server answers, held to the types of OpenAI's SDK: nothing missing, and nothing that they don't know."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem, ConversationItemList
from openai.types.responses import (
    CompactedResponse,
    InputTokenCountResponse,
    Response,
    ResponsesServerEvent,
    ResponseStreamEvent,
)

from tests.contract.openai_types import unknown_fields
from tests.e2e.conftest import Endpoint
from tests.e2e.official_cases import Server, whole

Json = dict[str, Any]
ANSWERER = "offline/demo"
OF_THE_STANDARD = {".presence_penalty", ".frequency_penalty", ".store"}
"""Fields of a response that the SDK's type lacks."""
OURS = {".serverless:cost"}
TOLD = [{"role": "user", "content": "Think of a word."}, {"role": "assistant", "content": "It is heron."}]


@pytest.fixture
async def client(cloud: Endpoint) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {cloud.api_key}"}
    async with httpx2.AsyncClient(base_url=cloud.base_url, headers=headers, timeout=30) as client:
        yield client


async def asked(client: httpx2.AsyncClient, method: str, path: str, body: Json | None = None) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def events_of(client: httpx2.AsyncClient, **body: Any) -> list[Json]:
    answer = await client.post("/responses", json={"model": ANSWERER, "stream": True, **body})
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(each) for each in data]


async def test_a_response(client: httpx2.AsyncClient) -> None:
    answer = await asked(client, "POST", "/responses", {"model": ANSWERER, "input": "Hello."})
    assert unknown_fields(answer, Response) == OF_THE_STANDARD | OURS


async def test_a_compacted_window(client: httpx2.AsyncClient) -> None:
    window = await asked(client, "POST", "/responses/compact", {"model": ANSWERER, "input": TOLD})
    assert window["output"][-1]["type"] == "compaction"
    from_users = [item for item in window["output"] if item.get("role") not in (None, "assistant")]
    assert [unknown_fields(item, ConversationItem) for item in from_users] == [set()] * len(from_users)
    others = [item for item in window["output"] if item not in from_users]
    assert unknown_fields({**window, "output": others}, CompactedResponse) == OURS


async def test_the_events_of_a_compaction_that_a_threshold_made(client: httpx2.AsyncClient) -> None:
    managed = [{"type": "compaction", "compact_threshold": 1000}]
    events = await events_of(client, input="Well. " * 2000, context_management=managed)
    assert "response.compaction.compacting" in [event["type"] for event in events]
    check_events(events, ResponseStreamEvent)


async def test_the_events_of_a_compaction_that_was_triggered(client: httpx2.AsyncClient) -> None:
    events = await events_of(client, input=[*TOLD, {"type": "compaction_trigger"}])
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["compaction"]
    check_events(events, ResponseStreamEvent)


def check_events(events: list[Json], of: Any) -> None:
    """Each item of ours has a status, and the SDK's compaction has none. The standard's deltas hide their length."""
    known = {
        ".item.status",
        ".response.output[].status",
        ".obfuscation",
        *(f".response{path}" for path in OF_THE_STANDARD | OURS),
    }
    assert events[-1]["type"] == "response.completed"
    for event in events:
        assert unknown_fields(event, of) <= known, event


async def test_a_count(client: httpx2.AsyncClient) -> None:
    count = await asked(client, "POST", "/responses/input_tokens", {"model": ANSWERER, "input": "Hello."})
    assert unknown_fields(count, InputTokenCountResponse) <= {".serverless:estimated"}


async def test_a_conversation_and_its_items(client: httpx2.AsyncClient) -> None:
    created = await asked(client, "POST", "/conversations", {"items": TOLD, "metadata": {"a": "b"}})
    path = f"/conversations/{created['id']}"
    body = {"model": ANSWERER, "input": "Which word?", "conversation": created["id"]}
    response = await asked(client, "POST", "/responses", body)
    assert unknown_fields(response, Response) == OF_THE_STANDARD | OURS
    assert response["conversation"] == {"id": created["id"]}
    call: Json = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    output: Json = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    added = await asked(client, "POST", f"{path}/items", {"items": [call, output]})
    listed = await asked(client, "GET", f"{path}/items?limit=100")
    item = await asked(client, "GET", f"{path}/items/{listed['data'][0]['id']}")
    for answer, of in (
        (created, Conversation),
        (added, ConversationItemList),
        (listed, ConversationItemList),
        (item, ConversationItem),
        (await asked(client, "DELETE", f"{path}/items/{item['id']}"), Conversation),
        (await asked(client, "GET", path), Conversation),
        (await asked(client, "POST", path, {"metadata": {"a": "c"}}), Conversation),
        (await asked(client, "DELETE", path), ConversationDeletedResource),
    ):
        assert unknown_fields(answer, of) == set(), answer
    assert len(listed["data"]) == len(TOLD) + 1 + len(response["output"]) + 2


async def test_the_frames_of_a_socket(cloud: Endpoint) -> None:
    server = Server(cloud.base_url, cloud.api_key, ANSWERER)
    missing = {"previous_response_id": "resp_missing", "input": "Go on.", "stream_id": "b"}
    turn, refused = await server.socket({"input": "Hello.", "stream_id": "a"}, missing)
    whole(turn)
    check_events(turn, ResponsesServerEvent)
    assert {frame["stream_id"] for frame in turn} == {"a"}
    assert unknown_fields(refused[0], ResponsesServerEvent) == set()
    assert refused[0]["stream_id"] == "b"

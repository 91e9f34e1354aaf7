"""`POST /v1/responses/input_tokens`: what a create with the same fields would have a model read, counted."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import InputTokenCountResponse

from openresponses.core import errors
from openresponses.core.errors import KitError
from openresponses.core.ports import Counts
from openresponses.core.settings import ProviderSettings
from openresponses.dialects import gemini
from openresponses.dialects._shared.http_dialect import CountingDialect
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.shelf import Shelf
from tests.contract import turns
from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import ENCRYPTED, Conversation, Json, answers, user
from tests.fakes.network import Answered
from tests.fakes.wire import Rules, tokens_of

COUNTING = [name for name in DIALECTS if name != "chat_completions"]
LOOK: Json = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}
WHERE: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE: Json = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
ASKS: dict[str, Json] = {
    "words": {"input": "/fake willing"},
    "instructions, a tool and a picture": {
        "input": [{"role": "user", "content": [PICTURE, {"type": "input_text", "text": "/fake willing"}]}],
        "instructions": "Be brief.",
        "tools": [LOOK],
        "parallel_tool_calls": False,
    },
    "a schema": {
        "input": "/fake willing",
        "text": {"format": {"type": "json_schema", "name": "f", "schema": WHERE, "strict": True}},
    },
    "reasoning": {"input": "/fake willing", "reasoning": {"effort": "low"}},
    "settings that no count takes": {
        "input": "/fake willing",
        "max_output_tokens": 100,
        "user": "u",
        "metadata": {"a": "b"},
        "stream": True,
        "truncation": "auto",
        "service_tier": "default",
        "max_tool_calls": 3,
        "store": True,
    },
}


async def counted(at: Vendors, model: str, **request: Any) -> httpx2.Response:
    async with at.client() as client:
        return await client.post("/responses/input_tokens", json={"model": model, **request})


def read_of(dialect: str, body: Any) -> Any:
    """Of a request for a count, what the model would read, as a create has it."""
    if dialect == "bedrock":
        return body["input"]["converse"]
    if dialect == "gemini":
        return {name: each for name, each in body["generateContentRequest"].items() if name != "model"}
    return body


def counted_model(at: Vendors, dialect: str) -> str:
    return "bedrock/anthropic.claude-opus-4-6-v1" if dialect == "bedrock" else at.model(dialect)


@pytest.mark.parametrize("dialect", COUNTING)
@pytest.mark.parametrize("request_", ASKS.values(), ids=ASKS)
async def test_the_provider_counts_what_a_create_would_send(dialect: str, request_: Json) -> None:
    async with vendors([dialect]) as at:
        upstream, model = at.upstreams[dialect], counted_model(at, dialect)
        answer = await counted(at, model, **request_)
        assert answer.status_code == 200, (answer.text, at.refused)
        (asked,) = upstream.counted
        assert answer.json() == {"object": "response.input_tokens", "input_tokens": tokens_of(asked.body)}
        assert not upstream.requests
        assert at.house.shelf == Shelf(), "nothing is stored"
        assert not at.house.ledger.accounts, "and nothing is charged"
        async with at.client() as client:
            await client.post("/responses", json={"model": model, **request_})
        sent, read = upstream.requests[0].body, read_of(dialect, asked.body)
        assert read == {name: sent[name] for name in read}, "the same fields"
        assert {"messages", "contents", "input"} & read.keys()
        assert ("tools" in request_) == bool({"tools", "toolConfig"} & read.keys())


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_sdk_reads_the_count(dialect: str) -> None:
    async with vendors([dialect]) as at, at.client() as client:
        sdk = openai.AsyncOpenAI(base_url="http://api/v1", api_key="k", http_client=client)  # type: ignore[arg-type]
        read = await sdk.responses.input_tokens.count(
            model=counted_model(at, dialect), input="Count me", instructions="Be brief", tools=[], truncation="disabled"
        )
    assert isinstance(read, InputTokenCountResponse)
    assert read.input_tokens > 0
    assert ("serverless:estimated" in (read.model_extra or {})) == (dialect not in COUNTING)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
async def test_a_conversation_is_counted_with_its_calls_and_its_state(dialect: str, stored: bool) -> None:
    rules = Rules(reasoning=True)
    async with vendors([dialect], rules) as at:
        model = at.model(dialect)
        talk = Conversation(at.ask, stored, {"tools": [LOOK], "reasoning": {"effort": "low", "summary": "auto"}})
        first = await talk.work(model, user("/fake tools;turns=2;reasoning=2"), turns=1)
        request: Json = {**talk.options, "input": [*talk.items, *answers(first)], "include": [ENCRYPTED]}
        if stored:
            request |= {"input": answers(first), "previous_response_id": first["id"]}
        small = await counted(at, model, **request)
        large = await counted(at, model, **{**request, "input": [*request["input"], user("more " * 400)]})
        assert (small.status_code, large.status_code) == (200, 200), (small.text, large.text, at.refused)
        assert large.json()["input_tokens"] >= small.json()["input_tokens"] + 400
        upstream = at.upstreams[dialect]
        assert len(upstream.requests) == 1
        await talk.say(model, *answers(first))
        if dialect in COUNTING and upstream.counted:
            read = read_of(dialect, upstream.counted[0].body)
            assert read == {name: upstream.requests[-1].body[name] for name in read}


async def test_where_nobody_counts_it_is_an_estimate() -> None:
    async with vendors(["chat_completions", "bedrock", "anthropic"]) as at:
        for model in (
            at.model("chat_completions"),
            "bedrock/us.meta.llama4-maverick-17b-instruct-v1:0",
            "offline/demo",
        ):
            answer = (await counted(at, model, input="a" * 4_000)).json()
            assert answer == {"object": "response.input_tokens", "input_tokens": 1_004, "serverless:estimated": True}


async def test_a_model_is_counted_by_its_own_id_where_a_profile_serves_it() -> None:
    async with vendors(["bedrock"]) as at:
        for prefix in ("", "us.", "eu.", "apac.", "global.", "us-gov."):
            answer = await counted(at, f"bedrock/{prefix}anthropic.claude-opus-4-6-v1", input="hi")
            assert "serverless:estimated" not in answer.json(), (prefix, at.refused)
        assert {each.path for each in at.upstreams["bedrock"].counted} == {
            "/model/anthropic.claude-opus-4-6-v1/count-tokens"
        }


async def test_what_a_create_refuses_is_refused() -> None:
    async with vendors(["chat_completions"]) as at:
        model = at.model("chat_completions")
        sealed = {"type": "reasoning", "summary": [], "encrypted_content": "x"}
        refusals: list[tuple[Json, int, str | None]] = [
            ({"model": "gone"}, 404, "model"),
            ({"model": 1, "input": "a"}, 400, "model"),
            ({"input": "a"}, 400, "model"),
            ({"model": model}, 400, "input"),
            ({"model": model, "input": [sealed]}, 400, "input[0].encrypted_content"),
            ({"model": model, "input": "a", "tools": [LOOK, LOOK]}, 400, "tools[1]"),
            ({"model": model, "input": "a", "tool_choice": "required"}, 400, "tool_choice"),
            ({"model": model, "input": "a", "previous_response_id": "resp_gone"}, 404, "previous_response_id"),
            ({"model": model, "input": [{"type": "item_reference", "id": "msg_gone"}]}, 404, "input[0].id"),
            (
                {"model": model, "input": [{"type": "function_call_output", "call_id": "c", "output": ""}]},
                400,
                "input[0].call_id",
            ),
        ]
        async with at.client() as client:
            for body, status, param in refusals:
                answer = await client.post("/responses/input_tokens", json=body)
                created = await client.post("/responses", json=body)
                assert (answer.status_code, answer.json()) == (status, created.json()), body
                assert param is None or answer.json()["error"]["param"] == param


async def test_another_tenant_s_conversation_is_not_counted() -> None:
    async with vendors(["chat_completions"]) as at:
        first = await at.ask(model=at.model("chat_completions"), input="/fake text")
        async with at.client("other") as client:
            body = {"model": at.model("chat_completions"), "input": "a", "previous_response_id": first["id"]}
            answer = await client.post("/responses/input_tokens", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "previous_response_not_found")


def provider_of(dialect: str, reply: httpx2.Response) -> Any:
    settings = ProviderSettings(
        "p", dialect, base_url="https://vendor.test/v1", api_key="sk-secret", options={}, models=("m",)
    )
    return import_module(f"openresponses.dialects.{dialect}").connect(settings, Answered(lambda _: reply))


REPLIES: dict[str, tuple[int, bytes, int | type[KitError] | None]] = {
    "no such route": (404, b'{"detail": "Not Found"}', None),
    "another method's route": (405, b"", None),
    "not implemented": (501, b"", None),
    "a wrong key": (401, b'{"error": {"message": "no"}}', errors.ProviderMisconfigured),
    "no right to count": (403, b'{"error": {"message": "no"}}', errors.ProviderMisconfigured),
    "too often": (429, b"{}", errors.ProviderThrottled),
    "down": (503, b"{}", errors.ProviderUnavailable),
    "a wrong request": (400, b'{"error": {"message": "no"}}', errors.ProviderRejected),
    "too long": (413, b"{}", errors.InputTooLong),
    "a web page": (200, b"<html>", errors.StreamViolation),
    "no number": (200, b'{"input_tokens": "1", "inputTokens": -1, "totalTokens": null}', errors.StreamViolation),
    "no object": (200, b"[1]", errors.StreamViolation),
    "a number": (200, b'{"input_tokens": 7, "inputTokens": 7, "totalTokens": 7}', 7),
}


@pytest.mark.parametrize("dialect", COUNTING)
@pytest.mark.parametrize(("status", "body", "means"), REPLIES.values(), ids=REPLIES)
async def test_what_a_vendor_s_answer_to_a_count_means(dialect: str, status: int, body: bytes, means: Any) -> None:
    provider = provider_of(dialect, httpx2.Response(status, content=body))
    assert isinstance(provider, CountingDialect)
    assert isinstance(provider, Counts)
    turn = turns.turn_for(CreateResponse(model="m", input="hi"))
    if isinstance(means, int | None):
        assert await provider.count(turn) == means
    else:
        with pytest.raises(means) as raised:
            await provider.count(turn)
        assert "sk-secret" not in raised.value.message


def test_a_dialect_without_a_count_has_none() -> None:
    assert not isinstance(provider_of("chat_completions", httpx2.Response(200)), Counts)


async def test_vertex_is_sent_the_fields_that_it_takes() -> None:
    seen: list[httpx2.Request] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"totalTokens": 3})

    base = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"
    provider = gemini.connect(ProviderSettings("p", "gemini", base_url=base), Answered(reply))
    request = {"model": "gemini-3.8-flash", "input": "hi", "tools": [LOOK], "tool_choice": "required"}
    assert await provider.count(turns.turn_for(CreateResponse.model_validate(request))) == 3
    assert seen[0].url.path.endswith("/publishers/google/models/gemini-3.8-flash:countTokens")
    sent = json.loads(seen[0].content)
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert sent.keys() == {"contents", "tools"}, "not toolConfig"

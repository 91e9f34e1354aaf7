"""`/v1/conversations`, as OpenAI's SDK reads it, and what its routes refuse."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItemList, Message

from tests.contract.machine import House
from tests.contract.served import client_of, sdk_of
from tests.unit.cases import ANSWER
from tests.unit.kit import Json, Script

ASKED: Json = {"model": "m", "input": "hello"}


@pytest.fixture
def house() -> House:
    return House(Script([ANSWER] * 9))


@pytest.fixture
def sdk(house: House) -> AsyncOpenAI:
    return sdk_of(house)


def said(text: str, **more: Any) -> Any:
    return {"type": "message", "role": "user", "content": text, **more}


def texts(items: list[Any]) -> list[str]:
    return [item.content[0].text for item in items]


async def test_a_conversation_is_made_read_described_and_deleted(sdk: AsyncOpenAI) -> None:
    made = await sdk.conversations.create(items=[said("hi")], metadata={"topic": "demo"})
    assert isinstance(made, Conversation)
    assert made.id.startswith("conv_")
    assert made.to_dict() == {"id": made.id, "object": "conversation", "created_at": 2, "metadata": {"topic": "demo"}}
    assert await sdk.conversations.retrieve(made.id) == made
    changed = await sdk.conversations.update(made.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}
    assert await sdk.conversations.retrieve(made.id) == changed
    gone = await sdk.conversations.delete(made.id)
    assert isinstance(gone, ConversationDeletedResource)
    assert gone.to_dict() == {"id": made.id, "object": "conversation.deleted", "deleted": True}
    for late in (
        sdk.conversations.retrieve(made.id),
        sdk.conversations.update(made.id, metadata={}),
        sdk.conversations.delete(made.id),
        sdk.conversations.items.list(made.id),
        sdk.conversations.items.create(made.id, items=[said("hi")]),
        sdk.conversations.items.retrieve("msg_1", conversation_id=made.id),
        sdk.conversations.items.delete("msg_1", conversation_id=made.id),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            await late
        assert (missing.value.code, missing.value.param) == ("conversation_not_found", "conversation_id")


async def test_items_are_added_listed_read_and_removed(sdk: AsyncOpenAI) -> None:
    made = await sdk.conversations.create()
    one = await sdk.conversations.items.create(made.id, items=[said("a"), said("b", id="mine")])
    assert isinstance(one, ConversationItemList)
    assert (one.has_more, one.first_id, one.last_id) == (False, one.data[0].id, one.data[1].id)
    two = await sdk.conversations.items.create(made.id, items=[said("c", id="mine"), said("d", id="mine")])
    ids = [item.id for item in (*one.data, *two.data)]
    assert len({*ids}) == 4
    assert "mine" not in ids
    read = await sdk.conversations.items.retrieve(ids[2] or "", conversation_id=made.id)
    assert isinstance(read, Message)
    assert read == two.data[0]
    left = await sdk.conversations.items.delete(ids[1] or "", conversation_id=made.id)
    assert left == made
    listed = await sdk.conversations.items.list(made.id, order="asc")
    assert texts(listed.data) == ["a", "c", "d"]
    with pytest.raises(openai.NotFoundError) as missing:
        await sdk.conversations.items.retrieve(ids[1] or "", conversation_id=made.id)
    assert (missing.value.code, missing.value.param) == ("item_not_found", "item_id")


@pytest.mark.parametrize("order", ["asc", "desc", None])
async def test_a_listing_is_paged(sdk: AsyncOpenAI, order: Any) -> None:
    made = await sdk.conversations.create(items=[said(f"{n}") for n in range(20)])
    for n in range(20, 45):
        await sdk.conversations.items.create(made.id, items=[said(f"{n}")])
    expected = [f"{n}" for n in (range(45) if order == "asc" else reversed(range(45)))]
    asked: Json = {"order": order} if order else {}
    first = await sdk.conversations.items.list(made.id, **asked)
    assert texts(first.data) == expected[:20]
    assert (first.has_more, first.last_id) == (True, first.data[-1].id)
    assert texts([item async for item in sdk.conversations.items.list(made.id, limit=7, **asked)]) == expected
    last = await sdk.conversations.items.list(made.id, limit=100, after=first.last_id, **asked)
    assert (texts(last.data), last.has_more) == (expected[20:], False)


async def test_an_empty_conversation_has_an_empty_listing(sdk: AsyncOpenAI) -> None:
    made = await sdk.conversations.create()
    listed = await sdk.conversations.items.list(made.id)
    assert (listed.data, listed.has_more) == ([], False)


async def test_encrypted_reasoning_is_shown_to_who_asks_for_it(sdk: AsyncOpenAI) -> None:
    reasoning: Any = {"type": "reasoning", "summary": [], "encrypted_content": "sealed"}
    made = await sdk.conversations.create(items=[reasoning])
    plain = await sdk.conversations.items.list(made.id)
    asked = await sdk.conversations.items.list(made.id, include=["reasoning.encrypted_content"])
    assert [getattr(each.data[0], "encrypted_content", None) for each in (plain, asked)] == [None, "sealed"]
    item = await sdk.conversations.items.retrieve(
        asked.data[0].id or "", conversation_id=made.id, include=["reasoning.encrypted_content"]
    )
    assert item == asked.data[0]


async def test_a_stored_item_that_is_referred_to_is_copied(house: House, sdk: AsyncOpenAI) -> None:
    response = await sdk.responses.create(**ASKED)
    reference: Any = {"type": "item_reference", "id": response.output[-1].id}
    made = await sdk.conversations.create(items=[reference])
    await sdk.responses.delete(response.id)
    (item,) = (await sdk.conversations.items.list(made.id)).data
    assert item.id != response.output[-1].id
    assert item.content == response.output[-1].content  # type: ignore[union-attr]
    with pytest.raises(openai.NotFoundError) as missing:
        await sdk.conversations.items.create(made.id, items=[reference])
    assert (missing.value.code, missing.value.param) == ("item_not_found", "items[0].id")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"items": [said("a")] * 21}, "items"),
        ("", {"items": [{"role": "user"}]}, "items[0].content"),
        ("", {"items": [{"type": "compaction_trigger"}]}, "items[0].type"),
        ("", {"items": [{"type": "additional_tools", "tools": []}]}, "items[0].type"),
        ("", {"items": "hello"}, "items"),
        ("", {"metadata": {f"{n}": "x" for n in range(17)}}, "metadata"),
        ("", {"metadata": {"k": "x" * 513}}, "metadata.k"),
        ("", {"metadata": {"k": 1}}, "metadata.k"),
        ("/{id}", {}, "metadata"),
        ("/{id}/items", {}, "items"),
        ("/{id}/items", {"items": []}, "items"),
        ("/{id}/items", {"items": [said("a")] * 21}, "items"),
        ("/{id}/items?include=" + "x" * 65, {"items": [said("a")]}, "include[0]"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_place(house: House, path: str, body: Json, param: str) -> None:
    async with client_of(house) as client:
        made = (await client.post("/conversations", json={})).json()
        answer = await client.post(f"/conversations{path.format(**made)}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [("limit=0", 400, "limit"), ("limit=101", 400, "limit"), ("order=up", 400, "order"), ("after=msg_9", 404, "after")],
)
async def test_a_wrong_query_is_refused(house: House, query: str, status: int, param: str) -> None:
    async with client_of(house) as client:
        made = (await client.post("/conversations", json={})).json()
        answer = await client.get(f"/conversations/{made['id']}/items?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_nothing_added_at_once_is_lost(house: House) -> None:
    async with client_of(house) as client:
        made = (await client.post("/conversations", json={})).json()
        path = f"/conversations/{made['id']}/items"
        answers = await asyncio.gather(*(client.post(path, json={"items": [said(f"{n}")]}) for n in range(4)))
        listed: httpx2.Response = await client.get(path)
    assert {answer.status_code for answer in answers} == {200}
    assert {item["content"][0]["text"] for item in listed.json()["data"]} == {"0", "1", "2", "3"}

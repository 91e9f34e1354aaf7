"""`conversation` in a create: what the model is shown, what is appended, and who holds the conversation meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ContextTooLong, ConversationLocked, KitError, ProviderUnavailable
from openresponses.core.loading import MAX_CONTEXT
from openresponses.core.turn import Turn
from openresponses.schema.items import Message
from tests.contract.machine import House
from tests.contract.served import client_of, sdk_of
from tests.contract.storage_suite import BACKENDS, opened
from tests.openresponses_schema import check_response
from tests.unit.cases import STOP, call, text
from tests.unit.kit import Json, Said, Script

ANSWER: list[Said] = [*text("Sunny"), *STOP]
HOSTED: list[Said] = [*text("Look"), *call("calculator", '{"a": 1}'), *STOP]
CUT: list[Said] = [*text("Sun"), d.Finish("length")]
TOOLS: list[Any] = [{"type": "serverless:calculator"}]


@pytest.fixture(params=BACKENDS)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """Its storage is that of an emulator, its state machine runs in memory."""
    with opened(request.param) as backend:
        yield at(backend.storage())


def at(storage: Any, script: Script | None = None, **settings: Any) -> House:
    house = House(script or Script([ANSWER] * 9), **settings)
    house.storage = replace(storage, launcher=house.storage.launcher)
    house.ports = replace(house.ports, storage=house.storage)
    house.new, house.stored = type(house.new)(house.ports, house.settings), type(house.stored)(house.ports)
    return house


async def conversation(house: House, *words: str) -> str:
    items: Any = [Message.model_validate({"role": "user", "content": each}) for each in words]
    return (await house.stored.conversations.create(items, {})).id


async def kept(house: House, conversation_id: str) -> list[str]:
    """Its texts, or the types of items without one, oldest first."""
    items, more = await house.stored.conversations.page(conversation_id, limit=100, newest_first=False, after=None)
    assert not more
    return [item.content[0].text if isinstance(item, Message) else item.type for item in items]  # type: ignore[union-attr]


async def post(house: House, *, key: str | None = None, **request: Any) -> httpx2.Response:
    async with client_of(house) as client:
        headers = {} if key is None else {"idempotency-key": key}
        return await client.post("/responses", json={"model": "m", "input": "hello", **request}, headers=headers)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def shown(turn: Turn) -> list[str]:
    return [item.content[0].text for item in turn.items if isinstance(item, Message)]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}, {"store": False}], ids=str)
async def test_it_comes_before_the_input_and_is_added_to(house: House, kind: Json) -> None:
    script = Script([ANSWER, ANSWER])
    house = at(house.storage, script)
    name = await conversation(house, "once")
    for n, form in enumerate((name, {"id": name})):
        response, _ = await house.create(input=f"hello {n}", conversation=form, **kind)
        check_response(response)
        assert response["conversation"] == {"id": name}
        await house.idle()
    answered = "Sunny"
    assert [shown(turn) for turn in script.asked] == [["once", "hello 0"], ["once", "hello 0", answered, "hello 1"]]
    assert await kept(house, name) == ["once", "hello 0", answered, "hello 1", answered]
    if kind.get("store") is not False:
        stored = await house.stored.retrieve(response["id"])
        assert stored.conversation is not None
        assert stored.conversation.id == name
        items, _ = await house.stored.input_items(response["id"], limit=9, order="asc", after=None, before=None)
        assert [item.content[0].text for item in items] == ["once", "hello 0", answered, "hello 1"]  # type: ignore[union-attr]


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(
    ("turns", "status", "left"),
    [
        ([CUT], "incomplete", ["hello", "Sun"]),
        ([HOSTED, ANSWER], "completed", ["hello", "Look", "serverless:calculator", "Sunny"]),
        ([[*text("Sun"), ProviderUnavailable("down")]], "failed", []),
    ],
)
async def test_what_is_appended_is_by_how_it_ends(turns: Any, status: str, left: list[str], store: bool) -> None:
    house = House(Script(turns))
    name = await conversation(house)
    response, _ = await house.create(conversation=name, tools=TOOLS, store=store, stream=True)
    assert response["status"] == status
    assert await kept(house, name) == left
    await house.stored.conversations.delete(name)  # nobody holds it


async def test_a_hand_off_goes_on_with_the_same_items(house: House) -> None:
    script = Script([HOSTED, ANSWER])
    house = at(house.storage, script, inline_turns=1)
    name = await conversation(house, "once")
    response, _ = await house.create(conversation=name, tools=TOOLS)
    await house.idle()
    assert house.executions
    assert response["status"] == "completed"
    assert [shown(turn) for turn in script.asked] == [["once", "hello"], ["once", "hello", "Look"]]
    assert await kept(house, name) == ["once", "hello", "Look", "serverless:calculator", "Sunny"]


class Slow(Script):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__([])
        self.may = asyncio.Event()

    async def stream(self, turn: Turn):  # type: ignore[override]
        self.asked.append(turn)
        await self.may.wait()
        for said in ANSWER:
            assert not isinstance(said, BaseException)
            yield said


@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}, {"store": False}], ids=str)
async def test_nobody_else_changes_it_meanwhile(house: House, kind: Json) -> None:
    script = Slow()
    house = at(house.storage, script)
    name = await conversation(house, "once")
    first = asyncio.create_task(post(house, conversation=name, **kind))
    while not script.asked:
        await asyncio.sleep(0.01)
    for other in ({}, {"stream": True}, {"background": True}, {"store": False}):
        answer = await post(house, conversation=name, **other)
        assert code_of(answer) == (409, "conversation_locked")
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["param"] == "conversation"
    (item,), _ = await house.stored.conversations.page(name, limit=1, newest_first=True, after=None)
    for change in (
        house.stored.conversations.add(name, [Message.model_validate({"role": "user", "content": "x"})]),
        house.stored.conversations.remove(name, item.id),
        house.stored.conversations.delete(name),
    ):
        with pytest.raises(ConversationLocked):
            await change
    await house.stored.conversations.describe(name, {"a": "b"})
    script.may.set()
    assert (await first).status_code == 200
    await house.idle()
    assert len(script.asked) == 1
    assert await kept(house, name) == ["once", "hello", "Sunny"]
    assert (await post(house, conversation=name)).status_code == 200


async def test_of_many_at_once_one_is_answered(house: House) -> None:
    script = Slow()
    house = at(house.storage, script)
    name = await conversation(house)
    posts = [asyncio.create_task(post(house, conversation=name)) for _ in range(8)]
    _, left = await asyncio.wait(posts, return_when=asyncio.ALL_COMPLETED, timeout=1)
    assert len(left) == 1
    script.may.set()
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    assert len(script.asked) == 1
    assert await kept(house, name) == ["hello", "Sunny"]


@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}], ids=str)
async def test_the_same_request_gets_its_own_response(house: House, kind: Json) -> None:
    script = Slow()
    house = at(house.storage, script)
    name = await conversation(house)
    asked: Json = {"conversation": name, "input": [{"id": "msg_mine", "role": "user", "content": "hello"}], **kind}
    posts = [asyncio.create_task(post(house, key="key", **asked)) for _ in range(3)]
    await asyncio.sleep(0.2)
    script.may.set()
    answers = await asyncio.gather(*posts)
    await house.idle()
    late = await post(house, key="key", **asked)
    assert {answer.status_code for answer in (*answers, late)} == {200}
    ids = {answer.json()["id"] for answer in (*answers, late)} if not kind.get("stream") else {""}
    assert len(ids) == len(script.asked) == 1
    assert await kept(house, name) == ["hello", "Sunny"]
    assert code_of(await post(house, **asked)) == (400, "duplicate_item")


@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"store": False}, {"key": "key"}], ids=str)
async def test_a_request_of_which_nothing_came_holds_nothing(house: House, kind: Json) -> None:
    house = at(house.storage, Script([[ProviderUnavailable("down")], ANSWER]))
    name = await conversation(house)
    assert (await post(house, conversation=name, **kind)).status_code == 503
    assert (await post(house, conversation=name, **kind)).status_code == 200
    assert await kept(house, name) == ["hello", "Sunny"]


async def test_a_response_that_is_cancelled_gives_it_free(house: House) -> None:
    script = Slow()
    house = at(house.storage, script)
    name = await conversation(house)
    response = (await post(house, conversation=name, background=True)).json()
    while not script.asked:
        await asyncio.sleep(0.01)
    cancelled = await house.stored.cancel(response["id"])
    assert cancelled.status == "cancelled"
    assert await kept(house, name) == []
    script.may.set()
    await house.idle()
    assert (await post(house, conversation=name)).status_code == 200
    assert await kept(house, name) == ["hello", "Sunny"]


async def test_a_conversation_and_its_responses_outlive_each_other(house: House) -> None:
    name = await conversation(house)
    first, _ = await house.create(conversation=name)
    await house.stored.delete(first["id"])
    assert await kept(house, name) == ["hello", "Sunny"]
    second, _ = await house.create(conversation=name)
    await house.stored.conversations.delete(name)
    stored = await house.stored.retrieve(second["id"])
    assert stored.status == "completed"
    goes_on, _ = await house.create(previous_response_id=second["id"])
    assert goes_on["status"] == "completed"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"conversation": "conv_9"}, 404, "conversation_not_found"),
        ({"conversation": {"id": "conv_9"}}, 404, "conversation_not_found"),
        ({"conversation": "conv_9", "previous_response_id": "resp_1"}, 400, "mutually_exclusive_parameters"),
        ({"conversation": 5}, 400, "invalid_value"),
        ({"conversation": "c" * 2049}, 400, "invalid_value"),
    ],
)
async def test_what_is_refused_names_it(fields: Json, status: int, code: str) -> None:
    answer = await post(House(Script([])), **fields)
    assert code_of(answer) == (status, code)
    assert (answer.json()["error"]["param"] or "").startswith("conversation")


async def test_a_server_that_stores_nothing_has_none() -> None:
    house = House(Script([]))
    house.ports = replace(house.ports, storage=None)
    house.new, house.stored = type(house.new)(house.ports, house.settings), type(house.stored)(house.ports)
    assert code_of(await post(house, conversation="conv_1")) == (404, "conversation_not_found")
    with pytest.raises(openai.BadRequestError, match="stores nothing"):
        await sdk_of(house).conversations.create()
    with pytest.raises(openai.NotFoundError):
        await sdk_of(house).conversations.retrieve("conv_1")


async def test_one_that_is_too_long_is_refused_and_can_be_shortened(house: House) -> None:
    name = await conversation(house)
    large = "x" * (MAX_CONTEXT // 4)
    for _ in range(5):
        await house.stored.conversations.add(name, [Message.model_validate({"role": "user", "content": large})])
    with pytest.raises(ContextTooLong) as refused:
        await house.create(conversation=name)
    error: KitError = refused.value
    assert (error.status, error.code, error.param) == (400, "context_length_exceeded", "conversation")
    for _ in range(4):
        (item,), _ = await house.stored.conversations.page(name, limit=1, newest_first=True, after=None)
        await house.stored.conversations.remove(name, item.id)
    response, _ = await house.create(conversation=name)
    assert response["status"] == "completed"

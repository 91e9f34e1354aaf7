"""Calls of servers, their requests for approval and their listings, where a conversation is cut or compacted."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.core.errors import InputTooLong
from openresponses.core.shown import NOT_APPROVED
from tests.contract.approving import DICE, SIX, Casino, Servers, approval, asks
from tests.contract.compacting import Reader, models, said, text_in, text_of
from tests.contract.machine import House
from tests.contract.test_context_management import LONG, managed
from tests.contract.test_conversation_creates import conversation
from tests.unit.cases import ANSWER
from tests.unit.kit import Json, Script

TRIGGER: Json = {"type": "compaction_trigger"}


class Rolling(Reader):
    """Asks to roll the dice before it answers, as often as `rolls` says."""

    def __init__(self, rolls: int = 1) -> None:
        super().__init__()
        self.rolls = rolls

    async def stream(self, turn: Any):  # type: ignore[override]
        if turn.keeps is None and self.rolls and turn.tools:
            self.rolls -= 1
            self.asked.append(turn)
            for each in asks("dice__roll"):
                assert not isinstance(each, BaseException)
                yield each
            return
        async for delta in super().stream(turn):
            yield delta


def house(reader: Reader, servers: Servers, **settings: Any) -> House:
    return House(models(reader), servers, **settings)


def outputs(turn: Any) -> list[Any]:
    return [item.output for item in turn.items if item.type == "serverless:mcp_call"]


async def test_a_request_for_approval_outlives_a_compaction_and_can_be_approved_after_it() -> None:
    reader, servers = Rolling(), Servers()
    here = house(reader, servers)
    talk = [said("user", "fact-blue"), said("assistant", LONG), said("user", "Roll.")]
    first, _ = await here.create(input=talk, tools=[DICE])
    request = first["output"][-1]
    second, _ = await here.create(input=[TRIGGER], previous_response_id=first["id"], tools=[DICE])
    assert [item["type"] for item in second["output"]] == ["compaction"]
    third, _ = await here.create(input="Well?", previous_response_id=second["id"], tools=[DICE])
    assert outputs(reader.asked[-1]) == [NOT_APPROVED]
    assert "old-words" not in text_in(reader.asked[-1])
    fourth, _ = await here.create(input=[approval(request)], previous_response_id=third["id"], tools=[DICE])
    assert [item["type"] for item in fourth["output"]] == ["mcp_call", "message"]
    assert outputs(reader.asked[-1]) == [f"roll({SIX})"]
    assert [call.name for call in servers.began] == ["roll"]


async def test_a_long_conversation_is_compacted_after_the_approved_call() -> None:
    reader, servers = Rolling(), Servers()
    here = house(reader, servers)
    talk = [said("user", "fact-blue"), said("assistant", LONG), said("user", "Roll.")]
    first, _ = await here.create(input=talk, tools=[DICE])
    second, _ = await here.create(
        input=[approval(first["output"][-1])], previous_response_id=first["id"], tools=[DICE], **managed()
    )
    assert [item["type"] for item in second["output"]] == ["mcp_call", "compaction", "message"]
    assert outputs(reader.summaries[-1]) == [f"roll({SIX})"]
    assert text_of(second) == "I know fact-blue"


async def test_a_listing_that_is_long_is_no_reason_to_compact() -> None:
    reader, servers = Rolling(0), Servers()
    here = house(reader, servers)
    listing = {"type": "mcp_list_tools", "server_label": "dice", "tools": [{"name": "roll", "description": LONG}]}
    response, _ = await here.create(input=[said("user", "fact-blue"), listing, said("user", "So?")], **managed())
    assert [item["type"] for item in response["output"]] == ["message"]


class Narrow(Script):
    """Reads no more than four items."""

    async def stream(self, turn: Any):  # type: ignore[override]
        self.asked.append(turn)
        if len(turn.items) > 4:
            raise InputTooLong("too long")
        for delta in ANSWER:
            assert not isinstance(delta, BaseException)
            yield delta


async def test_what_is_hidden_takes_no_room_where_a_conversation_is_cut() -> None:
    script = Narrow([])
    here = house(script, Servers())  # type: ignore[arg-type]
    words = [said("user", f"w{number}") for number in range(3)]
    listings = [{"type": "mcp_list_tools", "server_label": f"s{number}"} for number in range(5)]
    call = {"type": "mcp_call", "server_label": "docs", "name": "look", "arguments": "{}", "output": "it"}
    await here.create(input=[*listings, *words, call], truncation="auto")
    assert len(script.asked) == 1
    response, _ = await here.create(
        input=[*listings, *words, said("assistant", "a"), words[0], call], truncation="auto"
    )
    assert response["status"] == "completed"
    assert [len(turn.items) for turn in script.asked[1:]] == [6, 2]
    assert outputs(script.asked[-1]) == ["it"]


@pytest.mark.parametrize("kind", [{}, {"stream": True}, {"background": True}, {"store": False}], ids=str)
async def test_a_conversation_keeps_all_of_it(kind: Json) -> None:
    casino = Casino(asks("dice__roll"), asks("dice__peek"))
    name = await conversation(casino)
    first = await casino.answer(conversation=name)
    await casino.post(conversation=name, input=[approval(first["output"][-1])], **kind)
    await casino.idle()
    items = await casino.storage.conversations.items(name, 10**9)
    kinds = [item.type for item in items]
    assert kinds == [
        "message",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_approval_request",
    ]
    assert casino.made == [f"dice.roll({SIX})"]

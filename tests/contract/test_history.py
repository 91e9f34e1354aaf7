"""One pass over a conversation's items, and the names on a wire: what every dialect builds upon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.errors import RequestError
from openresponses.dialects._shared.history import Entry, ModelTurn, PastCall, Said, history
from openresponses.dialects._shared.naming import Naming
from openresponses.durable.history import page
from openresponses.schema.items import Compaction, Item, Message, Reasoning
from tests.contract.turns import turn


def said(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def called(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def answered(call_id: str, output: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "content": [{"type": "reasoning_text", "text": text}], "summary": []}


def told(entry: Entry) -> Any:
    """An entry as plain values: a list for a turn of the model."""
    match entry:
        case ModelTurn(pieces):
            return [told_piece(piece) for piece in pieces]
        case Said(message):
            return message.role
        case Compaction():
            return "compaction"


def told_piece(piece: Any) -> str:
    match piece:
        case PastCall():
            return f"{piece.call_id}={piece.output}"
        case Said(Message()):
            return "words"
        case Reasoning():
            return "thought"
        case _:
            return piece.type


@pytest.mark.parametrize(
    ("items", "grouped"),
    [
        ([said("user", "Hi"), said("assistant", "Ho"), said("user", "Hu")], ["user", ["words"], "user"]),
        (
            [said("user", "Hi"), called("a"), called("b"), answered("b", "2"), answered("a", "1"), said("user", "?")],
            ["user", ["a=1", "b=2"], "user"],
        ),
        ([called("a"), answered("a", "1"), called("a"), answered("a", "2")], [["a=1"], ["a=2"]]),
        ([thought("x"), called("a"), answered("a", "1"), thought("y"), said("assistant", "Ho")], None),
        ([called("a"), said("user", "Never mind.")], [["a=(no output)"], "user"]),
        ([said("assistant", "  "), said("user", "Hi")], ["user"]),
    ],
)
def test_items_are_grouped_into_turns_of_the_model(items: list[Any], grouped: list[Any] | None) -> None:
    entries = [told(entry) for entry in history(turn(input=items))]
    assert entries == (grouped if grouped is not None else [["thought", "a=1"], ["thought", "words"]])


def test_an_output_that_answers_no_call_is_refused() -> None:
    with pytest.raises(RequestError, match="call_id 'b'"):
        history(turn(input=[called("a"), answered("b", "1")]))


def test_a_call_of_a_tool_that_is_offered_by_another_name_now_has_that_name() -> None:
    function = {"type": "function", "name": "read", "parameters": {}}
    namespace = {"type": "namespace", "name": "fs", "description": "Files.", "tools": [function]}
    (entry,) = history(turn(input=[called("a") | {"name": "read", "namespace": "fs"}], tools=[namespace]))
    assert isinstance(entry, ModelTurn)
    assert [call.name for call in entry.calls] == ["fs__read"]


NAMES = st.lists(st.text(min_size=1, max_size=100), unique=True, max_size=8)


@given(names=NAMES, past=NAMES)
def test_names_fit_the_wire_and_lead_back(names: list[str], past: list[str]) -> None:
    naming = Naming(64, names)
    sent = [naming.wire(name) for name in names]
    assert len({*sent}) == len(names)
    for name, wire in zip(names, sent, strict=True):
        assert len(wire) <= 64
        assert wire.replace("-", "_").replace("_", "a").isalnum()
        assert wire.isascii()
        assert naming.ours(wire) == name
    others = [naming.wire(name) for name in past if name not in names]
    assert {*others}.isdisjoint(sent), "a past call's name takes no offered tool's"
    assert [naming.wire(name) for name in names] == sent
    assert [Naming(64, names).wire(name) for name in names] == sent, "the same in every turn"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("ids", ["abc", "axxb", "xx", "xaxbx", "aabb"])
def test_a_listing_ends_though_items_share_an_id(ids: str, limit: int, order: str) -> None:
    """As in what was stored before ids within one input had to differ."""
    items = [Message.model_validate({"id": each, "role": "user", "content": str(n)}) for n, each in enumerate(ids)]
    seen, after, more = list[Item](), None, True
    for _ in ids:
        found, more = page(items, limit=limit, order=order, after=after, before=None)
        seen += found
        if not more:
            break
        after = found[-1].id
    assert not more
    listed = items if order == "asc" else items[::-1]
    assert [item.model_dump(exclude={"id"}) for item in seen] == [item.model_dump(exclude={"id"}) for item in listed]

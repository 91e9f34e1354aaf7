"""What a model is shown of the calls that this server runs, and of what belongs to them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from openresponses.core.citations import numbers_of, told
from openresponses.core.run import OfferedTool
from openresponses.core.server_calls import fitted_name, mcp_name
from openresponses.core.shown import CUT_OFF, NOT_APPROVED, NOT_MADE, REFUSED, Shown
from openresponses.core.shown import shown as shown_with
from openresponses.core.turn import conversation, turn_of
from openresponses.core.window import open_calls
from openresponses.schema.items import Item
from openresponses.schema.server_items import HostedToolCall, SearchResult, WebSearchCall
from tests.unit.kit import TOOLS, Json, new_run

ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item])
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}
FOUND = WebSearchCall(results=[SearchResult(url="https://a.test/", title="A", text="b")])
LISTING = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "docs", "tools": [{"name": "look"}]}
ASKS = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "bank", "name": "pay", "arguments": '{"a":1}'}
MADE = {
    "type": "mcp_call",
    "id": "mcp_2",
    "server_label": "bank",
    "name": "pay",
    "arguments": '{"a":1}',
    "output": "paid",
    "approval_request_id": "mcpr_1",
}


def shown(items: list[Item], tools: list[OfferedTool]) -> Shown:
    return shown_with(items, tools, numbers_of(items))


def said(role: str, text: str) -> Json:
    return {"type": "message", "id": f"msg_{text}", "role": role, "content": text}


def look(**fields: Any) -> Json:
    return {"type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "look", "arguments": "{}", **fields}


def search(**fields: Any) -> Json:
    action = {"type": "search", "query": "it", "queries": ["it"], "sources": []}
    return {"type": "web_search_call", "id": "ws_1", "action": action, **fields}


def answer(approve: bool, **fields: Any) -> Json:
    return {"type": "mcp_approval_response", "id": "x", "approval_request_id": "mcpr_1", "approve": approve, **fields}


def calls(*items: Json) -> list[tuple[str, str, str, Any]]:
    """Name, arguments, status and output of each call that is shown."""
    made = shown(ITEMS.validate_python(items), TOOLS).items
    return [
        (item.name, item.arguments, item.status, item.model_dump()["output"])
        for item in made
        if isinstance(item, HostedToolCall)
    ]


CALLS: dict[str, tuple[list[Json], tuple[str, str, str, Any]]] = {
    "made": ([look(output="it")], ("docs__look", "{}", "completed", "it")),
    "with an image": ([look(output="", content=[IMAGE])], ("docs__look", "{}", "completed", [IMAGE])),
    "failed": (
        [look(status="failed", error={"type": "mcp_protocol_error", "code": -32602, "message": "No."})],
        ("docs__look", "{}", "failed", "No."),
    ),
    "failed, as the tool says": (
        [
            look(
                status="failed",
                error={
                    "type": "mcp_tool_execution_error",
                    "content": [{"type": "text", "text": "a"}, {}, {"text": "b"}],
                },
            )
        ],
        ("docs__look", "{}", "failed", "a\nb"),
    ),
    "failed, as older clients have it": (
        [look(status="failed", error="Broken.")],
        ("docs__look", "{}", "failed", "Broken."),
    ),
    "cut off": ([look(status="incomplete")], ("docs__look", "{}", "incomplete", CUT_OFF)),
    "of a server that is not offered now": (
        [{**look(output="x"), "server_label": "a b", "name": "c/d" * 60}],
        (mcp_name("a b", "c/d" * 60), "{}", "completed", "x"),
    ),
    "approved, and made": ([ASKS, answer(True), MADE], ("bank__pay", '{"a":1}', "completed", "paid")),
    "approved, and made twice": (
        [ASKS, answer(True), MADE, {**MADE, "id": "mcp_3", "output": "again"}],
        ("bank__pay", '{"a":1}', "completed", "paid"),
    ),
    "approved, and not made": ([ASKS, answer(True)], ("bank__pay", '{"a":1}', "failed", NOT_MADE)),
    "refused": ([ASKS, answer(False)], ("bank__pay", '{"a":1}', "failed", REFUSED)),
    "refused for a reason": (
        [ASKS, answer(False, reason="Too dear")],
        ("bank__pay", '{"a":1}', "failed", f"{REFUSED} Their reason: Too dear"),
    ),
    "not answered": ([ASKS, said("user", "Well?")], ("bank__pay", '{"a":1}', "failed", NOT_APPROVED)),
    "made, where its request is not shown any more": ([MADE], ("bank__pay", '{"a":1}', "completed", "paid")),
    "a search": (
        [search(results=[each.model_dump() for each in FOUND.results or ()])],
        ("web_search", '{"query": "it"}', "completed", told(FOUND, {"https://a.test/": 1})),
    ),
    "a search that found nothing": (
        [search(results=[])],
        ("web_search", '{"query": "it"}', "completed", "Nothing was found."),
    ),
    "a search that failed": (
        [search(status="failed", error="Down.")],
        ("web_search", '{"query": "it"}', "failed", "Down."),
    ),
    "a page": (
        [search(action={"type": "open_page", "url": "u"}, results=[])],
        ("open_page", '{"url": "u"}', "completed", "Nothing was found."),
    ),
}


@pytest.mark.parametrize(("items", "expected"), CALLS.values(), ids=CALLS)
def test_a_call_is_shown_as_every_dialect_knows_it(items: list[Json], expected: Any) -> None:
    assert calls(*items) == [expected]


@pytest.mark.parametrize("item", [LISTING, answer(True), answer(False), search()], ids=lambda item: item["type"])
def test_what_only_clients_want_to_know_is_shown_to_no_model(item: Json) -> None:
    assert shown(ITEMS.validate_python([item]), TOOLS).items == []


def test_an_answer_to_a_provider_s_own_request_goes_to_the_provider() -> None:
    item = {**answer(True, reason="ok"), "approval_request_id": "ext_1"}
    (made,) = shown(ITEMS.validate_python([item]), []).items
    assert made.model_dump() == {**item, "status": "completed"}


def test_an_approved_call_is_shown_in_the_turn_in_which_the_model_made_it() -> None:
    before = [said("user", "Pay."), {"type": "reasoning", "id": "rs_1", "summary": []}, ASKS]
    run = new_run()
    run.context = ITEMS.validate_python([LISTING, *before, answer(True), said("user", "Do.")])
    run.response.output = ITEMS.validate_python([{**LISTING, "id": "mcpl_2"}, MADE, said("assistant", "Done")])
    turn = turn_of(run, "m")
    assert [item.id for item in turn.items] == ["msg_Pay.", "rs_1", "mcpr_1", "msg_Do.", "msg_Done"]
    assert (turn.made, turn.dropped) == (4, 4)
    assert conversation(run) == [*turn.items]


def test_what_was_dropped_is_counted_beside_what_is_hidden() -> None:
    run = new_run()
    run.context = ITEMS.validate_python([LISTING, said("user", "a"), said("assistant", "b"), said("user", "c")])
    run.cut = 2
    turn = turn_of(run, "m")
    assert ([item.id for item in turn.items], turn.made, turn.dropped) == (["msg_c"], 1, 3)


def test_a_call_goes_by_the_name_that_its_tool_has_now() -> None:
    renamed = [tool.model_copy(update={"name": f"{tool.name}_2"}) for tool in TOOLS]
    made = shown(ITEMS.validate_python([look(output="x"), search(results=[])]), renamed).items
    assert [getattr(item, "name", "") for item in made] == ["docs__look_2", "web_search_2"]


def test_a_call_keeps_the_id_that_its_provider_knows() -> None:
    items = ITEMS.validate_python([look(call_id="c1"), search(call_id="c2", results=[]), {**ASKS, "call_id": "c3"}])
    assert [item.call_id for item in shown(items, []).items if isinstance(item, HostedToolCall)] == ["c1", "c2", "c3"]


@pytest.mark.parametrize("name", ["", "a b", "\u00e9", "x" * 129, "a/b"])
def test_a_name_that_no_tool_can_have_is_fitted(name: str) -> None:
    made = fitted_name(name)
    HostedToolCall(type="serverless:x", call_id="c", name=made)
    assert made == fitted_name(made) != name


def test_names_that_are_cut_stay_apart() -> None:
    assert fitted_name("a/b") != fitted_name("a_b") != fitted_name("a b")


def test_a_request_that_waits_is_an_open_call_until_it_is_answered() -> None:
    turn = [{"type": "reasoning", "id": "rs_1", "summary": []}, look(output="x"), ASKS]
    items = ITEMS.validate_python([said("user", "a"), *turn, said("user", "b")])
    assert [item.id for item in open_calls(items)] == ["rs_1", "mcp_1", "mcpr_1"]
    assert open_calls([*items, *ITEMS.validate_python([answer(False)])]) == []

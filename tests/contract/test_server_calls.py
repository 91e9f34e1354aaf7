"""MCP servers and web search on every dialect: any schema, any name, images, failures, and how a talk goes on."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.schema.server_items import OURS
from tests.contract.sdk_fold import accumulated
from tests.contract.serving import SCHEMAS, Serving
from tests.contract.vendors import DIALECTS, vendors
from tests.conversations import Conversation, kinds, text_of, user
from tests.unit.cases import CASES
from tests.unit.kit import Json, Script, play

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
ODD: Json = {"type": "mcp", "server_label": "odd", "require_approval": "never"}
DOCS: Json = {"type": "mcp", "server_label": "docs", "require_approval": "never"}
ART: Json = {**DOCS, "server_label": "art"}
BANK: Json = {"type": "mcp", "server_label": "bank"}
SEARCH: Json = {"type": "web_search"}
HERE: dict[str, Json] = {
    "openai_responses": {"options": {"custom_tools": True, "omit": ["presence_penalty", "frequency_penalty"]}},
    "gemini": {"options": {"mixes_tools": False}},
}
"""Has these dialects' providers leave the search to this server."""
MODES: dict[str, tuple[bool, Json]] = {
    "stored": (True, {}),
    "stored, streamed": (True, {"stream": True}),
    "in the state machine": (True, {"background": True}),
    "stateless, streamed": (False, {"stream": True}),
}


@every_dialect
async def test_any_schema_and_any_name_can_be_offered_and_called(dialect: str) -> None:
    serving = Serving()
    async with vendors([dialect], more=HERE.get(dialect), sources=[serving]) as at:
        asked: Json = {"tools": [ODD], "input": [user(f"/fake tools;parallel={len(SCHEMAS)};turns=1")]}
        response = await at.ask(model=at.model(dialect), stream=True, **asked)
        (upstream,) = at.upstreams.values()
        assert at.refused == []
    assert [item["name"] for item in response["output"] if item["type"] == "mcp_call"] == [*SCHEMAS]
    assert sorted(call.name for call in serving.called) == sorted(SCHEMAS)
    assert [tool["input_schema"] for tool in response["output"][0]["tools"]] == [*SCHEMAS.values()]
    assert len(upstream.requests) == 2


@every_dialect
@pytest.mark.parametrize(("stored", "options"), MODES.values(), ids=MODES)
async def test_a_conversation_goes_on_with_what_was_called(dialect: str, stored: bool, options: Json) -> None:
    serving = Serving()
    async with vendors([dialect], more=HERE.get(dialect), sources=[serving], inline_turns=2) as at:
        talk = Conversation(at.ask, stored, {"tools": [DOCS, SEARCH], "parallel_tool_calls": True, **options})
        model = at.model(dialect)
        first = await talk.say(model, user("/fake tools;parallel=5;turns=1;reasoning=2"))
        second = await talk.say(model, user("/fake tools;turns=3"))
        assert at.refused == []
    calls = ["mcp_call"] * 3 + ["web_search_call"] * 2
    assert [kind for kind in kinds(first) if kind != "reasoning"] == ["mcp_list_tools", *calls, "message"]
    assert [kind for kind in kinds(second) if kind != "reasoning"] == ["mcp_call"] * 3 + ["message"]
    assert serving.listed == ["docs"]
    assert "found" in text_of(first)


@every_dialect
async def test_a_model_sees_the_images_of_a_tool_and_its_failures(dialect: str) -> None:
    async with vendors([dialect], more=HERE.get(dialect), sources=[Serving()]) as at:
        response = await at.ask(
            model=at.model(dialect), tools=[DOCS, ART], input=[user("/fake tools;parallel=4;turns=1")]
        )
        (upstream,) = at.upstreams.values()
        assert at.refused == []
    shown = str(upstream.requests[-1].body)
    assert "iVBORw0KGgo=" in shown
    assert "break {" in shown
    (failed,) = [item for item in response["output"] if item.get("status") == "failed"]
    assert failed["error"]["type"] == "mcp_tool_execution_error"
    assert failed["output"] is None


@every_dialect
async def test_a_server_can_be_forced(dialect: str) -> None:
    serving = Serving()
    async with vendors([dialect], more=HERE.get(dialect), sources=[serving]) as at:
        for choice, name in (
            ({"type": "mcp", "server_label": "docs", "name": "note"}, "note"),
            ({"type": "mcp", "server_label": "docs"}, "look"),
            (SEARCH, "web_search"),
        ):
            asked: Json = {"tools": [SEARCH, DOCS], "tool_choice": choice, "input": [user("/fake willing")]}
            await at.ask(model=at.model(dialect), **asked)
            assert serving.called[0].name == name
            serving.called.clear()
        assert at.refused == []


@every_dialect
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
async def test_calls_of_which_some_need_an_approval_stop_after_the_others(dialect: str, stored: bool) -> None:
    serving = Serving()
    async with vendors([dialect], more=HERE.get(dialect), sources=[serving]) as at:
        talk = Conversation(at.ask, stored, {"tools": [DOCS, BANK]})
        model = at.model(dialect)
        first = await talk.say(model, user("/fake tools;parallel=4;turns=1;reasoning=2"))
        assert [kind for kind in kinds(first) if kind != "reasoning"][2:] == ["mcp_call"] * 3 + ["mcp_approval_request"]
        assert [call.name for call in serving.called] == ["look", "note", "break"]
        request = first["output"][-1]
        answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": False}
        second = await talk.say(model, {**answer, "reason": "Too dear"})
        (upstream,) = at.upstreams.values()
        assert at.refused == []
    assert kinds(second)[-1:] == ["message"]
    assert "Too dear" in str(upstream.requests[-1].body)
    assert len(serving.called) == 3


@every_dialect
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "stateless"])
async def test_an_approved_call_is_shown_in_its_own_turn(dialect: str, stored: bool) -> None:
    serving = Serving()
    async with vendors([dialect], sources=[serving]) as at:
        talk = Conversation(at.ask, stored, {"tools": [DOCS, BANK]})
        model = at.model(dialect)
        first = await talk.say(model, user("/fake tools;parallel=4;turns=1;reasoning=2"))
        request = first["output"][-1]
        answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
        second = await talk.say(model, answer)
        third = await talk.say(model, user("/fake text"))
        (upstream,) = at.upstreams.values()
        assert at.refused == []
    assert [call.name for call in serving.called] == ["look", "note", "break", "pay"]
    assert (kinds(second)[0], kinds(second)[-1], kinds(third)) == ("mcp_call", "message", ["message"])
    before, after, later = (str(sent.body) for sent in upstream.requests[-3:])
    assert [sent.count("pay {") for sent in (before, after, later)] == [0, 1, 2], "the answer says it, too"
    assert serving.listed == ["docs", "bank"]


async def test_what_one_dialect_s_model_called_goes_on_with_every_other() -> None:
    async with vendors(sources=[Serving()]) as at:
        talk = Conversation(at.ask, False, {"tools": [DOCS, SEARCH]})
        for dialect in DIALECTS:
            await talk.say(at.model(dialect), user("/fake tools;parallel=5;turns=1;reasoning=2"))
        for dialect in DIALECTS:
            await talk.say(at.model(dialect), user("/fake text"))
        assert at.refused == []


async def test_the_offline_model_calls_a_server_s_tool_and_searches() -> None:
    serving = Serving()
    async with vendors([], sources=[serving]) as at:
        said = '[[call docs__look {"what": "it"}]] [[call web_search]] What is it?'
        response = await at.ask(model="offline/demo", tools=[DOCS, SEARCH], input=[user(said)])
    assert kinds(response) == ["mcp_list_tools", "mcp_call", "web_search_call", "message"]
    assert "The tool docs__look answered: look {'what': 'it'}" in text_of(response)
    assert "found" in text_of(response)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the SDK, which does not know our own tools
@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if OURS & {*case.types} and case.status == "completed"]
)
async def test_the_sdk_makes_the_final_response_of_the_stream(name: str) -> None:
    events = await play(CASES[name].new_run(), Script(CASES[name].turns))
    final = accumulated(events)
    assert [item["id"] for item in final["output"]] == [item["id"] for item in events[-1]["response"]["output"]]
    assert [item["type"] for item in final["output"]] == CASES[name].types


async def test_events_come_in_the_order_of_openais_own() -> None:
    """That of pydantic-ai's recording `test_openai_responses_model_mcp_server_tool_stream`."""
    case = CASES["servers whose tools were listed, and an approved call"]
    events = [event["type"] for event in await play(case.new_run(), Script(case.turns))]
    listing = ["output_item.added", "mcp_list_tools.in_progress", "mcp_list_tools.completed", "output_item.done"]
    begun = ["output_item.added", "mcp_call.in_progress", "mcp_call_arguments.delta", "mcp_call_arguments.done"]
    called = [*begun, "mcp_call.completed", "output_item.done"]
    assert events[2:-9] == [f"response.{kind}" for kind in (*listing, *listing, *called, *called)]


# --- here, or upstream


async def runs(at: Any, **request: Any) -> str:
    """Who runs the request's server, and its search."""
    response = await at.ask(tools=[{**DOCS, "server_url": "https://docs.test/"}, SEARCH], **request)
    return "here" if "mcp_list_tools" in kinds(response) else "upstream"


async def test_a_server_is_the_provider_s_where_all_targets_run_servers() -> None:
    both, names = Serving(), ["openai_responses", "openai_responses-2", "anthropic"]
    async with vendors(names, sources=[both]) as at:
        at.parameters["models/same"] = '{"targets": ["openai_responses/gpt-5.5", "openai_responses-2/gpt-5.5"]}'
        at.parameters["models/mixed"] = '{"targets": ["openai_responses/gpt-5.5", "anthropic/claude-opus-5-5"]}'
        said = [user("/fake text")]
        assert await runs(at, model="openai_responses/gpt-5.5", input=said) == "upstream"
        assert await runs(at, model="same", input=said) == "upstream"
        assert await runs(at, model="mixed", input=said) == "here"
        assert await runs(at, model="anthropic/claude-opus-5-5", input=said) == "here"
        assert at.refused == []

"""OpenAI's SDK searches, opens a page and reads citations, on every dialect: streamed or not, stored or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from openresponses.core.citations import HOW_TO_CITE
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox.web_search.source import WebSearch
from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.fakes.search import KEY, Answer, FakeSearch, fake_search
from tests.unit.kit import Json

HERE: dict[str, Json] = {
    "openai_responses": {"options": {"custom_tools": True, "omit": ["presence_penalty", "frequency_penalty"]}},
    "gemini": {"options": {"mixes_tools": False}},
}
"""Has these dialects' providers leave the search to this server."""
SOURCES = "web_search_call.action.sources"
MOON, TABLE = "https://tides.example/moon", "https://docs.tides.example/table"
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@asynccontextmanager
async def searching(dialect: str, **more: Any) -> AsyncIterator[tuple[Vendors, AsyncOpenAI, FakeSearch]]:
    async with fake_search("tavily") as fake:
        text = json.dumps({"backend": "tavily", "key": KEY, "base_url": fake.url})
        fake.web["/page"] = Answer(200, "<title>A page</title><p>High water is at 07:12.")
        source = WebSearch(MemoryParameters({"tools/web_search": text}), loopback=True)
        async with vendors([dialect], more=HERE.get(dialect), sources=[source], **more) as at:
            sdk = AsyncOpenAI(base_url="http://api/v1", api_key="any", http_client=at.client(), max_retries=0)
            yield at, sdk, fake


def said(*calls: str) -> str:
    """What has a fake model make these calls, one a turn, and say their outputs."""
    return f"/fake calls;{';'.join(calls)}"


def calls(fake: FakeSearch) -> str:
    return said('web_search={"query": "tides"}', f'open_page={{"url": "{fake.url}/page"}}')


async def answer(sdk: AsyncOpenAI, *, stream: bool, **request: Any) -> tuple[Any, list[Any]]:
    """The response, and the events of a stream."""
    if not stream:
        return await sdk.responses.create(**request), []
    events = [event async for event in await sdk.responses.create(stream=True, **request)]
    return events[-1].response, events


def cited(response: Any) -> list[tuple[str, str]]:
    """The marker that each annotation covers, and its URL."""
    (part,) = response.output[-1].content
    return [(part.text[each.start_index : each.end_index], each.url) for each in part.annotations]


@every_dialect
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_searches_opens_a_page_and_cites_what_it_found(dialect: str, stream: bool) -> None:
    async with searching(dialect) as (at, sdk, fake):
        request = {"model": at.model(dialect), "tools": [{"type": "web_search", "search_context_size": "low"}]}
        response, events = await answer(sdk, stream=stream, input=calls(fake), **request)
        again = await sdk.responses.retrieve(response.id, include=[SOURCES])
        (upstream,) = at.upstreams.values()
        assert (at.refused, fake.refused, fake.opened) == ([], [], ["/page"])
    search, page, message = [item for item in response.output if item.type != "reasoning"]
    assert (search.type, search.status, search.action.type, search.action.query) == (
        "web_search_call",
        "completed",
        "search",
        "tides",
    )
    assert (search.id[:3], search.action.sources, page.action.type) == ("ws_", None, "open_page")
    assert page.action.url == f"{fake.url}/page"
    assert [each.url for each in again.output[response.output.index(search)].action.sources][:2] == [MOON, TABLE]
    found = [each["url"] for each in search.results]
    numbered = {f"【{number}】": url for number, url in enumerate([*found, f"{fake.url}/page"], 1)}
    assert set(cited(response)) == set(numbered.items())
    shown = json.dumps(upstream.requests[-1].body, ensure_ascii=False)
    assert all(
        words in shown for words in (HOW_TO_CITE, "【2】 A table of tides", "【6】 A page", "High water is at 07:12.")
    )
    if stream:
        check_events(events, message)


def check_events(events: list[Any], message: Any) -> None:
    """As OpenAI's streams have them: pydantic-ai's recording `test_openai_include_raw_annotations_streaming`."""
    of_calls = [event.type for event in events if "web_search" in str(getattr(event, "item", event))]
    one = ["in_progress", "searching", "completed"]
    a_call = ["response.output_item.added", *(f"response.web_search_call.{each}" for each in one)]
    assert of_calls[:10] == [*a_call, "response.output_item.done"] * 2
    told = [event for event in events if event.type == "response.output_text.annotation.added"]
    annotations = message.content[0].annotations
    assert [event.annotation_index for event in told] == [*range(len(annotations))]
    assert [dict(event.annotation)["url"] for event in told] == [each.url for each in annotations]
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == message.content[0].text


@every_dialect
@pytest.mark.parametrize("stored", [False, True])
async def test_the_next_turn_knows_the_sources_by_the_same_numbers(dialect: str, stored: bool) -> None:
    async with searching(dialect) as (at, sdk, fake):
        request: Json = {"model": at.model(dialect), "tools": [{"type": "web_search", "search_context_size": "low"}]}
        first = await sdk.responses.create(input=calls(fake), store=stored, **request)
        more = said('web_search={"query": "more"}')
        if stored:
            second = await sdk.responses.create(input=more, previous_response_id=first.id, **request)
        else:
            before = [item.to_dict() for item in first.output]
            whole: Any = [{"role": "user", "content": "Tides?"}, *before, {"role": "user", "content": more}]
            second = await sdk.responses.create(input=whole, store=False, **request)
        (upstream,) = at.upstreams.values()
        assert (at.refused, fake.refused) == ([], [])
    assert dict(cited(second))["【1】"] == MOON
    shown = json.dumps(upstream.requests[-1].body, ensure_ascii=False)
    assert shown.count(HOW_TO_CITE) >= 3
    assert shown.count("【6】 A page") >= 1
    assert "【7】" not in shown, "the second search found the same five pages"


@every_dialect
async def test_a_search_that_failed_is_read_and_the_response_goes_on(dialect: str) -> None:
    async with searching(dialect) as (at, sdk, _):
        response, events = await answer(
            sdk,
            stream=True,
            model=at.model(dialect),
            tools=[{"type": "web_search"}],
            input=said('web_search={"query": "answer 500"}', 'open_page={"url": "https://127.0.0.2:1/"}'),
        )
        assert at.refused == []
    searches = [item for item in response.output if item.type == "web_search_call"]
    assert [item.status for item in searches] == ["failed", "failed"]
    assert "Tavily answered with the status 500" in response.output_text
    assert cited(response) == []
    assert KEY not in str(events)


async def test_sources_are_told_by_include_to_each_who_asks_and_to_nobody_else() -> None:
    async with searching("chat_completions") as (at, sdk, fake):
        request: Json = {"model": at.model("chat_completions"), "tools": [{"type": "web_search"}], "input": calls(fake)}
        told, events = await answer(sdk, stream=True, include=[SOURCES], **request)
        untold = await sdk.responses.retrieve(told.id)
        replayed = [event async for event in await sdk.responses.retrieve(told.id, stream=True, include=[SOURCES])]
        items = await sdk.responses.create(
            model=at.model("chat_completions"), input="/fake echo", previous_response_id=told.id
        )
        listed = await sdk.responses.input_items.list(items.id, include=[SOURCES])
    search, page = told.output[:2]
    expected = [{"type": "url", "url": each["url"]} for each in search.results]
    assert [each.to_dict() for each in search.action.sources] == expected
    assert page.to_dict()["action"] == {"type": "open_page", "url": f"{fake.url}/page"}
    assert untold.output[0].action.sources is None
    done = [event for event in replayed if event.type == "response.output_item.done"]
    assert [each.url for each in done[0].item.action.sources] == [each["url"] for each in expected]
    assert [event.type for event in events] == [event.type for event in replayed]
    assert listed.data


async def test_a_response_of_the_state_machine_has_the_same_citations() -> None:
    async with searching("chat_completions", inline_turns=1) as (at, sdk, fake):
        request: Json = {"model": at.model("chat_completions"), "tools": [{"type": "web_search"}], "input": calls(fake)}
        inline, _ = await answer(sdk, stream=True, **request)
        accepted = await sdk.responses.create(background=True, **request)
        await at.house.idle()
        background = await sdk.responses.retrieve(accepted.id)
    assert inline.status == background.status == "completed"
    assert cited(inline) == cited(background) != []


async def test_nobody_searches_where_no_backend_is_set_and_the_request_is_answered_all_the_same() -> None:
    source = WebSearch(MemoryParameters({}))
    async with vendors(["chat_completions"], sources=[source]) as at:
        response = await at.ask(
            model=at.model("chat_completions"), tools=[{"type": "web_search"}], input="/fake willing"
        )
        (upstream,) = at.upstreams.values()
    assert [item["type"] for item in response["output"]] == ["message"]
    assert "tools" not in upstream.requests[0].body


async def test_a_wrong_domain_is_a_400_that_names_the_tool() -> None:
    async with searching("chat_completions") as (at, _, _):
        client: httpx2.AsyncClient = at.client()
        tool = {"type": "web_search", "filters": {"allowed_domains": ["https://a.example/"]}}
        refused = await client.post(
            "/responses", json={"model": at.model("chat_completions"), "tools": [tool], "input": "x"}
        )
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "tools"
    assert "filters.allowed_domains" in refused.json()["error"]["message"]

"""Web search as a source of tools: each backend against a fake that is written from its documentation."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from openresponses.core.errors import RequestError
from openresponses.core.run import OfferedTool, Run
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.schema.server_items import WebSearchCall
from openresponses.schema.tools import WebSearchTool
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.lambda_functions import LambdaTools
from openresponses.toolbox.source import ToolMisconfigured
from openresponses.toolbox.web_search.source import WebSearch
from tests.fakes.search import KEY, FakeSearch, fake_search

BACKENDS = ("brave", "tavily", "exa", "searxng")
MOON, TABLE, HARBOUR = (
    "https://tides.example/moon",
    "https://docs.tides.example/table",
    "https://harbour.example/?a=1&b=2",
)


@pytest_asyncio.fixture(params=BACKENDS)
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeSearch]:
    async with fake_search(request.param) as fake:
        yield fake


def name_of(fake: FakeSearch) -> str:
    return str(getattr(fake.service, "__name__", "")).rpartition(".")[2]


def toolbox(fake: FakeSearch, key: str = KEY) -> Toolbox:
    document = {"backend": name_of(fake), "key": key, "base_url": fake.url}
    return Toolbox([WebSearch(MemoryParameters({"tools/web_search": json.dumps(document)}), loopback=True)])


async def offered(tools: Toolbox, **settings: Any) -> list[OfferedTool]:
    offer = await tools.offer(WebSearchTool.model_validate({"type": "web_search", **settings}))
    assert offer is not None
    return [*offer.tools]


async def call(tools: Toolbox, action: dict[str, object], **settings: Any) -> Any:
    run = Run(
        response=Response(id="resp_0", created_at=1, model="m"),
        request=CreateResponse.model_validate({"model": "m"}),
        tools=await offered(tools, **settings),
        max_turns=8,
    )
    return await tools.call(WebSearchCall.model_validate({"id": "ws_0", "action": action}), run)


async def search(fake: FakeSearch, query: str, key: str = KEY, **settings: Any) -> Any:
    return await call(toolbox(fake, key), {"type": "search", "query": query}, **settings)


async def test_a_search_finds_pages_with_their_titles_and_text(fake: FakeSearch) -> None:
    output = await search(fake, "tides")
    assert not output.failed
    results = output.item["results"]
    assert [(each["url"], each["title"]) for each in results[:3]] == [
        (MOON, "Tides and the moon"),
        (TABLE, "A table of tides"),
        (HARBOUR, "Harbour & sea"),
    ]
    assert results[0]["text"].startswith("The moon pulls the sea.")
    assert (len(results), fake.refused) == (8, [])


@pytest.mark.parametrize(("size", "count", "characters"), [("low", 5, 400), ("medium", 8, 1000), ("high", 12, 2000)])
async def test_the_size_says_how_much_is_read(fake: FakeSearch, size: str, count: int, characters: int) -> None:
    results = (await search(fake, "tides", search_context_size=size)).item["results"]
    assert len(results) == count
    assert max(len(each["text"]) for each in results) <= characters
    assert fake.refused == []


async def test_only_allowed_domains_and_their_subdomains_are_found(fake: FakeSearch) -> None:
    filters = {"allowed_domains": ["Tides.example", "harbour.example."]}
    output = await search(fake, "tides", filters=filters)
    assert [each["url"] for each in output.item["results"]] == [MOON, TABLE, HARBOUR]
    assert fake.refused == []
    nowhere = await search(fake, "tides", filters={"allowed_domains": ["nowhere.example"]})
    assert (nowhere.item, nowhere.failed) == ({"results": []}, False)


async def test_every_backend_is_told_where_the_user_is_as_far_as_it_can_be(fake: FakeSearch) -> None:
    location = {"country": "de", "city": "Münster", "region": "NRW", "timezone": "Europe/Berlin"}
    assert not (await search(fake, "tides", user_location=location)).failed
    asked = fake.asked[0]
    told = {
        "brave": lambda: {
            "country": asked.query["country"],
            **{name: value for name, value in asked.headers.items() if name.startswith("x-loc")},
        },
        "tavily": lambda: {"country": asked.json()["country"]},
        "exa": lambda: {"country": asked.json()["userLocation"]},
        "searxng": dict[str, str],
    }[name_of(fake)]()
    assert (
        told
        == {
            "brave": {
                "country": "DE",
                "x-loc-country": "DE",
                "x-loc-state-name": "NRW",
                "x-loc-city": "Munster",
                "x-loc-timezone": "Europe/Berlin",
            },
            "tavily": {"country": "germany"},
            "exa": {"country": "DE"},
            "searxng": {},
        }[name_of(fake)]
    )
    for country in ("XX", "", "LI"):
        assert not (await search(fake, "tides", user_location={"country": country})).failed
    assert fake.refused == []


async def test_the_model_is_told_where_the_user_is_and_which_domains_there_are() -> None:
    async with fake_search("searxng") as fake:
        tools = await offered(
            toolbox(fake), user_location={"city": "Bonn", "country": "DE"}, filters={"allowed_domains": ["a.example"]}
        )
    assert [(tool.name, tool.wire_name, tool.kind, tool.item_type) for tool in tools] == [
        ("web_search", "web_search", "search", "web_search_call"),
        ("open_page", "open_page", "search", "web_search_call"),
    ]
    assert tools[0].description == (
        "Search the web. Only pages of a.example can be found and opened. The user is in or near Bonn, DE."
    )
    assert (tools[1].parameters or {})["required"] == ["url"]
    assert KEY not in "".join(tool.model_dump_json() for tool in tools)


async def test_a_long_or_strange_query_is_asked_as_far_as_it_can_be(fake: FakeSearch) -> None:
    for query in ("tide " * 300, "x" * 2000, 'a&b=c#d?e %20 "f" + ü 潮 \n g', "\ud800 half"):
        assert not (await search(fake, query, filters={"allowed_domains": ["tides.example"] * 3})).failed, query
    assert fake.refused == []


async def test_many_domains_are_asked_as_far_as_they_can_be(fake: FakeSearch) -> None:
    domains = [*(f"d{n}.example" for n in range(99)), "tides.example"]
    assert len((await search(fake, "tides", filters={"allowed_domains": domains})).item["results"]) == 2
    assert fake.refused == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 432, 500, 503])
async def test_a_refusal_is_the_models_to_read_and_never_has_the_key(fake: FakeSearch, status: int) -> None:
    output = await search(fake, f"answer {status}")
    assert output.failed
    assert output.item == {}
    assert f"answered with the status {status}" in output.text
    assert output.text.rstrip(".").endswith("without it")
    assert KEY not in output.text
    if name_of(fake) != "searxng":
        assert "(Said for a test, about ***.)" in output.text


async def test_a_wrong_key_says_that_the_operator_must_mend_it(fake: FakeSearch) -> None:
    if name_of(fake) == "searxng":
        pytest.skip("it needs no key")
    output = await search(fake, "tides", key="wrong-key")
    assert output.failed
    assert "The operator of this server must set web search up anew. Go on without it." in output.text
    assert "wrong-key" not in output.text


async def test_a_service_that_says_to_wait_a_moment_is_asked_again_and_one_that_says_long_is_not(
    fake: FakeSearch,
) -> None:
    assert not (await search(fake, "wait 1")).failed
    late = await search(fake, "wait 60")
    assert late.failed
    assert "Wait 60 seconds, or go on without it." in late.text


async def test_what_is_no_answer_and_no_result_are_told_apart(fake: FakeSearch) -> None:
    garbage = await search(fake, "answer garbage")
    assert garbage.failed
    assert "answered with something that is no search result" in garbage.text
    nothing = await search(fake, "answer nothing")
    assert (nothing.failed, nothing.item) == (False, {"results": []})


async def test_a_service_that_is_away_is_the_models_to_read(fake: FakeSearch) -> None:
    tools = toolbox(fake)
    url, fake.url = fake.url, "http://127.0.0.1:9"
    output = await call(toolbox(fake), {"type": "search", "query": "tides"})
    fake.url = url
    assert output.failed
    assert "did not answer (Unreachable)" in output.text
    assert not (await call(tools, {"type": "search", "query": "tides"})).failed


@pytest.mark.parametrize(
    "action",
    [
        {"type": "search"},
        {"type": "search", "query": ""},
        {"type": "search", "query": "x" * 2001},
        {"type": "open_page"},
        {"type": "open_page", "url": "u" * 9000},
    ],
)
async def test_wrong_arguments_are_the_models_to_mend(action: dict[str, object]) -> None:
    async with fake_search("brave") as fake:
        output = await call(toolbox(fake), action)
    assert output.failed
    assert "takes one argument" in output.text


@pytest.mark.parametrize("domain", ["https://a.example", "a.example/path", "a b", "", "a.example\n$boost", "*.example"])
async def test_what_is_no_domain_is_refused(domain: str) -> None:
    async with fake_search("brave") as fake:
        with pytest.raises(RequestError, match="allowed_domains"):
            await offered(toolbox(fake), filters={"allowed_domains": [domain]})


LAMBDA = json.dumps({"function": "mine", "description": "My own search."})


class NoFunctions:
    async def invoke(self, function: str, payload: Any) -> Any:
        raise AssertionError


async def test_a_backend_and_a_lambda_tool_of_the_same_name_are_not_confused() -> None:
    from openresponses.schema.tools import HostedTool

    for text, is_backend in ((LAMBDA, False), ('{"backend": "exa", "key": "k"}', True)):
        parameters = MemoryParameters({"tools/web_search": text})
        tools = Toolbox([LambdaTools(parameters, NoFunctions()), WebSearch(parameters)])
        searches = await tools.offer(WebSearchTool(type="web_search"))
        hosted = await tools.offer(HostedTool(type="serverless:web_search"))
        assert (searches is not None, hosted is not None) == (is_backend, not is_backend)
    assert await Toolbox([WebSearch(MemoryParameters({}))]).offer(WebSearchTool(type="web_search")) is None


@pytest.mark.parametrize(
    "document",
    [
        {"backend": "bing", "key": "hidden"},
        {"backend": "brave"},
        {"backend": "searxng"},
        {"backend": "exa", "key": "hidden key"},
        {"backend": "exa", "key": "hidden", "more": 1},
    ],
)
async def test_a_wrong_parameter_fails_the_request_and_is_not_shown(
    document: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    tools = Toolbox([WebSearch(MemoryParameters({"tools/web_search": json.dumps(document)}))])
    with pytest.raises(ToolMisconfigured, match="not set up correctly"):
        await tools.offer(WebSearchTool(type="web_search"))
    assert "tools/web_search is wrong" in caplog.text
    assert "hidden" not in caplog.text


async def test_searches_of_one_turn_run_side_by_side(fake: FakeSearch) -> None:
    outputs = await asyncio.gather(*(search(fake, f"tides {n}") for n in range(5)))
    assert [each.failed for each in outputs] == [False] * 5

"""`GET /v1/responses`: what a client is shown of its responses, and which pages it gets."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI
from openai._base_client import AsyncPaginator, make_request_options
from openai.pagination import AsyncConversationCursorPage, AsyncCursorPage
from openai.types.responses import Response

from openresponses.core import deltas as d
from openresponses.core.ports import Ports
from openresponses.responses.stored import StoredResponses
from tests.contract.machine import House
from tests.contract.served import client_of, sdk_of
from tests.unit.kit import Json, Script, usage

Pages = AsyncCursorPage[Response] | AsyncConversationCursorPage[Response]
ANSWER = [d.Text("0", "an answer"), d.End("0"), usage(3), d.Finish("stop")]


def house(turns: int = 9) -> House:
    return House(Script([ANSWER] * turns))


async def listed(at: House, **params: str | int) -> Json:
    async with client_of(at) as http:
        answer = await http.get("/responses", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(at: House, query: str) -> tuple[int, str | None, str]:
    async with client_of(at) as http:
        answer = await http.get(f"/responses?{query}")
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


async def test_a_page_is_a_list_of_what_is_known_of_each_response() -> None:
    at = house()
    first, _ = await at.create(metadata={"team": "red"})
    at.time = 3.0
    second, _ = await at.create(model="n", input="a secret", previous_response_id=first["id"])
    page = await listed(at)
    shown = {
        name: second[name]
        for name in ("id", "object", "created_at", "completed_at", "status", "model", "background", "usage", "error")
    }
    assert page["data"][0] == {
        **shown,
        "previous_response_id": first["id"],
        "metadata": {},
        "incomplete_details": None,
        "serverless:target": "n",
        "serverless:turns": 1,
        "serverless:seconds": 0.0,
        "serverless:cost": {"usd": "unknown"},
    }
    assert {name: value for name, value in page.items() if name != "data"} == {
        "object": "list",
        "first_id": second["id"],
        "last_id": first["id"],
        "has_more": False,
    }
    assert [each["status"] for each in page["data"]] == ["completed", "completed"]
    assert page["data"][1]["metadata"] == {"team": "red"}
    assert "secret" not in str(page)
    assert "an answer" not in str(page)


async def test_filters_and_pages() -> None:
    at = house()
    made: list[str] = []
    for n, (model, team) in enumerate([("m", "red"), ("n", "red"), ("m", "blue"), ("m", "red")]):
        at.time = 2.0 + n
        response, _ = await at.create(model=model, metadata={"team": team, "n": str(n)})
        made.append(response["id"])

    async def ids(**params: str | int) -> list[str]:
        return [each["id"] for each in (await listed(at, **params))["data"]]

    assert await ids() == made[::-1]
    assert await ids(order="asc", limit=2) == made[:2]
    assert await ids(order="asc", after=made[1]) == made[2:]
    assert await ids(model="m") == [made[3], made[2], made[0]]
    assert await ids(status="completed", model="n") == [made[1]]
    assert await ids(status="failed") == []
    assert await ids(**{"metadata[team]": "red", "model": "m"}) == [made[3], made[0]]
    assert await ids(**{"metadata[team]": "red", "metadata[n]": "1"}) == [made[1]]
    page = await listed(at, limit=1, **{"metadata[team]": "blue"})
    assert (page["data"][0]["id"], page["last_id"], page["has_more"]) == (made[2], made[2], True)


async def test_what_is_not_stored_is_not_listed() -> None:
    at = house()
    await at.create(store=False)
    assert await listed(at) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_a_response_of_a_conversation_names_it() -> None:
    at = house()
    async with client_of(at) as http:
        conversation = (await http.post("/conversations", json={})).json()["id"]
    await at.create(conversation=conversation)
    assert (await listed(at))["data"][0]["conversation"] == {"id": conversation}


async def test_a_background_response_is_queued_until_it_is_over() -> None:
    at = house()
    response, _ = await at.create(background=True)
    page = await listed(at, status="queued")
    assert [each["id"] for each in page["data"]] == [response["id"]]
    await at.idle()
    assert (await listed(at, status="queued"))["data"] == []
    assert (await listed(at, status="completed"))["data"][0]["id"] == response["id"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("order=newest", "order"),
        ("status=done", "status"),
        ("metadata=red", "metadata"),
        (f"metadata[{'k' * 65}]=v", "metadata"),
        (f"metadata[k]={'v' * 513}", "metadata.k"),
        ("&".join(f"metadata[{n}]=v" for n in range(17)), "metadata"),
        (f"model={'m' * 2049}", "model"),
        (f"after={'x' * 2049}", "after"),
    ],
)
async def test_a_wrong_parameter_is_a_400_that_names_it(query: str, param: str) -> None:
    assert await refused(house(), query) == (400, param, "invalid_value")


async def test_a_cursor_that_is_gone_is_a_404() -> None:
    at = house()
    response, _ = await at.create()
    await at.stored.delete(response["id"])
    for cursor in (response["id"], "resp_unknown", ""):
        assert await refused(at, f"after={cursor}") == (404, "after", "response_not_found")
    at.stored = StoredResponses(Ports(at.ports.models, at.tools, at.ledger, at.ports.now, at.ports.new_id))
    assert await refused(at, "after=resp_1") == (404, "after", "response_not_found")
    assert (await listed(at))["data"] == []


async def test_a_websocket_is_no_listing() -> None:
    async with client_of(house()) as http:
        answer = await http.get("/responses", headers={"sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw=="})
    assert (answer.status_code, answer.json()["error"]["code"]) == (426, "websocket_unsupported")


@pytest.mark.parametrize("kind", [AsyncCursorPage[Response], AsyncConversationCursorPage[Response]])
async def test_the_sdks_pages_of_either_cursor_have_each_response_once(kind: type[Pages]) -> None:
    """The one goes on after the last response that it was shown, the other after `last_id`."""
    at = house()
    made = [(await at.create(metadata={"n": str(n % 2)}))[0]["id"] for n in range(7)]
    async with sdk_of(at) as client:
        assert [each.id async for each in paged(client, kind)] == sorted(made, reverse=True)
        odd = [each.id async for each in paged(client, kind, n="1")]
    assert odd == sorted(made[1::2], reverse=True)


def paged(client: AsyncOpenAI, kind: type[Pages], **metadata: str) -> AsyncPaginator[Response, Pages]:
    options = make_request_options(query={"limit": 2, **({"metadata": metadata} if metadata else {})})
    return client.get_api_list("/responses", model=Response, page=kind, options=options)

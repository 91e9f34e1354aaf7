"""Limits of keys and tenants, from the request to the bill: over HTTP, in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai import RateLimitError

from openresponses.core.errors import LimitReached
from openresponses.core.storage import Limits
from openresponses.limits.policy import OUTPUT as DEFAULT_CAP
from tests.contract.limited import KEY, LimitedHouse, Vendor, price, usd
from tests.contract.served import client_of, sdk_of
from tests.contract.sockets import Line
from tests.contract.test_answers_later import TOOLS as LATER
from tests.contract.test_answers_later import Later, parked

TOOLS: Any = [{"type": "serverless:calculator"}]


def asked(word: str = "say", **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": f"{word} something", **more}


async def test_a_turn_is_held_before_it_is_asked_for_and_settled_by_what_it_took() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(tokens_per_minute=100_000, pico_per_day=usd(1))).limited()
    async with client_of(house) as client:
        answer = await client.post("/responses", json=asked())
    assert answer.status_code == 200
    assert vendor.turns[0].max_output_tokens == DEFAULT_CAP
    (told,) = vendor.books
    meter = await house.meter()
    assert (meter.tokens, meter.pico_today, meter.running) == (told.total_tokens, price(told).whole, 0)
    assert meter.pico_this_month == meter.pico_today
    assert await house.usage() == (1, told.input_tokens, told.output_tokens, price(told).whole)
    assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
    assert 90_000 < int(answer.headers["x-ratelimit-remaining-tokens"]) < 100_000
    assert answer.headers["x-ratelimit-reset-tokens"] == "48s"
    assert "x-ratelimit-limit-requests" not in answer.headers


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{}, {"store": False}, {"background": True}], ids=["stored", "unstored", "background"])
async def test_who_asks_too_often_is_told_when_to_come_again(stream: bool, more: dict[str, Any]) -> None:
    house = await LimitedHouse(Vendor(), Limits(requests_per_minute=2)).limited()
    if stream and more.get("store") is False:
        more = {**more, "stream_options": None}
    async with client_of(house) as client:
        answers = [await client.post("/responses", json=asked(stream=stream, **more)) for _ in range(3)]
        await house.idle()
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error"] == {
        "message": "The key has a limit of 2 requests per minute: try again in 48 seconds",
        "type": "too_many_requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert refused.headers["retry-after"] == "48"
    assert "x-should-retry" not in refused.headers
    assert len(house.shelf.responses) == (0 if more.get("store") is False else 2)
    assert (await house.usage())[0] == 2


async def test_the_sdk_does_not_try_again_where_that_takes_hours() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(0.045))).limited()
    async with sdk_of(house, retries=3) as sdk:
        await sdk.responses.create(**asked("long"))
        with pytest.raises(RateLimitError) as refused:
            await sdk.responses.create(**asked("long"))
    assert refused.value.code == "insufficient_quota"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert refused.value.response.headers["retry-after"] == str(12 * 3600 - 12)
    assert "0.045 US dollars per day" in refused.value.message
    assert len(vendor.turns) == 1


async def test_a_lowered_cap_that_is_reached_ends_the_response_by_its_budget() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(0.01))).limited()
    response, _ = await house.create(input="long story")
    assert LEAST_CAP < (vendor.turns[0].max_output_tokens or 0) < DEFAULT_CAP
    assert (response["status"], response["incomplete_details"]["reason"]) == ("incomplete", "serverless:budget")
    assert vendor.billed <= usd(0.01)


LEAST_CAP = 256


async def test_the_default_cap_that_is_reached_ends_it_by_its_tokens() -> None:
    house = await LimitedHouse(Vendor(), Limits(pico_per_day=usd(1))).limited()
    response, _ = await house.create(input="long story")
    assert response["incomplete_details"]["reason"] == "max_output_tokens"


async def test_a_request_may_ask_for_more_and_for_less_than_the_default() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(1))).limited()
    for most in (20_000, 16):
        response, _ = await house.create(input="long story", max_output_tokens=most)
        assert vendor.turns[-1].max_output_tokens == most
        assert response["incomplete_details"]["reason"] == "max_output_tokens"


async def test_a_limit_of_requests_alone_caps_nothing() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(requests_per_minute=5, concurrent=3)).limited()
    await house.create()
    assert vendor.turns[0].max_output_tokens is None


async def test_a_model_without_a_price_is_refused_by_name_under_a_limit_of_money() -> None:
    house = await LimitedHouse(Vendor(), Limits(pico_per_month=usd(5)), pricing=lambda _: None).limited()
    async with client_of(house) as client:
        answer = await client.post("/responses", json=asked(), headers={"idempotency-key": "k"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "model", "price_unknown")
    assert "'vendor/m'" in error["message"]
    assert house.shelf.responses == {}
    assert house.shelf.claims == {}


async def test_a_tenants_limit_counts_for_all_of_its_keys_and_the_tighter_one_is_told() -> None:
    house = await LimitedHouse(Vendor(), Limits(requests_per_minute=9), Limits(requests_per_minute=1)).limited()
    async with client_of(house) as client:
        first, second = [await client.post("/responses", json=asked()) for _ in range(2)]
    assert (first.headers["x-ratelimit-limit-requests"], second.status_code) == ("1", 429)
    assert second.json()["error"]["message"].startswith("The tenant has a limit of 1 requests")


async def test_places_are_taken_while_responses_run_and_no_longer() -> None:
    house = await LimitedHouse(vendor := Vendor(), Limits(concurrent=2), flush_seconds=0.01).limited()
    async with client_of(house) as client:
        talking = [asyncio.create_task(client.post("/responses", json=asked("talk"))) for _ in range(2)]
        while len(vendor.turns) < 2:
            await asyncio.sleep(0.01)
        refused = await client.post("/responses", json=asked())
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        while len(house.shelf.responses) < 2:
            await asyncio.sleep(0.01)
        house.time += 2
        await asyncio.gather(*(client.post(f"/responses/{each}/cancel") for each in [*house.shelf.responses]))
        await asyncio.wait(talking)
        assert (await client.post("/responses", json=asked())).status_code == 200
    assert (await house.meter()).running == 0


@pytest.mark.parametrize("settings", [{}, {"inline_turns": 1}], ids=["inline", "handed off"])
@pytest.mark.parametrize("background", [False, True])
async def test_a_loop_stops_where_the_budget_ends_with_what_it_has(settings: Any, background: bool) -> None:
    vendor = Vendor(seed=3)
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(0.09)), **settings).limited()
    vendor._random = type("Long", (), {"randint": lambda *_: 4_000, "uniform": lambda *_: 1.0})()  # type: ignore[assignment]
    made, _ = await house.create(input="tools all the way", tools=TOOLS, background=background)
    await house.idle()
    response = await house.stored.retrieve(made["id"])
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "serverless:budget"
    assert "0.09 US dollars" in (response.incomplete_details.message or "")
    assert [item.type for item in response.output].count("serverless:calculator_call") >= 1 or len(vendor.books) == 2
    assert 1 <= len(vendor.books) <= 2
    meter = await house.meter()
    assert (meter.pico_today, meter.running) == (vendor.billed, 0)
    assert vendor.billed <= usd(0.09)


async def test_each_turn_of_a_loop_is_held_in_place_of_the_one_before() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(5), tokens_per_minute=50_000, concurrent=1)).limited()
    response, _ = await house.create(input="tools", tools=TOOLS)
    assert (response["status"], len(vendor.books)) == ("completed", 3)
    meter = await house.meter()
    total = sum(each.total_tokens for each in vendor.books)
    assert (meter.tokens, meter.pico_today, meter.requests, meter.running) == (total, vendor.billed, 1, 0)


async def test_what_failed_before_anything_was_asked_gives_all_back() -> None:
    house = await LimitedHouse(Vendor(), Limits(pico_per_day=usd(1), tokens_per_minute=50_000)).limited()
    async with client_of(house) as client:
        answer = await client.post("/responses", json=asked("refuse"))
        await client.post("/responses", json=asked("refuse", background=True))
        await house.idle()
    assert answer.status_code == 503
    meter = await house.meter()
    assert (meter.tokens, meter.pico_today, meter.running) == (0, 0, 0)


async def test_repeats_polls_resumes_counts_and_refused_requests_hold_nothing() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(requests_per_minute=1, pico_per_day=usd(1))).limited()
    async with client_of(house) as client:
        named = {"headers": {"idempotency-key": "k"}}
        first = await client.post("/responses", json=asked(), **named)
        before = await house.meter()
        again = await client.post("/responses", json=asked(), **named)
        assert again.json()["id"] == first.json()["id"]
        for _ in range(5):
            assert (await client.get(f"/responses/{first.json()['id']}")).status_code == 200
        resumed = await client.get(f"/responses/{first.json()['id']}", params={"stream": "true"})
        assert "response.completed" in resumed.text
        assert (await client.get("/responses")).status_code == 200
        assert (await client.post("/responses", json={"model": "m"})).status_code == 400
        assert (await client.post("/responses", json=asked())).status_code == 429
    assert await house.meter() == before
    assert len(vendor.books) == 1
    assert (await house.usage())[0] == 1


async def test_a_refused_request_gives_its_idempotency_key_and_its_conversation_back() -> None:
    house = await LimitedHouse(Vendor(), Limits(requests_per_minute=1)).limited()
    async with client_of(house) as client:
        conversation = (await client.post("/conversations", json={})).json()["id"]
        for store in (True, False):
            await house.storage.meters.limit(KEY, Limits(requests_per_minute=0))
            body = asked(conversation=conversation, store=store)
            refused = await client.post("/responses", json=body, headers={"idempotency-key": f"k{store}"})
            assert refused.status_code == 429
            assert (refused.headers["x-should-retry"], "retry-after" in refused.headers) == ("false", False)
            await house.storage.meters.limit(KEY, Limits(requests_per_minute=9))
            let_in = await client.post("/responses", json=body, headers={"idempotency-key": f"k{store}"})
            assert let_in.status_code == 200, let_in.text


async def test_a_compaction_is_held_as_well() -> None:
    house = await LimitedHouse(Vendor(), Limits(pico_per_day=usd(0.0001))).limited()
    async with client_of(house) as client:
        answer = await client.post("/responses/compact", json={"model": "m", "input": "a long story"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")


async def test_a_compaction_says_as_much_as_any_turn_whatever_the_answer_may_have() -> None:
    vendor = Vendor()
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(1), tokens_per_minute=50_000)).limited()
    async with client_of(house) as client:
        await client.post("/responses/compact", json={"model": "m", "input": "a long story"})
    again = [{"type": "compaction", "compact_threshold": 1}]
    await house.create(input="say " * 200, max_output_tokens=16, context_management=again)
    assert [turn.max_output_tokens for turn in vendor.turns] == [DEFAULT_CAP, DEFAULT_CAP, 16]
    assert (await house.meter()).pico_today == vendor.billed


async def test_a_message_that_only_prepares_holds_nothing() -> None:
    house = await LimitedHouse(Vendor(), Limits(requests_per_minute=0)).limited()
    from openresponses.schema.request import CreateResponse

    run, _ = await house.new.accept(CreateResponse.model_validate(asked()), generate=False)
    assert await house.new.holdings.hold(run) is None
    run, _ = await house.new.accept(CreateResponse.model_validate(asked()))
    with pytest.raises(LimitReached):
        await house.new.holdings.hold(run)


async def test_limits_that_are_set_or_lifted_count_within_a_minute() -> None:
    house = await LimitedHouse(Vendor()).limited()
    await house.create()
    await house.storage.meters.limit(KEY, Limits(requests_per_minute=0))
    await house.create()
    house.time += 61
    with pytest.raises(LimitReached):
        await house.create()
    await house.storage.meters.limit(KEY, Limits())
    await house.create()  # at once, where there was a limit: the write's condition tells


async def test_who_has_no_limit_writes_nothing_before_the_model_is_asked() -> None:
    house = await LimitedHouse(Vendor()).limited()
    calls = list[str]()
    real = house.storage.meters.hold

    async def hold(*given: Any) -> Any:
        calls.append("hold")
        return await real(*given)

    house.storage.meters.hold = hold  # type: ignore[method-assign]
    await house.create(input="tools", tools=TOOLS)
    assert calls == []
    assert (await house.usage())[0] == 1


async def test_fifty_clients_at_once_spend_a_dollar_and_no_more() -> None:
    vendor = Vendor(seed=7)
    house = await LimitedHouse(vendor, Limits(pico_per_day=usd(1))).limited()
    answers = list[int]()

    async def client(number: int) -> None:
        async with client_of(house) as http:
            for n in range(3):
                kind: dict[str, Any] = [{}, {"stream": True}, {"store": False}, {"tools": TOOLS}][(number + n) % 4]
                word = "tools" if "tools" in kind else "long"
                answers.append((await http.post("/responses", json=asked(word, **kind))).status_code)

    await asyncio.gather(*map(client, range(50)))
    meter = await house.meter()
    assert 429 in answers
    assert answers.count(200) > 20
    assert len(answers) == 150
    smallest = usd(0.01)  # what is left is less than the least that a request takes
    assert usd(1) - smallest < vendor.billed <= usd(1)
    assert (meter.pico_today, meter.running) == (vendor.billed, 0)
    assert (await house.usage())[3] == vendor.billed


async def test_a_call_that_waits_holds_no_place_and_nothing_else() -> None:
    vendor, tools = Vendor(), Later()
    limits = Limits(concurrent=1, pico_per_day=usd(1), requests_per_minute=9)
    house = await LimitedHouse(vendor, limits, tools=tools, inline_turns=99).limited()
    waits, _ = await house.create(input="ask them", tools=LATER, background=True)
    tokens = await parked(house, tools, 1)
    assert ((await house.meter()).running, (await house.meter()).pico_today) == (0, vendor.billed)
    await house.create(input="another one has its place meanwhile")
    talking = asyncio.create_task(house.create(input="talk on", store=False))
    while len(vendor.turns) < 3:
        await asyncio.sleep(0.01)
    for token in tokens.values():
        house.answers[token].set_result("yes")
    await house.idle()  # it goes on, though its place is taken: it was let in
    assert (await house.stored.retrieve(waits["id"])).status == "completed"
    talking.cancel()
    await asyncio.wait([talking])
    assert (await house.meter()).requests == 3
    assert (await house.usage())[3] == vendor.billed


async def test_a_message_over_a_socket_is_held_as_a_request_is() -> None:
    house = await LimitedHouse(vendor := Vendor(), Limits(requests_per_minute=2, pico_per_day=usd(1))).limited()
    line = await Line(house).open()
    await line.create("say it", generate=False)
    assert (await house.meter()).requests == 0
    for store in (True, False):
        frames = await line.create("say it", store=store)
        assert frames[-1]["type"] == "response.completed"
    (refused,) = await line.create("say it")
    assert (refused["status"], refused["error"]["code"]) == (429, "rate_limit_exceeded")
    meter = await house.meter()
    assert (meter.requests, meter.running, meter.pico_today) == (2, 0, vendor.billed)

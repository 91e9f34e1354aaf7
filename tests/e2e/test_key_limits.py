"""What a key may not use is not there for it, and what it may not see it is not shown."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections import Counter
from fnmatch import fnmatchcase
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Endpoint
from tests.e2e.tenants import Cloud
from tests.sweeps import Sweep

Json = dict[str, Any]
THINKING: Json = {"model": "offline/demo", "input": "What is 6 * 7?", "reasoning": {"effort": "low", "summary": "auto"}}


@pytest.fixture(scope="module")
def it(cloud: Endpoint) -> Cloud:
    """With an alias, `plain`."""
    it = Cloud(cloud)
    targets = json.dumps({"targets": ["fake/text"]})
    it.client("ssm").put_parameter(Name=f"{it.told['prefix']}/models/plain", Value=targets, Type="String")
    return it


def is_hidden(it: Cloud, allowed: list[str], request: Json) -> bool:
    """Whether it is answered as a model that isn't there: the answers differ in what the request named only."""
    head, slash, rest = request["model"].partition("/")
    missing = f"nobody{secrets.token_hex(4)}{slash}{rest}"
    with it.http(it.key("acme", models=allowed)) as http:
        answer = http.post("responses", json={"input": "x", **request})
        absent = http.post("responses", json={"input": "x", "model": missing})
    return (answer.status_code, answer.text) == (404, absent.text.replace(missing.partition("/")[0], head))


@pytest.mark.parametrize(
    "request_",
    [
        {"model": "fake/text"},
        {"model": "plain"},
        {"model": "fake/text", "stream": True},
        {"model": "fake/text", "background": True},
        {"model": "fake/text", "provider": {"order": ["offline"]}},
        {"model": "plain", "provider": {"order": ["offline/demo"]}},
    ],
    ids=str,
)
def test_a_model_that_a_key_does_not_allow_is_not_there(it: Cloud, request_: Json) -> None:
    assert is_hidden(it, ["offline/*"], request_)


def test_a_request_can_not_choose_a_provider_that_its_key_does_not_allow(it: Cloud) -> None:
    with it.http(it.key("acme", models=["offline/*"])) as http:
        for order in (["fake/text"], ["fake"], ["plain"]):
            request = {"model": "offline/demo", "input": "x", "provider": {"order": order}}
            answer = http.post("responses", json=request)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_provider")


def test_an_alias_may_be_used_without_its_targets(it: Cloud) -> None:
    with it.http(it.key("acme", models=["plain"])) as http:
        answer = http.post("responses", json={"model": "plain", "input": "Hello"})
        assert (answer.status_code, answer.json()["model"]) == (200, "fake/text")
        queued = http.post("responses", json={"model": "plain", "input": "Hello", "background": True})
        assert queued.status_code == 200
    assert is_hidden(it, ["plain"], {"model": "fake/text"})


LIMITS = (["fake/text"], ["plain"], ["gone/*"], ["offline/*"])
ALIASES = {"plain": ["fake/text"]}
NAMES = (
    *(
        "fake/text",
        "plain",
        "offline/demo",
        "gone/small",
        "fake/other",
        "Fake/text",
        "fake//text",
        "fake/text/",
        "text",
    ),
    *(
        "demo",
        "plain/fake/text",
        "*",
        "fake/*",
        "offline/../fake/text",
        "fake%2Ftext",
        "fake/text,fake/other",
        " fake/text",
    ),
    *("openai_responses/text", "anthropic/text", "gemini/text", "bedrock/text", "no/fake/text"),
)
ORDERS = (None, ["fake"], ["fake/text"], ["fake/other"], ["offline/demo", "fake"], ["anthropic/text"], ["plain"], ["*"])
OPTIONS: tuple[Json, ...] = (
    {},
    *(
        {name: ["fake/other"]}
        for name in ("models", "fallbacks", "provider", "route", "preset", "plugins", "tools", "n")
    ),
    *({name: "fake/other"} for name in ("model", "Model", "model_id", "modelId", "stream", "store", "api_base")),
)
HOW: tuple[Json, ...] = ({}, {"stream": True}, {"background": True}, {"store": False})


def outcome(http: httpx2.Client, request: Json) -> tuple[int, str]:
    """The status, and who answered, or else the field that is refused."""
    answer = http.post("responses", json=request)
    if answer.status_code != 200:
        return answer.status_code, answer.json()["error"]["param"] or ""
    if request.get("stream"):
        last = json.loads([line for line in answer.text.splitlines() if line.startswith("data: {")][-1][6:])
        return 200, last["response"]["model"]
    made, until = answer.json(), time.monotonic() + 30
    while made["status"] in ("queued", "in_progress") and time.monotonic() < until:
        made = http.get(f"responses/{made['id']}").raise_for_status().json()
    return (200, made["model"]) if made["status"] == "completed" else (500, made["status"])


def test_no_request_leads_to_a_model_outside_of_its_keys_limit(
    it: Cloud, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = [*itertools.product(LIMITS, NAMES, ORDERS, OPTIONS, HOW)]
    plain = [way for way in ways if way[2] is None and way[3] == {} and way[4] == {}]
    keys = {tuple(limit): it.key("acme", models=limit) for limit in LIMITS}
    chosen = [*plain, *sweep.sample(ways, 60)] if not sweep.full else sweep_of(ways)
    answered, through = Counter[int](), list[Any]()
    for limit, name, order, options, how in chosen:
        settings = {each: options for each in ("fake", "offline", "anthropic", "gone") if options}
        preferences = {"order": order, "options": settings}
        with it.http(keys[tuple(limit)]) as http:
            status, who = outcome(http, {"model": name, "input": "Hello", "provider": preferences, **how})
        answered[status] += 1
        if status == 200:
            by_name = any(fnmatchcase(who, pattern) for pattern in limit)
            by_alias = who in ALIASES.get(name, []) and any(fnmatchcase(name, pattern) for pattern in limit)
            if not (by_name or by_alias) or options:
                through.append((limit, name, order, options, how, who))
    with capsys.disabled():
        told = ", ".join(f"{count} x {status}" for status, count in sorted(answered.items()))
        print(f"\na key's limit, over HTTP: {len(chosen)} tries ({told}), {len(through)} through")
    assert through == []
    assert answered[200]
    assert answered[404]


def sweep_of(ways: list[Any]) -> list[Any]:
    """So many that it is done in minutes."""
    return ways[:: len(ways) // 1_000]


def test_a_response_of_another_key_lends_no_model(it: Cloud) -> None:
    """What another key of the tenant made may be continued, by a model that one's own key allows."""
    with it.http(it.key("acme")) as http:
        made = http.post("responses", json={"model": "fake/text", "input": "Hello"}).raise_for_status().json()
    with it.http(it.key("acme", models=["offline/*"])) as http:
        goes_on = {"previous_response_id": made["id"], "input": "And now?"}
        assert http.post("responses", json={**goes_on, "model": made["model"]}).status_code == 404
        own = http.post("responses", json={**goes_on, "model": "offline/demo"}).raise_for_status().json()
    assert own["model"] == "offline/demo"


def test_only_what_a_key_allows_is_listed(it: Cloud) -> None:
    with it.http(it.key("acme", models=["offline/*", "plain"])) as http:
        assert {each["id"] for each in http.get("models").json()["data"]} == {"offline/demo", "plain"}
    with it.http(it.key("acme")) as http:
        assert {"offline/demo", "plain", "fake/text"} <= {each["id"] for each in http.get("models").json()["data"]}


@pytest.mark.parametrize(
    ("limit", "shown"), [("", {"content", "summary"}), ("summary", {"summary"}), ("encrypted", set[str]())]
)
@pytest.mark.parametrize("background", [False, True])
def test_a_key_shows_no_more_reasoning_than_it_may(it: Cloud, limit: str, shown: set[str], background: bool) -> None:
    request = {**THINKING, "background": background, "include": ["reasoning.encrypted_content"]}
    with it.http(it.key("acme", reasoning=limit)) as http:
        made = http.post("responses", json=request).raise_for_status().json()
        events = http.get(f"responses/{made['id']}", params={"stream": "true"}).text
        final = http.get(f"responses/{made['id']}").json()
    reasoning = [item for item in final["output"] if item["type"] == "reasoning"]
    assert reasoning
    assert {name for item in reasoning for name in ("content", "summary") if item[name]} == shown
    assert ("response.reasoning.delta" in events) == ("content" in shown)
    assert ("response.reasoning_summary_text.delta" in events) == ("summary" in shown)

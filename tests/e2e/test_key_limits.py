"""What a key may not use is not there for it, and what it may not see it is not shown."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from tests.e2e.conftest import Endpoint
from tests.e2e.tenants import Cloud

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
    """Whether it is answered as a model that isn't there: the answers differ in its name only."""
    missing = f"nobody/{secrets.token_hex(4)}"
    with it.http(it.key("acme", models=allowed)) as http:
        answer = http.post("responses", json={"input": "x", **request})
        absent = http.post("responses", json={"input": "x", "model": missing})
    return (answer.status_code, answer.text) == (404, absent.text.replace(missing, request["model"]))


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

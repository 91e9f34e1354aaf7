"""What is another tenant's is as if it weren't there: every place for an id is tried with each kind of wrong key."""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Endpoint
from tests.e2e.tenants import Cloud

Json = dict[str, Any]
CREATE: Json = {"model": "offline/demo", "input": "What is 15 * 37?", "tools": [{"type": "serverless:calculator"}]}
ENDLESS = "[[stall after 3]]"
"""It is under way for five minutes, and then tried again: until it is cancelled, on any machine."""
VOLATILE = {"date", "x-request-id", "x-amzn-requestid", "x-amzn-trace-id"}


@dataclass(frozen=True)
class Victim:
    """A response of the tenant "acme", and an item of it: both ids hold `hex`."""

    state: str
    id: str
    item: str
    idempotency_key: str

    @property
    def hex(self) -> str:
        return self.id.removeprefix("resp_")

    def missing(self) -> Victim:
        """The same where nothing is."""
        absent = secrets.token_hex(16)
        item = self.item.replace(self.hex, absent)
        return Victim("missing", f"resp_{absent}", item, uuid.uuid4().hex)


@dataclass(frozen=True)
class Try:
    """A request that names something of a victim."""

    name: str
    method: str
    path: str
    params: Json = field(default_factory=dict)
    json: Json | None = None
    headers: Json = field(default_factory=dict)

    def send(self, http: httpx2.Client) -> httpx2.Response:
        return http.request(self.method, self.path, params=self.params, json=self.json, headers=self.headers)


def tries(victim: Victim, own: str) -> Iterator[Try]:
    """Every endpoint, and every field that takes an id. `own` is a response of whoever tries; deletion comes last."""
    for name, written in {
        "id": victim.id,
        "tenant and id": f"acme%2F{victim.id}",
        "dots, tenant and id": f"..%2Facme%2F{victim.id}",
        "double escape": f"acme%252F{victim.id}",
        "id and more": f"{victim.id}%23record",
    }.items():
        path = f"responses/{written}"
        yield Try(f"retrieve by {name}", "GET", path)
        yield Try(f"stream by {name}", "GET", path, {"stream": "true"})
        yield Try(f"resume by {name}", "GET", path, {"stream": "true", "starting_after": 0})
        yield Try(f"list input of {name}", "GET", f"{path}/input_items")
        yield Try(f"cancel by {name}", "POST", f"{path}/cancel")
    yield Try("include", "GET", f"responses/{victim.id}", {"include": "reasoning.encrypted_content"})
    yield Try("list responses after", "GET", "responses", {"after": victim.id, "limit": 1})
    for cursor in ("after", "before"):
        listing = f"responses/{own}/input_items"
        yield Try(f"cursor {cursor}, own list", "GET", listing, {cursor: victim.item})
        yield Try(f"cursor {cursor}", "GET", f"responses/{victim.id}/input_items", {cursor: victim.item})
    for name, more in {"": {}, ", streamed": {"stream": True}, ", background": {"background": True}}.items():
        for written in (victim.id, f"acme/{victim.id}", f"../acme/{victim.id}"):
            yield Try(
                f"previous {written[:3]}{name}",
                "POST",
                "responses",
                json={**CREATE, **more, "previous_response_id": written},
            )
        reference = [{"type": "item_reference", "id": victim.item}]
        yield Try(f"item_reference{name}", "POST", "responses", json={**CREATE, **more, "input": reference})
        if not more:
            for field in ({"previous_response_id": victim.id, "input": "a"}, {"input": reference}):
                yield Try(f"count {next(iter(field))}", "POST", "responses/input_tokens", json={**CREATE, **field})
    unstored = {"store": False, "previous_response_id": victim.id}
    yield Try("previous, not stored", "POST", "responses", json={**CREATE, **unstored})
    yield Try("delete", "DELETE", f"responses/{victim.id}")
    yield Try("delete by tenant and id", "DELETE", f"responses/acme%2F{victim.id}")


def seen(answer: httpx2.Response, victim: Victim) -> Json:
    """An answer without what no two have in common."""
    headers = {name: value for name, value in answer.headers.items() if name not in VOLATILE}
    return {"status": answer.status_code, "headers": headers, "body": answer.text.replace(victim.hex, "<hex>")}


@pytest.fixture(scope="module")
def it(cloud: Endpoint) -> Cloud:
    return Cloud(cloud)


@pytest.fixture(scope="module")
def victims(it: Cloud) -> Iterator[list[Victim]]:
    """Of each state that a response can be in."""
    with it.http(it.key("acme")) as http:
        made = [
            make(http, "completed", {}),
            make(http, "failed", {"input": "[[fail after 3]]"}),
            make(http, "incomplete", {"input": "[[length after 3]]"}),
            make(http, "cancelled", {"input": ENDLESS, "background": True}),
            make(http, "deleted", {}),
            make(http, "in_progress", {"input": ENDLESS, "background": True}),
        ]
        http.post(f"responses/{made[3].id}/cancel").raise_for_status()
        http.delete(f"responses/{made[4].id}").raise_for_status()
        # The last one: it is queued until its first turn begins.
        made.append(make(http, "queued", {"input": ENDLESS, "background": True}))
        yield made
        for victim in made[-2:]:
            http.post(f"responses/{victim.id}/cancel")


def make(http: httpx2.Client, state: str, more: Json) -> Victim:
    key = uuid.uuid4().hex
    response = http.post("responses", json={**CREATE, **more}, headers={"idempotency-key": key}).json()
    until = time.monotonic() + 30
    while state == "in_progress" and response["status"] == "queued" and time.monotonic() < until:
        response = http.get(f"responses/{response['id']}").json()
    item = response["output"][0]["id"] if response["output"] else f"msg_{response['id'].removeprefix('resp_')}i0000"
    return Victim(state, response["id"], item, key)


def own_response(http: httpx2.Client) -> str:
    return http.post("responses", json=CREATE).raise_for_status().json()["id"]


def test_another_tenants_response_is_as_if_it_were_not_there(
    it: Cloud, victims: list[Victim], capsys: pytest.CaptureFixture[str]
) -> None:
    tried, leaks = Counter[str](), list[str]()
    with it.http(it.key("intruder")) as http:
        own = own_response(http)
        for victim in reversed(victims):  # the queued one first
            missing = victim.missing()
            for attempt, baseline in zip(tries(victim, own), tries(missing, own), strict=True):
                tried[victim.state] += 1
                answer, expected = seen(attempt.send(http), victim), seen(baseline.send(http), missing)
                if answer != expected or victim.hex in answer["body"]:
                    leaks.append(f"{victim.state}, {attempt.name}: {answer} instead of {expected}")
    told(capsys, "another tenant's key", tried, leaks)
    assert leaks == []


def test_a_list_has_the_tenants_own_responses_alone(it: Cloud, victims: list[Victim]) -> None:
    with it.http(it.key("lister")) as http:
        own = own_response(http)
        listed = http.get("responses", params={"limit": 100}).json()["data"]
    assert [each["id"] for each in listed] == [own]
    with it.http(it.key("acme")) as http:
        listed = http.get("responses", params={"limit": 100}).json()["data"]
    states = {each["id"]: each["status"] for each in listed}
    assert [victim.state for victim in victims if victim.id not in states] == ["deleted"]
    assert states.keys().isdisjoint({own})


def named(victim: Victim) -> dict[str, Json]:
    """Every other field of a request that takes an id, of ours or of a provider's account, or any word at all."""
    message: Json = {"role": "user", "content": "Hello"}
    call: Json = {"type": "function_call", "call_id": victim.item, "name": "f", "arguments": "{}"}
    output: Json = {"type": "function_call_output", "call_id": victim.item, "output": "x"}
    return {
        "an item's id": {"input": [{"type": "message", "id": victim.item, **message}]},
        "an answer's id": {
            "input": [message, {"type": "message", "id": victim.item, "role": "assistant", "content": "x"}]
        },
        "a reasoning's id": {"input": [message, {"type": "reasoning", "id": victim.item, "summary": []}]},
        "a call's ids": {"input": [message, {**call, "id": victim.item}, output]},
        "an output's call_id": {"input": [message, output]},
        "sealed state": {"input": [message, {"type": "reasoning", "summary": [], "encrypted_content": victim.id}]},
        "a compaction": {"input": [message, {"type": "compaction", "encrypted_content": victim.id}]},
        "an approval": {
            "input": [message, {"type": "mcp_approval_response", "approval_request_id": victim.item, "approve": True}]
        },
        "a bare id": {"input": [{"id": victim.item}]},
        "a response's id for an item's": {"input": [{"type": "item_reference", "id": victim.id}]},
        "a path for an item's id": {"input": [{"type": "item_reference", "id": f"../acme/{victim.item}"}]},
        "conversation": {"conversation": victim.id},
        "conversation.id": {"conversation": {"id": victim.id}},
        "prompt": {"prompt": {"id": victim.id}},
        "a file": {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": victim.id}]}]},
        "an image": {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": victim.id}]}]},
        "a container": {"tools": [{"type": "code_interpreter", "container": victim.id}]},
        "a store of vectors": {"tools": [{"type": "file_search", "vector_store_ids": [victim.id]}]},
        "a tool": {"tools": [{"type": f"serverless:{victim.hex}"}]},
        "a model": {"model": f"offline/{victim.id}"},
        "an order": {"provider": {"order": [victim.id]}},
        "options": {"provider": {"options": {"offline": {"previous_response_id": victim.id}}}},
        "metadata": {"metadata": {"previous_response_id": victim.id}},
        "include": {"include": [victim.id]},
        "cache, user, safety": {"prompt_cache_key": victim.hex, "user": victim.id, "safety_identifier": victim.hex},
        "a second previous_response_id": {"Previous_Response_Id": victim.id, "previousResponseId": victim.id},
    }


def test_no_other_field_brings_anything_of_another_tenants(
    it: Cloud, victims: list[Victim], capsys: pytest.CaptureFixture[str]
) -> None:
    """The model reads as many words as it does where nothing is named, and what the answer says is the same."""
    tried, leaks = Counter[str](), list[str]()
    with it.http(it.key("intruder")) as http:
        for victim in victims[:1]:
            for more in ({}, {"store": False}):
                missing = victim.missing()
                for (name, fields), (_, absent) in zip(named(victim).items(), named(missing).items(), strict=True):
                    tried[name] += 1
                    answer = http.post("responses", json={**CREATE, **fields, **more})
                    baseline = http.post("responses", json={**CREATE, **absent, **more})
                    shown = [said(answer, victim), said(baseline, missing)]
                    if shown[0] != shown[1]:
                        leaks.append(f"{victim.state}, {name}, {more}: {shown}")
    told(capsys, "every other field", tried, leaks)
    assert leaks == []


def said(answer: httpx2.Response, victim: Victim) -> tuple[int, str]:
    """What an answer says, without the ids and times that are its own; of a response, what was read and said."""
    text = answer.text.replace(victim.hex, "<hex>")
    if answer.status_code != 200:
        return answer.status_code, text
    usage = re.findall(r'"input_tokens": ?(\d+)', text)
    words = re.findall(r'"text": ?("(?:[^"\\]|\\.)*")', text)
    return 200, f"{usage[-1:]} {words[-1:]}"


def test_state_that_was_sealed_for_another_tenant_is_refused(it: Cloud) -> None:
    asked: Json = {**CREATE, "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    with it.http(it.key("acme")) as http:
        made = http.post("responses", json=asked).raise_for_status().json()
    state = next(item for item in made["output"] if item["type"] == "reasoning")
    goes_on = {**CREATE, "input": [{"role": "user", "content": "Hello"}, state]}
    with it.http(it.key("intruder")) as http:
        error = http.post("responses", json=goes_on).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_encrypted_content", "input[1].encrypted_content")


def test_an_idempotency_key_is_each_tenants_own(
    it: Cloud, victims: list[Victim], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the owner's body it would bring the owner's response, and with another it would be refused."""
    tried, leaks = Counter[str](), list[str]()
    for victim in victims:
        for n, body in enumerate((CREATE, {**CREATE, "input": "Hello"})):
            with it.http(it.key(f"intruder-{n}")) as http:
                answer = http.post("responses", json=body, headers={"idempotency-key": victim.idempotency_key})
            tried[victim.state] += 1
            if answer.status_code != 200 or victim.hex in answer.text:
                leaks.append(f"{victim.state}: {answer.text}")
    told(capsys, "another tenant's idempotency key", tried, leaks)
    assert leaks == []


def test_each_try_finds_something_with_the_tenants_own_key(it: Cloud) -> None:
    """Or else the tries would prove nothing."""
    with it.http(it.key("acme")) as http:
        own, victim = own_response(http), make(http, "completed", {})
        missing = victim.missing()
        fruitless = {
            attempt.name
            for attempt, baseline in zip(tries(victim, own), tries(missing, own), strict=True)
            if seen(attempt.send(http), victim) == seen(baseline.send(http), missing)
        }
    crafted = re.compile(r"tenant|double|id and more|previous (acm|\.\./)|own list")
    assert {name for name in fruitless if not crafted.search(name)} == set()


def test_without_a_valid_key_there_is_nothing(
    it: Cloud, victims: list[Victim], capsys: pytest.CaptureFixture[str]
) -> None:
    valid, revoked = it.key("acme"), it.key("acme")
    it.revoke(revoked)
    secret = valid.rpartition("_")[2]
    keys = {
        "none": None,
        "malformed": "sk-1234",
        "unknown": f"or_{'0' * 12}_{secret}",
        "another secret": valid[:-1] + ("a" if valid[-1] != "a" else "b"),
        "expired": it.key("acme", ends_in=-1),
        "revoked": revoked,
    }
    tried, leaks, answers = Counter[str](), list[str](), set[str]()
    for kind, key in keys.items():
        with it.http(key) as http:
            for victim in (victims[0], victims[-2], victims[0].missing()):
                for attempt in [*tries(victim, "resp_own"), Try("models", "GET", "models"), Try("other", "GET", "x")]:
                    tried[kind] += 1
                    answer = seen(attempt.send(http), victim)
                    answers.add(json.dumps(answer))
                    if answer["status"] != 401:
                        leaks.append(f"{kind}, {victim.state}, {attempt.name}: {answer}")
    told(capsys, "no valid key", tried, leaks)
    assert leaks == []
    (answer,) = map(json.loads, answers)  # whatever is wrong with a key, and whatever is asked
    assert json.loads(answer["body"])["error"]["code"] == "invalid_api_key"
    lines = [line.partition(" | ")[2] for line in it.endpoint.log_lines() if line.startswith("AuthorizerFunction | {")]
    assert {json.loads(line)["reason"] for line in lines} == {"unknown", "wrong_secret", "expired", "revoked"}


def test_what_was_tried_upon_is_as_it_was(it: Cloud, victims: list[Victim]) -> None:
    with it.http(it.key("acme")) as http:
        states = {victim.state: http.get(f"responses/{victim.id}") for victim in victims}
    found = {state: answer.json().get("status", answer.status_code) for state, answer in states.items()}
    running = ("queued", "in_progress")
    assert {state: status for state, status in found.items() if state not in running} == {
        "completed": "completed",
        "failed": "failed",
        "incomplete": "incomplete",
        "cancelled": "cancelled",
        "deleted": 404,
    }
    assert {found[state] for state in running} <= {*running}


def told(capsys: pytest.CaptureFixture[str], what: str, tried: Counter[str], leaks: list[str]) -> None:
    with capsys.disabled():
        each = ", ".join(f"{name} {count}" for name, count in tried.items())
        print(f"\ntenancy, {what}: {tried.total()} tries ({each}), {len(leaks)} leaks")

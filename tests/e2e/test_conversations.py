"""Conversations through the whole of the local cloud: OpenAI's SDK, and the keys of two tenants."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import ConflictError, NotFoundError, OpenAI

from tests.e2e.conftest import Endpoint
from tests.e2e.tenants import Cloud

Json = dict[str, Any]
MODEL = "offline/demo"


@pytest.fixture(scope="module")
def client(cloud: Endpoint) -> OpenAI:
    return OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0)


def kinds(client: OpenAI, conversation: str) -> list[str]:
    listed = client.conversations.items.list(conversation, order="asc")
    return [getattr(item, "role", None) or item.type for item in listed]


def test_responses_go_on_from_a_conversation(client: OpenAI) -> None:
    talk = client.conversations.create(items=[{"role": "system", "content": "Be short."}], metadata={"topic": "demo"})
    first = client.responses.create(model=MODEL, input="Hello", conversation=talk.id)
    assert first.conversation
    assert first.conversation.id == talk.id
    with client.responses.stream(model=MODEL, input="And you?", conversation=talk.id) as stream:
        assert stream.get_final_response().status == "completed"
    unstored = client.responses.create(model=MODEL, input="Once more", conversation=talk.id, store=False)
    assert unstored.status == "completed"
    turn = [kind for kind in kinds(client, talk.id) if kind in ("system", "user", "assistant")]
    assert turn == ["system", *["user", "assistant"] * 3]
    client.responses.delete(first.id)
    assert len([kind for kind in kinds(client, talk.id) if kind == "user"]) == 3
    assert client.conversations.delete(talk.id).deleted
    with pytest.raises(NotFoundError):
        client.responses.create(model=MODEL, input="Gone?", conversation=talk.id)


def test_a_background_response_holds_it_until_it_is_over(client: OpenAI) -> None:
    talk = client.conversations.create()
    queued = client.responses.create(
        model=MODEL, input="[[words 60]] [[slow 50ms]]", conversation=talk.id, background=True
    )
    with pytest.raises(ConflictError) as locked:
        client.responses.create(model=MODEL, input="Me too", conversation=talk.id)
    assert (locked.value.code, locked.value.response.headers["retry-after"]) == ("conversation_locked", "1")
    until = time.monotonic() + 60
    while client.responses.retrieve(queued.id).status in ("queued", "in_progress") and time.monotonic() < until:
        time.sleep(0.2)
    patient = client.with_options(max_retries=5)
    patient.responses.create(model=MODEL, input="Me too", conversation=talk.id)
    assert [kind for kind in kinds(client, talk.id) if kind in ("user", "assistant")] == ["user", "assistant"] * 2


@pytest.fixture(scope="module")
def it(cloud: Endpoint) -> Cloud:
    return Cloud(cloud)


def tries(conversation: str, item: str, own: str) -> Iterator[tuple[str, str, Json | None]]:
    """Every place that takes the id of a conversation, or of an item of it. Deletion comes last."""
    said = {"items": [{"role": "user", "content": "mine"}]}
    for written in (conversation, f"acme%2F{conversation}", f"..%2Facme%2F{conversation}", f"{conversation}%23record"):
        path = f"conversations/{written}"
        yield "GET", path, None
        yield "POST", path, {"metadata": {"a": "b"}}
        yield "GET", f"{path}/items", None
        yield "GET", f"{path}/items?after={item}", None
        yield "POST", f"{path}/items", said
        yield "GET", f"{path}/items/{item}", None
        yield "DELETE", f"{path}/items/{item}", None
    yield "GET", f"conversations/{own}/items?after={item}", None
    yield "GET", f"conversations/{own}/items/{item}", None
    yield "DELETE", f"conversations/{own}/items/{item}", None
    yield "GET", f"responses/{conversation}", None
    yield "DELETE", f"responses/{conversation}", None
    reference = [{"type": "item_reference", "id": item}]
    yield "POST", "conversations", {"items": reference}
    for more in ({}, {"stream": True}, {"background": True}, {"store": False}):
        for named in (conversation, {"id": conversation}, f"acme/{conversation}", f"../acme/{conversation}"):
            yield "POST", "responses", {"model": MODEL, "input": "Hello", "conversation": named, **more}
        yield "POST", "responses", {"model": MODEL, "input": reference, **more}
    yield "DELETE", f"conversations/{conversation}", None


def test_another_tenants_conversation_is_as_if_it_were_not_there(it: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    with it.http(it.key("acme")) as http:
        made = http.post("conversations", json={"items": [{"role": "user", "content": "secret"}]}).json()
        before = http.get(f"conversations/{made['id']}/items").json()
    ids = (made["id"], before["data"][0]["id"])
    absent = (f"conv_{secrets.token_hex(16)}", f"msg_{secrets.token_hex(16)}i0000")

    def seen(http: httpx2.Client, names: tuple[str, str], own: str) -> Iterator[tuple[int, str]]:
        for method, path, body in tries(*names, own):
            answer = http.request(method, path, json=body)
            yield answer.status_code, answer.text.replace(names[0], "<conversation>").replace(names[1], "<item>")

    with it.http(it.key("intruder")) as http:
        own = http.post("conversations", json={}).json()["id"]
        answers, baseline = [*seen(http, ids, own)], [*seen(http, absent, own)]
    assert answers == baseline
    assert {status for status, _ in answers} == {404}
    with it.http(it.key("acme")) as http:
        assert http.get(f"conversations/{made['id']}").json() == made
        assert http.get(f"conversations/{made['id']}/items").json() == before
    with it.http(None) as http:
        assert {status for status, _ in seen(http, ids, own)} == {401}
    with capsys.disabled():
        print(f"\ntenancy, conversations: {len(answers)} tries, 0 leaks")

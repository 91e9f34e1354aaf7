"""Webhook endpoints of the local cloud: nobody else's are there, and neither a URL nor a secret is told or logged."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.e2e.conftest import PLANTED, Endpoint
from tests.e2e.tenants import Cloud

Json = dict[str, Any]
NOBODY = "http://127.0.0.1:9/planted-webhook"
WANTED: Json = {"name": "mine", "url": NOBODY, "event_types": ["response.completed", "response.failed"]}


@pytest.fixture(scope="module")
def it(cloud: Endpoint) -> Iterator[Cloud]:
    return Cloud(cloud)


def test_another_tenants_endpoint_is_as_if_it_were_not_there(it: Cloud) -> None:
    """Wherever an id stands, and however it is written."""
    with it.http(it.key("owner")) as ours, it.http(it.key("intruder")) as theirs:
        made = ours.post("webhook_endpoints", json=WANTED).raise_for_status().json()
        absent = f"we_{secrets.token_hex(16)}"
        for written in ("{}", "owner%2F{}", "..%2Fowner%2F{}", "owner%2Fwebhooks%2F{}"):
            for method, path, body in (
                ("GET", "", None),
                ("POST", "", {"url": "https://hooks.test/"}),
                ("POST", "/test", {"event_type": "response.failed"}),
                ("POST", "/rotate_secret", {}),
                ("DELETE", "", None),
            ):
                told = [
                    theirs.request(method, f"webhook_endpoints/{written.format(each)}{path}", json=body)
                    for each in (made["id"], absent)
                ]
                assert [each.status_code for each in told] == [404, 404]
                assert told[0].text.replace(made["id"], absent) == told[1].text
        cursors = [theirs.get("webhook_endpoints", params={"after": each}) for each in (made["id"], absent)]
        assert [each.status_code for each in cursors] == [404, 404]
        assert theirs.get("webhook_endpoints").json()["data"] == []
        assert theirs.get("webhook_dead_letters").json()["data"] == []
        (left,) = ours.get("webhook_endpoints").json()["data"]
        assert left == {name: value for name, value in made.items() if name != "signing_secret"}
        ours.delete(f"webhook_endpoints/{made['id']}").raise_for_status()


def test_neither_a_url_nor_a_secret_is_told_logged_or_kept_open(it: Cloud) -> None:
    """A URL may hold a token. The list shows it to its tenant, and nothing else does."""
    before, told, signing = len(it.endpoint.log_lines()), list[str](), list[str]()
    with it.http(it.key("quiet")) as http:
        made = http.post("webhook_endpoints", json=WANTED).raise_for_status().json()
        path = f"webhook_endpoints/{made['id']}"
        signing.append(made["signing_secret"])
        for keep in (True, False, True):
            body = {"keep_old_secret_active_for_24_hours": keep}
            signing.append(http.post(f"{path}/rotate_secret", json=body).raise_for_status().json()["signing_secret"])
        test = http.post(f"{path}/test", json={"event_type": "response.failed"})
        assert (test.status_code, test.json()["error"]["code"]) == (424, "webhook_not_delivered")
        told.append(test.text)
        for url in (
            "https://me:planted-webhook@hooks.test/",
            "ftp://planted-webhook",
            "https://10.0.0.1/planted-webhook",
        ):
            refused = http.post(path, json={"url": url})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "url")
            told.append(refused.text)
    told += it.endpoint.log_lines()[before:]
    assert any('"refused"' in line for line in told), "the function's own lines are there to be searched"
    assert not [text for text in told for each in (*PLANTED, *signing) if each in text]
    pages = it.dynamodb.get_paginator("scan").paginate(TableName=it.told["table"])
    kept = str([item for page in pages for item in page["Items"]])
    assert made["id"] in kept
    assert not [each for each in signing if each in kept or each.removeprefix("whsec_") in kept]


def test_the_sdk_manages_endpoints_of_the_deployment(it: Cloud) -> None:
    client = OpenAI(base_url=it.endpoint.base_url, api_key=it.key("sdk"), max_retries=0)
    made = client.webhooks.create(**WANTED)
    assert [each.id for each in client.webhooks.list()] == [made.id]
    assert client.webhooks.update(made.id, name="other").name == "other"
    assert client.webhooks.event_types.list().data == [
        *("response.completed", "response.failed", "response.incomplete", "response.cancelled")
    ]
    assert client.webhooks.delete(made.id).deleted

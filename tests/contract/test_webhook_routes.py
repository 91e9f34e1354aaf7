"""`/v1/webhook_endpoints`, as OpenAI's SDK asks for them, and what the routes refuse. Tenants are as strangers."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.webhooks import (
    DeletedWebhookEndpoint,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookEndpointTestResult,
    WebhookEndpointWithSecret,
    WebhookEventTypeList,
)

from openresponses.core.webhooks import MAX_ENDPOINTS
from openresponses.schema.limits import MAX_EVENT_TYPES, MAX_NAME, MAX_WEBHOOK_URL
from openresponses.schema.webhooks import EVENT_TYPES
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import StoredEndpoints
from openresponses.webhooks.notify import WebhookPorts, give_up
from tests.contract.machine import House
from tests.contract.openai_types import unknown_fields
from tests.contract.receiver import Receiver
from tests.contract.served import client_of
from tests.contract.test_webhooks import Tenant, good
from tests.unit.kit import Json, Script

URL = "https://hooks.public.test/here?a=b"
WANTED: Json = {"name": "mine", "url": URL, "event_types": ["response.completed"]}


class Api:
    """The webhooks of several tenants behind one API."""

    def __init__(self, *, loopback: bool = True) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.house, self.loopback = House(Script([])), loopback

    def tenant(self, name: str = "acme") -> Tenant:
        return self.tenants.setdefault(name, Tenant(name, seconds=1.5))

    def ports(self, name: str) -> WebhookPorts:
        ports = self.tenant(name).ports
        return WebhookPorts(ports.endpoints, ports.seal, Guard(self.loopback), ports.now, ports.new_id, ports.seconds)

    def http(self, tenant: str = "acme") -> httpx2.AsyncClient:
        return client_of(self.house, tenant, lambda name: StoredEndpoints(self.ports(name)))

    def sdk(self, tenant: str = "acme") -> AsyncOpenAI:
        return AsyncOpenAI(base_url="http://api/v1", api_key="any", http_client=self.http(tenant), max_retries=0)


@pytest.fixture
def api() -> Api:
    return Api()


async def test_an_endpoint_is_made_read_changed_and_removed(api: Api) -> None:
    sdk, tenant = api.sdk(), api.tenant()
    tenant.time = 1_700_000_000.5
    made = await sdk.webhooks.create(name="mine", url=URL, event_types=["response.completed", "response.failed"])
    assert isinstance(made, WebhookEndpointWithSecret)
    told: Json = {
        "id": made.id,
        "object": "webhook_endpoint",
        "name": "mine",
        "url": URL,
        "event_types": ["response.completed", "response.failed"],
        "signing_secret_hint": f"whsec_****{made.signing_secret[-4:]}",
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_000,
    }
    assert made.to_dict() == {**told, "signing_secret": made.signing_secret}
    assert made.id.startswith("we_")
    read = await sdk.webhooks.retrieve(made.id)
    assert isinstance(read, WebhookEndpoint)
    assert read.to_dict() == told, "the secret is told once"
    tenant.time += 60
    assert (await sdk.webhooks.update(made.id, name="mine")).to_dict() == told, "what changes nothing is no change"
    changed = await sdk.webhooks.update(made.id, url="https://other.test/", event_types=["response.cancelled"])
    new = {"url": "https://other.test/", "event_types": ["response.cancelled"], "updated_at": 1_700_000_060}
    assert changed.to_dict() == {**told, **new}
    assert [each.to_dict() async for each in sdk.webhooks.list()] == [{**told, **new}]
    gone = await sdk.webhooks.delete(made.id)
    assert isinstance(gone, DeletedWebhookEndpoint)
    assert gone.to_dict() == {"id": made.id, "object": "webhook_endpoint.deleted", "deleted": True}
    for late in (
        sdk.webhooks.retrieve(made.id),
        sdk.webhooks.update(made.id, name="x"),
        sdk.webhooks.delete(made.id),
        sdk.webhooks.rotate_secret(made.id),
        sdk.webhooks.test(made.id, event_type="response.failed"),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            await late
        assert (missing.value.code, missing.value.param) == ("webhook_endpoint_not_found", "webhook_endpoint_id")


async def test_the_sdks_types_know_all_that_is_answered(api: Api) -> None:
    async with Receiver().listening() as receiver, api.http() as http:
        made = (await http.post("webhook_endpoints", json={**WANTED, "url": receiver.url()})).json()
        path = f"webhook_endpoints/{made['id']}"
        answers: list[tuple[Any, Any]] = [
            (made, WebhookEndpointWithSecret),
            ((await http.get("webhook_endpoints")).json(), WebhookEndpointList),
            ((await http.get(path)).json(), WebhookEndpoint),
            ((await http.post(path, json={})).json(), WebhookEndpoint),
            ((await http.post(f"{path}/rotate_secret", json={})).json(), WebhookEndpointWithSecret),
            (
                (await http.post(f"{path}/test", json={"event_type": "response.failed"})).json(),
                WebhookEndpointTestResult,
            ),
            ((await http.get("webhook_event_types")).json(), WebhookEventTypeList),
            ((await http.delete(path)).json(), DeletedWebhookEndpoint),
        ]
    assert [unknown_fields(answer, kind) for answer, kind in answers] == [set()] * len(answers)


async def test_all_are_listed_the_newest_first_page_by_page(api: Api) -> None:
    sdk = api.sdk()
    made = [(await sdk.webhooks.create(**WANTED)).id for _ in range(7)]
    page = await sdk.webhooks.list(limit=3)
    assert ([each.id for each in page.data], page.has_more) == (made[:3:-1], True)
    assert [each.id async for each in sdk.webhooks.list(limit=2)] == made[::-1]
    rest = await sdk.webhooks.list(after=made[1])
    assert ([each.id for each in rest.data], rest.has_more) == (made[:1], False)
    with pytest.raises(openai.NotFoundError) as missing:
        await sdk.webhooks.list(after="we_unknown")
    assert missing.value.param == "after"


async def test_there_are_four_types_of_events(api: Api) -> None:
    assert (await api.sdk().webhooks.event_types.list()).data == [*EVENT_TYPES]


async def test_a_test_event_is_sent_now_and_its_answer_is_told(api: Api) -> None:
    sdk = api.sdk()
    async with Receiver().listening() as receiver:
        made = await sdk.webhooks.create(**{**WANTED, "url": receiver.url("/fine")})
        told = await sdk.webhooks.test(made.id, event_type="response.incomplete")
        assert told.to_dict() == {
            "object": "webhook_endpoint.test",
            "webhook_endpoint_id": made.id,
            "event_type": "response.incomplete",
            "status_code": 204,
            "success": True,
        }
        await sdk.webhooks.update(made.id, url=receiver.url("/500"))
        assert (await sdk.webhooks.test(made.id, event_type="response.completed")).status_code == 500
        await sdk.webhooks.update(made.id, url=receiver.url("/redirect"))
        assert (await sdk.webhooks.test(made.id, event_type="response.completed")).status_code == 307
        await sdk.webhooks.update(made.id, url=receiver.url("/hang"))
        with pytest.raises(openai.APIStatusError) as failure:
            await sdk.webhooks.test(made.id, event_type="response.completed")
    assert (failure.value.status_code, failure.value.code) == (424, "webhook_not_delivered")
    assert failure.value.type == "external_connector_error"
    assert "it did not answer within 1.5 seconds" in failure.value.message
    first = receiver.messages[0]
    assert good(first, made.signing_secret)
    assert json.loads(first.body)["type"] == "response.incomplete"
    assert [each.path for each in receiver.messages] == ["/fine", "/500", "/redirect", "/hang"]


async def test_a_rotation_tells_the_new_secret_once(api: Api) -> None:
    sdk = api.sdk()
    async with Receiver().listening() as receiver:
        made = await sdk.webhooks.create(**{**WANTED, "url": receiver.url()})
        kept = await sdk.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        await sdk.webhooks.test(made.id, event_type="response.failed")
        alone = await sdk.webhooks.rotate_secret(made.id)
        await sdk.webhooks.test(made.id, event_type="response.failed")
    secrets = [made.signing_secret, kept.signing_secret, alone.signing_secret]
    assert len({*secrets}) == 3
    assert [[good(message, secret) for secret in secrets] for message in receiver.messages] == [
        [True, True, False],
        [False, False, True],
    ]
    assert (await sdk.webhooks.retrieve(made.id)).signing_secret_hint == alone.signing_secret_hint


async def test_dead_letters_are_listed(api: Api) -> None:
    tenant = api.tenant()
    await give_up(tenant.ports, tenant.ended(1, "failed"), "we_1", "it answered with HTTP 500")
    now, token = int(tenant.time), f"{1:032x}"
    async with api.http() as http, api.http("other") as other:
        assert (await http.get("webhook_dead_letters")).json() == {
            "object": "list",
            "data": [
                {
                    "object": "webhook_dead_letter",
                    "event_id": f"evt_{token}",
                    "event_type": "response.failed",
                    "response_id": f"resp_{token}",
                    "webhook_endpoint_id": "we_1",
                    "reason": "it answered with HTTP 500",
                    "created_at": now,
                    "given_up_at": now,
                }
            ],
        }
        assert (await other.get("webhook_dead_letters")).json()["data"] == []


REFUSED: list[tuple[Json, str, str]] = [
    ({"url": None}, "url", "'url' must be a string; it is null"),
    ({"url": 7}, "url", "'url' must be a string; it is 7"),
    ({"url": ""}, "url", "'url' must be an https URL"),
    ({"url": "hooks.public.test"}, "url", "'url' must be an https URL"),
    ({"url": "ftp://hooks.public.test/"}, "url", "'url' must be an https URL"),
    ({"url": "http://hooks.public.test/"}, "url", "'url' must be an https URL"),
    ({"url": "http://127.0.0.1/"}, "url", "'url' must be an https URL"),
    ({"url": "https://127.0.0.1/"}, "url", "'url' must lead to a public address"),
    ({"url": "https://[fd00:ec2::254]/"}, "url", "'url' must lead to a public address"),
    ({"url": "https://169.254.169.254/latest"}, "url", "'url' must lead to a public address"),
    ({"url": "https://user:planted-pw@hooks.test/"}, "url", "'url' must hold no user name and no password"),
    ({"url": "https://h.test/" + "a" * MAX_WEBHOOK_URL}, "url", "'url' must have at most 2048 characters; it has 2063"),
    ({"name": ""}, "name", "'name' must not be empty"),
    ({"name": "a" * (MAX_NAME + 1)}, "name", "'name' must have at most 256 characters; it has 257"),
    ({"event_types": []}, "event_types", "'event_types' must not be empty"),
    ({"event_types": "response.failed"}, "event_types", "'event_types' must be a list; it is a string"),
    ({"event_types": ["batch.completed"]}, "event_types[0]", "'event_types[0]' must be 'response.completed',"),
    ({"event_types": ["response.failed", 1]}, "event_types[1]", "'event_types[1]' must be "),
    ({"event_types": ["response.failed"] * (MAX_EVENT_TYPES + 1)}, "event_types", "'event_types' must have at most 32"),
]


@pytest.mark.parametrize(("fields", "param", "message"), REFUSED, ids=lambda each: str(each)[:50])
async def test_what_is_wrong_is_named_and_nothing_is_kept(fields: Json, param: str, message: str) -> None:
    api = Api(loopback=False)
    async with api.http() as http:
        made = (await http.post("webhook_endpoints", json=WANTED)).json()
        for path, known in (("webhook_endpoints", WANTED), (f"webhook_endpoints/{made['id']}", {})):
            if known == {} and None in fields.values():
                continue  # what is null is not said
            answer = await http.post(path, json={**known, **fields})
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (400, param), error
            assert error["message"].startswith(message)
            assert "planted" not in answer.text
        listed = (await http.get("webhook_endpoints")).json()["data"]
    assert listed == [{name: value for name, value in made.items() if name != "signing_secret"}]


@pytest.mark.parametrize("missing", WANTED)
async def test_what_is_missing_is_named(api: Api, missing: str) -> None:
    async with api.http() as http:
        answer = await http.post("webhook_endpoints", json={k: v for k, v in WANTED.items() if k != missing})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "missing_required_parameter", missing)


async def test_a_local_cloud_may_be_told_of_its_own_machine(api: Api) -> None:
    made = await api.sdk().webhooks.create(**{**WANTED, "url": "http://127.0.0.1:8000/hook"})
    assert made.url == "http://127.0.0.1:8000/hook"


async def test_one_endpoint_too_many_is_refused(api: Api) -> None:
    sdk = api.sdk()
    for _ in range(MAX_ENDPOINTS):
        await sdk.webhooks.create(**WANTED)
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.webhooks.create(**WANTED)
    assert refused.value.code == "too_many_webhook_endpoints"
    await sdk.webhooks.delete((await sdk.webhooks.list()).data[0].id)
    await sdk.webhooks.create(**WANTED)


async def test_another_tenants_endpoint_is_as_if_it_were_not_there(api: Api) -> None:
    async with Receiver().listening() as receiver, api.http("acme") as ours, api.http("intruder") as theirs:
        made = (await ours.post("webhook_endpoints", json={**WANTED, "url": receiver.url()})).json()
        absent = "we_" + "f" * 32
        assert len(absent) == len(made["id"])
        tried = 0
        for written in (made["id"], f"acme%2F{made['id']}", f"..%2Facme%2Fwebhooks%2F{made['id']}", f"{made['id']}%00"):
            for method, path, body in (
                ("GET", "", None),
                ("POST", "", {"name": "stolen"}),
                ("POST", "/test", {"event_type": "response.failed"}),
                ("POST", "/rotate_secret", {}),
                ("DELETE", "", None),
            ):
                answers = [
                    await theirs.request(method, f"webhook_endpoints/{each}{path}", json=body)
                    for each in (written, written.replace(made["id"], absent))
                ]
                texts = [each.text.replace(made["id"], absent) for each in answers]
                assert (answers[0].status_code, texts[0]) == (answers[1].status_code, texts[1])
                assert answers[0].status_code == 404
                tried += 1
        for query in (f"?after={made['id']}", f"?after={absent}"):
            assert (await theirs.get(f"webhook_endpoints{query}")).status_code == 404
        assert (await theirs.get("webhook_endpoints")).json()["data"] == []
        left = (await ours.get("webhook_endpoints")).json()["data"]
    assert (tried, receiver.messages) == (20, [])
    assert left == [{name: value for name, value in made.items() if name != "signing_secret"}]

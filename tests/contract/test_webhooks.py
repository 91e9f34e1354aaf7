"""Webhooks: what is sent, judged by OpenAI's SDK and by the reference library's own numbers, and to whom.

The receiver is a server on loopback, friendly or hostile.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any, get_args

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from openai.types.webhooks import (
    ResponseCancelledWebhookEvent,
    ResponseCompletedWebhookEvent,
    ResponseFailedWebhookEvent,
    ResponseIncompleteWebhookEvent,
)

from openresponses.core.errors import DeliveryFailed, StorageUnavailable
from openresponses.core.records import TERMINAL_STATUSES
from openresponses.core.webhooks import MAX_ENDPOINTS, DeadLetter
from openresponses.routing.cipher import AeadSeal
from openresponses.schema.webhooks import EVENT_TYPES, EventType
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import MAX_SECRETS, StoredEndpoints
from openresponses.webhooks.events import Ended, event_of
from openresponses.webhooks.notify import Failed, WebhookPorts, give_up, notify, retry
from openresponses.webhooks.signing import signed
from tests.contract.machine import sealing_keys
from tests.contract.receiver import Received, Receiver
from tests.contract.test_link import certificate as certificate
from tests.contract.test_link import served_with

TYPES = {
    "completed": ResponseCompletedWebhookEvent,
    "failed": ResponseFailedWebhookEvent,
    "incomplete": ResponseIncompleteWebhookEvent,
    "cancelled": ResponseCancelledWebhookEvent,
}
DAY = 86_400
JUDGE = OpenAI(api_key="any")


class Tenant:
    """A tenant's webhooks in memory, at a time that tests set."""

    def __init__(self, name: str = "acme", shelf: Shelf | None = None, seconds: float = 30.0) -> None:
        self.time = time.time()
        ids = iter(f"{n:032x}" for n in range(1, 1000))
        self.ports = WebhookPorts(
            endpoints=memory_storage(shelf or Shelf()).endpoints,
            seal=AeadSeal(sealing_keys, name),
            guard=Guard(loopback=True),
            now=lambda: self.time,
            new_id=lambda: next(ids),
            seconds=seconds,
        )
        self.stored = StoredEndpoints(self.ports)

    def ended(self, n: int = 1, status: str = "completed") -> Ended:
        return Ended(f"resp_{n:032x}", status, int(self.time))

    async def add(self, url: str, *types: EventType) -> tuple[str, str]:
        """The id and the secret of a new endpoint."""
        told = await self.stored.create("hook", url, types or EVENT_TYPES)
        return told.endpoint.id, told.secret


def unwrapped(message: Received, secret: str) -> Any:
    return JUDGE.webhooks.unwrap(message.body, message.headers, secret=secret)


def test_every_end_of_a_response_is_a_type_of_event() -> None:
    assert (
        {*EVENT_TYPES}
        == {f"response.{status}" for status in TERMINAL_STATUSES}
        == {f"response.{each}" for each in TYPES}
    )
    assert get_args(EventType) == EVENT_TYPES


@pytest.mark.parametrize("status", TYPES)
async def test_the_sdk_reads_each_event(status: str) -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        _, secret = await tenant.add(receiver.url("/hook?a=b"))
        assert await notify(tenant.ports, tenant.ended(7, status)) == []
    (message,) = receiver.messages
    event = unwrapped(message, secret)
    assert isinstance(event, TYPES[status])
    token = f"{7:032x}"
    told = {"id": f"evt_{token}", "object": "event", "created_at": int(tenant.time), "type": f"response.{status}"}
    assert event.to_dict() == {**told, "data": {"id": f"resp_{token}"}}
    assert message.path == "/hook?a=b"
    assert message.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "connection": "keep-alive",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "openresponses",
        "content-type": "application/json",
        "content-length": str(len(message.body)),
        "webhook-id": f"evt_{token}",
        "webhook-timestamp": str(int(tenant.time)),
        "webhook-signature": message.headers["webhook-signature"],
    }


@pytest.mark.parametrize("status", ["in_progress", "queued", "", "requires_action"])
async def test_what_is_not_over_is_no_event(status: str) -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        await tenant.add(receiver.url())
        assert await notify(tenant.ports, tenant.ended(status=status)) == []
        await give_up(tenant.ports, tenant.ended(status=status), "we_1", "late")
    assert (receiver.messages, await tenant.stored.dead(9)) == ([], [])


def test_signatures_are_those_of_the_reference_libraries() -> None:
    """github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_test.go."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = signed([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330.9)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_the_sdk_refuses_what_was_altered_or_is_old_or_foreign() -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        _, secret = await tenant.add(receiver.url())
        _, foreign = await Tenant("other").add(receiver.url())
        await notify(tenant.ports, tenant.ended())
        tenant.time -= 301
        await notify(tenant.ports, tenant.ended())
        tenant.time += 301 + 600
        await notify(tenant.ports, tenant.ended())
    good, old, early = receiver.messages
    assert unwrapped(good, secret)
    bad: list[tuple[Received, str]] = [(old, secret), (early, secret), (good, foreign)]
    bad += [(replace(good, body=good.body.replace(b"completed", b"failed")), secret)]
    for name in ("webhook-id", "webhook-timestamp"):
        bad += [(replace(good, headers={**good.headers, name: good.headers[name][:-1]}), secret)]
        bad += [(replace(good, headers={**good.headers, name: old.headers[name] + "1"}), secret)]
    for message, key in bad:
        with pytest.raises(InvalidWebhookSignatureError):
            unwrapped(message, key)


async def test_exactly_those_are_told_who_have_subscribed() -> None:
    tenant = Tenant()
    wanted: dict[str, tuple[EventType, ...]] = {
        "/all": EVENT_TYPES,
        "/failures": ("response.failed", "response.incomplete"),
        "/one": ("response.cancelled",),
        "/twice": ("response.completed", "response.completed"),
    }
    async with Receiver().listening() as receiver:
        for path, types in wanted.items():
            await tenant.add(receiver.url(path), *types)
        for n, status in enumerate(TYPES):
            assert await notify(tenant.ports, tenant.ended(n, status)) == []
    told = sorted((each.path, json.loads(each.body)["type"]) for each in receiver.messages)
    assert told == sorted((path, kind) for path, types in wanted.items() for kind in {*types})


async def test_endpoints_are_told_side_by_side_and_one_that_fails_is_no_others_trouble() -> None:
    tenant = Tenant(seconds=1.5)
    async with Receiver().listening() as receiver:
        ids = [(await tenant.add(receiver.url(path)))[0] for path in ("/hang", "/500", "/fine", "/hang", "/hang")]
        began = time.monotonic()
        failed = await notify(tenant.ports, tenant.ended())
        assert time.monotonic() - began < 3 * tenant.ports.seconds * 2
    late = "it did not answer within 1.5 seconds"
    assert failed == [
        Failed(ids[0], late),
        Failed(ids[1], "it answered with HTTP 500"),
        Failed(ids[3], late),
        Failed(ids[4], late),
    ]
    assert len(receiver.messages) == 5


REASONS = {
    **{f"/{status}": f"it answered with HTTP {status}" for status in (400, 401, 404, 410, 429, 500, 503)},
    "/304": "it answered with HTTP 304 (a redirect is not followed)",
    "/redirect": "it answered with HTTP 307 (a redirect is not followed)",
    "/hang": "it did not answer within 1.5 seconds",
    "/late": "it did not answer within 1.5 seconds",
    "/drip": "it did not answer within 1.5 seconds",
    "/close": "the connection to it broke, or what came over it is not HTTP",
    "/cut": "the connection to it broke, or what came over it is not HTTP",
    "/garbage": "the connection to it broke, or what came over it is not HTTP",
    "/hugefailure": "it answered with HTTP 500",
    **dict.fromkeys(("/200", "/201", "/202", "/204", "/299", "/huge", "/headed"), ""),
}


@pytest.mark.parametrize("path", REASONS)
async def test_a_success_is_a_status_of_2xx_and_nothing_else(path: str) -> None:
    tenant = Tenant(seconds=1.5 if "within" in REASONS[path] else 30.0)
    async with Receiver().listening() as receiver:
        endpoint_id, _ = await tenant.add(receiver.url(path))
        failed = await notify(tenant.ports, tenant.ended())
        assert failed == ([Failed(endpoint_id, REASONS[path])] if REASONS[path] else [])
        if REASONS[path]:
            with pytest.raises(DeliveryFailed, match=r"^it |^the "):
                await retry(tenant.ports, tenant.ended(), endpoint_id)
    assert {each.path for each in receiver.messages} == {path}, "who is redirected to is told nothing"


async def test_nobody_at_the_address_is_a_failure() -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        url = receiver.url()
    endpoint_id, _ = await tenant.add(url)
    assert await notify(tenant.ports, tenant.ended()) == [Failed(endpoint_id, "no connection to it could be made")]


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(certificate: Any) -> None:
    tenant = Tenant()
    async with Receiver(tls=served_with(certificate)).listening() as receiver:
        endpoint_id, _ = await tenant.add(receiver.url())
        assert await notify(tenant.ports, tenant.ended()) == [Failed(endpoint_id, "no connection to it could be made")]
    assert receiver.messages == []


async def test_a_repeat_has_the_same_id_and_the_same_body_and_is_signed_anew() -> None:
    tenant = Tenant()
    async with Receiver(failures={"/": 2}).listening() as receiver:
        endpoint_id, secret = await tenant.add(receiver.url("/"))
        ended = tenant.ended()
        assert await notify(tenant.ports, ended) == [Failed(endpoint_id, "it answered with HTTP 503")]
        tenant.time += 3 * DAY
        with pytest.raises(DeliveryFailed, match="HTTP 503"):
            await retry(tenant.ports, ended, endpoint_id)
        await retry(tenant.ports, ended, endpoint_id)
        await retry(tenant.ports, ended, endpoint_id)
    first, *others = receiver.messages
    assert [each.body for each in others] == [first.body] * 3
    assert {each.headers["webhook-id"] for each in receiver.messages} == {json.loads(first.body)["id"]}
    assert [each.headers["webhook-timestamp"] for each in others] == [str(int(tenant.time))] * 3
    assert unwrapped(first, secret)


async def test_the_same_end_is_the_same_event_for_every_endpoint_and_others_are_others() -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        for path in ("/a", "/b"):
            await tenant.add(receiver.url(path))
        for n in (1, 2, 1):
            await notify(tenant.ports, tenant.ended(n))
    ids = [(each.path, each.headers["webhook-id"]) for each in receiver.messages]
    assert sorted({*ids}) == [(path, f"evt_{n:032x}") for path in ("/a", "/b") for n in (1, 2)]


@pytest.mark.parametrize("change", ["removed", "unsubscribed", "unknown"])
async def test_who_does_not_want_to_know_any_more_is_not_told(change: str) -> None:
    tenant = Tenant()
    async with Receiver(failures={"/": 1}).listening() as receiver:
        endpoint_id, _ = await tenant.add(receiver.url("/"))
        assert len(await notify(tenant.ports, tenant.ended())) == 1
        match change:
            case "removed":
                await tenant.stored.delete(endpoint_id)
            case "unsubscribed":
                await tenant.stored.update(endpoint_id, event_types=["response.failed"])
            case _:
                endpoint_id = "we_unknown"
        await retry(tenant.ports, tenant.ended(), endpoint_id)
    assert len(receiver.messages) == 1


async def test_an_event_that_was_given_up_is_a_dead_letter() -> None:
    tenant = Tenant()
    for _ in range(2):
        await give_up(tenant.ports, tenant.ended(7, "failed"), "we_1", "it answered with HTTP 500")
    token, now = f"{7:032x}", int(tenant.time)
    letter = DeadLetter(
        f"evt_{token}", "response.failed", f"resp_{token}", "we_1", "it answered with HTTP 500", now, now
    )
    assert await tenant.stored.dead(9) == [letter]


# Secrets


async def test_while_it_is_rotated_both_secrets_are_good_for_a_day() -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        endpoint_id, old = await tenant.add(receiver.url())
        told = await tenant.stored.rotate(endpoint_id, keep_old=True)
        tenant.time += DAY - 2
        await notify(tenant.ports, tenant.ended())
        tenant.time += 3
        await notify(tenant.ports, tenant.ended())
    during, after = receiver.messages
    assert [good(during, each) for each in (old, told.secret)] == [True, True]
    assert [good(after, each) for each in (old, told.secret)] == [False, True]
    assert told.endpoint.hint == f"whsec_****{told.secret[-4:]}"


def good(message: Received, secret: str) -> bool:
    """Whatever the time is."""
    try:
        JUDGE.webhooks.verify_signature(message.body, message.headers, secret=secret, tolerance=10 * DAY)
    except InvalidWebhookSignatureError:
        return False
    return True


async def test_an_old_secret_that_is_not_kept_is_worth_nothing_at_once() -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        endpoint_id, old = await tenant.add(receiver.url())
        kept = (await tenant.stored.rotate(endpoint_id, keep_old=True)).secret
        new = (await tenant.stored.rotate(endpoint_id, keep_old=False)).secret
        await notify(tenant.ports, tenant.ended())
    (message,) = receiver.messages
    assert [good(message, each) for each in (old, kept, new)] == [False, False, True]


async def test_rotated_again_and_again_the_newest_secrets_sign() -> None:
    tenant = Tenant()
    async with Receiver().listening() as receiver:
        endpoint_id, first = await tenant.add(receiver.url())
        secrets = [first, *[(await tenant.stored.rotate(endpoint_id, keep_old=True)).secret for _ in range(5)]]
        await notify(tenant.ports, tenant.ended())
    (message,) = receiver.messages
    assert [good(message, each) for each in secrets] == [False] * (6 - MAX_SECRETS) + [True] * MAX_SECRETS


async def test_secrets_are_sealed_at_rest_for_their_tenant_and_their_endpoint() -> None:
    shelf = Shelf()
    tenant, thief = Tenant(shelf=shelf), Tenant("thief", shelf)
    async with Receiver().listening() as receiver:
        one, secret = await tenant.add(receiver.url())
        two, _ = await tenant.add(receiver.url())
        assert secret not in repr(shelf)
        assert secret[6:-4] not in str([each.secrets for each in shelf.endpoints.endpoints])
        unopened = "its signing secret cannot be opened any more: rotate it"
        assert await notify(thief.ports, thief.ended()) == [Failed(one, unopened), Failed(two, unopened)]
        endpoints = shelf.endpoints.endpoints
        swapped = [replace(endpoints[0], secrets=endpoints[1].secrets), endpoints[1]]
        await tenant.ports.endpoints.replace(swapped, shelf.endpoints.version)
        assert await notify(tenant.ports, tenant.ended()) == [Failed(one, unopened)]


# Faults of our own


async def test_a_key_that_cannot_be_read_fails_a_try_and_loses_nothing() -> None:
    class Sealed:
        async def seal(self, target: str, state: str) -> str:
            raise NotImplementedError

        async def open(self, sealed: str) -> tuple[str, str] | None:
            raise StorageUnavailable("The key could not be read")

    tenant = Tenant()
    endpoint_id, _ = await tenant.add("https://public.test/")
    ports = replace(tenant.ports, seal=Sealed())
    assert await notify(ports, tenant.ended()) == [Failed(endpoint_id, "The key could not be read")]
    with pytest.raises(StorageUnavailable):
        await retry(ports, tenant.ended(), endpoint_id)


async def test_of_many_that_are_made_at_once_no_more_are_kept_than_there_may_be() -> None:
    tenant = Tenant()
    made = await asyncio.gather(*(tenant.add("https://public.test/") for _ in range(30)), return_exceptions=True)
    kept = await tenant.stored.listed()
    assert len(kept) == MAX_ENDPOINTS
    assert {each[0] for each in made if not isinstance(each, BaseException)} == {each.id for each in kept}
    assert {str(each) for each in made if isinstance(each, BaseException)} == {
        f"A tenant has {MAX_ENDPOINTS} webhook endpoints at most: remove one first"
    }


# Secrets of URLs

TOKEN = "planted-url-token"


@pytest.mark.parametrize(
    "path", [f"/hook/{TOKEN}", f"/500?key={TOKEN}", f"/hang?{TOKEN}", f"/close?{TOKEN}", f"/redirect?{TOKEN}"]
)
async def test_no_failure_quotes_a_url(path: str) -> None:
    tenant = Tenant(seconds=1.5)
    async with Receiver(failures={path: 9}).listening() as receiver:
        endpoint_id, _ = await tenant.add(receiver.url(path))
        (failed,) = await notify(tenant.ports, tenant.ended())
        with pytest.raises(DeliveryFailed) as failure:
            await retry(tenant.ports, tenant.ended(), endpoint_id)
    await give_up(tenant.ports, tenant.ended(), endpoint_id, failed.reason)
    said = f"{failed} {failure.value!r} {failure.value.__cause__} {await tenant.stored.dead(9)}"
    assert TOKEN not in said
    assert TOKEN not in repr(await tenant.stored.retrieve(endpoint_id))


def test_an_event_is_a_few_bytes() -> None:
    event = event_of(Ended("resp_" + "0" * 32, "completed", 1_700_000_000))
    assert event
    assert len(event.body) < 200

"""Client keys in the table that also holds responses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from openresponses.client_keys import ClientKey, make, new_token
from openresponses.core.storage import Limits, Meter
from openresponses.storage.dynamodb.client_keys import (
    KeyChanged,
    UnknownKey,
    change_key,
    end_of,
    find_key,
    find_named,
    list_keys,
    name_update,
    revoke_key,
    store_key,
)
from openresponses.storage.dynamodb.limits import change_limits, find_limits, limits_update
from tests.contract.storage_suite import EMULATORS, TABLE, AwsBackend, opened_aws

NAME = TABLE["TableName"]
NOW = 1_800_000_000


@pytest.fixture(params=EMULATORS)
def backend(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


def new_key(tenant: str = "acme", at: int = NOW, expires_at: int | None = None) -> ClientKey:
    limits: Any = {"models": ["openai/*", "fast"], "mcp": ["docs", "team-*"], "reasoning": "encrypted"}
    return make(new_token(), tenant, now=at, name="Ada's laptop", **limits, expires_at=expires_at)


@pytest.mark.parametrize("expires_at", [None, NOW + 60])
def test_a_key_is_found_as_it_was_stored(backend: AwsBackend, expires_at: int | None) -> None:
    key, plain = new_key(expires_at=expires_at), make(new_token(), "acme", now=NOW)
    store_key(backend.dynamodb, NAME, key)
    store_key(backend.dynamodb, NAME, plain)
    assert find_key(backend.dynamodb, NAME, key.id) == key
    assert find_key(backend.dynamodb, NAME, plain.id) == plain
    assert find_key(backend.dynamodb, NAME, new_key().id) is None


def test_a_key_that_was_made_before_there_were_limits_of_servers_has_none(backend: AwsBackend) -> None:
    key = replace(new_key(), mcp=())
    store_key(backend.dynamodb, NAME, key)
    (stored,) = (item for item in backend.items() if item["pk"]["S"] == f"key#{key.id}")
    assert "mcp" not in stored
    assert find_key(backend.dynamodb, NAME, key.id) == key


def test_the_secret_is_kept_nowhere(backend: AwsBackend) -> None:
    token = new_token()
    store_key(backend.dynamodb, NAME, make(token, "acme", now=NOW))
    assert token.split("_")[2] not in str(backend.items())


def test_an_id_is_given_to_one_key_only(backend: AwsBackend) -> None:
    key = new_key()
    store_key(backend.dynamodb, NAME, key)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        store_key(backend.dynamodb, NAME, replace(key, tenant="intruder"))
    assert find_key(backend.dynamodb, NAME, key.id) == key


def test_all_keys_are_listed_the_newest_first(backend: AwsBackend) -> None:
    keys = [new_key(at=NOW + n) for n in range(101)]
    for key in keys:
        store_key(backend.dynamodb, NAME, key)
    assert list_keys(backend.dynamodb, NAME) == keys[::-1]


def test_no_keys_is_an_empty_list(backend: AwsBackend) -> None:
    assert list_keys(backend.dynamodb, NAME) == []


def test_a_revoked_key_stays_and_says_when_it_was_first_revoked(backend: AwsBackend) -> None:
    key = new_key()
    store_key(backend.dynamodb, NAME, key)
    revoke_key(backend.dynamodb, NAME, key.id, NOW + 5.5)
    revoke_key(backend.dynamodb, NAME, key.id, NOW + 9)
    revoked = replace(key, revoked_at=NOW + 5)
    assert find_key(backend.dynamodb, NAME, key.id) == revoked
    assert list_keys(backend.dynamodb, NAME) == [revoked]


def test_only_a_key_that_is_there_can_be_revoked(backend: AwsBackend) -> None:
    with pytest.raises(UnknownKey):
        revoke_key(backend.dynamodb, NAME, new_key().id, NOW)
    assert backend.items() == []


def test_an_expired_key_is_forgotten_a_month_later(backend: AwsBackend) -> None:
    store_key(backend.dynamodb, NAME, new_key(expires_at=NOW + 60))
    assert {item["ttl"]["N"] for item in backend.items()} == {str(NOW + 60 + 30 * 86_400)}


def test_no_tenant_has_an_item_where_keys_are(backend: AwsBackend) -> None:
    store_key(backend.dynamodb, NAME, new_key())
    assert [item["pk"]["S"] for item in backend.items() if "/" in item["pk"]["S"]] == []


async def test_a_key_is_stored_with_its_limits_or_not_at_all(backend: AwsBackend) -> None:
    key, limits = new_key(expires_at=NOW + 60), Limits(pico_per_day=10**12, concurrent=3)
    update = limits_update(key.tenant, key.id, limits, end_of(key))
    store_key(backend.dynamodb, NAME, key, [update])
    meters = backend.storage("acme").meters
    assert await meters.read(key.id, NOW) == (Meter(limits), Meter())
    (meter,) = [item for item in backend.items() if item["pk"]["S"].startswith("acme/meter/")]
    assert int(meter["ttl"]["N"]) == NOW + 60 + 30 * 86_400
    with pytest.raises(ClientError, match="TransactionCanceled"):
        store_key(backend.dynamodb, NAME, key, [limits_update(key.tenant, key.id, Limits(concurrent=9))])
    assert await meters.read(key.id, NOW) == (Meter(limits), Meter())


async def test_the_operator_and_the_functions_know_the_same_limits(backend: AwsBackend) -> None:
    limits, others = Limits(tokens_per_minute=5), Limits(requests_per_minute=7)
    meters = backend.storage("acme").meters
    change_limits(backend.dynamodb, NAME, "acme", "key", limits)
    change_limits(backend.dynamodb, NAME, "acme", None, others)
    assert await meters.read("key", NOW) == (Meter(limits), Meter(others))
    await meters.limit("key", others)
    many = [("acme", None), ("acme", "key"), ("other", None), *(("acme", f"k{n}") for n in range(100)), ("acme", None)]
    found = find_limits(backend.dynamodb, NAME, many)
    assert [found[0], found[1], found[-1]] == [others] * 3
    assert set(found[2:-1]) == {Limits()}
    change_limits(backend.dynamodb, NAME, "acme", "key", Limits())
    assert await meters.read("key", NOW) == (Meter(), Meter(others))


@pytest.mark.parametrize("expires_at", [None, NOW + 60])
@pytest.mark.parametrize("ends", [None, NOW + 90])
async def test_a_key_is_changed_in_place_with_its_limits(
    backend: AwsBackend, expires_at: int | None, ends: int | None
) -> None:
    key, before, limits = new_key(expires_at=expires_at), Limits(concurrent=1), Limits(concurrent=2)
    store_key(backend.dynamodb, NAME, key, [limits_update(key.tenant, key.id, before, end_of(key))])
    changed = replace(key, models=(), mcp=("docs",), reasoning="summary", expires_at=ends)
    update = limits_update(key.tenant, key.id, limits, end_of(changed), lasting=ends is None)
    change_key(backend.dynamodb, NAME, key, changed, [update])
    assert find_key(backend.dynamodb, NAME, key.id) == changed
    assert await backend.storage("acme").meters.read(key.id, NOW) == (Meter(limits), Meter())
    kept_until = [] if ends is None else [str(ends + 30 * 86_400)] * 3
    assert [item["ttl"]["N"] for item in backend.items() if "ttl" in item] == kept_until


async def test_a_key_that_is_not_as_it_was_is_not_changed_and_neither_are_its_limits(backend: AwsBackend) -> None:
    key = new_key()
    store_key(backend.dynamodb, NAME, key)
    wider, other = replace(key, models=()), replace(key, mcp=())
    change_key(backend.dynamodb, NAME, key, wider)
    update = limits_update(key.tenant, key.id, Limits(concurrent=1))
    with pytest.raises(KeyChanged):
        change_key(backend.dynamodb, NAME, key, other, [update])
    revoke_key(backend.dynamodb, NAME, key.id, NOW)
    with pytest.raises(KeyChanged):
        change_key(backend.dynamodb, NAME, wider, other, [update])
    with pytest.raises(KeyChanged):
        change_key(backend.dynamodb, NAME, new_key(), new_key(), [update])
    assert list_keys(backend.dynamodb, NAME) == [replace(wider, revoked_at=NOW)]
    assert find_limits(backend.dynamodb, NAME, [(key.tenant, key.id)]) == [Limits()]


def test_a_name_is_one_keys_at_a_time(backend: AwsBackend) -> None:
    first, second, third = new_key(), new_key(expires_at=NOW + 60), new_key(tenant="other")
    assert find_named(backend.dynamodb, NAME, "acme", first.name) is None
    store_key(backend.dynamodb, NAME, first, [name_update(first, None)])
    with pytest.raises(ClientError, match="TransactionCanceled"):
        store_key(backend.dynamodb, NAME, second, [name_update(second, None)])
    store_key(backend.dynamodb, NAME, third, [name_update(third, None)])
    assert find_named(backend.dynamodb, NAME, "acme", first.name) == first.id
    store_key(backend.dynamodb, NAME, second, [name_update(second, first.id)])
    assert find_named(backend.dynamodb, NAME, "acme", first.name) == second.id
    with pytest.raises(ClientError, match="TransactionCanceled"):
        store_key(backend.dynamodb, NAME, new_key(), [name_update(new_key(), first.id)])
    assert {key.id for key in list_keys(backend.dynamodb, NAME)} == {first.id, second.id, third.id}

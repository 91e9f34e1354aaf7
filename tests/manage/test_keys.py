"""`openresponses keys`: made once, told once, and let in until it is revoked."""

import re
import time

import httpx2
import pytest

from openresponses.core.storage import Limits
from openresponses_dev.manage.limits import Asked, limits_from
from openresponses_dev.manage.problems import Problem
from tests.manage.conftest import Cloud

pytestmark = pytest.mark.xdist_group("manage")
TOKEN = re.compile(r"or_[a-z0-9]{12}_[A-Za-z0-9]{43}\n")


def status(cloud: Cloud, key: str) -> int:
    return httpx2.get(f"{cloud.base_url}/models", headers={"authorization": f"Bearer {key}"}, timeout=30).status_code


def test_standard_output_is_the_key_and_it_lets_in(cloud: Cloud) -> None:
    made = cloud.run("keys", "create", "--tenant", "acme")
    assert made.status == 0
    assert TOKEN.fullmatch(made.out)
    assert "of tenant acme" in made.err
    assert status(cloud, made.out.strip()) == 200


def test_a_list_shows_everything_but_the_secret(cloud: Cloud) -> None:
    words = ("--tenant", "globex", "--name", "the CI's", "--models", "openai/*", "fast", "--reasoning", "summary")
    made = cloud.run("keys", "create", *words, "--mcp", "docs,github", "team-*", "--expires", "90d")
    _, key_id, secret = made.out.strip().split("_")
    shown = cloud.run("keys", "list")
    row = next(row for row in shown.rows() if row[0] == key_id)
    assert row[1:6] == ["globex", "the CI's", "openai/* fast", "docs github team-*", "summary"]
    assert row[8] == "valid"
    assert secret not in shown.out


def test_a_key_is_revoked_by_its_id_or_as_a_whole(cloud: Cloud) -> None:
    made = cloud.run("keys", "create", "--tenant", "acme").out.strip()
    other = cloud.run("keys", "create", "--tenant", "acme").out.strip()
    assert (status(cloud, made), status(cloud, other)) == (200, 200)
    assert cloud.run("keys", "revoke", made.split("_")[1]).status == 0
    assert cloud.run("keys", "revoke", other).status == 0
    time.sleep(1.1)  # AuthorizerSeconds
    assert (status(cloud, made), status(cloud, other)) == (401, 401)
    states = {row[0]: row[8] for row in cloud.run("keys", "list").rows()}
    assert (states[made.split("_")[1]], states[other.split("_")[1]]) == ("revoked", "revoked")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("create", "--tenant", "Not_A_Tenant"), "a tenant is"),
        (("create", "--tenant", "acme", "--expires", "soon"), "--expires soon: a number and h, d, w or y"),
        (("create", "--tenant", "acme", "--models", "two words"), "models are names without spaces"),
        (("create", "--tenant", "acme", "--mcp", "docs,,github"), "MCP servers are names without spaces"),
        (("revoke", "nobody000000"), "there is no key nobody000000"),
        (("limit", "nobody000000", "--concurrent", "1"), "there is no key nobody000000"),
        (
            ("limit", "nobody000000", "--tenant", "acme", "--concurrent", "1"),
            "there is no key nobody000000 of tenant acme",
        ),
        (("limit", "jwt-0123", "--concurrent", "1"), "jwt-0123 is a caller without a key: name its tenant"),
        (("limit", "iam-0123", "--tenant", "No", "--concurrent", "1"), "a tenant is"),
        (("create", "--tenant", "acme", "--usd-per-day", "NaN"), "--usd-per-day NaN: US dollars, such as 2.50"),
    ],
)
def test_what_is_wrong_is_named(cloud: Cloud, words: tuple[str, ...], why: str) -> None:
    done = cloud.run("keys", *words)
    assert (done.status, done.out) == (1, "")
    assert why in done.err


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Asked(requests_per_minute="-1"), "--requests-per-minute -1: a whole number from 0 to"),
        (Asked(tokens_per_minute="many"), "--tokens-per-minute many: a whole number from 0 to"),
        (Asked(tokens_per_minute="1" + "0" * 13), "a whole number from 0 to"),
        (Asked(concurrent="1001"), "--concurrent 1001: a whole number from 0 to 1000, or none"),
        (Asked(usd_per_day="1e99999"), "--usd-per-day 1e99999: US dollars"),
        (Asked(usd_per_day="-0.01"), "--usd-per-day -0.01: US dollars"),
        (Asked(usd_per_month="0.0000000000001"), "12 decimals at most"),
    ],
)
def test_a_wrong_limit_is_named(asked: Asked, why: str) -> None:
    with pytest.raises(Problem) as raised:
        limits_from(asked)
    assert why in str(raised.value)


def test_a_limit_that_is_not_named_stays_and_none_lifts_one() -> None:
    before = Limits(requests_per_minute=5, pico_per_day=10**12)
    changed = limits_from(Asked(requests_per_minute="none", usd_per_month="2.50", concurrent="0"), before)
    assert changed == Limits(pico_per_day=10**12, pico_per_month=2_500_000_000_000, concurrent=0)


def test_limits_are_set_listed_and_count_at_once(cloud: Cloud) -> None:
    limits = (
        "--requests-per-minute",
        "60",
        "--tokens-per-minute",
        "90000",
        "--usd-per-day",
        "2.50",
        "--concurrent",
        "3",
    )
    key = cloud.run("keys", "create", "--tenant", "initech", *limits, "--usd-per-month", "none").out.strip()
    row = next(row for row in cloud.run("keys", "list").rows() if row[0] == key.split("_")[1])
    assert row[9] == "60 requests/minute, 90000 tokens/minute, 2.5 USD/day, 3 at once"
    first = asked(cloud, key)
    assert (first.status_code, first.headers["x-ratelimit-limit-requests"]) == (200, "60")
    changed = cloud.run("keys", "limit", key, "--requests-per-minute", "0", "--usd-per-day", "none")
    assert "0 requests/minute, 90000 tokens/minute, 3 at once" in changed.out
    refused = asked(cloud, key)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
    of_token = cloud.run("keys", "limit", "jwt-0123", "--tenant", "initech", "--concurrent", "2")
    assert "key jwt-0123 of tenant initech: 2 at once" in of_token.out
    assert cloud.run("tenants", "limit", "initech", "--usd-per-month", "9").status == 0
    assert ["initech", "1", "9 USD/month"] in cloud.run("tenants", "list").rows()


def asked(cloud: Cloud, key: str) -> httpx2.Response:
    body = {"model": "offline/demo", "input": "Hello", "store": False}
    return httpx2.post(f"{cloud.base_url}/responses", json=body, headers={"authorization": f"Bearer {key}"}, timeout=30)

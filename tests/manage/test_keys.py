"""`openresponses keys`: made once, told once, and let in until it is revoked."""

import re
import time

import httpx2
import pytest

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
    ],
)
def test_what_is_wrong_is_named(cloud: Cloud, words: tuple[str, ...], why: str) -> None:
    done = cloud.run("keys", *words)
    assert (done.status, done.out) == (1, "")
    assert why in done.err

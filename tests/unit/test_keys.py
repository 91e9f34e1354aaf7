"""Client keys: what one looks like, what is kept of it, and which may pass."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.client_keys import ClientKey, Token, make, new_token, parse, refusal

NOW = 1_800_000_000.0


def issued(token: str, **more: Any) -> ClientKey:
    return make(token, "acme", now=NOW, **more)


def parsed(token: str) -> Token:
    found = parse(token)
    assert found
    return found


def test_a_new_key_may_pass() -> None:
    token = new_token()
    assert re.fullmatch(r"or_[a-z0-9]{12}_[A-Za-z0-9]{43}", token)
    assert refusal(parsed(token), issued(token), NOW) is None


def test_a_secret_holds_256_bits_and_no_two_are_alike() -> None:
    tokens = [new_token() for _ in range(1_000)]
    assert 62**43 >= 2**256
    assert len({token.split("_")[1] for token in tokens}) == len({token.split("_")[2] for token in tokens}) == 1_000
    assert len(set("".join(token.split("_")[2] for token in tokens))) == 62


def test_nothing_that_is_kept_or_shown_holds_the_secret() -> None:
    token = new_token()
    secret = token.split("_")[2]
    assert secret not in repr(issued(token))
    assert secret not in repr(parsed(token))


@given(st.text(max_size=80))
def test_what_is_no_key_is_not_parsed(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: f"{t}a", lambda t: f"{t}\n", lambda t: t.upper()])
def test_a_key_is_parsed_whole(change: Any) -> None:
    assert parse(change(new_token())) is None


def test_each_reason_to_refuse_a_key() -> None:
    token = new_token()
    key = issued(token, expires_at=NOW + 10)
    another = parsed(f"or_{key.id}_{'x' * 43}")
    assert [
        refusal(parsed(token), None, NOW),
        refusal(another, key, NOW),
        refusal(parsed(token), replace(key, revoked_at=int(NOW)), NOW),
        refusal(parsed(token), key, NOW + 9),
        refusal(parsed(token), key, NOW + 10),
        refusal(another, replace(key, revoked_at=int(NOW)), NOW),  # whoever has no secret learns nothing of a key
    ] == ["unknown", "wrong_secret", "revoked", None, "expired", "wrong_secret"]


def test_what_is_kept_is_what_was_asked_for() -> None:
    token = new_token()
    key = issued(
        token, name="Ada's laptop", models=["openai/*", "fast"], mcp=["docs"], reasoning="summary", expires_at=NOW + 0.5
    )
    assert (key.id, key.hash) == (parsed(token).id, parsed(token).hash)
    assert key == ClientKey(
        key.id, key.hash, "acme", "Ada's laptop", ("openai/*", "fast"), ("docs",), "summary", int(NOW), int(NOW)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": ["two words"]},
        {"models": [""]},
        {"models": ["é"]},
        {"models": ["m" * 200] * 11},
        {"mcp": ["docs", ""]},
        {"mcp": ["m" * 200] * 11},
        {"reasoning": "none"},
        {"name": "two\nlines"},
        {"name": "n" * 101},
        {"expires_at": NOW},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a"):
        issued(new_token(), **wrong)


@pytest.mark.parametrize("tenant", ["", "-a", "A", "a/b", "a#b", "a_b", "a" * 64, "a\n"])
def test_a_tenant_is_a_plain_word(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        make(new_token(), tenant, now=NOW)


def test_an_error_does_not_quote_the_key() -> None:
    with pytest.raises(ValueError, match="a key is or_") as caught:
        make("or_planted", "acme", now=NOW)
    assert "planted" not in str(caught.value)

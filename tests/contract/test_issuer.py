"""The issuer's keys: when it is asked for them, and what is no answer."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from openresponses.entry.issuer import (
    FRESH_S,
    KEPT_S,
    PAUSE_AFTER_FAILURE_S,
    PAUSE_S,
    Issuer,
    IssuerUnavailable,
    fetch,
    is_address,
)
from openresponses.entry.jwt_tokens import Caller, judge
from tests.contract.issuers import NOW, RULES, URL, FakeIssuer, answering, public, sent, signed

READ = 2  # the discovery document, and the keys


def test_keys_are_read_once_and_again_when_they_are_no_longer_fresh() -> None:
    fake = FakeIssuer()
    issuer = Issuer(URL, fake.fetch)
    for _ in range(100):
        assert isinstance(judge(signed(), RULES, issuer, NOW), Caller)
    assert len(fake.asked) == READ
    assert isinstance(judge(signed(), RULES, issuer, NOW + FRESH_S), Caller)
    assert len(fake.asked) == 2 * READ


def test_a_flood_of_invented_kids_asks_once_in_a_while() -> None:
    fake = FakeIssuer()
    issuer = Issuer(URL, fake.fetch)
    seconds = 90
    for second in range(seconds):
        for each in range(5):
            assert judge(signed(kid=f"{second}-{each}"), RULES, issuer, NOW + second) == "unknown_key"
    assert len(fake.asked) == READ * seconds // PAUSE_S


def test_tokens_that_claim_something_else_ask_nothing() -> None:
    fake = FakeIssuer()
    for token in (signed({"iss": "https://evil.example"}), "a.b.c", signed({"iss": URL})):
        assert isinstance(judge(token, RULES, Issuer(URL, fake.fetch), NOW), str)
    assert fake.asked == []


def test_a_key_that_is_new_is_found_and_one_that_was_taken_away_is_not() -> None:
    fake = FakeIssuer([public("rsa")])
    issuer = Issuer(URL, fake.fetch)
    assert isinstance(judge(signed(), RULES, issuer, NOW), Caller)
    fake.keys = [public("P-256")]
    new = signed(algorithm="ES256")
    assert judge(new, RULES, issuer, NOW + PAUSE_S - 1) == "unknown_key"
    assert isinstance(judge(new, RULES, issuer, NOW + PAUSE_S), Caller)
    assert judge(signed(), RULES, issuer, NOW + PAUSE_S) == "unknown_key"


def test_an_issuer_that_is_down_is_no_wrong_token() -> None:
    fake = FakeIssuer(down=True)
    issuer = Issuer(URL, fake.fetch)
    for _ in range(50):
        with pytest.raises(IssuerUnavailable):
            judge(signed(), RULES, issuer, NOW)
    assert len(fake.asked) == 1
    fake.down = False
    with pytest.raises(IssuerUnavailable):
        judge(signed(), RULES, issuer, NOW + PAUSE_AFTER_FAILURE_S - 1)
    assert isinstance(judge(signed(), RULES, issuer, NOW + PAUSE_AFTER_FAILURE_S), Caller)


def test_keys_that_are_known_are_used_for_an_hour_while_the_issuer_is_down() -> None:
    fake = FakeIssuer()
    issuer = Issuer(URL, fake.fetch)
    assert isinstance(judge(signed(), RULES, issuer, NOW), Caller)
    fake.down = True
    last = NOW + int(KEPT_S) - 1
    assert isinstance(judge(signed(), RULES, issuer, last), Caller)
    with pytest.raises(IssuerUnavailable):  # nobody knows whether it is the issuer's
        judge(signed(kid="new"), RULES, issuer, last)
    with pytest.raises(IssuerUnavailable):
        judge(signed(), RULES, issuer, NOW + KEPT_S)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example", "jwks_uri": f"{URL}/.well-known/jwks.json"},
        {"issuer": f"{URL}/", "jwks_uri": f"{URL}/.well-known/jwks.json"},
        {"jwks_uri": f"{URL}/.well-known/jwks.json"},
        {"issuer": URL},
        {"issuer": URL, "jwks_uri": "http://cognito-idp.eu-north-1.amazonaws.com/keys"},
        {"issuer": URL, "jwks_uri": "file:///etc/passwd"},
        {"issuer": URL, "jwks_uri": "/.well-known/jwks.json"},
        {"issuer": URL, "jwks_uri": ["https://a.example"]},
        {},
    ],
)
def test_a_discovery_document_that_is_not_this_issuers_tells_nothing(discovery: dict[str, object]) -> None:
    fake = FakeIssuer(discovery=discovery)
    with pytest.raises(IssuerUnavailable):
        Issuer(URL, fake.fetch).keys("rsa", NOW)
    assert len(fake.asked) == 1


@pytest.mark.parametrize("answer", [[], {}, {"keys": {}}, {"keys": None}, "keys", None])
def test_keys_that_are_none_are_no_answer(answer: object) -> None:
    fake = FakeIssuer()
    with pytest.raises(IssuerUnavailable):
        Issuer(URL, lambda url: answer if url.endswith("jwks.json") else fake.fetch(url)).keys("rsa", NOW)


def test_what_is_no_key_among_the_keys_is_left_out() -> None:
    fake = FakeIssuer([None, "key", public("rsa")])  # type: ignore[list-item]
    assert Issuer(URL, fake.fetch).keys(None, NOW) == [public("rsa")]


def test_http_is_for_this_machine_alone_and_for_a_local_deployment() -> None:
    assert is_address("https://a.example/keys", loopback=False)
    assert is_address("http://127.0.0.1:8080/keys", loopback=True)
    for url in ("http://127.0.0.1:8080/keys", "http://a.example", "ftp://a.example", "https:///keys", "a.example"):
        assert not is_address(url, loopback=False)
    for url in ("http://a.example", "http://127.0.0.1.a.example", "http://127.0.0.1@a.example", "http://10.0.0.1"):
        assert not is_address(url, loopback=True)


def test_what_an_address_answers_is_read() -> None:
    with answering(lambda handler: sent(200, f'{{"path": "{handler.path}"}}'.encode())(handler)) as origin:
        assert fetch(f"{origin}/a/b?c=d") == {"path": "/a/b?c=d"}


@pytest.mark.parametrize(
    "answer",
    [
        sent(302, b"", Location="https://evil.example/keys"),
        sent(307, b"{}", Location="/"),
        sent(404, b"{}"),
        sent(500, b"{}"),
        sent(200, b""),
        sent(200, b"<html>"),
        sent(200, b"\xff"),
        sent(200, b"[" * 100_000),
        sent(200, b'"' + b"x" * 300_000 + b'"'),
        lambda handler: handler.connection.close(),
    ],
    ids=["redirect", "another", "gone", "failed", "nothing", "a page", "no text", "deep", "large", "cut"],
)
def test_what_is_no_answer_is_none(answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
    with answering(answer) as origin, pytest.raises(IssuerUnavailable):
        fetch(origin)


def test_an_address_where_nobody_listens_is_none() -> None:
    with answering(sent(200, b"{}")) as origin:
        pass
    with pytest.raises(IssuerUnavailable):
        fetch(origin)

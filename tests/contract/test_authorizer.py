"""The authorizer: which keys pass, what the gateway is told of them, and what is logged of the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from starlette.requests import Request

from openresponses.api.access import Access, access_of
from openresponses.client_keys import ClientKey, make, new_token
from openresponses.core.errors import Unauthorized
from openresponses.entry.authorizer import AuthorizerEvent, ConnectEvent, allowed, authorize, authorize_socket
from openresponses.entry.issuer import Issuer, IssuerUnavailable
from openresponses.entry.jwt_tokens import Caller, judge
from openresponses.storage.dynamodb.client_keys import find_key, revoke_key, store_key
from tests.contract.issuers import CLAIMS, RULES, URL, FakeIssuer, signed
from tests.contract.storage_suite import EMULATORS, TABLE, AwsBackend, opened_aws

NOW = 1_800_000_000
STAGE = "arn:aws:execute-api:eu-north-1:123456789012:a1b2c3d4e5/openresponses"
TOKEN = new_token()
KEY = make(
    TOKEN,
    "acme",
    now=NOW,
    models=["openai/*", "fast"],
    mcp=["docs", "team-*"],
    reasoning="summary",
    expires_at=NOW + 60,
)


@pytest.fixture(params=EMULATORS)
def backend(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


def event(authorization: str, method: str = "GET/v1/responses/resp_1/input_items") -> AuthorizerEvent:
    return {"authorizationToken": authorization, "methodArn": f"{STAGE}/{method}"}


def asked(authorization: str, key: ClientKey | None = KEY, now: float = NOW) -> dict[str, Any]:
    return authorize(event(authorization), lambda key_id: key if key and key.id == key_id else None, now)


CONNECT = "arn:aws:execute-api:eu-north-1:123456789012:f6g7h8i9j0/responses/$connect"
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html"""


def connecting(**headers: str) -> ConnectEvent:
    shown: dict[str, Any] = {
        "type": "REQUEST",
        "methodArn": CONNECT,
        "headers": {"Host": "f6g7h8i9j0.execute-api.eu-north-1.amazonaws.com", "Upgrade": "websocket", **headers},
        "queryStringParameters": {"authorization": f"Bearer {TOKEN}", "api_key": TOKEN},
    }
    return shown  # type: ignore[return-value]


def asked_to_connect(authorization: str, key: ClientKey | None = KEY, now: float = NOW) -> dict[str, Any]:
    event = connecting(Authorization=authorization)
    return authorize_socket(event, lambda key_id: key if key and key.id == key_id else None, now)


def test_a_good_key_may_call_the_whole_stage() -> None:
    assert asked(f"Bearer {TOKEN}") == {
        "principalId": KEY.id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"{STAGE}/*/*"}],
        },
        "context": {
            "tenant": "acme",
            "key_id": KEY.id,
            "models": "openai/* fast",
            "mcp": "docs team-*",
            "reasoning": "summary",
        },
    }


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_good_key_opens_a_socket_in_whatever_letters_its_header_is_written(name: str) -> None:
    """Rust's HTTP library, and so Codex, writes every name in small letters: https://docs.rs/http, HeaderName."""
    answer = authorize_socket(connecting(**{name: f"Bearer {TOKEN}"}), lambda _: KEY, NOW)
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": CONNECT}
    told = asked(f"Bearer {TOKEN}")
    assert (answer["principalId"], answer["context"]) == (told["principalId"], told["context"])


def test_a_key_in_an_address_opens_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize_socket(connecting(), lambda _: KEY, NOW)
    assert TOKEN not in capsys.readouterr().out


@pytest.mark.parametrize("method", ["GET/", "POST/v1/responses", "DELETE/a/b/c/d"])
def test_the_policy_is_the_same_for_every_method(method: str) -> None:
    answers = [authorize(event(f"bearer {TOKEN}", each), lambda _: KEY, NOW) for each in (method, "GET/health")]
    assert answers[0] == answers[1]


WRONG_SECRET = f"or_{KEY.id}_{'x' * 43}"
UNKNOWN = new_token()
REFUSED: dict[str, tuple[str, ClientKey | None, float, str, str]] = {
    "empty": ("", KEY, NOW, "malformed", ""),
    "no scheme": (TOKEN, KEY, NOW, "malformed", ""),
    "another scheme": (f"Basic {TOKEN}", KEY, NOW, "malformed", ""),
    "somebody else's kind of key": ("Bearer sk-planted", KEY, NOW, "malformed", ""),
    "a letter more": (f"Bearer {TOKEN}x", KEY, NOW, "malformed", ""),
    "unknown": (f"Bearer {UNKNOWN}", KEY, NOW, "unknown", UNKNOWN.split("_")[1]),
    "another secret": (f"Bearer {WRONG_SECRET}", KEY, NOW, "wrong_secret", KEY.id),
    "revoked": (f"Bearer {TOKEN}", replace(KEY, revoked_at=NOW - 1), NOW, "revoked", KEY.id),
    "expired": (f"Bearer {TOKEN}", KEY, NOW + 60, "expired", KEY.id),
}


@pytest.mark.parametrize("ask", [asked, asked_to_connect])
@pytest.mark.parametrize(("authorization", "key", "now", "reason", "key_id"), REFUSED.values(), ids=REFUSED)
def test_any_other_is_a_401_and_one_line_that_says_why(
    ask: Callable[[str, ClientKey | None, float], dict[str, Any]],
    authorization: str,
    key: ClientKey | None,
    now: float,
    reason: str,
    key_id: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as raised:  # the words that API Gateway looks for
        ask(authorization, key, now)
    assert raised.type is Exception
    line = capsys.readouterr().out
    assert json.loads(line) == {
        "level": "WARNING",
        "message": "refused",
        "service": "openresponses",
        "reason": reason,
        "key_id": key_id,
    }
    for secret in (TOKEN, UNKNOWN, WRONG_SECRET):
        assert secret.split("_")[2] not in line


def test_where_no_key_can_be_looked_up_nobody_gets_in_and_nobody_is_told_that_a_key_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unavailable(_: str) -> ClientKey | None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    with pytest.raises(EndpointConnectionError):
        authorize(event(f"Bearer {TOKEN}"), unavailable, NOW)
    line = json.loads(capsys.readouterr().out)
    (described,) = line.pop("_aws")["CloudWatchMetrics"]
    assert described["Metrics"] == [{"Name": "KeyLookupsFailed", "Unit": "Count"}]
    assert line == {
        "level": "ERROR",
        "message": "lookup failed",
        "service": "openresponses",
        "error": "EndpointConnectionError",
        "KeyLookupsFailed": 1,
    }


def test_a_key_that_is_refused_is_no_lookup_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """For Lambda it is an error as well, so an alarm can't look at the function's errors."""
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        asked(f"Bearer {TOKEN}", None)
    assert "_aws" not in json.loads(capsys.readouterr().out)


def test_a_revoked_key_is_refused_at_once(backend: AwsBackend) -> None:
    store_key(backend.dynamodb, TABLE["TableName"], KEY)

    def ask() -> dict[str, Any]:
        return authorize(
            event(f"Bearer {TOKEN}"), lambda key_id: find_key(backend.dynamodb, TABLE["TableName"], key_id), NOW
        )

    assert ask()["principalId"] == KEY.id
    revoke_key(backend.dynamodb, TABLE["TableName"], KEY.id, NOW)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ask()


def test_it_imports_no_framework_and_nothing_of_the_product() -> None:
    code = "import sys, openresponses.entry.authorizer; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], env={}, check=True, capture_output=True, text=True)
    modules = set(result.stdout.split())
    assert not modules & {"jwt", "cryptography"}
    assert {name.partition(".")[0] for name in modules} & {
        *("pydantic", "fastapi", "starlette", "mangum", "httpx2", "aws_lambda_powertools", "boto3")
    } == set()
    assert {name.removeprefix("openresponses.") for name in modules if name.startswith("openresponses.")} == {
        *("entry", "entry.authorizer", "entry.local_aws", "aws", "aws.session", "client_keys"),
        *("storage", "storage.dynamodb", "storage.dynamodb.client_keys"),
    }


def judging(token: str, now: float) -> Caller | str:
    return judge(token, RULES, Issuer(URL, FakeIssuer().fetch), now)


def known(_: str) -> ClientKey | None:
    return KEY


def test_a_token_may_call_the_whole_stage_as_its_subject() -> None:
    answer = authorize(event(f"Bearer {signed()}"), None, NOW, judging)
    key_id = answer["principalId"]
    assert key_id.startswith("jwt-")
    assert answer == {
        "principalId": key_id,
        "policyDocument": asked(f"Bearer {TOKEN}")["policyDocument"],
        "context": {
            "tenant": "acme",
            "key_id": key_id,
            "models": "",
            "mcp": "",
            "reasoning": "",
            "expires_at": str(CLAIMS["exp"]),
        },
    }
    assert access_of(request(answer["context"])) == Access("acme", key_id)


def test_a_token_opens_a_socket() -> None:
    answer = authorize_socket(connecting(authorization=f"bearer {signed()}"), None, NOW, judging)
    assert answer["policyDocument"]["Statement"][0]["Resource"] == CONNECT
    assert answer["context"] == authorize(event(f"Bearer {signed()}"), None, NOW, judging)["context"]


def test_each_door_is_open_where_the_deployment_says_so() -> None:
    opened = {
        (keys, tokens): [
            passes(each, known if keys else None, judging if tokens else None) for each in (TOKEN, signed())
        ]
        for keys in (True, False)
        for tokens in (True, False)
    }
    assert opened == {
        (True, True): [True, True],
        (True, False): [True, False],
        (False, True): [False, True],
        (False, False): [False, False],
    }


def passes(token: str, find: Any, judge: Any) -> bool:
    try:
        return bool(authorize(event(f"Bearer {token}"), find, NOW, judge))
    except Exception as error:
        return str(error) != "Unauthorized"


def test_nothing_of_a_token_that_is_refused_is_logged_but_why(capsys: pytest.CaptureFixture[str]) -> None:
    """What it claims is not believed, so not even its subject is told."""
    token = signed({**CLAIMS, "aud": "elsewhere"})
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(event(f"Bearer {token}"), known, NOW, judging)
    line = {"level": "WARNING", "message": "refused", "service": "openresponses"}
    assert json.loads(capsys.readouterr().out) == {**line, "reason": "token_other_audience", "key_id": ""}


def test_an_issuer_that_is_down_is_a_lookup_that_failed_and_no_401(capsys: pytest.CaptureFixture[str]) -> None:
    issuer = Issuer(URL, FakeIssuer(down=True).fetch)
    with pytest.raises(IssuerUnavailable):
        authorize(event(f"Bearer {signed()}"), known, NOW, lambda token, now: judge(token, RULES, issuer, now))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["message"], each.get("KeyLookupsFailed")) for each in told] == [
        ("issuer unavailable", None),
        ("lookup failed", 1),
    ]


ISSUED = {"OPENRESPONSES_JWT_ISSUER": URL, "OPENRESPONSES_JWT_AUDIENCE": "a, b"}


def test_the_deployment_says_who_may_come_in() -> None:
    assert allowed({}) == allowed({"OPENRESPONSES_AUTH": "keys", **ISSUED}) == (True, None)
    for auth, keys in (("jwt", False), ("keys+jwt", True)):
        passes, judge = allowed({"OPENRESPONSES_AUTH": auth, **ISSUED})
        assert passes is keys
        assert judge is not None
        assert judge("a.b.c", NOW) == "malformed"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"OPENRESPONSES_AUTH": "none"}, "OPENRESPONSES_AUTH"),
        ({"OPENRESPONSES_JWT_ISSUER": ""}, "OPENRESPONSES_JWT_ISSUER"),
        ({"OPENRESPONSES_JWT_ISSUER": "http://127.0.0.1:8080"}, "OPENRESPONSES_JWT_ISSUER"),
        (
            {"OPENRESPONSES_JWT_ISSUER": "http://a.example", "OPENRESPONSES_LOOPBACK": "true"},
            "OPENRESPONSES_JWT_ISSUER",
        ),
        ({"OPENRESPONSES_JWT_AUDIENCE": ""}, "OPENRESPONSES_JWT_AUDIENCE"),
    ],
)
def test_a_deployment_that_says_it_wrong_lets_nobody_in(changed: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        allowed({"OPENRESPONSES_AUTH": "keys+jwt", **ISSUED, **changed})


def request(authorizer: object) -> Request:
    """As it comes to the API function; the context is what API Gateway was told, and something of its own."""
    context = {"authorizer": authorizer} if authorizer is not None else {}
    return Request({"type": "http", "headers": [], "aws.event": {"requestContext": context}})


def test_the_api_function_knows_who_calls() -> None:
    context = {**asked(f"Bearer {TOKEN}")["context"], "principalId": KEY.id, "integrationLatency": "12"}
    assert access_of(request(context)) == Access("acme", KEY.id, ("openai/*", "fast"), ("docs", "team-*"), "summary")
    assert access_of(request({**context, "models": "", "mcp": "", "reasoning": ""})) == Access("acme", KEY.id)


def test_an_answer_that_the_gateway_remembers_from_an_older_authorizer_is_of_a_key_without_a_limit_of_servers() -> None:
    context = {name: value for name, value in asked(f"Bearer {TOKEN}")["context"].items() if name != "mcp"}
    assert access_of(request(context)) == Access("acme", KEY.id, ("openai/*", "fast"), (), "summary")


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"principalId": "user"},
        {"tenant": "acme", "key_id": "k", "models": ""},
        {"tenant": "", "key_id": "k", "models": "", "reasoning": ""},
        {"tenant": "acme", "key_id": "k", "models": "", "reasoning": "something new"},
        {"tenant": "acme", "key_id": "k", "models": "", "mcp": 1, "reasoning": ""},
    ],
)
def test_whoever_no_authorizer_spoke_for_is_nobody(authorizer: object) -> None:
    with pytest.raises(Unauthorized):
        access_of(request(authorizer))


def test_outside_lambda_everybody_is_nobody() -> None:
    with pytest.raises(Unauthorized):
        access_of(Request({"type": "http", "headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}))


SIGNED_API = "a1b2c3d4e5"
ROLE = "arn:aws:sts::111122223333:assumed-role/app"
SIGNER = {
    "accountId": "111122223333",
    "userArn": f"{ROLE}/session",
    "caller": "AROAEXAMPLE:session",
    "accessKey": "ASIAEXAMPLE",
    "cognitoAuthenticationType": None,
}
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html"""


def signed_request(identity: object, api: object = SIGNED_API, **context: object) -> Request:
    told = {"apiId": api, "accountId": "999988887777", "identity": identity, **context}
    return Request({"type": "http", "headers": [], "aws.event": {"requestContext": told}})


def test_who_signs_is_its_account_and_a_role_is_the_same_in_every_session() -> None:
    access = access_of(signed_request(SIGNER), SIGNED_API)
    assert access == Access("111122223333", access.key_id)
    assert access.key_id.startswith("iam-")
    again = {**SIGNER, "userArn": f"{ROLE}/another"}
    assert access_of(signed_request(again), SIGNED_API) == access
    for other in (f"{ROLE}2/session", "arn:aws:iam::111122223333:user/app"):
        assert access_of(signed_request({**SIGNER, "userArn": other}), SIGNED_API).key_id != access.key_id


@pytest.mark.parametrize(
    ("identity", "api", "signed_api"),
    [
        (SIGNER, SIGNED_API, ""),
        (SIGNER, SIGNED_API, "another"),
        (SIGNER, "another", SIGNED_API),
        (SIGNER, None, SIGNED_API),
        (SIGNER, "", ""),
        (None, SIGNED_API, SIGNED_API),
        ({}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "accountId": None}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "accountId": ""}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "accountId": "11112222333"}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "accountId": "111122223333/x"}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "accountId": "١١١١٢٢٢٢٣٣٣٣"}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "accountId": 111122223333}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "userArn": None}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "userArn": ""}, SIGNED_API, SIGNED_API),
        ({**SIGNER, "cognitoAuthenticationType": "unauthenticated"}, SIGNED_API, SIGNED_API),
    ],
)
def test_nobody_is_an_account_but_who_signed_for_the_deployments_own_api(
    identity: object, api: object, signed_api: str
) -> None:
    with pytest.raises(Unauthorized):
        access_of(signed_request(identity, api), signed_api)


def test_each_api_is_believed_in_its_own_way_alone() -> None:
    told = asked(f"Bearer {TOKEN}")["context"]
    with pytest.raises(Unauthorized):  # what an authorizer said is of no API that has none
        access_of(signed_request({}, authorizer=told), SIGNED_API)
    of_key = access_of(signed_request(SIGNER, "another", authorizer=told), SIGNED_API)
    assert of_key.key_id == KEY.id

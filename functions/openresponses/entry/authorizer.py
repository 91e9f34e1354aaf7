"""The authorizers: whether a bearer key, or a token of the deployment's issuer, may pass, and for which tenant. API
Gateway calls `handler` before any other function, and remembers its answer for as long as template.yaml says; and
`connect_handler` for each socket that opens.

It runs on the stock runtime, and imports as little as it can: botocore is nearly all of its cold start, and what
judges tokens is imported with the first one. It remembers no key, so that a revoked one is refused as soon as the
gateway forgets it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypedDict

from ..aws.session import make_client
from ..client_keys import ClientKey, Token, parse, refusal
from ..storage.dynamodb.client_keys import find_key
from .local_aws import use_local_aws

if TYPE_CHECKING:
    from .jwt_tokens import Caller


class AuthorizerEvent(TypedDict):
    """For an authorizer of type TOKEN, which the REST API has."""

    authorizationToken: str
    methodArn: str


class ConnectEvent(TypedDict):
    """For one of type REQUEST, which the WebSocket API has: `methodArn` ends with the route, $connect."""

    headers: Mapping[str, str]
    methodArn: str


Find: TypeAlias = Callable[[str], ClientKey | None]
Judge: TypeAlias = Callable[[str, float], "Caller | str"]
"""Who brings a token, or why it is refused. Raises an error where that can't be told."""


def authorize(event: AuthorizerEvent, find: Find | None, now: float, judge: Judge | None = None) -> dict[str, Any]:
    """What API Gateway needs to let a caller pass, who has a key that `find` finds, or a token that `judge` admits.
    Where one of them is None, that door is shut. Its context reaches the API function as requestContext.authorizer.

    The policy covers the whole stage, since the gateway applies a remembered policy to every method. Raises
    Exception("Unauthorized"), which the gateway turns into a 401. It turns any other error into a 503, and does not
    remember that.
    """
    api_and_stage = "/".join(event["methodArn"].split("/", 2)[:2])
    return _answer(event["authorizationToken"], f"{api_and_stage}/*/*", find, now, judge)


def authorize_socket(event: ConnectEvent, find: Find | None, now: float, judge: Judge | None = None) -> dict[str, Any]:
    """The same for a socket that opens. The key is taken from the header alone: an address is logged on its way.

    The name of the header has the letters that the client chose. Raises as `authorize` does.
    """
    given = (value for name, value in event["headers"].items() if name.lower() == "authorization")
    return _answer(next(given, ""), event["methodArn"], find, now, judge)


def _answer(authorization: str, resource: str, find: Find | None, now: float, judge: Judge | None) -> dict[str, Any]:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer":
        _refuse("malformed", "")  # it may be somebody's key elsewhere: none of it is logged
    if (token := parse(given)) and find:
        context = _of_key(token, find, now)
    elif judge and not token:
        context = _of_token(given, judge, now)
    else:
        _refuse("malformed", "")
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    return {
        "principalId": context["key_id"],
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }


def _of_key(token: Token, find: Find, now: float) -> dict[str, str]:
    try:
        key = find(token.id)
    except Exception as error:
        _count_failed_lookup(error, now)
        raise
    reason = refusal(token, key, now)
    if key is None or reason:
        _refuse(reason or "unknown", token.id)
    return {
        "tenant": key.tenant,
        "key_id": key.id,
        "models": " ".join(key.models),
        "mcp": " ".join(key.mcp),
        "reasoning": key.reasoning,
    }


def _of_token(token: str, judge: Judge, now: float) -> dict[str, str]:
    """A token has no limits of its own. A socket that it opened lives until it expires."""
    try:
        caller = judge(token, now)
    except Exception as error:
        _count_failed_lookup(error, now)
        raise
    if isinstance(caller, str):
        _refuse(f"token_{caller}", "")
    told = {"tenant": caller.tenant, "key_id": caller.key_id, "expires_at": str(caller.expires_at)}
    return {**told, "models": "", "mcp": "", "reasoning": ""}


def _refuse(reason: str, key_id: str) -> NoReturn:
    _log("WARNING", "refused", reason=reason, key_id=key_id)
    raise Exception("Unauthorized")


def _count_failed_lookup(error: Exception, now: float) -> None:
    """A log line that is a metric as well. Lambda counts a key that is refused as an error, too: alarms look at this.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metric = {
        "Namespace": _namespace,
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "KeyLookupsFailed", "Unit": "Count"}],
    }
    described = {"Timestamp": int(now * 1000), "CloudWatchMetrics": [metric]}
    _log("ERROR", "lookup failed", error=type(error).__name__, KeyLookupsFailed=1, _aws=described)


def _log(level: str, message: str, **fields: object) -> None:
    print(json.dumps({"level": level, "message": message, "service": _service, **fields}))


_service = os.environ.get("POWERTOOLS_SERVICE_NAME", "openresponses")
_namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "openresponses")
# It tries twice at most, since the gateway waits no longer. The client is made as the sandbox starts, when Lambda gives
# it more processor time.
use_local_aws(os.environ)
_region, _table = os.environ.get("AWS_REGION", "us-east-1"), os.environ.get("OPENRESPONSES_TABLE", "")
_dynamodb = make_client("dynamodb", _region, read_timeout=2.0, attempts=2, connections=1)


def allowed(environment: Mapping[str, str]) -> tuple[bool, Judge | None]:
    """Whether keys pass, and who judges tokens. Raises ValueError that names the variable."""
    auth = environment.get("OPENRESPONSES_AUTH") or "keys"
    if auth not in ("keys", "jwt", "keys+jwt"):
        raise ValueError("OPENRESPONSES_AUTH: must be 'keys', 'jwt' or 'keys+jwt'")
    return auth != "jwt", None if auth == "keys" else _judge_of(environment)


def _judge_of(environment: Mapping[str, str]) -> Judge:
    issuer, loopback = (
        environment.get("OPENRESPONSES_JWT_ISSUER", ""),
        environment.get("OPENRESPONSES_LOOPBACK") == "true",
    )
    audiences = tuple(environment.get("OPENRESPONSES_JWT_AUDIENCE", "").replace(",", " ").split())
    claim = environment.get("OPENRESPONSES_JWT_TENANT_CLAIM") or "tenant"
    if not issuer.startswith(("https://", "http://127.0.0.1:") if loopback else "https://"):
        raise ValueError("OPENRESPONSES_JWT_ISSUER: must be the https URL of an issuer")
    if not audiences:
        raise ValueError("OPENRESPONSES_JWT_AUDIENCE: must name an audience")

    @cache
    def judging() -> Judge:
        issuers, tokens = import_module(".issuer", __package__), import_module(".jwt_tokens", __package__)
        known = issuers.Issuer(issuer, issuers.fetch, loopback)
        rules = tokens.Rules(issuer, audiences, claim)
        return lambda token, now: tokens.judge(token, rules, known, now)

    return lambda token, now: judging()(token, now)


def _look_up(key_id: str) -> ClientKey | None:
    return find_key(_dynamodb, _table, key_id)


_keys_pass, _judge = allowed(os.environ)
_find = _look_up if _keys_pass else None


def handler(event: AuthorizerEvent, context: object) -> dict[str, Any]:
    """Raises botocore's errors, and IssuerUnavailable: where nobody can tell whose it is, no request passes."""
    return authorize(event, _find, time.time(), _judge)


def connect_handler(event: ConnectEvent, context: object) -> dict[str, Any]:
    """Raises as `handler` does."""
    return authorize_socket(event, _find, time.time(), _judge)

"""The authorizers: whether a bearer key may pass, and for which tenant. API Gateway calls `handler` before any other
function, and remembers its answer for as long as template.yaml says; and `connect_handler` for each socket that opens.

It runs on the stock runtime, and imports as little as it can: botocore is nearly all of its cold start. It remembers
nothing itself, so that a revoked key is refused as soon as the gateway forgets it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypedDict

from ..aws.session import make_client
from ..client_keys import ClientKey, parse, refusal
from ..storage.dynamodb.client_keys import find_key
from .local_aws import use_local_aws


class AuthorizerEvent(TypedDict):
    """For an authorizer of type TOKEN, which the REST API has."""

    authorizationToken: str
    methodArn: str


class ConnectEvent(TypedDict):
    """For one of type REQUEST, which the WebSocket API has: `methodArn` ends with the route, $connect."""

    headers: Mapping[str, str]
    methodArn: str


Find: TypeAlias = Callable[[str], ClientKey | None]


def authorize(event: AuthorizerEvent, find: Find, now: float) -> dict[str, Any]:
    """What API Gateway needs to let a key pass. Its context reaches the API function as requestContext.authorizer.

    The policy covers the whole stage, since the gateway applies a remembered policy to every method. Raises
    Exception("Unauthorized"), which the gateway turns into a 401. It turns any error of `find` into a 503, and does not
    remember that.
    """
    api_and_stage = "/".join(event["methodArn"].split("/", 2)[:2])
    return _answer(event["authorizationToken"], f"{api_and_stage}/*/*", find, now)


def authorize_socket(event: ConnectEvent, find: Find, now: float) -> dict[str, Any]:
    """The same for a socket that opens. The key is taken from the header alone: an address is logged on its way.

    The name of the header has the letters that the client chose. Raises as `authorize` does.
    """
    given = (value for name, value in event["headers"].items() if name.lower() == "authorization")
    return _answer(next(given, ""), event["methodArn"], find, now)


def _answer(authorization: str, resource: str, find: Find, now: float) -> dict[str, Any]:
    scheme, _, given = authorization.partition(" ")
    token = parse(given) if scheme.lower() == "bearer" else None
    if token is None:
        return _refuse("malformed", "")  # it may be somebody's key elsewhere: none of it is logged
    try:
        key = find(token.id)
    except Exception as error:
        _count_failed_lookup(error, now)
        raise
    reason = refusal(token, key, now)
    if key is None or reason:
        return _refuse(reason or "unknown", token.id)
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    return {
        "principalId": key.id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {
            "tenant": key.tenant,
            "key_id": key.id,
            "models": " ".join(key.models),
            "mcp": " ".join(key.mcp),
            "reasoning": key.reasoning,
        },
    }


def _refuse(reason: str, key_id: str) -> dict[str, Any]:
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


def handler(event: AuthorizerEvent, context: object) -> dict[str, Any]:
    """Raises botocore's errors: as long as no key can be looked up, no request passes."""
    return authorize(event, lambda key_id: find_key(_dynamodb, _table, key_id), time.time())


def connect_handler(event: ConnectEvent, context: object) -> dict[str, Any]:
    """Raises botocore's errors, as `handler` does."""
    return authorize_socket(event, lambda key_id: find_key(_dynamodb, _table, key_id), time.time())

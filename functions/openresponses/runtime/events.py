"""API Gateway's REST proxy event as an ASGI scope and body. mangum maps it; this module fills the gaps.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import json
import re
from typing import Any, cast
from urllib.parse import unquote

from mangum.handlers.api_gateway import APIGateway
from mangum.types import LambdaConfig

from .asgi import Scope
from .context import LambdaContext
from .faults import FaultError

CONFIG = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])
# Raising from `send` is how 2.4 tells of a lost client, so frameworks start no task to listen for one.
ASGI = {"version": "3.0", "spec_version": "2.4"}
REQUIRED = {"httpMethod": str, "path": str, "requestContext": dict}
OPTIONAL = {
    "headers": dict,
    "multiValueHeaders": dict,
    "queryStringParameters": dict,
    "multiValueQueryStringParameters": dict,
    "body": str,
    "isBase64Encoded": bool,
    "resource": str,
    "pathParameters": dict,
}


class MalformedEventError(FaultError):
    """The event is not a REST proxy event. The message names fields and never their values."""

    def __init__(self, message: str) -> None:
        super().__init__("Runtime.MalformedEvent", f"not an API Gateway REST proxy event: {message}")


def request_of(payload: bytes, context: LambdaContext, state: dict[str, Any]) -> tuple[Scope, bytes]:
    """The ASGI scope of an event, and the whole body. Raises MalformedEventError."""
    event = _checked(payload)
    try:
        # mangum declares its own protocol for the context, with Cognito and mobile clients; it only passes it on.
        request = APIGateway(event, cast("Any", context), CONFIG)
        scope, body = request.scope, request.body
        scope["headers"] = _headers(event)
        scope["path"] = scope["path"].removeprefix(_mount(event)) or "/"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Not chained: the text of such an error quotes the request, and a chain is logged.
        raise MalformedEventError(f"{type(error).__name__} in its headers, query, body or request context") from None
    scope["asgi"] = ASGI
    scope["state"] = state.copy()
    return scope, body


def _checked(payload: bytes) -> dict[str, Any]:
    try:
        event: object = json.loads(payload)
    except (ValueError, RecursionError):
        raise MalformedEventError("it is not JSON") from None
    if not isinstance(event, dict):
        raise MalformedEventError(f"it is {type(event).__name__}, not an object")
    fields = cast("dict[str, Any]", event)
    wrong = [f"{name} is missing" for name in REQUIRED if fields.get(name) is None]
    for name, kind in {**REQUIRED, **OPTIONAL}.items():
        value = fields.get(name)
        if value is not None and not isinstance(value, kind):
            wrong.append(f"{name} is {type(value).__name__}, not {kind.__name__}")
    if wrong:
        raise MalformedEventError("; ".join(wrong))
    return fields


def _mount(event: dict[str, Any]) -> str:
    """What a custom domain puts before the API's own path: its base path, and the stage where no stage is mapped to it.

    `resource` and `pathParameters` are always the API's own. The forms of `path`, as AWS was seen to send them:
    https://github.com/localstack/localstack/pull/12296
    """
    parameters: dict[str, str] = event.get("pathParameters") or {}
    own = re.sub(r"\{(\w+)\+?\}", lambda found: parameters.get(found[1], ""), event.get("resource") or "")
    whole, own = unquote(event["path"]).rstrip("/"), unquote(own).rstrip("/")
    return whole.removesuffix(own) if own and whole.endswith(own) else ""


def _headers(event: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """One pair per value, where mangum joins them with a comma, which breaks dates and cookies."""
    single: dict[str, str] = event.get("headers") or {}
    multiple: dict[str, list[str]] = event.get("multiValueHeaders") or {}
    values = {name.lower(): [value] for name, value in single.items()}
    values |= {name.lower(): many or [] for name, many in multiple.items()}
    if len(values.get("cookie", ())) > 1:
        values["cookie"] = ["; ".join(values["cookie"])]  # as RFC 9113, 8.2.3, asks of whoever leaves HTTP/2
    return [(name.encode(), value.encode()) for name, many in values.items() for value in many]

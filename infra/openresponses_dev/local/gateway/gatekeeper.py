"""A Lambda authorizer in front of the functions, asked and believed as API Gateway does it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from openresponses.client_keys import parse
from openresponses_dev.local.gateway.rest_event import Request
from openresponses_dev.local.gateway.socket_event import Handshake
from openresponses_dev.local.sandbox.calls import InvokeError
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.template.authorization import Authorizer
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION
from openresponses_dev.local.template.template import Route
from openresponses_dev.local.template.websocket import SocketAuthorizer

AuthorizerContext = dict[str, str | int]
"""What the function behind sees as requestContext.authorizer: values are strings but for the gateway's own latency."""

_UNAUTHORIZED = "Unauthorized"  # the errorMessage that is not a failure
_FAILED = "AUTHORIZER_CONFIGURATION_ERROR"
SOCKET_QUEUE_S = 300.0
"""How long the functions of a socket are waited for. Lambda refuses at once, but has a thousand sandboxes."""


class Denied(Exception):
    """Nobody gets in. `kind` is a gateway response type. `key_id` is that of a key that was refused."""

    def __init__(self, kind: str, why: str, key_id: str = "") -> None:
        super().__init__(why)
        self.kind, self.key_id = kind, key_id


@dataclass(frozen=True, slots=True)
class Decision:
    """What an authorizer said about a token. It is valid for every method, until it expires from the cache."""

    statements: tuple[Mapping[str, Any], ...]
    context: AuthorizerContext
    until: float


@dataclass(slots=True)
class _Asked:
    """One authorizer: its function, and what it said. It is asked one thing at a time, which saves sandboxes."""

    function: Function
    answers: dict[str, Decision] = field(default_factory=dict[str, Decision])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Gatekeeper:
    """An authorizer at its limit is waited for `queue_s`. `now` is a clock of seconds."""

    def __init__(
        self, functions: Mapping[str, Function], queue_s: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._functions = {function.spec.arn: function for function in functions.values()}
        self._asked: dict[Authorizer, _Asked] = {}
        self._queue_s, self._now = queue_s, now

    async def admit(self, request: Request, route: Route, stage: str) -> AuthorizerContext | None:
        """The context for the event; None where the route has no authorizer. Raises Denied."""
        if route.authorizer is None:
            return None
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{route.api}/{stage}/{request.method}{request.path}"
        token = _token(request, route.authorizer)
        begun = self._now()
        answer, remembered = await self._answer(route.authorizer, token, arn, request.trace_id)
        _check_policy(answer.statements, arn)
        return {**answer.context, "integrationLatency": 0 if remembered else round((self._now() - begun) * 1000)}

    async def admit_socket(self, handshake: Handshake) -> AuthorizerContext | None:
        """The same for a connection to a WebSocket API. What is said of one is not remembered for another:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigatewayv2-authorizer.html
        (AuthorizerResultTtlInSeconds). Raises Denied.
        """
        authorizer = handshake.api.authorizer
        if authorizer is None:
            return None
        _check_sources(handshake.request, authorizer)
        if authorizer.function_arn not in self._functions:
            raise Denied(_FAILED, f"{authorizer.function_arn} is no function of the template")
        begun = self._now()
        event = json.dumps(handshake.authorizer_event(), ensure_ascii=False).encode()
        function = self._functions[authorizer.function_arn]
        token = handshake.request.header("authorization") or ""
        answer = _read(await _invoke(function, event, handshake.request.trace_id, SOCKET_QUEUE_S, token), begun)
        _check_policy(answer.statements, handshake.connect_arn)
        return {**answer.context, "integrationLatency": round((self._now() - begun) * 1000)}

    async def _answer(self, authorizer: Authorizer, token: str, arn: str, trace_id: str) -> tuple[Decision, bool]:
        """Errors are not remembered."""
        asked = self._asked.get(authorizer) or self._ask_of(authorizer)
        if known := self._known(asked, token):
            return known, True
        async with asked.lock:
            if known := self._known(asked, token):
                return known, True
            event = {"type": "TOKEN", "methodArn": arn, "authorizationToken": token}
            document = await _invoke(asked.function, json.dumps(event).encode(), trace_id, self._queue_s, token)
            answer = _read(document, self._now() + authorizer.ttl_s)
            if authorizer.ttl_s:
                asked.answers[token] = answer
            return answer, False

    def _known(self, asked: _Asked, token: str) -> Decision | None:
        answer = asked.answers.get(token)
        return answer if answer and self._now() < answer.until else None

    def _ask_of(self, authorizer: Authorizer) -> _Asked:
        if authorizer.function_arn not in self._functions:
            raise Denied(_FAILED, f"{authorizer.function_arn} is no function of the template")
        return self._asked.setdefault(authorizer, _Asked(self._functions[authorizer.function_arn]))


def _token(request: Request, authorizer: Authorizer) -> str:
    token = request.header(authorizer.header)
    if not token:
        raise Denied("UNAUTHORIZED", f"no {authorizer.header} header")
    if authorizer.expression is not None and not re.fullmatch(authorizer.expression, token):
        why = f"the {authorizer.header} header does not match the validation expression"
        raise Denied("UNAUTHORIZED", f"a wrong key: {why}")
    return token


def _check_sources(request: Request, authorizer: SocketAuthorizer) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/configure-api-gateway-lambda-authorization.html:
    where one of the sources is missing or empty, the answer is a 401, and the function is not asked.
    """
    asked = dict(parse_qsl(request.query))
    missing = [name for name in authorizer.headers if not request.header(name)]
    missing += [name for name in authorizer.queries if not asked.get(name)]
    if missing:
        raise Denied("UNAUTHORIZED", f"no {missing[0]}")


async def _invoke(function: Function, event: bytes, trace_id: str, patience_s: float, token: str) -> bytes:
    try:
        call = await function.invoke_soon(event, trace_id, patience_s=patience_s)
    except InvokeError as error:
        raise Denied("AUTHORIZER_FAILURE", f"{error.error_type}: {error}") from error
    document = b"".join([chunk async for chunk in call.chunks()])
    if call.error is None:
        return document
    if str(call.error) == _UNAUTHORIZED:
        raise _wrong_key(token)
    raise Denied(_FAILED, f"{call.function}: {call.error.error_type}: {call.error}")


def _wrong_key(authorization: str) -> Denied:
    """Of the key, its id alone is told: what is no key of ours may be a secret of another service."""
    found = parse(authorization.rpartition(" ")[2])
    what = f"or_{found.id}_..." if found else "it is no key of this server (or_...)"
    return Denied("UNAUTHORIZED", f"a wrong key: {what}", found.id if found else "")


def _read(document: bytes, until: float) -> Decision:
    """Raises Denied for what API Gateway takes for a configuration error."""
    try:
        found: dict[str, Any] = json.loads(document)
        statements: list[Mapping[str, Any]] | Mapping[str, Any] = found["policyDocument"]["Statement"]
        context: dict[str, object] = found.get("context") or {}
        texts = {name: _text(value) for name, value in context.items()}
        listed = statements if isinstance(statements, list) else [statements]
        return Decision(tuple(listed), {**texts, "principalId": _text(found["principalId"])}, until)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Denied(_FAILED, f"not an authorizer's answer: {type(error).__name__}: {error}") from error


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            raise TypeError("a context holds strings, numbers and booleans")


def _check_policy(statements: tuple[Mapping[str, Any], ...], arn: str) -> None:
    """A deny wins over any allow, and without an allow nothing is allowed. Raises Denied."""
    effects = {str(each["Effect"]) for each in statements if _covers(each, arn)}
    if "Deny" in effects:
        raise Denied("ACCESS_DENIED", f"its policy denies {arn}")
    if "Allow" not in effects:
        raise Denied("ACCESS_DENIED", f"its policy does not allow {arn}")


def _covers(statement: Mapping[str, Any], arn: str) -> bool:
    return any(_matches(action.lower(), "execute-api:invoke") for action in _list(statement.get("Action"))) and any(
        _matches(resource, arn) for resource in _list(statement.get("Resource"))
    )


def _list(value: str | list[str] | None) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: any number of any characters, slashes too, or exactly one. No others."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))

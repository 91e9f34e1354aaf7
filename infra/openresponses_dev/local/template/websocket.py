"""The WebSocket APIs that a template declares: routes, the function behind each, and who authorizes a connection.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_ApiGatewayV2.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from openresponses_dev.local.template.authorization import refuse_unknown
from openresponses_dev.local.template.properties import Properties
from openresponses_dev.local.template.yaml_tree import TemplateError

CONNECT, DISCONNECT, DEFAULT = "$connect", "$disconnect", "$default"
_TYPE = "AWS::ApiGatewayV2::"
_FUNCTION = re.compile(r"arn:[^/]+:path/[\d-]+/functions/(?P<arn>arn:[^/]+)/invocations")
_SELECTION = re.compile(r"\$\{?request\.body(?P<path>(?:\.\w+)+)\}?")
_SOURCE = re.compile(r"route\.request\.(?P<kind>header|querystring)\.(?P<name>[^\s.]+)")

Read = Callable[[str, tuple[str, ...]], Properties]
"""The properties of a resource, by its logical id: those of the given keys, resolved."""


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """What is invoked with the messages of one route key."""

    function: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class SocketAuthorizer:
    """A Lambda authorizer of type REQUEST. The handshake has to have all of these headers and query parameters."""

    function_arn: str
    headers: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SocketApi:
    """A WebSocket API and its one stage. `selection` leads to the route key in a message."""

    name: str
    stage: str
    selection: tuple[str, ...]
    routes: Mapping[str, SocketRoute]
    authorizer: SocketAuthorizer | None


@dataclass(frozen=True, slots=True)
class Declarations:
    """How a template is read: `named` has the logical ids of a type, `functions` the names of functions by ARN."""

    named: Callable[[str], list[str]]
    read: Read
    functions: Mapping[str, str] = field(default_factory=dict[str, str])

    def all(self, kind: str, *keys: str) -> Iterator[tuple[str, Properties]]:
        for name in self.named(_TYPE + kind):
            yield name, self.read(name, keys)


def read_websocket(declared: Declarations) -> SocketApi | None:
    """The template's WebSocket API, if it has one. Raises TemplateError for what the local gateway does not do."""
    keys = ("ProtocolType", "RouteSelectionExpression", "Body", "BodyS3Location", "ApiKeySelectionExpression")
    apis = [(name, api) for name, api in declared.all("Api", *keys) if api.text("ProtocolType", "") == "WEBSOCKET"]
    if not apis:
        return None
    if len(apis) > 1:
        raise TemplateError(apis[1][1].where, "the local cloud runs one WebSocket API")
    for kind in ("RouteResponse", "IntegrationResponse"):
        for _, other in declared.all(kind):
            raise TemplateError(other.where, "the local cloud does not run this")
    name, api = apis[0]
    refuse_unknown(api, "ProtocolType", "RouteSelectionExpression")
    expression = api.text("RouteSelectionExpression")
    selection = _SELECTION.fullmatch(expression)
    if selection is None:
        raise TemplateError(api.at("RouteSelectionExpression"), f"{expression!r} is not $request.body.NAME")
    routes = dict(_routes(name, declared))
    connect = next((route for key, route in routes.items() if key == CONNECT), None)
    return SocketApi(
        name=name,
        stage=_stage(name, api, declared),
        selection=tuple(selection["path"].split(".")[1:]),
        routes={key: _route(route, declared) for key, route in routes.items()},
        authorizer=_authorizer(connect, declared) if connect else None,
    )


def _stage(api: str, where: Properties, declared: Declarations) -> str:
    stages = [stage for _, stage in declared.all("Stage", "ApiId", "StageName") if stage.text("ApiId") == api]
    if len(stages) != 1:
        raise TemplateError(where.where, f"has {len(stages)} stages; the local cloud runs one")
    return stages[0].text("StageName")


def _routes(api: str, declared: Declarations) -> Iterator[tuple[str, Properties]]:
    keys = ("ApiId", "RouteKey", "Target", "AuthorizationType", "AuthorizerId", "ApiKeyRequired")
    for _, route in declared.all("Route", *keys, "RouteResponseSelectionExpression", "ModelSelectionExpression"):
        if route.text("ApiId") == api:
            refuse_unknown(route, *keys)
            if route.text("ApiKeyRequired", "false") != "false":
                raise TemplateError(route.at("ApiKeyRequired"), "the local cloud does not run this")
            yield route.text("RouteKey"), route


def _route(route: Properties, declared: Declarations) -> SocketRoute:
    target = route.text("Target").removeprefix("integrations/")
    keys = ("IntegrationType", "IntegrationUri", "TimeoutInMillis", "ContentHandlingStrategy", "RequestTemplates")
    integration = next((found for name, found in declared.all("Integration", *keys) if name == target), None)
    if integration is None:
        raise TemplateError(route.at("Target"), f"there is no integration {target!r}")
    refuse_unknown(integration, "IntegrationType", "IntegrationUri", "TimeoutInMillis")
    if (kind := integration.text("IntegrationType")) != "AWS_PROXY":
        raise TemplateError(integration.at("IntegrationType"), f"the local cloud runs AWS_PROXY, not {kind!r}")
    arn = _function_arn(integration, "IntegrationUri")
    if arn not in declared.functions:
        raise TemplateError(integration.at("IntegrationUri"), f"{arn} is no function of the template")
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
    timeout_ms = integration.number("TimeoutInMillis", 29_000, 50, 29_000)
    return SocketRoute(declared.functions[arn], timeout_ms / 1000)


def _authorizer(route: Properties, declared: Declarations) -> SocketAuthorizer | None:
    kind = route.text("AuthorizationType", "NONE")
    if kind == "NONE":
        return None
    if kind != "CUSTOM":
        raise TemplateError(route.at("AuthorizationType"), f"the local cloud runs CUSTOM, not {kind!r}")
    wanted = route.text("AuthorizerId")
    keys = ("AuthorizerType", "AuthorizerUri", "IdentitySource")
    found = next((each for name, each in declared.all("Authorizer", *keys) if name == wanted), None)
    if found is None:
        raise TemplateError(route.at("AuthorizerId"), f"there is no authorizer {wanted!r}")
    if (type_ := found.text("AuthorizerType")) != "REQUEST":
        raise TemplateError(found.at("AuthorizerType"), f"the local cloud runs REQUEST, not {type_!r}")
    sources = [_source(found, source) for source in found.list("IdentitySource")]
    return SocketAuthorizer(
        _function_arn(found, "AuthorizerUri"),
        headers=tuple(name.lower() for kind, name in sources if kind == "header"),
        queries=tuple(name for kind, name in sources if kind == "querystring"),
    )


def _source(authorizer: Properties, source: str) -> tuple[str, str]:
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise TemplateError(authorizer.at("IdentitySource"), f"the local cloud does not read {source!r}")
    return found["kind"], found["name"]


def _function_arn(properties: Properties, key: str) -> str:
    uri = properties.text(key)
    found = _FUNCTION.fullmatch(uri)
    if found is None:
        raise TemplateError(properties.at(key), f"{uri!r} does not invoke a function")
    return found["arn"]

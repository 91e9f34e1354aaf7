"""How a template's WebSocket API is read, and what of it the local cloud refuses to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from openresponses_dev.local.template.template import read_template
from openresponses_dev.local.template.websocket import SocketApi, SocketAuthorizer, SocketRoute
from openresponses_dev.local.template.yaml_tree import TemplateError
from tests.local.local_project import ROOT
from tests.local.sockets import socket_project

ON = {"WebSocket": "true"}


def test_it_is_read_whole(tmp_path: Path) -> None:
    template = read_template(socket_project(tmp_path), ON)
    talk = SocketRoute("TalkFunction", 29.0)
    gate = "arn:aws:lambda:us-east-1:123456789012:function:GateFunction"
    assert template.websocket == SocketApi(
        name="WebSocketApi",
        stage="responses",
        selection=("to", "whom"),
        routes={
            "$connect": talk,
            "$disconnect": talk,
            "$default": talk,
            "named": talk,
            "hasty": SocketRoute("TalkFunction", 0.3),
        },
        authorizer=SocketAuthorizer(gate, ("authorization",), ()),
    )


def test_without_its_condition_there_is_none_and_a_preference_is_not_an_order(tmp_path: Path) -> None:
    path = socket_project(tmp_path)
    assert read_template(path).websocket is None
    assert read_template(path, preferred=ON).websocket is not None
    assert read_template(path, {"WebSocket": "false"}, ON).websocket is None
    assert read_template(path, preferred={**ON, "Undeclared": "x"}).websocket is not None


def test_the_projects_own_is_run() -> None:
    own = read_template(ROOT / "template.yaml", ON).websocket
    assert own is not None
    assert (own.stage, set(own.routes)) == ("responses", {"$connect", "$disconnect", "$default"})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("AuthorizerType: REQUEST", "AuthorizerType: TOKEN", "Gate.*AuthorizerType.*runs REQUEST"),
        ("AuthorizationType: CUSTOM", "AuthorizationType: AWS_IAM", "ConnectRoute.*runs CUSTOM"),
        ("AuthorizerId: !Ref Gate", "AuthorizerId: other", "there is no authorizer 'other'"),
        ("[route.request.header.Authorization]", "[route.request.path.a]", "does not read 'route.request.path.a'"),
        ("IntegrationType: AWS_PROXY", "IntegrationType: HTTP", "runs AWS_PROXY, not 'HTTP'"),
        ("TimeoutInMillis: 300", "TimeoutInMillis: 30000", "30000 is not between 50 and 29000"),
        ("TimeoutInMillis: 300", "ContentHandlingStrategy: CONVERT_TO_BINARY", "does not run this"),
        ("Target: !Sub integrations/${Talk}", "Target: integrations/Other", "there is no integration 'Other'"),
        ("Default: $request.body.to.whom", "Default: $request.header.x", "is not .request.body.NAME"),
        ("ProtocolType: WEBSOCKET", "ProtocolType: WEBSOCKET\n      Body: {}", "Body.*does not run this"),
        ("functions/${TalkFunction.Arn}/", "functions/arn:aws:lambda:us-east-1:1:function:x/", "is no function of the"),
        ("RouteKey: hasty,", "RouteKey: hasty, ApiKeyRequired: true,", "does not run this"),
        ("MaximumRetryAttempts: !Ref Retries", "MaximumRetryAttempts: 3", "3 is not between 0 and 2"),
        ("{OnFailure: {Type: Lambda,", "{OnSuccess: {Type: Lambda,", "OnSuccess.*does not run this"),
        ("{OnFailure: {Type: Lambda,", "{OnFailure: {Type: SQS,", "runs Lambda, not 'SQS'"),
        ("ApiId: !Ref WebSocketApi, StageName", "ApiId: Other, StageName", "has 0 stages"),
    ],
)
def test_what_is_not_run_is_refused_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = socket_project(tmp_path)
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new, 1) if "TalkFunction" not in old else source.replace(old, new))
    with pytest.raises(TemplateError, match=told):
        read_template(path, ON)


@pytest.mark.parametrize("kind", ["RouteResponse", "IntegrationResponse", "Api"])
def test_a_second_api_and_answers_of_routes_are_refused(tmp_path: Path, kind: str) -> None:
    path = socket_project(tmp_path)
    more = f"  More: {{Type: AWS::ApiGatewayV2::{kind}, Properties: {{ProtocolType: WEBSOCKET}}}}"
    path.write_text(f"{path.read_text()}\n{more}\n")
    with pytest.raises(TemplateError, match="More"):
        read_template(path, ON)

"""What is read from a template, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from openresponses_dev.local.gateway.rest_event import Routes
from openresponses_dev.local.template.authorization import Authorizer
from openresponses_dev.local.template.intrinsics import Resolver
from openresponses_dev.local.template.template import Route, merge, read_template
from openresponses_dev.local.template.yaml_tree import TemplateError, Value, parse
from tests.local.local_project import ROOT

FUNCTION = """\
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
      CodeUri: .
"""


def api(auth: str) -> str:
    return FUNCTION + f"  A: {{Type: AWS::Serverless::Api, Properties: {{StageName: s, Auth: {auth}}}}}\n"


def test_the_deployed_template_runs_locally() -> None:
    template = read_template(ROOT / "template.yaml", {"AuthorizerSeconds": "7"})
    function = template.functions["ApiFunction"]
    assert function.wrapper == ROOT / "functions" / "bootstrap"
    assert function.environment["OPENRESPONSES_SSM_PREFIX"] == "/openresponses/local"
    assert all(route.streaming for route in template.routes)
    authorizer = Authorizer(
        name="ClientKeys",
        function_arn=template.functions["AuthorizerFunction"].arn,
        header="authorization",
        expression=r"^[Bb]earer or_[a-z0-9]{12}_[A-Za-z0-9]{43}$",
        ttl_s=7,
    )
    assert {(route.method, route.path): route.authorizer for route in template.routes} == {
        ("ANY", "/health"): None,
        ("ANY", "/docs"): None,
        ("ANY", "/docs/{file}"): None,
        ("ANY", "/openapi.json"): None,
        ("ANY", "/console"): None,
        ("ANY", "/console/{file}"): None,
        ("OPTIONS", "/{proxy+}"): None,
        ("ANY", "/{proxy+}"): authorizer,
    }


def test_globals_merge_as_sam_merges_them() -> None:
    common: dict[str, Value] = {"a": {"x": 1, "y": 1}, "list": [1], "own": 1, "only": 1}
    own: dict[str, Value] = {"a": {"y": 2}, "list": [2], "own": 2}
    assert merge(common, own) == {"a": {"x": 1, "y": 2}, "list": [1, 2], "own": 2, "only": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: [", r"template.yaml:1: "),
        ("[]", r"template.yaml: must be a mapping"),
        ("Resources: {}", "declares no AWS::Serverless::Function"),
        ("Resources: {F: {}}", r"Resources.F.Type: must be a string"),
        (FUNCTION.replace("Handler", "Handle"), r"Resources.F.Properties.Handler: is required"),
        (FUNCTION.replace("CodeUri: .", "CodeUri: nowhere"), r"Resources.F.Properties.CodeUri: .* is not a directory"),
        (FUNCTION + "      Timeout: soon\n", r"Properties.Timeout: 'soon' is not a whole number"),
        (FUNCTION + "      Timeout: 901\n", r"Properties.Timeout: 901 is not between 1 and 900"),
        (FUNCTION + "      MemorySize: 64\n", r"Properties.MemorySize: 64 is not between"),
        (FUNCTION + "      Handler: !Ref Nothing\n", r"Properties.Handler: 'Nothing' is no parameter and no resource"),
        (FUNCTION + "      Handler: !ImportValue x\n", r"Properties.Handler: Fn::ImportValue is not supported"),
        (
            FUNCTION + "      Environment: {Variables: {A: [1]}}\n",
            r"Resources.F.Properties.Environment.Variables.A: must be a string",
        ),
        (
            FUNCTION + "      Events: {E: {Type: Api, Properties: {Path: /, Method: GRAB}}}\n",
            r"Properties.Events.E.Properties.Method: 'GRAB' is not one of GET",
        ),
        (
            FUNCTION + "      Events: {E: {Type: Api, Properties: {Path: x, Method: GET}}}\n",
            r"Events.E.Properties.Path: 'x' does not start with /",
        ),
        (
            FUNCTION
            + "      Events: {E: {Type: Api, Properties: {Path: /, Method: GET, ResponseTransferMode: STREAM}}}\n",
            r"ResponseTransferMode: 'STREAM' is not one of BUFFERED, RESPONSE_STREAM",
        ),
        (
            FUNCTION + "      Events: {E: {Type: Api, Properties: {Path: /, Method: GET, TimeoutInMillis: 900000}}}\n",
            r"TimeoutInMillis: 900000 is not between 50 and 300000",
        ),
        ("Parameters: {P: {Type: String}}\n" + FUNCTION, r"Parameters.P: has no Default: pass --parameter P=VALUE"),
        (
            "Parameters: {P: {Type: String, Default: c, AllowedValues: [a, b]}}\n" + FUNCTION,
            r"Parameters.P: 'c' is not one of \['a', 'b'\]",
        ),
        (
            "Parameters: {P: {Type: String, Default: c, AllowedPattern: '^[ab]$'}}\n" + FUNCTION,
            r"Parameters.P: 'c' does not match",
        ),
        (
            FUNCTION + "  A: {Type: AWS::Serverless::Api, Properties: {StageName: s, Cors: '*'}}\n",
            r"Resources.A.Properties.Cors: the local cloud does not run this",
        ),
        (
            api("{ApiKeyRequired: true}"),
            r"Resources.A.Properties.Auth.ApiKeyRequired: the local cloud does not run this",
        ),
        (api("{DefaultAuthorizer: B}"), r"Resources.A.Properties.Auth.DefaultAuthorizer: there is no authorizer 'B'"),
        (
            api("{Authorizers: {B: {UserPoolArn: x}}}"),
            r"Auth.Authorizers.B.UserPoolArn: the local cloud does not run this",
        ),
        (
            api("{Authorizers: {B: {FunctionArn: x, FunctionPayloadType: REQUEST}}}"),
            r"Auth.Authorizers.B.FunctionPayloadType: the local cloud runs TOKEN, not 'REQUEST'",
        ),
        (
            api("{Authorizers: {B: {FunctionArn: x, Identity: {ReauthorizeEvery: 3601}}}}"),
            r"Auth.Authorizers.B.Identity.ReauthorizeEvery: 3601 is not between 0 and 3600",
        ),
        (
            FUNCTION
            + "      Events: {E: {Type: Api, Properties: {Path: /, Method: GET, Auth: {Authorizer: AWS_IAM}}}}\n",
            r"Events.E.Properties.Auth.Authorizer: there is no authorizer 'AWS_IAM'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    with pytest.raises(TemplateError, match=message):
        read_template(path)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!Ref P", "p"),
        ("!Ref Bucket", "bucket"),
        ("!Ref Named", "name-p"),
        ("!Ref AWS::Region", "us-east-1"),
        ("!GetAtt Named.Arn", "arn:aws:dynamodb:us-east-1:123456789012:table/name-p"),
        ("!Ref Machine", "arn:aws:states:us-east-1:123456789012:stateMachine:Machine"),
        ("!GetAtt [Machine, Name]", "Machine"),
        ("!Sub '${P}/${!P}/${Machine.Name}/${AWS::AccountId}'", "p/${P}/Machine/123456789012"),
        ("!Sub ['${P}${Q}', {Q: !Ref P}]", "pp"),
        ("!Join ['-', [a, !Ref P, 1]]", "a-p-1"),
        ("!Select [1, !Split [',', 'a,b']]", "b"),
        ("!If [IsP, 1, 2]", 1),
        ("!If [IsNotP, 1, !Ref AWS::NoValue]", {"Ref": "AWS::NoValue"}),
        ("{a: !If [IsNotP, 1, !Ref AWS::NoValue], b: [!Ref AWS::NoValue, 2]}", {"b": [2]}),
        ("!FindInMap [M, a, b]", "found"),
        ("!Base64 ab", "YWI="),
        ("!And [!Condition IsP, !Not [!Condition IsNotP], !Or [!Condition IsNotP, !Equals [1, '1']]]", True),
    ],
)
def test_an_intrinsic_function_has_its_value(expression: str, value: Value) -> None:
    resources: dict[str, Value] = {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Named": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": {"Fn::Sub": "name-${P}"}}},
        "Machine": {"Type": "AWS::Serverless::StateMachine"},
    }
    conditions = parse("{IsP: !Equals [!Ref P, p], IsNotP: !Not [!Condition IsP]}", "conditions")
    resolver = Resolver({"P": "p"}, resources, conditions, {"M": {"a": {"b": "found"}}})
    assert resolver.resolve(parse(f"x: {expression}", "test")["x"], "x") == value


def test_the_most_special_path_is_matched() -> None:
    def route(path: str, method: str = "ANY") -> Route:
        return Route("F", "Api", method, path, True, 1)

    paths = ["/{proxy+}", "/a/{id}", "/a/b", "/a/{id}/c", "/a/{rest+}", "/"]
    routes = Routes([*map(route, paths), route("/only", "GET")])

    def match(path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
        found = routes.match(method, path)
        return found and (found[0].path, found[1])

    assert match("/") == ("/", {})
    assert match("/a/b") == match("/a/b/") == ("/a/b", {})
    assert match("/a/x%20y") == ("/a/{id}", {"id": "x y"})
    assert match("/a/x/c") == ("/a/{id}/c", {"id": "x"})
    assert match("/a/x/y/z") == ("/a/{rest+}", {"rest": "x/y/z"})
    assert match("/b") == ("/{proxy+}", {"proxy": "b"})
    assert match("/only") == ("/only", {})
    assert match("/only", "POST") is None

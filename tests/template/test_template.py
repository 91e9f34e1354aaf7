"""What a deploy of template.yaml would get."""

import json
import re

import pytest
import yaml

from openresponses.client_keys import new_token
from openresponses.core.errors import BodyTooLarge, KitError, NotFound, Unauthorized
from openresponses_dev.local.template.intrinsics import Resolver
from tests.template.expanding import expand
from tests.template.reading import ROOT, Json, of_type
from tests.template.stack import Stack

STREAMING_URI = (
    "arn:aws:apigateway:${AWS::Region}:lambda:path"
    "/2021-11-15/functions/${ApiFunction.Arn}/response-streaming-invocations"
)
ANY = "x-amazon-apigateway-any-method"
OPEN = {
    *((ANY, path) for path in ("/health", "/docs", "/docs/{file}", "/openapi.json", "/console", "/console/{file}")),
    ("options", "/{proxy+}"),
}
ROUTES = {*OPEN, (ANY, "/{proxy+}")}
# API Gateway's response type, our error type, and the status where the template sets one.
GATEWAY_RESPONSES = {
    "DEFAULT_4XX": ("invalid_request", None),
    "DEFAULT_5XX": ("server_error", None),
    "UNAUTHORIZED": ("invalid_request", "401"),
    "INVALID_API_KEY": ("invalid_request", "401"),
    "EXPIRED_TOKEN": ("invalid_request", "401"),
    "ACCESS_DENIED": ("invalid_request", "403"),
    "AUTHORIZER_FAILURE": ("server_error", "503"),
    "AUTHORIZER_CONFIGURATION_ERROR": ("server_error", "503"),
    "MISSING_AUTHENTICATION_TOKEN": ("not_found", "404"),
    "RESOURCE_NOT_FOUND": ("not_found", "404"),
    "REQUEST_TOO_LARGE": ("invalid_request", "413"),
    "THROTTLED": ("too_many_requests", "429"),
    "QUOTA_EXCEEDED": ("too_many_requests", "429"),
    "INTEGRATION_FAILURE": ("server_error", "503"),
    "INTEGRATION_TIMEOUT": ("server_error", "504"),
}


def test_every_method_of_the_api_streams_for_fifteen_minutes(resources: dict[str, Json]) -> None:
    paths = resources["Api"]["Properties"]["Body"]["paths"]
    integrations = {
        (method, path): operation["x-amazon-apigateway-integration"]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert integrations == {
        route: {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": {"Fn::Sub": STREAMING_URI},
            "responseTransferMode": "STREAM",
            "timeoutInMillis": 900_000,
        }
        for route in ROUTES
    }


def test_every_method_needs_a_key_but_the_health_check_and_the_pages(resources: dict[str, Json]) -> None:
    body = resources["Api"]["Properties"]["Body"]
    wanted = {
        (method, path): {name for each in operation["security"] for name in each}
        for path, operations in body["paths"].items()
        for method, operation in operations.items()
    }
    assert wanted == {route: {"NONE" if route in OPEN else "ClientKeys"} for route in ROUTES}
    scheme = body["components"]["securitySchemes"]["ClientKeys"]
    asked = scheme["x-amazon-apigateway-authorizer"]
    assert (scheme["in"], scheme["name"], asked["type"]) == ("header", "Authorization", "token")
    assert asked["authorizerResultTtlInSeconds"] == 60  # the parameter; SAM itself puts its value in
    assert {"__FunctionArn__": {"Fn::GetAtt": ["AuthorizerFunction", "Arn"]}} in asked["authorizerUri"]["Fn::Sub"]


@pytest.mark.parametrize("auth", ["keys", "jwt", "keys+jwt"])
def test_what_is_neither_a_key_nor_a_token_is_refused_before_a_function_runs(auth: str, source: Json) -> None:
    existing = Stack("kit", expand(source, {"Auth": auth})).existing["Resources"]
    schemes = existing["Api"]["Properties"]["Body"]["components"]["securitySchemes"]
    expression = schemes["ClientKeys"]["x-amazon-apigateway-authorizer"]["identityValidationExpression"]
    keys, tokens = [new_token() for _ in range(100)], ["eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmVk", "a-b_c.D0.-"]
    for given, passes in ((keys, auth != "jwt"), (tokens, auth != "keys")):
        for scheme in ("Bearer", "bearer"):
            assert {bool(re.fullmatch(expression, f"{scheme} {each}")) for each in given} == {passes}
        one = given[0]
        for wrong in (one, f"Basic {one}", f"Bearer {one}=", f"Bearer  {one}", f"Bearer {one} {one}", f"Bearer {one}."):
            assert not re.search(expression, wrong)
    for wrong in ("", "Bearer ", "Bearer sk-123", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.c.d.e", "Bearer a..b"):
        assert not re.search(expression, wrong)


@pytest.mark.parametrize(
    ("issuer", "good"),
    [
        ("https://cognito-idp.eu-north-1.amazonaws.com/eu-north-1_aBcDeFgHi", True),
        ("https://tenant.eu.auth0.com/", True),
        ("https://accounts.google.com", True),
        ("https://login.example.com:8443/realms/main", True),
        ("http://127.0.0.1:8080/realms/main", True),
        ("http://login.example.com", False),
        ("http://127.0.0.1.example.com:80", False),
        ("https://user@example.com", False),
        ("https://example.com?a=b", False),
        ("https://", False),
        ("example.com", False),
    ],
)
def test_an_issuer_is_a_url_with_https(issuer: str, good: bool, source: Json) -> None:
    assert bool(re.fullmatch(source["Parameters"]["JwtIssuer"]["AllowedPattern"], issuer)) is good


def test_api_gateway_may_invoke_the_functions_for_every_route(resources: dict[str, Json]) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission").items()
    sources = [each["Properties"]["SourceArn"]["Fn::Sub"][0] for name, each in permissions if "Socket" not in name]
    paths = {source.split("${__ApiId__}/")[1].removeprefix("${__Stage__}/") for source in sources}
    pages = {"*/docs", "*/docs/*", "*/openapi.json", "*/console", "*/console/*"}
    assert paths == {"*/*", "OPTIONS/*", "*/health", *pages, "authorizers/*"}


def test_the_api_is_regional_with_one_stage(source: Json) -> None:
    existing = Stack("kit", expand(source)).existing["Resources"]
    assert existing["Api"]["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert "Policy" not in existing["Api"]["Properties"]
    stages = of_type(existing, "AWS::ApiGateway::Stage").values()
    assert [stage["Properties"]["StageName"] for stage in stages] == ["openresponses"]


def test_a_private_api_is_reached_through_its_endpoints_alone(source: Json) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-api-create.html"""
    ids = ["vpce-0123456789abcdef0", "vpce-0123456789abcdef1"]
    api = Stack("kit", expand(source, {"VpcEndpointIds": ",".join(ids)})).resources["Api"]["Properties"]
    assert api["EndpointConfiguration"] == {"Types": ["PRIVATE"], "VpcEndpointIds": ids}
    every = {"Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    assert api["Policy"]["Statement"] == [
        {"Effect": "Deny", **every, "Condition": {"StringNotEquals": {"aws:SourceVpce": ids}}},
        {"Effect": "Allow", **every},
    ]


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, []),
        ({"Auth": "jwt"}, ["TokensHaveAnIssuer"]),
        ({"Auth": "keys+jwt", "JwtIssuer": "https://a.example"}, ["TokensHaveAnIssuer"]),
        ({"Auth": "keys+jwt", "JwtIssuer": "https://a.example", "JwtAudience": "a"}, []),
        ({"SubnetIds": "subnet-1"}, ["SubnetsHaveSecurityGroups"]),
        ({"SecurityGroupIds": "sg-1"}, ["SubnetsHaveSecurityGroups"]),
        ({"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}, []),
        ({"VpcEndpointIds": "vpce-1"}, []),
        ({"VpcEndpointIds": "vpce-1", "WebSocket": "true"}, ["SocketsArePublic"]),
    ],
)
def test_parameters_that_do_not_go_together_are_told_before_anything_is_made(
    given: dict[str, str], broken: list[str], source: Json
) -> None:
    defaults = {name: str(each["Default"]) for name, each in source["Parameters"].items()}
    resolver = Resolver({**defaults, **given}, {})

    def holds(rule: Json) -> bool:
        asserted = [resolver.resolve(each["Assert"], "rule") for each in rule["Assertions"]]
        return resolver.resolve(rule.get("RuleCondition", True), "rule") is not True or all(asserted)

    assert [name for name, rule in source["Rules"].items() if not holds(rule)] == broken


def test_no_parameter_is_a_secret_and_each_has_a_default(source: Json) -> None:
    parameters = source["Parameters"]
    assert {name for name, parameter in parameters.items() if parameter.get("NoEcho")} == set()
    assert {name for name, parameter in parameters.items() if "Default" not in parameter} == set()


def test_every_parameter_is_described_used_and_shown_in_a_group(source: Json) -> None:
    parameters = source["Parameters"]
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)
    used = json.dumps([source["Resources"], source["Conditions"]])
    assert [name for name in parameters if f'{{"Ref": "{name}"}}' not in used and f"${{{name}}}" not in used] == []
    assert [name for name, parameter in parameters.items() if not parameter.get("Description")] == []


def test_the_access_log_is_one_json_object_that_measures_the_stream(resources: dict[str, Json]) -> None:
    setting = resources["ApiopenresponsesStage"]["Properties"]["AccessLogSetting"]
    condition, enabled, disabled = setting["Fn::If"]
    assert (condition, disabled) == ("HasAccessLogs", {"Ref": "AWS::NoValue"})
    assert "\n" not in enabled["Format"]
    fields = set(json.loads(enabled["Format"]).values())
    measures = ("responseTransferMode", "timeToAllHeaders", "timeToFirstContent")
    assert fields >= {"$context.requestId", *(f"$context.integration.{name}" for name in measures)}


def test_the_accounts_logging_role_is_made_only_when_asked_for(deployed: Json, resources: dict[str, Json]) -> None:
    assert deployed["Parameters"]["AccessLogs"]["Default"] == "disabled"  # a first deployment must not need the role
    assert deployed["Conditions"]["CreatesAccountRole"] == {
        "Fn::Equals": [{"Ref": "AccessLogs"}, "create-account-role"]
    }
    for name in ("ApiGatewayAccount", "ApiGatewayLogsRole"):
        assert (resources[name]["Condition"], resources[name]["DeletionPolicy"]) == ("CreatesAccountRole", "Retain")
    assert [name for name, each in resources.items() if "DependsOn" in each] == []


@pytest.mark.parametrize(
    ("access_logs", "needs"),
    [
        ("create-account-role", {"ApiAccessLogs", "ApiGatewayAccount"}),
        ("use-account-role", {"ApiAccessLogs"}),
        ("disabled", set[str]()),
    ],
)
def test_the_stage_waits_for_the_accounts_role_where_the_stack_makes_it(
    access_logs: str, needs: set[str], deployed: Json
) -> None:
    stack = Stack("kit", deployed, {"AccessLogs": access_logs})
    stage = stack.existing["Resources"]["ApiopenresponsesStage"]["Properties"]
    named = set(re.findall(r"ApiAccessLogs|ApiGatewayAccount", json.dumps(stage)))
    assert named == needs
    setting = stack.resources["ApiopenresponsesStage"]["Properties"].get("AccessLogSetting")
    assert (setting and setting["DestinationArn"]) == (stack.arn("ApiAccessLogs") if needs else None)


def test_the_base_url_is_what_an_openai_client_takes(deployed: Json) -> None:
    outputs = deployed["Outputs"]
    values = {name: output["Value"] for name, output in outputs.items()}
    stage = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${ApiopenresponsesStage}"
    assert values == values | {
        "BaseUrl": {"Fn::Sub": f"{stage}/v1"},
        "ResponsesUrl": {"Fn::Sub": f"{stage}/v1/responses"},
        "HealthUrl": {"Fn::Sub": f"{stage}/health"},
        "DocsUrl": {"Fn::Sub": f"{stage}/docs"},
        "ConsoleUrl": {"Fn::Sub": f"{stage}/console"},
        "SsmPrefix": {
            "Fn::If": ["HasSsmPrefix", {"Ref": "SsmPrefix"}, {"Fn::Sub": "/openresponses/${AWS::StackName}"}]
        },
        "ResponsesTableName": {"Ref": "ResponsesTable"},
        "ResponsesBucketName": {"Ref": "ResponsesBucket"},
        "LoopStateMachineArn": {"Ref": "LoopStateMachine"},
        "ApiFunctionName": {"Ref": "ApiFunction"},
        "ApiFunctionLogGroup": {"Ref": "ApiFunctionLogs"},
        "ApiAccessLogGroup": {"Ref": "ApiAccessLogs"},
    }
    assert [name for name, output in outputs.items() if not output.get("Description")] == []


def test_gateway_responses_are_the_apis_own_errors(resources: dict[str, Json]) -> None:
    responses = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    found = {}
    for name, response in responses.items():
        body = json.loads(response["responseTemplates"]["application/json"])
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["message"]
        assert body["error"]["code"]
        assert body["error"]["param"] in (None, "authorization")
        found[name] = (body["error"]["type"], response.get("statusCode"))
    assert found == GATEWAY_RESPONSES


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("RESOURCE_NOT_FOUND", NotFound),
        ("MISSING_AUTHENTICATION_TOKEN", NotFound),
        ("REQUEST_TOO_LARGE", BodyTooLarge),
        ("UNAUTHORIZED", Unauthorized),
        ("INVALID_API_KEY", Unauthorized),
        ("EXPIRED_TOKEN", Unauthorized),
    ],
)
def test_api_gateway_tells_an_error_as_the_function_would(
    name: str, error: type[KitError], resources: dict[str, Json]
) -> None:
    response = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"][name]
    told = json.loads(response["responseTemplates"]["application/json"])["error"]
    assert (int(response["statusCode"]), told["type"], told["code"]) == (error.status, error.type, error.code)


def test_an_invocation_that_lambda_refuses_is_a_server_that_is_busy(resources: dict[str, Json]) -> None:
    """API Gateway tells a 429 of Lambda as INTEGRATION_FAILURE, "Execution failed due to configuration error: Rate
    Exceeded.": access logs in https://github.com/DataBiosphere/azul/pull/6624.
    """
    response = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]["INTEGRATION_FAILURE"]
    assert (response["statusCode"], json.loads(response["responseTemplates"]["application/json"])) == (
        "503",
        {
            "error": {
                "message": "The server is busy: try again",
                "type": "server_error",
                "param": None,
                "code": "overloaded",
            }
        },
    )


def test_whoever_is_told_of_a_server_error_or_of_a_rate_is_told_when_to_come_again(resources: dict[str, Json]) -> None:
    """Every type with a 5xx is here: API_CONFIGURATION_ERROR, the only one without an entry, gets DEFAULT_5XX.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """
    responses = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    told = {
        name: response["responseParameters"].get("gatewayresponse.header.retry-after")
        for name, response in responses.items()
    }
    soon = {name for name, (kind, _) in GATEWAY_RESPONSES.items() if kind == "server_error"} | {"THROTTLED"}
    assert told == {name: "'1'" if name in soon else None for name in GATEWAY_RESPONSES}


@pytest.mark.parametrize("name", sorted(GATEWAY_RESPONSES))
def test_a_gateway_response_inserts_only_values_that_need_no_escape(name: str, resources: dict[str, Json]) -> None:
    response = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"][name]
    variables = set(re.findall(r"\$[\w.]+", response["responseTemplates"]["application/json"]))
    assert variables <= {"$context.error.responseType"}
    assert response["responseParameters"]["gatewayresponse.header.x-request-id"] == "context.requestId"


@pytest.mark.parametrize("name", sorted(GATEWAY_RESPONSES))
def test_a_page_can_read_a_gateway_response_if_any_origin_is_let_in(name: str, resources: dict[str, Json]) -> None:
    response = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"][name]
    shared = {
        "gatewayresponse.header.access-control-allow-origin": "'*'",
        "gatewayresponse.header.access-control-expose-headers": "'retry-after, x-request-id'",
    }
    nothing = {"Ref": "AWS::NoValue"}
    found = {key: value for key, value in response["responseParameters"].items() if "access-control" in key}
    assert found == {key: {"Fn::If": ["HasAllowedOrigins", value, nothing]} for key, value in shared.items()}


@pytest.mark.parametrize(
    ("origins", "fits"),
    [
        ("", True),
        ("*", True),
        ("https://app.example.com", True),
        ("https://a.example,http://localhost:5173,tauri://localhost", True),
        ("https://a.example/", False),
        ("https://a.example, https://b.example", False),
        ("a.example", False),
        ("*,https://a.example", False),
    ],
)
def test_an_origin_that_no_browser_would_send_is_refused_at_the_deployment(
    origins: str, fits: bool, source: Json
) -> None:
    pattern = source["Parameters"]["AllowedOrigins"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, origins)) == fits


@pytest.mark.parametrize(
    ("hosts", "fits"),
    [
        ("*", True),
        ("none", True),
        ("mcp.example.com", True),
        ("*.example.com,Docs.test", True),
        ("", False),
        ("https://a.test", False),
        ("a.test:443", False),
        ("a.*", False),
        ("*a.test", False),
        ("a.test, b.test", False),
        ("*,a.test", False),
    ],
)
def test_hosts_that_would_match_nothing_or_too_much_are_refused_at_the_deployment(
    hosts: str, fits: bool, source: Json
) -> None:
    assert bool(re.fullmatch(source["Parameters"]["McpHosts"]["AllowedPattern"], hosts)) == fits


def test_the_template_uses_no_yaml_alias_which_cloudformation_does_not_read() -> None:
    tokens = yaml.scan((ROOT / "template.yaml").read_text())
    assert [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)] == []

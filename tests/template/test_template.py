"""What a deploy of template.yaml would get."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import pytest
import yaml
from openresponses.core.errors import BodyTooLarge, KitError, NotFound

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]

STREAMING_URI = (
    "arn:aws:apigateway:${AWS::Region}:lambda:path"
    "/2021-11-15/functions/${ApiFunction.Arn}/response-streaming-invocations"
)
ROUTES = {
    ("post", "/v1/responses"),
    ("get", "/v1/models"),
    ("get", "/health"),
    ("get", "/docs"),
    ("get", "/openapi.json"),
    ("x-amazon-apigateway-any-method", "/{proxy+}"),
}
# API Gateway's response type, our error type, and the status where the template sets one.
GATEWAY_RESPONSES = {
    "DEFAULT_4XX": ("invalid_request", None),
    "DEFAULT_5XX": ("server_error", None),
    "MISSING_AUTHENTICATION_TOKEN": ("not_found", "404"),
    "RESOURCE_NOT_FOUND": ("not_found", "404"),
    "REQUEST_TOO_LARGE": ("invalid_request", "413"),
    "THROTTLED": ("too_many_requests", "429"),
    "QUOTA_EXCEEDED": ("too_many_requests", "429"),
    "INTEGRATION_FAILURE": ("server_error", "502"),
    "INTEGRATION_TIMEOUT": ("server_error", "504"),
}


def of_type(resources: dict[str, Json], kind: str) -> dict[str, Json]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def statements(resources: dict[str, Json]) -> Iterator[Json]:
    """Every statement of every inline policy."""
    for role in of_type(resources, "AWS::IAM::Role").values():
        for policy in role["Properties"].get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]


def is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


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


def test_api_gateway_may_invoke_the_function_for_every_route(resources: dict[str, Json]) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission").values()
    arns = {permission["Properties"]["SourceArn"]["Fn::Sub"][0].split("/", 2)[2] for permission in permissions}
    assert arns == {
        f"{method.upper()}{path}" for method, path in ROUTES if method != "x-amazon-apigateway-any-method"
    } | {"*/*"}


def test_the_api_is_regional_with_one_stage(resources: dict[str, Json]) -> None:
    assert resources["Api"]["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    stages = of_type(resources, "AWS::ApiGateway::Stage").values()
    assert [stage["Properties"]["StageName"] for stage in stages] == ["openresponses"]


def test_the_function_runs_python_3_13_on_arm64_through_the_wrapper(resources: dict[str, Json]) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    assert list(functions) == ["ApiFunction"]
    properties = functions["ApiFunction"]["Properties"]
    incidental = {"Code", "Tags", "Description", "Environment"}
    assert {name: value for name, value in properties.items() if name not in incidental} == {
        "Architectures": ["arm64"],
        "Runtime": "python3.13",
        "Handler": "openresponses.entry.api.app",
        "Timeout": 900,
        "MemorySize": {"Ref": "MemorySize"},
        "Role": {"Fn::GetAtt": ["ApiFunctionRole", "Arn"]},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": {"Ref": "ApiFunctionLogs"}},
    }
    assert properties["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/var/task/bootstrap"


def test_the_handler_names_an_attribute_of_a_module(resources: dict[str, Json]) -> None:
    module, _, attribute = resources["ApiFunction"]["Properties"]["Handler"].rpartition(".")
    tree = ast.parse((ROOT / "functions" / f"{module.replace('.', '/')}.py").read_text())
    assigned = {target.id for node in tree.body for target in ast.walk(node) if is_stored(target)}
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert attribute in assigned | defined


def test_the_function_is_built_by_the_makefile_in_its_directory(source: Json) -> None:
    function = source["Resources"]["ApiFunction"]
    assert function["Metadata"]["BuildMethod"] == "makefile"
    makefile = ROOT / function["Properties"]["CodeUri"] / "Makefile"
    assert re.search(r"^build-ApiFunction:", makefile.read_text(), re.MULTILINE)


def test_the_environment_is_exactly_what_the_code_reads(resources: dict[str, Json]) -> None:
    entry = ROOT / "functions/openresponses/entry"
    read = {name for file in entry.rglob("*.py") for name in re.findall(r"\bOPENRESPONSES_[A-Z_]+\b", file.read_text())}
    variables = resources["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert {name for name in variables if name.startswith("OPENRESPONSES_")} == read
    assert set(variables) - read == {
        "AWS_LAMBDA_EXEC_WRAPPER",
        "POWERTOOLS_LOG_LEVEL",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_SERVICE_NAME",
    }


def test_secrets_are_never_echoed_and_keys_have_no_default(source: Json) -> None:
    parameters = source["Parameters"]
    assert {name for name, parameter in parameters.items() if parameter.get("NoEcho")} == {"ApiKeys", "Providers"}
    assert {name for name, parameter in parameters.items() if "Default" not in parameter} == {"ApiKeys"}


def test_every_parameter_is_described_used_and_shown_in_a_group(source: Json) -> None:
    parameters = source["Parameters"]
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)
    used = json.dumps([source["Resources"], source["Conditions"]])
    assert [name for name in parameters if f'{{"Ref": "{name}"}}' not in used] == []
    assert [name for name, parameter in parameters.items() if not parameter.get("Description")] == []


def test_every_log_group_has_a_retention_and_outlives_the_stack(resources: dict[str, Json]) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert set(groups) == {"ApiFunctionLogs", "ApiAccessLogs"}
    for group in groups.values():
        assert group["Properties"] == {"RetentionInDays": {"Ref": "LogRetentionDays"}}
        assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_the_access_log_is_one_json_object_that_measures_the_stream(resources: dict[str, Json]) -> None:
    setting = resources["ApiopenresponsesStage"]["Properties"]["AccessLogSetting"]
    condition, enabled, disabled = setting["Fn::If"]
    assert (condition, disabled) == ("HasAccessLogs", {"Ref": "AWS::NoValue"})
    assert enabled["DestinationArn"] == {"Fn::GetAtt": ["ApiAccessLogs", "Arn"]}
    assert "\n" not in enabled["Format"]
    fields = set(json.loads(enabled["Format"]).values())
    measures = ("responseTransferMode", "timeToAllHeaders", "timeToFirstContent")
    assert fields >= {"$context.requestId", *(f"$context.integration.{name}" for name in measures)}


def test_the_accounts_logging_role_is_made_only_when_asked_for(deployed: Json, resources: dict[str, Json]) -> None:
    assert deployed["Parameters"]["AccessLogs"]["Default"] == "use-account-role"
    assert deployed["Conditions"]["CreatesAccountRole"] == {
        "Fn::Equals": [{"Ref": "AccessLogs"}, "create-account-role"]
    }
    for name in ("ApiGatewayAccount", "ApiGatewayLogsRole"):
        assert (resources[name]["Condition"], resources[name]["DeletionPolicy"]) == ("CreatesAccountRole", "Retain")
    assert resources["Api"]["DependsOn"] == "ApiGatewayAccount"


def test_the_function_may_write_its_own_log_and_nothing_else(resources: dict[str, Json]) -> None:
    role = resources["ApiFunctionRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    assert [policy["PolicyDocument"]["Statement"] for policy in role["Policies"]] == [
        [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": {"Fn::GetAtt": ["ApiFunctionLogs", "Arn"]},
            }
        ]
    ]


def test_no_policy_allows_a_wildcard(resources: dict[str, Json]) -> None:
    for statement in statements(resources):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert [action for action in actions if "*" in action] == []
        granted = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in granted
        assert "NotAction" not in statement
        assert "NotResource" not in statement


def test_only_api_gateways_own_role_carries_a_managed_policy(resources: dict[str, Json]) -> None:
    roles = of_type(resources, "AWS::IAM::Role")
    assert set(roles) == {"ApiFunctionRole", "ApiGatewayLogsRole"}
    assert {name for name, role in roles.items() if role["Properties"].get("ManagedPolicyArns")} == {
        "ApiGatewayLogsRole"
    }


def test_the_base_url_is_what_an_openai_client_takes(deployed: Json) -> None:
    outputs = deployed["Outputs"]
    stage = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${ApiopenresponsesStage}"
    assert {name: output["Value"] for name, output in outputs.items()} == {
        "BaseUrl": {"Fn::Sub": f"{stage}/v1"},
        "ResponsesUrl": {"Fn::Sub": f"{stage}/v1/responses"},
        "HealthUrl": {"Fn::Sub": f"{stage}/health"},
        "DocsUrl": {"Fn::Sub": f"{stage}/docs"},
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
        assert body["error"]["param"] is None
        found[name] = (body["error"]["type"], response.get("statusCode"))
    assert found == GATEWAY_RESPONSES


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("RESOURCE_NOT_FOUND", NotFound),
        ("MISSING_AUTHENTICATION_TOKEN", NotFound),
        ("REQUEST_TOO_LARGE", BodyTooLarge),
    ],
)
def test_api_gateway_tells_an_error_as_the_function_would(
    name: str, error: type[KitError], resources: dict[str, Json]
) -> None:
    response = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"][name]
    told = json.loads(response["responseTemplates"]["application/json"])["error"]
    assert (int(response["statusCode"]), told["type"], told["code"]) == (error.status, error.type, error.code)


@pytest.mark.parametrize("name", sorted(GATEWAY_RESPONSES))
def test_a_gateway_response_inserts_only_values_that_need_no_escape(name: str, resources: dict[str, Json]) -> None:
    response = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"][name]
    variables = set(re.findall(r"\$[\w.]+", response["responseTemplates"]["application/json"]))
    assert variables <= {"$context.error.responseType"}
    assert response["responseParameters"]["gatewayresponse.header.x-request-id"] == "context.requestId"


def test_the_template_uses_no_yaml_alias_which_cloudformation_does_not_read() -> None:
    tokens = yaml.scan((ROOT / "template.yaml").read_text())
    assert [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)] == []

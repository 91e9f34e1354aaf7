"""The WebSocket API of a deploy: a parameter adds it, its address is what a client builds, nobody else gets in."""

import json
import re

import httpx2
import pytest
from openai import OpenAI

from openresponses.entry.settings import settings_from
from tests.template.expanding import expand
from tests.template.reading import Json, of_type
from tests.template.stack import Stack, everything

WITH = {"WebSocket": "true"}
ROUTES = {"$connect", "$disconnect", "$default"}
ADDRESSES = {
    ("eu-north-1", "aws"): "amazonaws.com",
    ("cn-north-1", "aws-cn"): "amazonaws.com.cn",
    ("us-gov-west-1", "aws-us-gov"): "amazonaws.com",
}
INVOKE = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{}/invocations"
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigatewayv2-integration.html"""


@pytest.fixture
def stack(deployed: Json) -> Stack:
    return Stack("kit", deployed, WITH)


def only(stack: Stack, kind: str) -> Json:
    (found,) = of_type(stack.resources, f"AWS::ApiGatewayV2::{kind}").values()
    return found["Properties"]


def test_without_the_parameter_nothing_of_it_is_there(deployed: Json) -> None:
    without, with_it = Stack("kit", deployed), Stack("kit", deployed, WITH)
    assert not re.search("Socket|execute-api:Manage|wss:", json.dumps([[*without.resources], without.outputs]))
    assert {name for name in with_it.resources if name not in without.resources} == {
        name for name in with_it.resources if "Socket" in name
    }
    assert deployed["Parameters"]["WebSocket"]["Default"] == "false"
    variables = without.resources["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["OPENRESPONSES_WEBSOCKET_URL"] == ""


def test_every_route_is_of_one_function_and_a_connection_needs_a_key(stack: Stack) -> None:
    routes = {each["Properties"]["RouteKey"]: each["Properties"] for each in of_type(stack.resources, ROUTE).values()}
    assert set(routes) == ROUTES
    authorized = {key: route for key, route in routes.items() if "AuthorizationType" in route}
    assert {key: route["AuthorizationType"] for key, route in authorized.items()} == {"$connect": "CUSTOM"}
    assert authorized["$connect"]["AuthorizerId"] == stack.physical("WebSocketAuthorizer")
    assert {route["Target"] for route in routes.values()} == {f"integrations/{stack.physical('WebSocketIntegration')}"}
    integration = only(stack, "Integration")
    assert (integration["IntegrationType"], integration["TimeoutInMillis"]) == ("AWS_PROXY", 29_000)
    assert integration["IntegrationUri"] == INVOKE.format(stack.arn("SocketFunction"))


ROUTE = "AWS::ApiGatewayV2::Route"


def test_a_request_without_the_header_is_asked_about_too(stack: Stack) -> None:
    """An identity source may be looked for with its capital letter."""
    authorizer = only(stack, "Authorizer")
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert authorizer["AuthorizerUri"] == INVOKE.format(stack.arn("SocketAuthorizerFunction"))
    assert "IdentitySource" not in authorizer
    assert "AuthorizerResultTtlInSeconds" not in authorizer  # not for WebSocket APIs, says CloudFormation


def test_a_route_is_chosen_by_the_type_of_a_message(stack: Stack) -> None:
    """None is named as one, so that all are of the default route."""
    assert only(stack, "Api")["RouteSelectionExpression"] == "$request.body.type"


@pytest.mark.parametrize(("region", "partition"), ADDRESSES)
def test_an_sdk_builds_the_stages_address_from_the_output(region: str, partition: str, source: Json) -> None:
    stack = Stack("kit", expand(source, region=region), WITH, region, partition)
    base = stack.outputs["WebSocketBaseUrl"]
    client = OpenAI(api_key="k", base_url=stack.outputs["BaseUrl"], websocket_base_url=base)
    built = client.responses.connect()._prepare_url()  # pyright: ignore[reportPrivateUsage]
    host = f"{stack.physical('WebSocketApi')}.execute-api.{region}.{ADDRESSES[region, partition]}"
    assert built == httpx2.URL(f"wss://{host}/{only(stack, 'Stage')['StageName']}")
    variables = stack.resources["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["OPENRESPONSES_WEBSOCKET_URL"] == f"{base}/responses"
    assert settings_from(variables).websocket_url == f"{base}/responses"


def test_api_gateway_may_invoke_the_two_functions_for_this_api_alone(stack: Stack) -> None:
    permissions = {
        each["Properties"]["FunctionName"]: each["Properties"]["SourceArn"]
        for name, each in of_type(stack.resources, "AWS::Lambda::Permission").items()
        if "Socket" in name
    }
    api = f"arn:aws:execute-api:us-east-1:123456789012:{stack.physical('WebSocketApi')}"
    assert permissions == {
        stack.physical("SocketFunction"): f"{api}/responses/*",
        stack.physical("SocketAuthorizerFunction"): f"{api}/authorizers/{stack.physical('WebSocketAuthorizer')}",
    }


def test_lambda_tries_no_message_again_and_drops_one_that_waits(stack: Stack) -> None:
    (found,) = of_type(stack.resources, "AWS::Lambda::EventInvokeConfig").values()
    settings = found["Properties"]
    assert settings["FunctionName"] == stack.physical("SocketWorkerFunction")
    assert settings["MaximumRetryAttempts"] == 0
    assert settings["MaximumEventAgeInSeconds"] == 60  # the least that Lambda takes
    assert settings["Qualifier"] == "$LATEST"
    assert settings["DestinationConfig"] == {"OnFailure": {"Destination": stack.arn("SocketWorkerFunction")}}


def test_who_hands_over_names_the_function_that_may_be_invoked(stack: Stack) -> None:
    for function in ("SocketFunction", "SocketWorkerFunction"):
        named = stack.resources[function]["Properties"]["Environment"]["Variables"]["OPENRESPONSES_SOCKET_WORKER"]
        assert named == stack.physical("SocketWorkerFunction")
        granted = stack.resources[f"{function}Role"]["Properties"]["Policies"]
        assert json.dumps(stack.arn("SocketWorkerFunction")) in json.dumps(granted)


def test_its_access_log_is_a_line_of_json_that_holds_no_message(deployed: Json) -> None:
    stack = Stack("kit", deployed, {**WITH, "AccessLogs": "create-account-role"})
    existing = stack.existing["Resources"]["WebSocketStage"]["Properties"]["AccessLogSettings"]
    assert "ApiGatewayAccount" in json.dumps(existing), "the stage waits for the account's role"
    fields = set(json.loads(existing["Format"]).values())
    assert fields >= {"$context.connectionId", "$context.eventType", "$context.status", "$context.authorizer.tenant"}
    assert "AccessLogSettings" not in only(Stack("kit", deployed, WITH), "Stage")


def test_a_deploy_of_everything_fits_into_what_cloudformation_takes(deployed: Json) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    stack = Stack("kit", deployed, everything(deployed))
    assert len(json.dumps(deployed).encode()) < 1_000_000 / 4
    assert len(stack.existing["Resources"]) < 500 / 4
    assert max(len(deployed[section]) for section in ("Parameters", "Outputs")) < 200 / 3

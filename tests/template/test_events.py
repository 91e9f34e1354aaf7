"""Every file in events/ is what API Gateway would send for a route of the template."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from openresponses.entry.authorizer import authorize, authorize_socket
from openresponses_dev.local.address import KEY_OF_EVENTS
from openresponses_dev.local.seed import local_key

ROOT = Path(__file__).parents[2]
AUTHORIZER = ROOT / "events/authorizer.json"
WORKER = {name: ROOT / f"events/worker_{name.lower()}.json" for name in ("Work", "Settle", "Answer", "Fail")}
"""By the state that sends it."""
SOCKETS = {
    name: ROOT / f"events/websocket_{name}.json"
    for name in ("authorizer", "connect", "message", "disconnect", "worker")
}
EVENTS = sorted({*(ROOT / "events").glob("*.json")} - {AUTHORIZER, *WORKER.values(), *SOCKETS.values()})
OPEN = ("/health", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/console", "/console/console.css")


def is_open(event: dict[str, Any]) -> bool:
    return event["path"] in OPEN or event["httpMethod"] == "OPTIONS"


Json = dict[str, Any]

# https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
EVENT_KEYS = {
    "resource", "path", "httpMethod", "headers", "multiValueHeaders", "queryStringParameters",
    "multiValueQueryStringParameters", "pathParameters", "stageVariables", "requestContext", "body", "isBase64Encoded",
}  # fmt: skip
CONTEXT_KEYS = {
    "accountId", "apiId", "deploymentId", "domainName", "domainPrefix", "extendedRequestId", "httpMethod", "identity",
    "path", "protocol", "requestId", "requestTime", "requestTimeEpoch", "resourceId", "resourcePath", "stage",
}  # fmt: skip
IDENTITY_KEYS = {
    "accessKey", "accountId", "caller", "cognitoAuthenticationProvider", "cognitoAuthenticationType",
    "cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "sourceIp", "user", "userAgent", "userArn",
}  # fmt: skip


@pytest.fixture
def routes(source: Json) -> set[tuple[str, str]]:
    events = source["Resources"]["ApiFunction"]["Properties"]["Events"].values()
    return {(event["Properties"]["Method"], event["Properties"]["Path"]) for event in events}


def read(file: Path) -> Json:
    return json.loads(file.read_text())


def route_of(event: Json) -> tuple[str, str]:
    return ("OPTIONS" if event["httpMethod"] == "OPTIONS" else "ANY", event["resource"])


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_an_event_is_a_complete_proxy_event(file: Path) -> None:
    event = read(file)
    context = event["requestContext"]
    assert set(event) == EVENT_KEYS
    assert set(context) == CONTEXT_KEYS | (set() if is_open(event) else {"authorizer"})
    assert set(context["identity"]) == IDENTITY_KEYS
    assert event["multiValueHeaders"] == {name: [value] for name, value in event["headers"].items()}
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_an_event_agrees_with_itself_and_the_template(file: Path, source: Json) -> None:
    event = read(file)
    context = event["requestContext"]
    stage = source["Resources"]["Api"]["Properties"]["StageName"]
    own = re.sub(r"\{(\w+)\+?\}", lambda m: event["pathParameters"][m[1]], event["resource"])
    custom = file.stem.endswith("custom_domain")  # the stage is mapped to the base path `ai` of a domain
    host = "api.example.com" if custom else f"{context['apiId']}.execute-api.us-east-1.amazonaws.com"
    paths = (f"/ai{own}", f"/ai{own}") if custom else (own, f"/{stage}{own}")
    assert (event["path"], context["path"], context["stage"]) == (*paths, stage)
    assert (context["httpMethod"], context["resourcePath"]) == (event["httpMethod"], event["resource"])
    assert context["domainName"] == event["headers"]["Host"] == host


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_an_event_carries_a_key_and_what_the_authorizer_says_of_it_where_one_is_needed(file: Path) -> None:
    event = read(file)
    key = local_key(KEY_OF_EVENTS)
    told = authorize(read(AUTHORIZER), lambda _: key, now=0)
    latency = {"integrationLatency": 12}
    expected = (f"Bearer {KEY_OF_EVENTS}", {"principalId": told["principalId"], **told["context"], **latency})
    found = event["headers"].get("Authorization"), event["requestContext"].get("authorizer")
    assert found == ((None, None) if is_open(event) else expected)


def test_the_authorizers_event_is_one_of_the_same_api(source: Json) -> None:
    event = read(AUTHORIZER)
    context = read(ROOT / "events/responses_create.json")["requestContext"]
    where = f"arn:aws:execute-api:us-east-1:{context['accountId']}:{context['apiId']}/{context['stage']}"
    expression = source["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]["ClientKeys"]["Identity"]
    assert event == {
        "type": "TOKEN",
        "methodArn": f"{where}/POST/v1/responses",
        "authorizationToken": f"Bearer {KEY_OF_EVENTS}",
    }
    _, _, of_keys = expression["ValidationExpression"]["Fn::If"]
    assert re.fullmatch(of_keys, event["authorizationToken"])


@pytest.mark.parametrize("state", WORKER)
def test_an_event_of_the_worker_is_what_the_state_machine_sends(state: str) -> None:
    machine = re.sub(r"\$\{\w+\}", "0", (ROOT / "infra/statemachine/loop.asl.json").read_text())
    states = json.loads(machine)["States"]
    sent = {**states, **states["Park"]["ItemProcessor"]["States"]}[state]["Parameters"]["Payload"]
    event = read(WORKER[state])
    assert set(event) == {name.removesuffix(".$") for name in sent}
    told = read(ROOT / "events/responses_create.json")["requestContext"]["authorizer"]
    assert event["tenant"] == told["tenant"]
    assert event["response_id"] in read(ROOT / "events/responses_get.json")["path"]


# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
SOCKET_CONTEXT_KEYS = {
    "apiId", "connectedAt", "connectionId", "domainName", "eventType", "extendedRequestId", "identity",
    "messageDirection", "requestId", "requestTime", "requestTimeEpoch", "routeKey", "stage",
}  # fmt: skip
OF_ROUTE = {
    "connect": ("$connect", "CONNECT", set[str]()),
    "message": ("$default", "MESSAGE", {"messageId"}),
    "disconnect": ("$disconnect", "DISCONNECT", {"disconnectStatusCode", "disconnectReason"}),
}


@pytest.mark.parametrize("name", OF_ROUTE)
def test_an_event_of_the_websocket_is_one_of_its_routes(name: str, source: Json) -> None:
    route, kind, more = OF_ROUTE[name]
    event, opening = read(SOCKETS[name]), read(SOCKETS["authorizer"])
    context = event["requestContext"]
    assert set(context) == SOCKET_CONTEXT_KEYS | {"authorizer"} | more
    assert (context["routeKey"], context["eventType"]) == (route, kind)
    assert route in {
        each["Properties"]["RouteKey"]
        for each in source["Resources"].values()
        if each["Type"] == "AWS::ApiGatewayV2::Route"
    }
    assert context["stage"] == source["Resources"]["WebSocketStage"]["Properties"]["StageName"]
    assert context["connectionId"] == opening["requestContext"]["connectionId"]
    assert context["connectedAt"] == opening["requestContext"]["connectedAt"] > 4e12, "no connection gets so old"
    told = authorize_socket(read(SOCKETS["authorizer"]), lambda _: local_key(KEY_OF_EVENTS), now=0)
    expected = {"principalId": told["principalId"], **told["context"], "integrationLatency": 12}
    assert context["authorizer"] == expected
    if name == "message":
        assert json.loads(event["body"])["type"] == "response.create"


def test_the_event_of_the_sockets_authorizer_opens_the_socket_of_the_others() -> None:
    event, connect = read(SOCKETS["authorizer"]), read(SOCKETS["connect"])
    context = event["requestContext"]
    assert set(context) == SOCKET_CONTEXT_KEYS
    where = f"arn:aws:execute-api:us-east-1:123456789012:{context['apiId']}/{context['stage']}"
    assert (event["type"], event["methodArn"]) == ("REQUEST", f"{where}/$connect")
    assert event["headers"] == connect["headers"]
    assert event["headers"]["Authorization"] == f"Bearer {KEY_OF_EVENTS}"
    assert read(SOCKETS["worker"])["connection_id"] == context["connectionId"]


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_an_event_has_a_json_body_if_it_creates(file: Path) -> None:
    event = read(file)
    if (event["httpMethod"], event["path"]) != ("POST", "/v1/responses"):
        assert event["body"] is None
    else:
        assert event["headers"]["Content-Type"] == "application/json"
        assert {"model", "input"} <= set(json.loads(event["body"]))


def test_every_route_has_an_event_and_no_event_is_without_a_route(routes: set[tuple[str, str]]) -> None:
    assert {route_of(read(file)) for file in EVENTS} == routes

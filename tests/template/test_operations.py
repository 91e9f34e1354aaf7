"""What an operator switches on: brakes, alarms and the dashboard, tracing, a key of one's own.

The template is read as CloudFormation would deploy it with these parameters. Each of our own metrics that an alarm or
the dashboard looks at is one that the functions print; each of AWS's is in a table, with AWS's page.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest

from openresponses import telemetry
from openresponses.client_keys import new_token
from openresponses.core.accounts import Account, CallAccount
from openresponses.core.bill import Cost
from openresponses.core.errors import KitError, ProviderUnavailable
from openresponses.core.settings import ProviderSettings
from openresponses.entry import authorizer
from openresponses.routing.targets import Target
from openresponses.schema.response import Usage
from openresponses_dev.local.template.intrinsics import Resolver
from openresponses_dev.local.template.template import read_template
from tests.contract.storage_suite import new_run
from tests.template.reading import ROOT, Json, of_type

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
TOPIC = "arn:aws:sns:us-east-1:123456789012:woken"
SOCKETS = ("SocketFunction", "SocketWorkerFunction", "SocketAuthorizerFunction")
FUNCTIONS = ("ApiFunction", "WorkerFunction", "AuthorizerFunction", "EndedFunction", *SOCKETS)
MACHINES = ("LoopStateMachine", "WebhookStateMachine")
NAMESPACE = "openresponses"

Metric = tuple[str, str, tuple[str, ...]]
"""A namespace, a name, and the names of its dimensions."""

LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
LAMBDA_METRICS = ("AsyncEventsDropped", "ConcurrentExecutions", "Errors", "Invocations", "IteratorAge", "Throttles")
GATEWAY = "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"
WEBSOCKET = (
    "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html"
    "#apigateway-websocket-api-metrics"
)
WEBSOCKET_METRICS = ("ConnectCount", "MessageCount", "ClientError", "IntegrationError", "ExecutionError")
STATES = "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html"
QUEUES = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
)
DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html"
OF_AWS: dict[Metric, str] = {
    **{("AWS/ApiGateway", name, ("ApiName", "Stage")): GATEWAY for name in ("Count", "4XXError", "5XXError")},
    **{("AWS/ApiGateway", name, ("ApiId", "Stage")): WEBSOCKET for name in WEBSOCKET_METRICS},
    **{("AWS/Lambda", name, ("FunctionName",)): LAMBDA for name in LAMBDA_METRICS},
    **{
        ("AWS/States", name, ("StateMachineArn",)): STATES
        for name in (
            *("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsAborted"),
            *("ExecutionsTimedOut", "ExecutionThrottled"),
        )
    },
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName",)): QUEUES,
    **{("AWS/DynamoDB", f"{kind}ThrottleEvents", ("TableName",)): DYNAMODB for kind in ("Read", "Write")},
}


def as_deployed(deployed: Json, **given: str) -> dict[str, Json]:
    """The resources that a deploy with these parameters and the WebSocket makes, with every value final."""
    defaults = {name: str(each["Default"]) for name, each in deployed["Parameters"].items()}
    values = {**defaults, "WebSocket": "true", **given}
    resolver = Resolver(values, deployed["Resources"], deployed["Conditions"])
    return {
        name: {**resource, "Properties": resolver.resolve(_own(resource), name)}
        for name, resource in deployed["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource["Condition"], name)
    }


def _own(resource: Json) -> Json:
    """An API's body is left out: nothing here reads it, and it has functions that are no template's."""
    return {name: value for name, value in resource.get("Properties", {}).items() if name != "Body"}


# Brakes


def reserved(resources: dict[str, Json]) -> Json:
    return {name: resources[name]["Properties"].get("ReservedConcurrentExecutions") for name in FUNCTIONS}


def test_no_concurrency_is_reserved_and_no_stage_throttled_unless_asked_for(deployed: Json) -> None:
    resources = as_deployed(deployed)
    assert reserved(resources) == dict.fromkeys(FUNCTIONS)
    assert "MethodSettings" not in resources["ApiopenresponsesStage"]["Properties"]
    assert "DefaultRouteSettings" not in resources["WebSocketStage"]["Properties"]


@pytest.mark.parametrize(
    ("parameter", "functions"),
    [
        ("ApiConcurrency", {"ApiFunction"}),
        ("WorkerConcurrency", {"WorkerFunction"}),
        ("AuthorizerConcurrency", {"AuthorizerFunction", "SocketAuthorizerFunction"}),
        ("SocketConcurrency", {"SocketFunction"}),
        ("SocketWorkerConcurrency", {"SocketWorkerFunction"}),
    ],
)
def test_each_function_has_a_brake(parameter: str, functions: set[str], deployed: Json) -> None:
    found = reserved(as_deployed(deployed, **{parameter: "7"}))
    assert found == {name: "7" if name in functions else None for name in FUNCTIONS}


def test_the_stages_are_throttled_for_every_method_of_every_path_and_every_message(deployed: Json) -> None:
    resources = as_deployed(deployed, RequestsPerSecond="50", RequestBurst="20")
    limits = {"ThrottlingRateLimit": "50", "ThrottlingBurstLimit": "20"}
    stage = resources["ApiopenresponsesStage"]["Properties"]
    assert stage["MethodSettings"] == [{"ResourcePath": "/*", "HttpMethod": "*", **limits}]
    assert resources["WebSocketStage"]["Properties"]["DefaultRouteSettings"] == limits


def test_the_local_cloud_has_the_same_brakes() -> None:
    limits = {"ApiConcurrency": "3", "WorkerConcurrency": "2", "SocketWorkerConcurrency": "4", "WebSocket": "true"}
    functions = read_template(ROOT / "template.yaml", limits).functions
    found = {name: spec.concurrency for name, spec in functions.items() if spec.concurrency is not None}
    assert found == {"ApiFunction": 3, "WorkerFunction": 2, "SocketWorkerFunction": 4}


# Alarms and the dashboard


def print_each_metric() -> None:
    """Everything that the functions count, and a key that can't be looked up."""
    account = Account("r", "k", "m", "p/m", "failed", None, KitError.code, 1, 1, Usage(), 1.0)
    for cost in (None, Cost()):
        asyncio.run(telemetry.LoggedAccounts("acme").record(replace(account, cost=cost)))
    for outcome in ("completed", "failed"):
        call = CallAccount("r", "k", "c", "hosted", "clock", outcome, 1.0)
        asyncio.run(telemetry.LoggedAccounts("acme").called(call))
    target = Target(ProviderSettings(name="p", dialect="x"), "m", named=True)
    for error in (None, ProviderUnavailable("down")):
        telemetry.answered(target, error, 0.5, error is None)
    watch = telemetry.Watch("r", "acme", "k")
    watch.mark_first_byte()
    telemetry.requested(watch, new_run(1))
    telemetry.performed("work", 1.0, {"error": "TurnTimeout"})
    telemetry.performed("work", 1.0, {"parked": 2})
    telemetry.performed("answer", 1.0, {})

    def unavailable(_: str) -> None:
        raise ConnectionError

    event: authorizer.AuthorizerEvent = {"authorizationToken": f"Bearer {new_token()}", "methodArn": "a/b/c"}
    with suppress(ConnectionError):
        authorizer.authorize(event, unavailable, 1.0)


@pytest.fixture(scope="module")
def printed(deployed: Json) -> set[Metric]:
    """Every metric that the functions print, with the names that the template gives."""
    variables = deployed["Resources"]["ApiFunction"]["Properties"]["Environment"]["Variables"]
    names = {"POWERTOOLS_METRICS_NAMESPACE": variables["POWERTOOLS_METRICS_NAMESPACE"]}
    code = f"from {__name__} import print_each_metric; print_each_metric()"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **names, "POWERTOOLS_SERVICE_NAME": "stack"},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: set[Metric] = set()
    for line in (json.loads(line) for line in out.splitlines() if '"_aws"' in line):
        assert line["service"] == "stack"
        for each in line["_aws"]["CloudWatchMetrics"]:
            for metric, dimensions in product(each["Metrics"], each["Dimensions"]):
                assert {metric["Name"], *dimensions} <= line.keys()
                found.add((each["Namespace"], metric["Name"], tuple(sorted(dimensions))))
    return found


def alarms(deployed: Json, **given: str) -> dict[str, Json]:
    resources = as_deployed(deployed, Alarms="enabled", **given)
    return {name: each["Properties"] for name, each in of_type(resources, "AWS::CloudWatch::Alarm").items()}


def watched(alarm: Json) -> Iterator[Json]:
    """The metrics of an alarm: its own, or those that its expression names."""
    if "MetricName" in alarm:
        yield alarm
    for each in alarm.get("Metrics", []):
        if "MetricStat" in each:
            yield each["MetricStat"]["Metric"]


def metric_of(each: Json) -> Metric:
    return each["Namespace"], each["MetricName"], tuple(sorted(named["Name"] for named in each["Dimensions"]))


def board(deployed: Json, **given: str) -> Json:
    (found,) = of_type(as_deployed(deployed, Alarms="enabled", **given), "AWS::CloudWatch::Dashboard").values()
    assert found["Properties"]["DashboardName"] == "local-us-east-1"
    return json.loads(found["Properties"]["DashboardBody"])


def shown(widget: Json) -> Iterator[Metric]:
    for row in widget["properties"]["metrics"]:
        if isinstance(row[0], dict):
            found = re.fullmatch(
                r"SEARCH\('\{([\w,]+)\} service=\"local\" MetricName=\"(\w+)\"', '(?:Sum|p50|p95)', 300\)",
                row[0]["expression"],
            )
            assert found, row
            namespace, *dimensions = found[1].split(",")
            yield namespace, found[2], tuple(sorted(dimensions))
        else:
            names = [each for each in row if isinstance(each, str)]
            yield names[0], names[1], tuple(sorted(names[2::2]))


def test_nothing_is_watched_unless_asked_for(deployed: Json) -> None:
    resources = as_deployed(deployed)
    assert {each["Type"] for each in resources.values() if "CloudWatch" in each["Type"]} == set()


def test_an_alarm_tells_a_topic_where_one_is_named(deployed: Json) -> None:
    for alarm in alarms(deployed).values():
        assert "AlarmActions" not in alarm
    for alarm in alarms(deployed, AlarmTopicArn=TOPIC).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"]


def test_these_are_the_alarms(deployed: Json) -> None:
    found = {name: {metric_of(each)[1] for each in watched(alarm)} for name, alarm in alarms(deployed).items()}
    assert found == {
        "ServerErrorsAlarm": {"5XXError", "Count"},
        "ApiThrottledAlarm": {"Throttles"},
        "AuthorizerThrottledAlarm": {"Throttles"},
        "WorkerThrottledAlarm": {"Throttles"},
        "ApiDeathsAlarm": {"Errors"},
        "BugsAlarm": {"Errors"},
        "AuthorizerFailsAlarm": {"Errors", "Invocations"},
        "KeyLookupsAlarm": {"KeyLookupsFailed"},
        "ExecutionsFailedAlarm": {"ExecutionsFailed", "ExecutionsStarted"},
        "ExecutionsTimedOutAlarm": {"ExecutionsTimedOut"},
        "EndedGivenUpAlarm": {"ApproximateNumberOfMessagesVisible"},
        "EndedLateAlarm": {"IteratorAge"},
        "WebhooksLostAlarm": {"ExecutionsFailed"},
        "SocketThrottledAlarm": {"Throttles"},
        "SocketDeathsAlarm": {"Errors"},
        "SocketDroppedAlarm": {"AsyncEventsDropped"},
    }
    assert found.keys() - alarms(deployed, WebSocket="false").keys() == {name for name in found if "Socket" in name}
    page = (ROOT / "docs/operations.md").read_text()
    assert [name for name in found if f"`{name}`" not in page] == []


def test_every_metric_that_an_alarm_looks_at_exists(deployed: Json, printed: set[Metric]) -> None:
    for name, alarm in alarms(deployed).items():
        for each in watched(alarm):
            assert metric_of(each) in OF_AWS.keys() | printed, name


def test_every_metric_that_the_dashboard_shows_exists(deployed: Json, printed: set[Metric]) -> None:
    looked_at = {metric for widget in board(deployed)["widgets"] for metric in shown(widget)}
    assert looked_at - OF_AWS.keys() - printed == set()
    alarmed = {metric_of(each) for alarm in alarms(deployed).values() for each in watched(alarm)}
    assert OF_AWS.keys() - looked_at - alarmed == set(), "a row for nothing"


def test_every_metric_of_ours_is_described(printed: set[Metric]) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert {name for _, name, _ in printed if f"`{name}`" not in page} == set()


def test_metrics_are_told_apart_by_stack(deployed: Json, printed: set[Metric]) -> None:
    assert [metric for metric in printed if metric[0] != NAMESPACE or "service" not in metric[2]] == []
    for name in FUNCTIONS:
        variables = deployed["Resources"][name]["Properties"]["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
    for alarm in alarms(deployed).values():
        for each in watched(alarm):
            ours = {named["Name"]: named["Value"] for named in each["Dimensions"]}
            assert {*ours.values()} & {"local", "EndedDeadLetters", *MACHINES, *FUNCTIONS} or "local-" in str(ours), (
                ours
            )


def test_the_alarm_on_bugs_looks_for_the_code_that_a_bug_has(deployed: Json) -> None:
    dimensions = {each["Name"]: each["Value"] for each in alarms(deployed)["BugsAlarm"]["Dimensions"]}
    assert dimensions == {"service": "local", "error": KitError.code}


COMPUTED = ["ServerErrorsAlarm", "ExecutionsFailedAlarm", "AuthorizerFailsAlarm", "SocketThrottledAlarm"]


@pytest.mark.parametrize("name", COMPUTED)
def test_an_alarm_that_computes_does_so_with_the_metrics_that_it_names(name: str, deployed: Json) -> None:
    share, *parts = alarms(deployed)[name]["Metrics"]
    ids = [each["Id"] for each in parts]
    assert [each["ReturnData"] for each in parts] == [False, False]
    assert set(re.findall(r"[a-z]+", share["Expression"])) == {*ids}


@pytest.mark.parametrize(("websocket", "widgets"), [("false", 15), ("true", 18)])
def test_the_dashboard_is_one_that_cloudwatch_takes(websocket: str, widgets: int, deployed: Json) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    document = board(deployed, WebSocket=websocket)
    assert len(document["widgets"]) == widgets
    assert document.keys() == {"start", "widgets"}
    squares: list[tuple[int, int]] = []
    for widget in document["widgets"]:
        assert widget["type"] == "metric"
        assert widget["x"] + widget["width"] <= 24
        squares += product(
            range(widget["x"], widget["x"] + widget["width"]), range(widget["y"], widget["y"] + widget["height"])
        )
        properties = widget["properties"]
        assert properties.keys() == {"title", "region", "view", "stat", "period", "metrics"}
        assert (properties["view"], properties["region"], properties["period"]) == ("timeSeries", "us-east-1", 300)
        ids = [row[0]["id"] for row in properties["metrics"] if isinstance(row[0], dict)]
        assert len(ids) == len({*ids})
        assert all(re.fullmatch(r"[a-z]\w*", each) for each in ids)
    assert len(squares) == len({*squares}), "no widget lies on another"


def test_there_is_a_graph_of_each_thing_that_the_page_names(deployed: Json) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    titles = [widget["properties"]["title"] for widget in board(deployed)["widgets"]]
    assert [title for title in titles if title not in page] == []


# Tracing

TRACE = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]


@pytest.mark.parametrize(("tracing", "mode"), [("disabled", "PassThrough"), ("enabled", "Active")])
def test_all_or_nothing_is_traced(tracing: str, mode: str, deployed: Json) -> None:
    resources = as_deployed(deployed, Tracing=tracing)
    on = tracing == "enabled"
    assert {resources[name]["Properties"]["TracingConfig"]["Mode"] for name in FUNCTIONS} == {mode}
    assert [resources[name]["Properties"]["TracingConfiguration"] for name in MACHINES] == [{"Enabled": on}] * 2
    assert resources["ApiopenresponsesStage"]["Properties"]["TracingEnabled"] is on
    assert ("TracingPolicy" in resources) is on
    if on:
        policy = resources["TracingPolicy"]["Properties"]
        assert policy["Roles"] == [*(f"{name}Role" for name in ("ApiFunction", "WorkerFunction")), *policy["Roles"][2:]]
        assert {*policy["Roles"]} == {f"{name}Role" for name in (*FUNCTIONS, *MACHINES)}
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement == {"Effect": "Allow", "Action": TRACE, "Resource": "*"}


# A key of one's own

TABLES = ("ResponsesTable", "ExampleToolTable")
EXAMPLES = ("ExampleToolFunction", "ExampleToolRefundFunction")
LOG_GROUPS = tuple(f"{name}Logs" for name in (*FUNCTIONS, *EXAMPLES, *MACHINES, "ApiAccess"))
THROUGH = {
    "KeyPolicy": ("dynamodb", "s3", "ssm"),
    "EndedKeyPolicy": ("dynamodb", "sqs", "ssm"),
    "AuthorizerKeyPolicy": ("dynamodb",),
}
READ = {"kms:Decrypt", "kms:DescribeKey"}
READ_AND_WRITE = {
    *READ,
    *("kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    *("kms:ReEncryptFrom", "kms:ReEncryptTo"),
}


def test_everything_at_rest_is_encrypted_with_the_key(deployed: Json) -> None:
    resources = as_deployed(deployed, KeyArn=KEY, ExampleTool="true", AccessLogs="use-account-role")
    encrypted = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
    assert [resources[name]["Properties"]["SSESpecification"] for name in TABLES] == [encrypted] * len(TABLES)
    assert resources["ResponsesBucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [
        {
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            "BucketKeyEnabled": True,
        }
    ]
    assert {resources[name]["Properties"].get("KmsKeyId") for name in LOG_GROUPS} == {KEY}
    assert resources["EndedDeadLetters"]["Properties"]["KmsMasterKeyId"] == KEY
    for name in ("ApiFunction", "WorkerFunction", "EndedFunction", "SocketFunction", "SocketWorkerFunction"):
        assert resources[name]["Properties"]["Environment"]["Variables"]["OPENRESPONSES_KEY_ARN"] == KEY


def test_without_a_key_nothing_names_one(deployed: Json) -> None:
    resources = as_deployed(deployed, ExampleTool="true", AccessLogs="use-account-role")
    told = json.dumps(resources)
    assert "kms:" not in told.replace("kms:ViaService", "")
    assert "KmsKeyId" not in told
    tables = of_type(resources, "AWS::DynamoDB::Table").values()
    assert [each["Properties"]["SSESpecification"] for each in tables] == [{"SSEEnabled": True}] * 2


def test_a_role_uses_the_key_through_the_services_that_it_calls_and_no_more(deployed: Json) -> None:
    resources = as_deployed(deployed, KeyArn=KEY, ExampleTool="true")
    policies = {
        name: each["Properties"]
        for name, each in of_type(resources, "AWS::IAM::Policy").items()
        if each["Properties"]["PolicyName"] == "use-key"
    }
    through = {**THROUGH, "ExampleToolKeyPolicy": ("dynamodb",)}
    roles = {role: name for name, each in policies.items() for role in each["Roles"]}
    assert roles == {
        "ApiFunctionRole": "KeyPolicy",
        "WorkerFunctionRole": "KeyPolicy",
        "AuthorizerFunctionRole": "AuthorizerKeyPolicy",
        "EndedFunctionRole": "EndedKeyPolicy",
        "SocketFunctionRole": "KeyPolicy",
        "SocketWorkerFunctionRole": "KeyPolicy",
        "SocketAuthorizerFunctionRole": "AuthorizerKeyPolicy",
        "ExampleToolFunctionRole": "ExampleToolKeyPolicy",
    }
    for name, policy in policies.items():
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Resource"] == KEY
        assert {*statement["Action"]} == (READ if name == "AuthorizerKeyPolicy" else READ_AND_WRITE)
        services: list[str] | str = statement["Condition"]["StringLike"]["kms:ViaService"]
        services = services if isinstance(services, list) else [services]
        assert services == [f"{each}.us-east-1.amazonaws.com*" for each in through[name]]


def test_the_page_shows_a_key_policy_that_admits_the_log_groups() -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"""
    section = (ROOT / "docs/deploy.md").read_text().partition("## A key of your own")[2]
    account, logs = json.loads(section.partition("```json")[2].partition("```")[0])["Statement"]
    assert account["Action"] == "kms:*", "or no policy of IAM counts"
    assert logs["Principal"] == {"Service": "logs.<region>.amazonaws.com"}
    (condition,) = logs["Condition"]["ArnLike"].values()
    assert condition.endswith(":logs:<region>:<account>:log-group:*")


def test_the_example_of_a_tool_has_the_key_only_where_there_is_one(deployed: Json) -> None:
    assert "ExampleToolKeyPolicy" not in as_deployed(deployed, KeyArn=KEY)
    assert "ExampleToolKeyPolicy" not in as_deployed(deployed, ExampleTool="true")


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("KeyArn", KEY, True),
        ("KeyArn", KEY.replace("aws:", "aws-us-gov:", 1), True),
        ("KeyArn", "alias/mine", False),
        ("KeyArn", KEY.replace("key/", "alias/"), False),  # IAM takes no alias as a resource
        ("AlarmTopicArn", TOPIC, True),
        ("AlarmTopicArn", TOPIC.replace("aws:", "aws-cn:", 1), True),
        ("AlarmTopicArn", "woken", False),
        ("AlarmTopicArn", "", True),
    ],
)
def test_a_parameter_that_would_fail_later_is_refused_at_the_deployment(
    name: str, value: str, fits: bool, source: Json
) -> None:
    assert bool(re.fullmatch(source["Parameters"][name]["AllowedPattern"], value)) == fits

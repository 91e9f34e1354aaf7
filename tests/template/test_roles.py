"""What each role may do, tried: two stacks of the expanded template, on an emulator that enforces IAM.

Each role makes each call on what is its own stack's and on what is the other's. ministack knows no condition key of
DynamoDB or SSM: `test_privileges.py` and `test_storage.py` check those on the expanded template.
"""

from __future__ import annotations

import copy
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract import ministack
from tests.template.reading import ROOT, Json, grants

pytestmark = [pytest.mark.ministack, pytest.mark.timeout(300), pytest.mark.xdist_group("stacks")]

STACKS = ("mine", "other")
FUNCTIONS = (
    "Api",
    "Worker",
    "Authorizer",
    "Ended",
    "Socket",
    "SocketWorker",
    "SocketAuthorizer",
    "ExampleTool",
    "ExampleToolRefund",
)
ROLES = tuple(f"{name}FunctionRole" for name in FUNCTIONS)
NOT_ENFORCED = ("dynamodb:LeadingKeys", "ssm:Overwrite")
"""Condition keys that the emulator takes for missing: github.com/ministackorg/ministack, core/iam_evaluator.py."""
REFUSED = {"AccessDenied", "AccessDeniedException", "403"}
KEY = {"pk": {"S": "acme/resp_1"}, "sk": {"S": "record"}}


@dataclass(frozen=True)
class Stack:
    """The names of what a stack consists of."""

    name: str
    resources: dict[str, str]
    outputs: dict[str, str]

    def table(self, role: str) -> str:
        return self.resources["ExampleToolTable" if role == "ExampleToolFunctionRole" else "ResponsesTable"]

    @property
    def bucket(self) -> str:
        return self.outputs["ResponsesBucketName"]

    def machine(self, role: str) -> str:
        return self.resources["WebhookStateMachine" if role == "EndedFunctionRole" else "LoopStateMachine"]

    @property
    def stream(self) -> str:
        table = client_of("dynamodb").describe_table(TableName=self.resources["ResponsesTable"])["Table"]
        return table["LatestStreamArn"]

    @property
    def prefix(self) -> str:
        return self.outputs["SsmPrefix"]

    def invoked(self, role: str) -> str:
        return self.resources["SocketWorkerFunction" if role == "SocketFunctionRole" else "ExampleToolFunction"]

    def log(self, role: str) -> dict[str, str]:
        group = self.resources[role.replace("Role", "Logs")]
        return {"logGroupName": group, "logStreamName": "stream"}


Call = Callable[[Callable[..., Any], Stack, str], object]
"""(a client of a service, the stack whose resource is meant, the role that asks)"""


def _checked(client: Callable[..., Any], stack: Stack, role: str) -> object:
    check = {"TableName": stack.table(role), "Key": KEY, "ConditionExpression": "attribute_not_exists(nothing)"}
    return client("dynamodb").transact_write_items(TransactItems=[{"ConditionCheck": check}])


def _managed(client: Callable[..., Any], stack: Stack, role: str) -> object:
    """That a connection is gone is found out after IAM."""
    emulator = f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api"
    sockets = client("apigatewaymanagementapi", endpoint_url=f"{emulator}/{stack.resources['WebSocketApi']}/responses")
    with suppress(sockets.exceptions.GoneException):
        sockets.post_to_connection(ConnectionId="gone", Data=b"x")
    with suppress(sockets.exceptions.GoneException):
        sockets.delete_connection(ConnectionId="gone")
    return None


def _iterator(client: Callable[..., Any], stack: Stack, role: str) -> Any:
    (shard, *_) = client_of("dynamodbstreams").describe_stream(StreamArn=stack.stream)["StreamDescription"]["Shards"]
    asked = {"StreamArn": stack.stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    return client("dynamodbstreams").get_shard_iterator(**asked)


def _said(client: Callable[..., Any], stack: Stack, role: str) -> object:
    event = {"timestamp": int(time.time() * 1000), "message": "hello"}
    return client("logs").put_log_events(**stack.log(role), logEvents=[event])


CALLS: dict[str, Call] = {
    "dynamodb:BatchGetItem": lambda c, s, r: c("dynamodb").batch_get_item(RequestItems={s.table(r): {"Keys": [KEY]}}),
    "dynamodb:BatchWriteItem": lambda c, s, r: c("dynamodb").batch_write_item(
        RequestItems={s.table(r): [{"PutRequest": {"Item": KEY}}]}
    ),
    "dynamodb:ConditionCheckItem": _checked,
    "dynamodb:DeleteItem": lambda c, s, r: c("dynamodb").delete_item(TableName=s.table(r), Key=KEY),
    "dynamodb:DeleteTable": lambda c, s, r: c("dynamodb").delete_table(TableName=s.table(r)),
    "dynamodb:GetItem": lambda c, s, r: c("dynamodb").get_item(TableName=s.table(r), Key=KEY),
    "dynamodb:PutItem": lambda c, s, r: c("dynamodb").put_item(TableName=s.table(r), Item=KEY),
    "dynamodb:Query": lambda c, s, r: c("dynamodb").query(
        TableName=s.table(r), KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": KEY["pk"]}
    ),
    "dynamodb:Scan": lambda c, s, r: c("dynamodb").scan(TableName=s.table(r)),
    "dynamodb:UpdateItem": lambda c, s, r: c("dynamodb").update_item(TableName=s.table(r), Key=KEY),
    "dynamodb:DescribeStream": lambda c, s, r: c("dynamodbstreams").describe_stream(StreamArn=s.stream),
    "dynamodb:GetShardIterator": _iterator,
    "dynamodb:GetRecords": lambda c, s, r: c("dynamodbstreams").get_records(
        ShardIterator=_iterator(client_of, s, r)["ShardIterator"]
    ),
    "dynamodb:ListStreams": lambda c, s, r: c("dynamodbstreams").list_streams(TableName=s.table(r)),
    "sqs:SendMessage": lambda c, s, r: c("sqs").send_message(QueueUrl=s.resources["EndedDeadLetters"], MessageBody="x"),
    "s3:DeleteObject": lambda c, s, r: c("s3").delete_object(Bucket=s.bucket, Key="response/x"),
    "s3:GetObject": lambda c, s, r: c("s3").get_object(Bucket=s.bucket, Key="response/x"),
    "s3:ListBucket": lambda c, s, r: c("s3").list_objects_v2(Bucket=s.bucket),
    "s3:PutBucketPolicy": lambda c, s, r: c("s3").put_bucket_policy(Bucket=s.bucket, Policy="{}"),
    "s3:PutObject": lambda c, s, r: c("s3").put_object(Bucket=s.bucket, Key="response/x", Body=b"x"),
    "states:DescribeStateMachine": lambda c, s, r: c("stepfunctions").describe_state_machine(
        stateMachineArn=s.machine(r)
    ),
    "states:StartExecution": lambda c, s, r: c("stepfunctions").start_execution(stateMachineArn=s.machine(r)),
    "states:StopExecution": lambda c, s, r: c("stepfunctions").stop_execution(
        executionArn=s.machine(r).replace(":stateMachine:", ":execution:") + ":resp_1"
    ),
    "ssm:DeleteParameter": lambda c, s, r: c("ssm").delete_parameter(Name=f"{s.prefix}/sealing-key"),
    "ssm:GetParameter": lambda c, s, r: c("ssm").get_parameter(Name=f"{s.prefix}/sealing-key"),
    "ssm:GetParametersByPath": lambda c, s, r: c("ssm").get_parameters_by_path(Path=f"{s.prefix}/providers"),
    "ssm:PutParameter": lambda c, s, r: c("ssm").put_parameter(
        Name=f"{s.prefix}/sealing-key", Value="x", Type="SecureString"
    ),
    "lambda:InvokeFunction": lambda c, s, r: c("lambda").invoke(FunctionName=s.invoked(r)),
    "lambda:UpdateFunctionCode": lambda c, s, r: c("lambda").update_function_code(
        FunctionName=s.resources["ExampleToolFunction"], ZipFile=b"x"
    ),
    "logs:CreateLogStream": lambda c, s, r: c("logs").create_log_stream(**s.log(r)),
    "logs:GetLogEvents": lambda c, s, r: c("logs").get_log_events(**s.log(r)),
    "logs:PutLogEvents": _said,
    "execute-api:ManageConnections": _managed,
    "iam:GetRole": lambda c, s, r: c("iam").get_role(RoleName=s.resources[r]),
    "sts:AssumeRole": lambda c, s, r: c("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ministack.ACCOUNT}:role/{s.resources['LoopStateMachineRole']}", RoleSessionName="other"
    ),
}
UNTRIED = {
    "bedrock:CountTokens",  # no stack owns a model
    "bedrock:InvokeModel",
    "bedrock:InvokeModelWithResponseStream",
    # The emulator asks whether the group itself is allowed. AWS's own roles name its streams, "<group>:*":
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    # The emulator asks whether every stream, or table, is allowed.
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "ssm:GetParametersByPath",  # the emulator asks whether every parameter is allowed
}
"""Granted, and judged differently here than on AWS. That nobody else has them is tried."""


def client_of(service: str, **credentials: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(service, region_name="us-east-1", config=config, **credentials)  # type: ignore[call-overload]


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return {}\n")
    return buffer.getvalue()


def without_conditions(template: Json) -> Json:
    """The template, whose statements have no condition that the emulator can't judge."""
    template = copy.deepcopy(template)
    statements = [
        statement
        for resource in template["Resources"].values()
        for policy in resource["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    for statement in statements:
        for operator, keys in [*statement.get("Condition", {}).items()]:
            left = {key: value for key, value in keys.items() if key not in NOT_ENFORCED}
            statement["Condition"][operator] = left
    return template


def created(template: Json, name: str, **parameters: str) -> Stack:
    """A stack that CloudFormation has created, whole."""
    formation, s3 = client_of("cloudformation"), client_of("s3")
    s3.create_bucket(Bucket="templates")  # as `sam deploy` does: a body in the call has 51,200 bytes at most
    s3.put_object(Bucket="templates", Key=name, Body=json.dumps(template).encode())
    given = {"ExampleTool": "true", "WebSocket": "true", **parameters}
    formation.create_stack(
        StackName=name,
        TemplateURL=f"https://s3.us-east-1.amazonaws.com/templates/{name}",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    until = time.monotonic() + 60
    while (stack := formation.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"] == "CREATE_IN_PROGRESS":
        assert time.monotonic() < until
        time.sleep(0.1)
    events = formation.describe_stack_events(StackName=name)["StackEvents"]
    failed = {
        each["LogicalResourceId"]: each.get("ResourceStatusReason")
        for each in events
        if "FAILED" in each["ResourceStatus"]
    }
    assert (stack["StackStatus"], failed) == ("CREATE_COMPLETE", {})
    resources = formation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        name,
        {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources},
        {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]},
    )


@pytest.fixture(scope="module")
def template(deployed: Json) -> Iterator[Json]:
    """To be deployed on the emulator, which runs meanwhile."""
    with ministack.emptied(enforces=True):
        s3 = client_of("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="code", Body=packed())
        # For both state machines: neither is executed here.
        s3.put_object(Bucket="bucket", Key="loop", Body=(ROOT / "infra/statemachine/loop.asl.json").read_bytes())
        yield without_conditions(deployed)


@pytest.fixture(scope="module")
def stacks(template: Json) -> dict[str, Stack]:
    """Their buckets take calls without TLS: no others can be made here."""
    made = {name: created(template, name) for name in STACKS}
    for stack in made.values():
        client_of("s3").delete_bucket_policy(Bucket=stack.bucket)
    return made


def clients_of(stack: Stack, role: str) -> Callable[..., Any]:
    """Of who has assumed the role. Root may not, unless the role trusts the account: it does from here on."""
    name = stack.resources[role]
    principal = {"AWS": f"arn:aws:iam::{ministack.ACCOUNT}:root"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }
    client_of("iam").update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    arn = f"arn:aws:iam::{ministack.ACCOUNT}:role/{name}"
    given = client_of("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    credentials = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    return lambda service, **given: client_of(service, **credentials, **given)


def is_refused(call: Call, clients: Callable[..., Any], stack: Stack, role: str) -> bool:
    """Whether IAM refuses it. Whatever else is wrong with it, was found out after IAM had let it pass."""
    try:
        call(clients, stack, role)
    except ClientError as error:
        return error.response["Error"]["Code"] in REFUSED
    return False


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_says_with_its_own_and_nothing_else(
    stacks: dict[str, Stack], resources: dict[str, Json], role: str
) -> None:
    mine, other = (stacks[name] for name in STACKS)
    granted = set(grants(resources, role)) - UNTRIED
    assert granted <= set(CALLS), "an action that no call tries"
    clients = clients_of(mine, role)
    with_own = {action for action, call in CALLS.items() if not is_refused(call, clients, mine, role)}
    with_others = {action for action, call in CALLS.items() if not is_refused(call, clients, other, role)}
    print(f"{role}: {2 * len(CALLS)} calls tried, {len(with_own)} allowed")
    assert (with_own, with_others) == (granted, set())


def test_a_bucket_refuses_what_comes_without_tls(template: Json) -> None:
    stack = created(template, "third")
    clients = clients_of(stack, "ApiFunctionRole")
    calls = [call for action, call in CALLS.items() if action.startswith("s3:")]
    assert all(is_refused(call, clients, stack, "ApiFunctionRole") for call in calls)


def test_a_stack_with_all_that_an_operator_may_switch_on_is_created(template: Json) -> None:
    """But for alarms that compute, which the emulator can't."""
    template = copy.deepcopy(template)
    template["Resources"] = {
        name: each for name, each in template["Resources"].items() if "Metrics" not in each["Properties"]
    }
    key = client_of("kms").create_key()["KeyMetadata"]["Arn"]
    topic = client_of("sns").create_topic(Name="woken")["TopicArn"]
    stack = created(
        template,
        "fourth",
        KeyArn=key,
        Alarms="enabled",
        AlarmTopicArn=topic,
        Tracing="enabled",
        RequestsPerSecond="50",
        ApiConcurrency="5",
        WorkerConcurrency="5",
        AuthorizerConcurrency="5",
        SocketConcurrency="5",
        SocketWorkerConcurrency="5",
    )
    alarms = client_of("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {tuple(each["AlarmActions"]) for each in alarms} == {(topic,)}
    body = client_of("cloudwatch").get_dashboard(DashboardName="fourth-us-east-1")["DashboardBody"]
    assert len(json.loads(body)["widgets"]) == 18
    assert all(is_refused(use_key(key), clients_of(stack, role), stack, role) for role in ROLES)


def use_key(key: str) -> Call:
    """Not through a service that the role calls."""
    return lambda clients, stack, role: clients("kms").encrypt(KeyId=key, Plaintext=b"x")

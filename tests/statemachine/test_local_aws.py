"""The services that a template declares, and its functions behind Lambda's API, in the local cloud."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.aws_resources import requests
from openresponses_dev.local.template.template import read_template
from openresponses_dev.local.template.yaml_tree import TemplateError
from tests.statemachine.machine import ASL, executor_threads, until

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Limit: {Type: Number, Default: 2}
Conditions:
  Never: !Equals [a, b]
Globals:
  Function:
    Runtime: python3.13
    CodeUri: code/
    Timeout: !Ref Limit
    Environment:
      Variables:
        TABLE: !Ref Table
        BUCKET: !Ref Bucket
        STATE_MACHINE_ARN: !Ref StateMachine
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: sk, AttributeType: S}
      KeySchema:
        - {AttributeName: pk, KeyType: HASH}
        - {AttributeName: sk, KeyType: RANGE}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
  Bucket: {Type: AWS::S3::Bucket}
  Unwanted: {Type: AWS::S3::Bucket, Condition: Never}
  Greeting: {Type: AWS::SSM::Parameter, Properties: {Name: /kit/greeting, Type: String, Value: hello}}
  WorkerFunction: {Type: AWS::Serverless::Function, Properties: {Handler: handlers.work}}
  StateMachine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: loop.asl.json
      DefinitionSubstitutions:
        Partition: !Ref AWS::Partition
        WorkerFunctionArn: !GetAtt WorkerFunction.Arn
        WorkerTimeoutSeconds: 30
"""
HANDLERS = '''
"""Functions as a test wants them: what they do is in the table, and so is what they did."""
import os, signal, time
import boto3


class ProviderThrottled(Exception):
    pass


dynamodb = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def count(name, response_id):
    key = {"pk": response_id, "sk": name}
    update = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": 1}, "ReturnValues": "ALL_NEW"}
    return int(dynamodb.update_item(Key=key, **update)["Attributes"]["n"])


def work(event, context):
    n = count("settle" if "error" in event else "work", event["response_id"])
    if "error" in event:
        return
    if n == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 2:
        raise ProviderThrottled("slow down")
    if n == 3:
        time.sleep(30)
    return {**event, "step": "again" if n == 4 else "over", "calls": []}


def echo(event, context):
    if event.get("fail"):
        raise ValueError(event["fail"])
    return event | {"name": context.function_name, "table": os.environ["TABLE"]}
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stack")
    (root / "code").mkdir()
    (root / "code/handlers.py").write_text(HANDLERS)
    (root / "template.yaml").write_text(TEMPLATE)
    shutil.copy(ASL, root)
    return root


@pytest.fixture
async def cloud(root: Path) -> AsyncIterator[LocalCloud]:
    echo = "  Echo: {Type: AWS::Serverless::Function, Properties: {FunctionName: echo-it, Handler: handlers.echo}}\n"
    (root / "with_echo.yaml").write_text(TEMPLATE.replace("  StateMachine:\n", echo + "  StateMachine:\n"))
    async with LocalCloud(root / "with_echo.yaml", retry_scale=0, ssm={"/kit/tools/add": "{}"}) as cloud:
        yield cloud
    assert not executor_threads()


async def call(cloud: LocalCloud, service: str, method: str, **arguments: Any) -> Any:
    """A boto3 call, away from the event loop that the sandboxes need."""

    def run() -> Any:
        return getattr(cloud.aws.client(service), method)(**arguments)

    return await asyncio.to_thread(run)


async def test_what_the_template_declares_is_there(cloud: LocalCloud) -> None:
    table = (await call(cloud, "dynamodb", "describe_table", TableName="Table"))["Table"]
    ttl = await call(cloud, "dynamodb", "describe_time_to_live", TableName="Table")
    buckets = (await call(cloud, "s3", "list_buckets"))["Buckets"]
    given = {"/kit/greeting": "hello", "/kit/tools/add": "{}"}
    parameters = (await call(cloud, "ssm", "get_parameters", Names=[*given]))["Parameters"]
    machines = (await call(cloud, "stepfunctions", "list_state_machines"))["stateMachines"]

    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    assert ttl["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert [bucket["Name"] for bucket in buckets] == ["bucket"]
    assert {parameter["Name"]: parameter["Value"] for parameter in parameters} == given
    assert [machine["stateMachineArn"] for machine in machines] == [
        cloud.functions["WorkerFunction"].spec.environment["STATE_MACHINE_ARN"]
    ]


async def test_the_state_machine_runs_in_the_sandboxes_and_outlives_their_deaths(cloud: LocalCloud) -> None:
    """The first task is killed, the second fails, the third runs out of its time: all are tried again."""
    arn = cloud.functions["WorkerFunction"].spec.environment["STATE_MACHINE_ARN"]
    given = json.dumps({"tenant": "acme", "response_id": "resp_1", "generation": 0})
    started = await call(cloud, "stepfunctions", "start_execution", stateMachineArn=arn, name="resp_1-0", input=given)

    while [execution.status for execution in cloud.aws.executions()] == ["RUNNING"]:
        await asyncio.sleep(0.02)

    history = await call(cloud, "stepfunctions", "get_execution_history", executionArn=started["executionArn"])
    failures = [event["taskFailedEventDetails"] for event in history["events"] if event["type"] == "TaskFailed"]
    items = (await call(cloud, "dynamodb", "scan", TableName="Table"))["Items"]
    [execution] = cloud.aws.executions()
    assert (execution.name, execution.state_machine, execution.status) == ("resp_1-0", "StateMachine", "SUCCEEDED")
    assert {item["sk"]["S"]: int(item["n"]["N"]) for item in items} == {"work": 5}
    assert [failure["error"] for failure in failures] == ["Runtime.ExitError", "ProviderThrottled", "Sandbox.Timedout"]
    causes = [json.loads(failure["cause"])["errorMessage"] for failure in failures]
    assert causes[0].endswith("Error: Runtime exited with error: signal: killed")
    assert causes[1] == "slow down"
    assert causes[2].endswith("Error: Task timed out after 2.00 seconds")


async def test_functions_are_invoked_by_name_and_by_arn(cloud: LocalCloud) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:echo-it"
    for name in ("echo-it", arn, f"{arn}:$LATEST"):
        answer = await call(cloud, "lambda", "invoke", FunctionName=name, Payload=b'{"a": 1}')
        assert json.load(answer["Payload"]) == {"a": 1, "name": "Echo", "table": "Table"}
        assert (answer["StatusCode"], "FunctionError" in answer) == (200, False)


async def test_a_functions_failure_is_an_answer(cloud: LocalCloud) -> None:
    answer = await call(cloud, "lambda", "invoke", FunctionName="echo-it", Payload=b'{"fail": "no"}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"]) == {"errorType": "ValueError", "errorMessage": "no"}


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        ({"FunctionName": "nobody"}, "ResourceNotFoundException", 404),
        ({"FunctionName": "echo-it", "Payload": b"{"}, "InvalidRequestContentException", 400),
        ({"FunctionName": "echo-it", "Payload": b'"' + b"x" * 6 * 1024 * 1024 + b'"'}, "RequestTooLargeException", 413),
        (
            {"FunctionName": "echo-it", "Payload": b'"' + b"x" * 1024 * 1024 + b'"', "InvocationType": "Event"},
            "RequestTooLargeException",
            413,
        ),
    ],
)
async def test_an_invoke_that_lambda_refuses(
    cloud: LocalCloud, arguments: dict[str, Any], code: str, status: int
) -> None:
    with pytest.raises(ClientError) as refused:
        await call(cloud, "lambda", "invoke", **arguments)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


async def test_an_event_is_accepted_before_it_is_handled(cloud: LocalCloud) -> None:
    payload = json.dumps({"response_id": "resp_event", "error": "ValueError"}).encode()
    answer = await call(
        cloud, "lambda", "invoke", FunctionName="WorkerFunction", Payload=payload, InvocationType="Event"
    )
    assert answer["StatusCode"] == 202
    for _ in range(500):
        if (await call(cloud, "dynamodb", "scan", TableName="Table"))["Count"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the event was not handled")


async def test_an_execution_is_shown_with_the_state_it_is_in_and_ends_with_the_cloud(root: Path) -> None:
    async with LocalCloud(root / "template.yaml") as cloud:
        arn = cloud.functions["WorkerFunction"].spec.environment["STATE_MACHINE_ARN"]
        given = json.dumps({"tenant": "acme", "response_id": "resp_hang", "generation": 0})
        item = {"pk": {"S": "resp_hang"}, "sk": {"S": "work"}, "n": {"N": "2"}}
        await call(cloud, "dynamodb", "put_item", TableName="Table", Item=item)
        await call(cloud, "stepfunctions", "start_execution", stateMachineArn=arn, name="resp_hang-0", input=given)
        [execution] = cloud.aws.executions()
        assert (execution.status, execution.state, execution.stopped) == ("RUNNING", "Work", None)
    assert not executor_threads()


def test_one_runs_at_a_time_and_leaves_nothing_to_the_next(root: Path) -> None:
    template = read_template(root / "template.yaml")
    first, second = LocalAws(template, LambdaApi({})), LocalAws(template, LambdaApi({}))
    first.start()
    with pytest.raises(RuntimeError, match="another LocalAws"):
        second.start()
    first.client("dynamodb").put_item(TableName="Table", Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    first.stop()
    second.start()
    try:
        assert second.client("dynamodb").scan(TableName="Table")["Items"] == []
    finally:
        second.stop()
    until(lambda: not executor_threads())


def test_a_placeholder_that_nothing_is_declared_for_is_an_error(root: Path) -> None:
    path = root / "missing.yaml"
    path.write_text(TEMPLATE.replace("        WorkerFunctionArn: !GetAtt WorkerFunction.Arn\n", ""))
    with pytest.raises(TemplateError, match=r"StateMachine.Properties: does not say what \$\{WorkerFunctionArn\} is"):
        requests(read_template(path))


def test_a_template_without_services_needs_none(root: Path) -> None:
    path = root / "plain.yaml"
    function = (
        "{Type: AWS::Serverless::Function, Properties: {Handler: handlers.echo, Runtime: python3.13, CodeUri: code/}}"
    )
    path.write_text(f"Resources:\n  Echo: {function}\n")
    assert not LocalAws(read_template(path), LambdaApi({})).needed

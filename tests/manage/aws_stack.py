"""AWS in a process of its own, with a stack as `sam deploy` leaves it, and with permissions that are enforced.

`python -m tests.manage.aws_stack BASE_URL` prints one line of JSON: the endpoint, and credentials by user.
"""

import json
import socket
import sys
import threading
from unittest.mock import MagicMock
from urllib.parse import unquote

import boto3
import httpx2
from moto.bedrock.exceptions import ResourceNotFoundException
from moto.bedrock.responses import BedrockResponse
from moto.iam.access_control import IAMRequestBase
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse

STACK, REGION = "openresponses", "eu-west-1"
PROJECT = "mine"
"""A project's stack, in which another one like STACK is nested."""
DENIED = {
    "admin": [],
    "reader": [
        "ssm:PutParameter",
        "dynamodb:TransactWriteItems",
        "dynamodb:DescribeTimeToLive",
        "lambda:GetFunctionConfiguration",
        "ssm:GetServiceSetting",
        "states:SendTaskFailure",
        "bedrock:*",
    ],
    "outsider": ["cloudformation:*"],
}
"""What each user may not do. Everything else is allowed."""
_MACHINE = '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'


# moto's CloudFormation imports every service that it knows, and with API Gateway's what only that one needs.
for absent in ("", ".validation", ".validation.exceptions"):
    sys.modules[f"openapi_spec_validator{absent}"] = MagicMock()

# Only permissions are checked: it takes the signatures of Lambda's GET requests for wrong.
IAMRequestBase.check_signature = lambda self: None


SETTING = "/ssm/parameter-store/high-throughput-enabled"
AGREEMENTS = {"anthropic.claude-haiku-4-5-20251001-v1:0": "AVAILABLE", "cohere.command-r-v1:0": "NOT_AVAILABLE"}


def service_setting(response: SimpleSystemManagerResponse) -> str:
    """moto has none: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html"""
    assert json.loads(response.body)["SettingId"] == SETTING
    return json.dumps({"ServiceSetting": {"SettingId": SETTING, "SettingValue": "false", "Status": "Default"}})


def availability(response: BedrockResponse) -> str:
    """moto has none: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_GetFoundationModelAvailability.html"""
    model = unquote(response.path.rpartition("/")[2])
    return json.dumps(
        {
            "modelId": model,
            "agreementAvailability": {"status": AGREEMENTS.get(model, "NOT_AVAILABLE")},
            "authorizationStatus": "AUTHORIZED",
            "entitlementAvailability": "AVAILABLE",
            "regionAvailability": "AVAILABLE",
        }
    )


def no_form(response: BedrockResponse) -> str:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_GetUseCaseForModelAccess.html"""
    raise ResourceNotFoundException("There is no use case for this account")


SimpleSystemManagerResponse.get_service_setting = service_setting
BedrockResponse.get_foundation_model_availability = availability
BedrockResponse.get_use_case_for_model_access = no_form


def websocket_api(endpoint: str) -> str:
    """Its id. moto's CloudFormation makes none."""
    gateway = boto3.client("apigatewayv2", endpoint_url=endpoint, region_name=REGION)
    selection = "$request.body.type"
    made = gateway.create_api(Name="socket", ProtocolType="WEBSOCKET", RouteSelectionExpression=selection)["ApiId"]
    gateway.create_stage(ApiId=made, StageName="responses", AutoDeploy=True)
    gateway.create_route(ApiId=made, RouteKey="$connect", AuthorizationType="CUSTOM", AuthorizerId="keys")
    for name in ("$disconnect", "$default"):
        gateway.create_route(ApiId=made, RouteKey=name)
    return made


def template(base_url: str, websocket_api: str) -> str:
    """The names of the real template, as far as the commands look at them; a test compares them."""
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        },
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Handler": "index.handler",
            "Runtime": "python3.13",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": "def handler(event, context): ..."},
        },
    }
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": _MACHINE, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}},
    }
    outputs = {
        "BaseUrl": base_url,
        "ResponsesTableName": {"Ref": "ResponsesTable"},
        "ResponsesBucketName": {"Ref": "ResponsesBucket"},
        "LoopStateMachineArn": {"Ref": "LoopStateMachine"},
        "SsmPrefix": "/mine",
        "ToolFunctionPrefix": "openresponses_tool_",
        "WebSocketApiId": websocket_api,
        "WebSocketBaseUrl": base_url.replace("http", "ws", 1),
    }
    parameters = {"DefaultProvider": "openai", "ConfigSeconds": "30"}
    document = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {name: {"Type": "String", "Default": value} for name, value in parameters.items()},
        "Resources": {
            "Role": role,
            "ResponsesTable": table,
            "ResponsesBucket": {"Type": "AWS::S3::Bucket"},
            "LoopStateMachine": machine,
            "ApiFunction": function,
            "ApiFunctionLogs": {"Type": "AWS::Logs::LogGroup", "Properties": {}},
            "SocketWorkerFunction": {
                **function,
                "Properties": {**function["Properties"], "FunctionName": {"Fn::Sub": "${AWS::StackName}-socket"}},
            },
        },
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    return json.dumps(document)


def project(endpoint: str, kit: str) -> str:
    """A project's template, as `sam package` makes it: ours is in a bucket. It passes one output on."""
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    s3.create_bucket(Bucket="packaged")
    s3.put_object(Bucket="packaged", Key="kit.template", Body=kit.encode())
    document = {
        "Resources": {
            "Other": {"Type": "AWS::SNS::Topic"},
            "OpenResponses": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {
                    "TemplateURL": "https://s3.amazonaws.com/packaged/kit.template",
                    "Parameters": {"ConfigSeconds": "45"},
                },
            },
        },
        "Outputs": {"BaseUrl": {"Value": {"Fn::GetAtt": ["OpenResponses", "Outputs.BaseUrl"]}}},
    }
    return json.dumps(document)


def users(endpoint: str) -> dict[str, dict[str, str]]:
    iam = boto3.client("iam", endpoint_url=endpoint, region_name=REGION)
    keys: dict[str, dict[str, str]] = {}
    for name, denied in DENIED.items():
        statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
        if denied:
            statements.append({"Effect": "Deny", "Action": denied, "Resource": "*"})
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        keys[name] = {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    return keys


def main(base_url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    cloudformation = boto3.client("cloudformation", endpoint_url=endpoint, region_name=REGION)
    body = template(base_url, websocket_api(endpoint))
    cloudformation.create_stack(StackName=STACK, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    cloudformation.create_stack(StackName=PROJECT, TemplateBody=project(endpoint, body))
    functions = boto3.client("lambda", endpoint_url=endpoint, region_name=REGION)
    for function in functions.list_functions()["Functions"]:
        if function["FunctionName"].endswith("-socket"):
            functions.put_function_event_invoke_config(FunctionName=function["FunctionName"], MaximumRetryAttempts=0)
    keys = users(endpoint)
    httpx2.post(f"{endpoint}/moto-api/reset-auth", content=b"0")  # from here on, permissions count
    print(json.dumps({"endpoint": endpoint, "users": keys}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])

"""The doctor's questions about what the template declares: is it there, and does it work?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from openresponses_dev.local.command_line import command
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.doctor.findings import Finding, ok, problem
from openresponses_dev.manage.problems import translated

_DEPLOY = "sam deploy"
_TIMEOUT = httpx2.Timeout(30)  # a first request starts a sandbox


def table(deployment: Deployment) -> Iterator[Finding]:
    client, name = deployment.client("dynamodb"), deployment.table
    with translated("dynamodb"):
        status = client.describe_table(TableName=name)["Table"]["TableStatus"]
    yield ok("table", name) if status == "ACTIVE" else problem("table", f"{name} is {status}", "wait a little")


def expiry(deployment: Deployment) -> Iterator[Finding]:
    with translated("dynamodb"):
        answer = deployment.client("dynamodb").describe_time_to_live(TableName=deployment.table)
    described: dict[str, str] = answer["TimeToLiveDescription"]
    if described["TimeToLiveStatus"] in ("ENABLED", "ENABLING") and described.get("AttributeName") == "ttl":
        yield ok("table's expiry", "by ttl")
    else:
        yield problem("table's expiry", "is off: what is stored is never deleted", _DEPLOY)


def bucket(deployment: Deployment) -> Iterator[Finding]:
    with translated("s3"):
        deployment.client("s3").head_bucket(Bucket=deployment.bucket)
    yield ok("bucket", deployment.bucket)


def state_machine(deployment: Deployment) -> Iterator[Finding]:
    arn = deployment.state_machine
    with translated("states"):
        status = deployment.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["status"]
    name = arn.rpartition(":")[2]
    yield ok("state machine", name) if status == "ACTIVE" else problem("state machine", f"{name} is {status}", _DEPLOY)


def functions(deployment: Deployment) -> Iterator[Finding]:
    if deployment.local:  # it starts them when they are called
        yield from (ok("function", name) for name in deployment.functions)
        return
    with translated("cloudformation"):
        pages = deployment.client("cloudformation").get_paginator("list_stack_resources")
        found = [each for page in pages.paginate(StackName=deployment.stack) for each in page["StackResourceSummaries"]]
    for each in found:
        if each["ResourceType"] == "AWS::Lambda::Function":
            yield _function(deployment, each["LogicalResourceId"], each["PhysicalResourceId"])


def _function(deployment: Deployment, logical: str, name: str) -> Finding:
    with translated("lambda"):
        configuration: dict[str, Any] = deployment.client("lambda").get_function_configuration(FunctionName=name)
    # An idle function is Inactive, and wakes up when it is called.
    if (
        configuration.get("State", "Active") in ("Active", "Inactive")
        and configuration.get("LastUpdateStatus") != "Failed"
    ):
        return ok("function", logical)
    why = configuration.get("LastUpdateStatusReason") or configuration.get("StateReason") or configuration.get("State")
    return problem("function", f"{logical} does not work: {why}", _DEPLOY)


def health(deployment: Deployment) -> Iterator[Finding]:
    url = f"{deployment.base_url.removesuffix('/v1')}/health"
    status = _status(url)
    yield ok("health", url) if status == "200" else problem("health", f"{url}: {status}", _logs(deployment))


def closed_door(deployment: Deployment) -> Iterator[Finding]:
    url = f"{deployment.base_url}/models"
    status = _status(url)
    if status == "401":
        yield ok("without a key", "nobody gets in (401)")
    else:
        yield problem("without a key", f"{url}: {status}, not 401", _logs(deployment))


def _status(url: str) -> str:
    try:
        return str(httpx2.get(url, timeout=_TIMEOUT).status_code)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"no answer ({type(error).__name__})"


def _logs(deployment: Deployment) -> str:
    if deployment.local:
        return f"see what {command('dev')} prints"
    return f"sam logs --stack-name {deployment.stack} --name ApiFunction"

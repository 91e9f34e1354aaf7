"""The table's stream and its event source mapping, as the template declares them, on an emulator that is not moto.

ministack knows the filter and the age of a record. It has no partial failures, and never bisects a batch
(services/lambda_svc.py, `_poll_dynamodb_streams`): tests/local/test_local_streams.py has those, after AWS's pages.
"""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

import boto3
import pytest

from tests.contract import ministack
from tests.template.reading import Json
from tests.template.stack import Stack

pytestmark = [pytest.mark.ministack, pytest.mark.timeout(300), pytest.mark.xdist_group("stacks")]

CODE = "def handler(event, context):\n    return {'batchItemFailures': []}\n"
MAPPING = "EndedFunctionEnds"


def client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", CODE)
    return buffer.getvalue()


def test_only_ends_of_responses_reach_the_function(deployed: Json) -> None:
    resources = Stack("kit", deployed).resources
    table = resources["ResponsesTable"]["Properties"]
    mapping = dict(resources[MAPPING]["Properties"])
    with ministack.emptied():
        dynamodb, functions = client("dynamodb"), client("lambda")
        keys = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        made = dynamodb.create_table(
            TableName="kit",
            StreamSpecification={"StreamEnabled": True, **table["StreamSpecification"]},
            **{key: table[key] for key in keys},
        )
        queue = client("sqs").create_queue(QueueName="kit")["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        role = f"arn:aws:iam::{ministack.ACCOUNT}:role/kit"
        function = {"FunctionName": "kit", "Runtime": "python3.13", "Handler": "app.handler", "Role": role}
        functions.create_function(**function, Code={"ZipFile": packed()})
        mapping |= {"FunctionName": "kit", "EventSourceArn": made["TableDescription"]["LatestStreamArn"]}
        mapping |= {"DestinationConfig": {"OnFailure": {"Destination": arn}}}
        created = functions.create_event_source_mapping(**{k: v for k, v in mapping.items() if k != "Tags"})
        for n in range(5):
            item: Json = {"pk": {"S": f"acme/resp_{n}"}, "sk": {"S": "record"}, "status": {"S": "queued"}}
            dynamodb.put_item(TableName="kit", Item=item)
        dynamodb.update_item(
            TableName="kit",
            Key={"pk": {"S": "acme/resp_3"}, "sk": {"S": "record"}},
            UpdateExpression="SET owed = :bill",
            ExpressionAttributeValues={":bill": {"S": "{}"}},
        )
        dynamodb.update_item(
            TableName="kit", Key={"pk": {"S": "acme/resp_3"}, "sk": {"S": "record"}}, UpdateExpression="REMOVE owed"
        )
        until = time.monotonic() + 120
        while (
            not (told := functions.get_event_source_mapping(UUID=created["UUID"]))
            .get("LastProcessingResult", "")
            .startswith(("OK", "FAILED"))
        ):
            assert time.monotonic() < until, told
            time.sleep(0.2)
        assert told["LastProcessingResult"] == "OK - 1 records"
